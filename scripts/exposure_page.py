"""Write a page of some exposures of an association that has too many for its own page."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.files.geometry_files import read_json
from calflow.job import run
from calflow.pages.exposures import exposures_page
from calflow.pages.images import SMALL, embedded
from calflow.whole_files import replace_text

if TYPE_CHECKING:
    from calflow.jobs.pages import Exposures


def write(input, output, params: "Exposures"):
    """Write the page."""
    pictures = {name: embedded(Path(path), SMALL) for name, path in zip(params.exposures, input.pictures, strict=True)}
    replace_text(Path(output.page), exposures_page(params.association, read_json(Path(input.quality)), pictures))


if "snakemake" in globals():
    run(write, snakemake)
