"""Jobs that measure the sky of exposures and match its levels."""

from typing import Any, NamedTuple

from calflow.jobs.declaration import Job
from calflow.plan.plan import Plan


class Measuring(NamedTuple):
    """Parameters of ``measure_sky``."""

    exposure: str
    skymatch: dict[str, Any]


class Matching(NamedTuple):
    """Parameters of ``match_sky``."""

    skymatch: dict[str, Any]


def aligned(plan: Plan, association: str, member: str) -> dict[str, str]:
    """Return an exposure of an association, and where its pixels lie."""
    return plan.stage3.aligned(association, member)


def measuring(plan: Plan, association: str, member: str) -> Measuring:
    """Return how the sky of an exposure is measured."""
    return Measuring(member, plan.stage3.parameters(association).skymatch.measuring_parameters())


def measured(plan: Plan, association: str) -> dict[str, Any]:
    """Return what the sky levels of an association are found from."""
    stage3 = plan.stage3
    members = stage3.association(association).members
    files: dict[str, Any] = {"measurements": [stage3.path(f"sky/{association}/{m.root}.json") for m in members]}
    if stage3.parameters(association).skymatch.skymethod == "user":
        files["skylist"] = plan.settings.stage3.skymatch.skylist
    return files


def matching(plan: Plan, association: str) -> Matching:
    """Return how sky levels are matched."""
    return Matching(plan.stage3.parameters(association).skymatch.matching_parameters())


JOBS = {
    "measure_sky": Job("measure_sky.py", aligned, measuring),
    "match_sky": Job("match_sky.py", measured, matching),
}
