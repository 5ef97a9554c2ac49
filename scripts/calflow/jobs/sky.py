"""Jobs that measure the sky of exposures and match its levels."""

from typing import Any, NamedTuple

from calflow.jobs.declaration import Job, Work
from calflow.plan.plan import Plan


class Overlapping(NamedTuple):
    """Parameters of ``find_overlaps``."""

    exposures: list[str]  # roots, in the order of the geometries
    groups: dict[str, str]  # by roots, where others have one level than those that were taken at once
    skymethod: str
    stepsize: int | None


class Measuring(NamedTuple):
    """Parameters of ``measure_sky``."""

    exposure: str
    skymatch: dict[str, Any]


class Matching(NamedTuple):
    """Parameters of ``match_sky``."""

    skymatch: dict[str, Any]


def aligned(plan: Plan, association: str) -> dict[str, Any]:
    """Return the files of ``find_overlaps``: the alignment table, and the geometry of each member.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    members = plan.stage3.association(association).members
    return {
        "alignment": plan.stage3.table(association, "alignment"),
        "geometries": [member.geometry for member in members],
    }


def overlapping(plan: Plan, association: str) -> Overlapping:
    """Return the parameters of ``find_overlaps``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    planned, skymatch = plan.stage3.association(association), plan.stage3.parameters(association).skymatch
    return Overlapping(
        exposures=[member.root for member in planned.members],
        groups=planned.grouped_by(skymatch.group_by),
        skymethod=skymatch.skymethod,
        stepsize=skymatch.stepsize,
    )


def overlapped(plan: Plan, association: str, member: str) -> dict[str, str]:
    """Return the files of ``measure_sky``: an exposure, and where others overlap it.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    member : str
        Root of the names of its products.
    """
    return {
        "cal": plan.stage3.aligned(association, member)["cal"],
        "overlaps": plan.stage3.path(f"sky/{association}_overlaps.json"),
    }


def measuring(plan: Plan, association: str, member: str) -> Measuring:
    """Return the parameters of ``measure_sky``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    member : str
        Root of the names of its products.
    """
    return Measuring(member, plan.stage3.parameters(association).skymatch.measuring_parameters())


def measured(plan: Plan, association: str) -> dict[str, Any]:
    """Return the files of ``match_sky``: what was measured in each member, and the user's list of levels, if any.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    stage3 = plan.stage3
    members = stage3.association(association).members
    files: dict[str, Any] = {"measurements": [stage3.path(f"sky/{association}/{m.root}.json") for m in members]}
    if stage3.parameters(association).skymatch.skymethod == "user":
        files["skylist"] = plan.settings.stage3.skymatch.skylist
    return files


def matching(plan: Plan, association: str) -> Matching:
    """Return the parameters of ``match_sky``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    return Matching(plan.stage3.parameters(association).skymatch.matching_parameters())


JOBS = {
    "find_overlaps": Job("find_overlaps.py", aligned, overlapping, like="align"),
    # Where others overlap an exposure seldom changes when one of them is replaced, though the file does.
    "measure_sky": Job("measure_sky.py", overlapped, measuring, parts={"overlaps": "member"}),
    # A matrix of all pairs of exposures.
    "match_sky": Job("match_sky.py", measured, matching, work=Work(reckoned={"pairs": 0.0001})),
}
