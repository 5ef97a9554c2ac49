"""Draw a product at its own resolution, or the sheet of an exposure or an association. Makes a PNG."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.files.geometry_files import read_json
from calflow.job import run
from calflow.pictures.previews import draw_preview

if TYPE_CHECKING:
    from calflow.jobs.previews import Drawing


def draw(input, output, params: "Drawing"):
    """Draw it by the scale of its filter."""
    files = {role: Path(path) for role, path in input.items() if role != "scale"}
    draw_preview(params.kind, params.name, params.optics, files, read_json(Path(input.scale)), Path(output.picture))


if "snakemake" in globals():
    run(draw, snakemake)
