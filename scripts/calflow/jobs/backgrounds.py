"""Jobs that combine background exposures and subtract them."""

from typing import Any, NamedTuple

from calflow.calibration.work import WITHOUT_DARK
from calflow.jobs.declaration import Job, Work
from calflow.plan.plan import BACKGROUND_FOLDERS, Plan, UnknownExposure, association_record

Numbers = tuple[int, int, int, int]
Record = dict[str, tuple[str, str]]


class Average(NamedTuple):
    """Parameters of ``combine_background``."""

    bkg_subtract: dict[str, Any]
    window: Numbers  # xstart, ystart, nx, ny
    depth: int  # integrations at most
    undarkened: list[str]
    without_dark: list[str]  # the function that takes the dark out, if that is to be done
    images: list[str]


class Sky(NamedTuple):
    """Parameters of ``model_sky``."""

    sky_model: dict[str, Any]
    window: Numbers
    undarkened: list[str]
    images: list[str]


class Subtraction(NamedTuple):
    """Parameters of ``subtract_background``."""

    images: list[str]
    facts: dict[str, Any]
    origin: Record
    writing: dict[str, Any]  # how products are written: of `Writing`


def members(plan: Plan, background: str) -> dict[str, Any]:
    """Return the files of ``combine_background`` and ``model_sky``: background exposures and their references.

    Parameters
    ----------
    plan : Plan
        What this run does.
    background : str
        Name of the set.
    """
    return plan.background(background)[0].files()


def average(plan: Plan, background: str) -> Average:
    """Return the parameters of ``combine_background``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    background : str
        Name of the set.
    """
    of, user = plan.background(background)
    section = plan.chosen(user).settings.stage2.bkg_subtract
    return Average(
        bkg_subtract=section.average_parameters(),
        window=of.window.numbers,
        depth=of.depth,
        undarkened=of.read(of.undarkened),
        without_dark=without_dark(plan, background),
        images=list(user.family.images),
    )


def without_dark(plan: Plan, background: str) -> list[str]:
    """Return the function that subtracts the dark from the members of a set, in a list; empty if there is no need.

    Parameters
    ----------
    plan : Plan
        What this run does.
    background : str
        Name of the set.
    """
    of, _ = plan.background(background)
    return [WITHOUT_DARK] if of.undarkened else []


def sky(plan: Plan, background: str) -> Sky:
    """Return the parameters of ``model_sky``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    background : str
        Name of the set.
    """
    of, user = plan.background(background)
    return Sky(
        sky_model=plan.chosen(user).settings.stage2.bkg_subtract.sky_parameters() or {},  # planned with sky_model only
        window=of.window.numbers,
        undarkened=of.read(of.undarkened),
        images=list(user.family.images),
    )


def subtracted(plan: Plan, exposure: str, bsub: str = "") -> dict[str, str]:
    """Return the files of ``subtract_background``: an exposure, and the combined background.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    bsub : str, optional
        ``bsub`` or ``bsubints``; empty: for a job that subtracts the background among other steps.
    """
    planned = plan.exposure(exposure, bsub)
    if planned.background is None:
        raise UnknownExposure(f"{exposure!r} has no background exposures to subtract")
    if bsub and not plan.saves_bsub(planned):
        raise UnknownExposure(f"{exposure!r} has no _bsub of its own: its sky is subtracted after the flat field")
    combined = f"{plan.folder}/{BACKGROUND_FOLDERS[planned.background.rule]}/{planned.background.name}.fits"
    return {"exposure": planned.rate, "background": combined}


def subtraction(plan: Plan, exposure: str, bsub: str) -> Subtraction:
    """Return the parameters of ``subtract_background``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    bsub : str
        ``bsub``, or ``bsubints`` of an exposure with integrations.
    """
    planned = plan.exposure(exposure)
    return Subtraction(
        images=list(planned.family.images),
        facts=dict(planned.header.derived),
        origin=association_record(planned),
        writing=plan.settings.writing,
    )


def combined(plan: Plan, exposure: str) -> dict[str, str]:
    """Return the file of ``save_combined_background``: the combined background of an exposure.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    """
    return {"background": subtracted(plan, exposure)["background"]}


JOBS = {
    # What it makes is not temporary: made anew for one exposure, it would drag all others along.
    "combine_background": Job("combine_background.py", members, average, functions=without_dark),
    "model_sky": Job("model_sky.py", members, sky, like="combine_background"),
    "save_combined_background": Job("save_combined_background.py", combined),
    "subtract_background": Job("subtract_background.py", subtracted, subtraction, work=Work(memory=("block",))),
}
