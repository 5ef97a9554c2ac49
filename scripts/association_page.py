"""Write the page of an association: one HTML file with all pictures and numbers in it."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.files.geometry_files import read_json
from calflow.job import run
from calflow.pages.association import association_page
from calflow.pages.images import SMALL, THUMBNAIL, embedded
from calflow.whole_files import replace_text

if TYPE_CHECKING:
    from calflow.jobs.pages import Showing


def write(input, output, params: "Showing"):
    """Write the page."""
    page, sheet, cutouts = Path(output.page), input.get("sheet"), input.get("cutouts")
    width = THUMBNAIL if params.elsewhere else SMALL
    pictures = {name: embedded(Path(path), width) for name, path in zip(params.exposures, input.pictures, strict=True)}
    html = association_page(
        read_json(Path(input.quality)),
        file=input.quality,
        sheet=embedded(Path(sheet)) if sheet else "",
        cutouts=embedded(Path(cutouts)) if cutouts else "",
        outliers=read_json(Path(input.outliers))["outliers"] if cutouts else [],
        pictures=pictures,
        elsewhere=params.elsewhere,
        parameters=params.changed,
    )
    replace_text(page, html)


if "snakemake" in globals():
    run(write, snakemake)
