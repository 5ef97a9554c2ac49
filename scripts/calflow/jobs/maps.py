"""Jobs that make maps to pan and zoom in."""

from typing import Any, NamedTuple

from calflow.jobs.colour import Colours, colours
from calflow.jobs.declaration import Job
from calflow.plan.colour_files import colouring_if_any
from calflow.plan.map_files import MapLayer, layers_of_association, layers_of_grid
from calflow.plan.plan import Plan


class Mapped(NamedTuple):
    """Parameters of ``association_map`` and ``grid_map``."""

    title: str
    layers: list[str]  # name of each image
    catalogued: list[bool]  # which of them have a catalogue
    colour: dict[str, Any]  # as `Colours` of the colour layer, by names; empty: there is none
    coloured: list[int]  # numbers of the images that it is made of, from red to blue
    viewer: str  # hash of the page that shows the map, which is no code


class Surveyed(NamedTuple):
    """Parameters of ``association_hips``."""

    title: str
    formats: list[str]  # of its tiles, png or fits


def of_association(plan: Plan, association: str) -> dict[str, list[str]]:
    """Return the files of ``association_map``: the image, its catalogue and its segments.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    return _files(layers_of_association(plan, association))


def of_grid(plan: Plan, grid: str) -> dict[str, list[str]]:
    """Return the files of ``grid_map``: the images that share a grid, their catalogues and segments.

    Parameters
    ----------
    plan : Plan
        What this run does.
    grid : str
        Its name.
    """
    return _files(layers_of_grid(plan, grid))


def mapping_of_association(plan: Plan, association: str) -> Mapped:
    """Return the parameters of ``association_map``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    return _mapping(association, layers_of_association(plan, association))


def mapping_of_grid(plan: Plan, grid: str) -> Mapped:
    """Return the parameters of ``grid_map``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    grid : str
        Its name.
    """
    layers, found = layers_of_grid(plan, grid), colouring_if_any(plan, grid)
    if found is None:
        return _mapping(grid, layers)
    numbers = {layer.image: number for number, layer in enumerate(layers)}
    return _mapping(grid, layers, colours(plan, grid), [numbers[path] for paths in found.images for path in paths])


def of_hips(plan: Plan, association: str) -> dict[str, str]:
    """Return the file of ``association_hips``: the image.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    (layer,) = layers_of_association(plan, association)
    return {"image": layer.image}


def surveying(plan: Plan, association: str) -> Surveyed:
    """Return the parameters of ``association_hips``: pictures, if the configuration wants none but a target does.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    return Surveyed(title=association, formats=plan.settings.map.tile_formats or ["png"])


def _files(layers: list[MapLayer]) -> dict[str, list[str]]:
    catalogued = [layer for layer in layers if layer.catalog]
    return {
        "images": [layer.image for layer in layers],
        "catalogs": [layer.catalog for layer in catalogued],
        "segments": [layer.segments for layer in catalogued],
    }


def _mapping(
    title: str, layers: list[MapLayer], colour: Colours | None = None, coloured: list[int] | None = None
) -> Mapped:
    from calflow.sky_map.viewer import viewer_hash  # which other jobs need not load

    return Mapped(
        title=title,
        layers=[layer.name for layer in layers],
        catalogued=[bool(layer.catalog) for layer in layers],
        colour=colour._asdict() if colour else {},
        coloured=coloured or [],
        viewer=viewer_hash(),
    )


JOBS = {
    "association_map": Job("sky_map.py", of_association, mapping_of_association, like="catalog_sources"),
    "grid_map": Job("sky_map.py", of_grid, mapping_of_grid, like="catalog_sources"),
    "association_hips": Job("sky_hips.py", of_hips, surveying, like="catalog_sources"),
}
