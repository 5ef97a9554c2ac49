"""Which maps there may be: of each combined image, and of all images that share a grid."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from calflow.plan.combination import PlannedAssociation, UnknownAssociation
from calflow.plan.plan import Plan


@dataclass(frozen=True)
class MapLayer:
    """One image of a map.

    Attributes
    ----------
    name : str
        Its filter, or its association where that would not tell it from the others.
    image : str
        ``_i2d``.
    catalog, segments : str
        ``_cat.ecsv`` and ``_segm.fits``; empty: there is no catalogue.
    """

    name: str
    image: str
    catalog: str = ""
    segments: str = ""


def map_path(plan: Plan, association: str) -> str:
    """Return the path of the page of a map.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Whose image it shows.
    """
    return f"{plan.output}map/{association}/index.html"


def grid_map_path(plan: Plan, grid: str) -> str:
    """Return the path of the page of the map of a common grid.

    Parameters
    ----------
    plan : Plan
        What this run does.
    grid : str
        Its name.
    """
    return f"{plan.output}map/grids/{grid}/index.html"


def map_paths(plan: Plan) -> list[str]:
    """Return the paths of all maps: one of each common grid, and of each image without one.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    shown = [a for a in plan.stage3.associations.values() if _image(plan, a)]
    return list(
        dict.fromkeys(
            grid_map_path(plan, each.common_grid) if each.common_grid else map_path(plan, each.name) for each in shown
        )
    )


def hips_path(plan: Plan, association: str) -> str:
    """Return the path of what a HiPS says of itself.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Whose image it shows.
    """
    return f"{plan.output}hips/{association}/properties"


def hips_paths(plan: Plan) -> list[str]:
    """Return the paths of all HiPS that the configuration wants: of each image, none by default.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    if not plan.settings.map.tile_formats:
        return []
    return [hips_path(plan, each.name) for each in plan.stage3.associations.values() if _image(plan, each)]


def some_map_paths(plan: Plan) -> list[str]:
    """Return the paths of all maps, of which there has to be one, and of what the configuration wants with them.

    Parameters
    ----------
    plan : Plan
        What this run does.

    Raises
    ------
    UnknownAssociation
        If there is none.
    """
    if not (paths := map_paths(plan)):
        raise UnknownAssociation("there is nothing to make a map of: this configuration makes no combined image")
    return [*paths, *hips_paths(plan)]


def layers_of_association(plan: Plan, association: str) -> list[MapLayer]:
    """Return the layer of the map of an association.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.

    Raises
    ------
    UnknownAssociation
        If there is no such image.
    """
    return _layers(plan, [plan.stage3.association(association)], f"no map of {association!r}: no image is made of it")


def layers_of_grid(plan: Plan, grid: str) -> list[MapLayer]:
    """Return the layers of the map of a common grid, in the order of the associations.

    Parameters
    ----------
    plan : Plan
        What this run does.
    grid : str
        Its name.

    Raises
    ------
    UnknownAssociation
        If no image has that grid.
    """
    sharing = [each for each in plan.stage3.associations.values() if each.common_grid == grid]
    return _layers(plan, sharing, f"no map of the grid {grid!r}: no images share such a grid")


def _image(plan: Plan, association: PlannedAssociation) -> str:
    """Return the path of a combined image; empty: none is made."""
    image = plan.stage3.path(f"{association.name}_i2d.fits")
    return image if image in plan.stage3.products_of(association) else ""


def _layers(plan: Plan, associations: Sequence[PlannedAssociation], otherwise: str) -> list[MapLayer]:
    """Return the layers of all that have an image; the message says why there is no map if none has."""
    shown = [(each, image) for each in associations if (image := _image(plan, each))]
    if not shown:
        raise UnknownAssociation(otherwise)
    bands = [each.family.band(each.header).name for each, _ in shown]
    used = Counter(bands)
    layers = []
    for band, (each, image) in zip(bands, shown, strict=True):
        catalog, segments = (plan.stage3.path(f"{each.name}_{suffix}") for suffix in ("cat.ecsv", "segm.fits"))
        files = (catalog, segments) if catalog in plan.stage3.products_of(each) else ("", "")
        layers.append(MapLayer(band if band and used[band] == 1 else each.name, image, *files))
    return layers
