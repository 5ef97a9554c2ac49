"""Make a HiPS of a combined image: its tiles, what it says of itself, and what it covers."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.job import run
from calflow.sky_map.hips import build_hips

if TYPE_CHECKING:
    from calflow.jobs.maps import Surveyed


def make_hips(input, output, params: "Surveyed"):
    """Make it, in the folder of its properties."""
    build_hips(Path(output.properties).parent, params.title, Path(input.image), params.formats)


if "snakemake" in globals():
    run(make_hips, snakemake)
