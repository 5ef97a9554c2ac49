"""Jobs that measure the sky of exposures and match its levels."""

from typing import Any, NamedTuple

from calflow.jobs.declaration import Job, Work
from calflow.plan.plan import Plan


class Grouping(NamedTuple):
    """Parameters of ``group_sky``."""

    groups: dict[str, str]  # by the roots of exposures


class Measuring(NamedTuple):
    """Parameters of ``measure_sky``."""

    exposure: str
    skymatch: dict[str, Any]


class Matching(NamedTuple):
    """Parameters of ``match_sky``."""

    skymatch: dict[str, Any]


def alignment(plan: Plan, association: str) -> dict[str, str]:
    """Return the file of ``group_sky``: the alignment table.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    return {"alignment": plan.stage3.table(association, "alignment")}


def grouping(plan: Plan, association: str) -> Grouping:
    """Return the parameters of ``group_sky``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    return Grouping(_groups(plan, association))


def _groups(plan: Plan, association: str) -> dict[str, str]:
    return plan.stage3.association(association).grouped_by(plan.stage3.parameters(association).skymatch.group_by)


def aligned(plan: Plan, association: str, member: str) -> dict[str, str]:
    """Return the files of ``measure_sky``: an exposure, its geometry and the alignment.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    member : str
        Root of the names of its products.
    """
    files = plan.stage3.aligned(association, member)
    if _groups(plan, association):
        files["alignment"] = plan.stage3.path(f"sky/{association}_groups.ecsv")
    return files


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
    "group_sky": Job("group_sky.py", alignment, grouping, like="align"),
    "measure_sky": Job("measure_sky.py", aligned, measuring),
    # A matrix of all pairs of exposures.
    "match_sky": Job("match_sky.py", measured, matching, work=Work(reckoned={"pairs": 0.0001})),
}
