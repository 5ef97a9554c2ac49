"""Which colour pictures there may be: of common grids with images in three filters or more."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from calflow.configuration.problems import Problem, Problems, nearest
from calflow.configuration.settings import Settings
from calflow.instruments.family import Band
from calflow.plan.combination import PlannedAssociation, UnknownAssociation
from calflow.plan.plan import Plan
from calflow.science.colour.colour_parameters import CHANNELS


@dataclass(frozen=True)
class Colouring:
    """A colour picture of a grid.

    Attributes
    ----------
    grid : str
        Name of the grid.
    bands : tuple of Band
        From red to blue.
    images : tuple of tuple of str
        The combined images of each.
    """

    grid: str
    bands: tuple[Band, ...]
    images: tuple[tuple[str, ...], ...]


def colour_path(plan: Plan, grid: str) -> str:
    """Return the path of a colour picture.

    Parameters
    ----------
    plan : Plan
        What this run does.
    grid : str
        Name of its grid.
    """
    return f"{plan.output}colour/{grid}.png"


def colour_paths(plan: Plan) -> list[str]:
    """Return the paths of all colour pictures.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    return [colour_path(plan, grid) for grid in _users(plan) if colouring_if_any(plan, grid)]


def some_colour_paths(plan: Plan) -> list[str]:
    """Return the paths of all colour pictures, of which there has to be one.

    Parameters
    ----------
    plan : Plan
        What this run does.

    Raises
    ------
    UnknownAssociation
        If there is none, with the reason.
    """
    paths = colour_paths(plan)
    if not paths:
        users = _users(plan)
        reasons = [f"{grid}: {_of_grid(plan, grid)}" for grid in users]
        raise UnknownAssociation(
            "there is nothing to make a colour picture of: "
            + ("; ".join(reasons[:3]) or "no images share a grid; name one below 'grids'")
        )
    return paths


def colouring_of(plan: Plan, grid: str) -> Colouring:
    """Return the colour picture of a grid.

    Parameters
    ----------
    plan : Plan
        What this run does.
    grid : str
        Its name.

    Raises
    ------
    UnknownAssociation
        If there is none, with the reason.
    """
    found = _of_grid(plan, grid) if grid in _users(plan) else "no images share such a grid"
    if isinstance(found, str):
        raise UnknownAssociation(f"no colour picture of the grid {grid!r}: {found}")
    return found


def colouring_if_any(plan: Plan, grid: str) -> Colouring | None:
    """Return the colour picture of a grid; None if there is none.

    Parameters
    ----------
    plan : Plan
        What this run does.
    grid : str
        The name of a grid that images share.
    """
    found = _of_grid(plan, grid)
    return found if isinstance(found, Colouring) else None


def check_colour(settings: Settings, associations: Iterable[PlannedAssociation], problems: Problems) -> None:
    """Check that the filters that the configuration names are those of images on common grids.

    Parameters
    ----------
    settings : Settings
    associations : iterable of PlannedAssociation
    problems : Problems
        What is wrong is added here.
    """
    colour = settings.colour
    named = {f"colour.filters[{number}]": name for number, name in enumerate(colour.filters)}
    named |= {f"colour.balance.{name}": name for name in colour.balance}
    if not named or problems:
        return
    known = {a.family.band(a.header).name for a in associations if a.common_grid} - {""}
    for key, name in named.items():
        if name.upper() not in {each.upper() for each in known}:
            wrong = f"no image on a common grid is of the filter {name!r}"
            right = nearest(name.upper(), known) if known else "put images on one grid below 'grids'"
            problems.add(Problem("config", key, wrong, right))


def _users(plan: Plan) -> dict[str, list[PlannedAssociation]]:
    """Return the associations on each common grid."""
    users: dict[str, list[PlannedAssociation]] = {}
    for association in plan.stage3.associations.values():
        if association.common_grid:
            users.setdefault(association.common_grid, []).append(association)
    return users


def _of_grid(plan: Plan, grid: str) -> Colouring | str:
    """Return the colour picture of a grid, or why there is none."""
    bands: dict[str, Band] = {}
    images: dict[str, list[str]] = {}
    for association in _users(plan)[grid]:
        image = plan.stage3.path(f"{association.name}_i2d.fits")
        band = association.family.band(association.header)
        if band.name and image in plan.stage3.products_of(association):
            bands.setdefault(band.name.upper(), band)
            images.setdefault(band.name.upper(), []).append(image)
    chosen = _in_order(bands, [name.upper() for name in plan.settings.colour.filters])
    if isinstance(chosen, str):
        return chosen
    return Colouring(grid, tuple(bands[name] for name in chosen), tuple(tuple(images[name]) for name in chosen))


def _in_order(bands: Mapping[str, Band], wanted: list[str]) -> list[str] | str:
    """Return the filters from red to blue, or why there is no such order."""
    if lacking := [name for name in wanted if name not in bands]:
        return f"no image is of {' or '.join(lacking)}, which colour.filters names"
    if wanted:
        return wanted
    if len(bands) < CHANNELS:
        there = ", ".join(band.name for band in bands.values()) or "none"
        return f"a colour picture takes images in {CHANNELS} filters, there are {len(bands)} ({there})"
    if unknown := [band.name for band in bands.values() if band.wavelength is None]:
        return f"the wavelength of {' and '.join(unknown)} is not known; name the filters in colour.filters"
    return sorted(bands, key=lambda name: -(bands[name].wavelength or 0.0))
