"""Make a map to pan and zoom in: tiles of images that share a grid, their sources and exposures, and a page."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.job import run
from calflow.sky_map.build import Layer, build_map
from calflow.sky_map.colour_tiles import ColourLayer

if TYPE_CHECKING:
    from calflow.jobs.maps import Mapped


def draw(input, output, params: "Mapped"):
    """Make it, in the folder of its page."""
    catalogs, segments = iter(map(Path, input.catalogs)), iter(map(Path, input.segments))
    images = list(map(Path, input.images))
    layers = [
        Layer(name, image, next(catalogs), next(segments)) if catalogued else Layer(name, image)
        for name, image, catalogued in zip(params.layers, images, params.catalogued, strict=True)
    ]
    colour = None
    if params.colour:
        of_colour = (images[number] for number in params.coloured)
        colour = ColourLayer(
            filters=params.colour["filters"],
            images=[list(islice(of_colour, number)) for number in params.colour["of_each"]],
            balance=params.colour["balance"],
            stretch=params.colour["stretch"]["stretch"],
            softening=params.colour["stretch"]["Q"],
        )
    build_map(Path(output.page).parent, params.title, layers, colour)


if "snakemake" in globals():
    run(draw, snakemake)
