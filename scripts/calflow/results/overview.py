"""All that is made in a folder, in one tree: for the page of a run."""

from collections.abc import Mapping
from typing import Any

from calflow.plan.plan import Plan
from calflow.results.associations import made_of_association
from calflow.results.exposures import made_of_exposure


def overview(plan: Plan, pages: Mapping[str, str]) -> dict[str, Any]:
    """Return the state of every exposure and association, as JSON can hold it.

    Parameters
    ----------
    plan : Plan
        What this run does.
    pages : mapping of str to str
        Links to the pages of associations, by their names.
    """
    exposures = [made_of_exposure(plan, planned) for planned in plan.all_calibrated()]
    associations = [made_of_association(plan, planned) for planned in plan.stage3.associations.values()]
    every = [*exposures, *associations]
    return {
        "made": sum(len(made.products) for made in every),
        "missing": sum(len(made.missing) for made in every),
        "exposures": [{"name": made.name, "steps": dict(made.steps)} for made in exposures],
        "associations": [
            {"name": made.name, "steps": dict(made.steps), "line": str(made), "page": pages.get(made.name, "")}
            for made in associations
        ],
    }
