"""Jobs that make colour pictures."""

from typing import Any, NamedTuple

from calflow.jobs.declaration import Job
from calflow.plan.colour_files import colouring_of
from calflow.plan.plan import Plan


class Colours(NamedTuple):
    """Parameters of ``colour_picture``."""

    grid: str
    filters: list[str]  # from red to blue
    wavelengths: list[float | None]  # of each, micrometres
    of_each: list[int]  # how many of the images are of each
    balance: list[float]  # of each
    stretch: dict[str, Any]


def coloured(plan: Plan, grid: str) -> dict[str, list[str]]:
    """Return the files of ``colour_picture``: combined images, from red to blue.

    Parameters
    ----------
    plan : Plan
        What this run does.
    grid : str
        The name of the grid that they share.
    """
    return {"images": [path for paths in colouring_of(plan, grid).images for path in paths]}


def colours(plan: Plan, grid: str) -> Colours:
    """Return the parameters of ``colour_picture``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    grid : str
        The name of the grid that the images share.
    """
    found, section = colouring_of(plan, grid), plan.settings.colour
    balance = {name.upper(): factor for name, factor in section.balance.items()}
    return Colours(
        grid=grid,
        filters=[band.name for band in found.bands],
        wavelengths=[band.wavelength for band in found.bands],
        of_each=[len(paths) for paths in found.images],
        balance=[balance.get(band.name.upper(), 1.0) for band in found.bands],
        stretch=section.stretch_parameters(),
    )


JOBS = {"colour_picture": Job("colour_picture.py", coloured, colours, like="catalog_sources")}
