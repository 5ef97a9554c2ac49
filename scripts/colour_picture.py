"""Make a colour picture of the images that share a grid. Makes a PNG, and the numbers by which it was made."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.files.geometry_files import write_json
from calflow.job import run
from calflow.pictures.colour import draw_colour

if TYPE_CHECKING:
    from calflow.jobs.colour import Colours


def draw(input, output, params: "Colours"):
    """Draw it, and write how."""
    paths = iter(map(Path, input.images))
    images = [list(islice(paths, number)) for number in params.of_each]
    made = draw_colour(
        params.grid,
        params.filters,
        images,
        params.balance,
        params.stretch["stretch"],
        params.stretch["Q"],
        Path(output.picture),
    )
    for told, wavelength in zip(made["filters"], params.wavelengths, strict=True):
        told["wavelength_um"] = wavelength
    write_json(Path(output.numbers), made)


if "snakemake" in globals():
    run(draw, snakemake)
