"""Jobs that write pages for people."""

from typing import Any, NamedTuple

from calflow.configuration.section import Section
from calflow.jobs.declaration import Job
from calflow.plan.combination import UnknownAssociation
from calflow.plan.made_beside import MOST_PICTURES, parts_of
from calflow.plan.plan import Plan
from calflow.plan.preview_files import all_previews, cutouts_path, has_cutouts, preview_path
from calflow.plan.quality_files import association_qualities
from calflow.references.parameter_references import settings_for


class Showing(NamedTuple):
    """Parameters of ``association_page``."""

    exposures: list[str]  # root of each
    changed: list[str]  # parameters that differ from the defaults, as key = value
    elsewhere: dict[str, str]  # of each exposure that another page tells of: the place there


class Exposures(NamedTuple):
    """Parameters of ``exposure_page``."""

    association: str
    exposures: list[str]  # root of each


def shown(plan: Plan, association: str) -> dict[str, Any]:
    """Return the files of ``association_page``: the quality, and the pictures of the image and of the exposures.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    members = plan.stage3.association(association).members
    files: dict[str, Any] = {
        "quality": association_qualities(plan)[association],
        "pictures": [preview_path(plan, member.root) for member in members],
    }
    if association in all_previews(plan):
        files["sheet"] = preview_path(plan, association)
    if has_cutouts(plan, association):
        files |= {"cutouts": cutouts_path(plan, association), "outliers": cutouts_path(plan, association, "json")}
    return files


def showing(plan: Plan, association: str) -> Showing:
    """Return the parameters of ``association_page``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    planned = plan.stage3.association(association)
    settings = settings_for(planned.parameters, plan.settings)
    changed = [
        line for name in ("stage2", "stage3") for line in changed_parameters(getattr(settings, name), f"{name}.")
    ]
    roots = [member.root for member in planned.members]
    elsewhere = {
        root: f"{association}/{1 + number // MOST_PICTURES}.html#{root}"
        for number, root in enumerate(roots)
        if parts_of(len(roots))
    }
    return Showing(roots, changed, elsewhere)


def shown_exposures(plan: Plan, association: str, part: str) -> dict[str, Any]:
    """Return the files of ``exposure_page``: the quality, and the pictures of some exposures.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    part : str
        Which of its pages of exposures, from 1.
    """
    pictures = [preview_path(plan, root) for root in exposures_of(plan, association, part).exposures]
    return {"quality": association_qualities(plan)[association], "pictures": pictures}


def exposures_of(plan: Plan, association: str, part: str) -> Exposures:
    """Return the parameters of ``exposure_page``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    part : str
        Which of its pages of exposures, from 1.
    """
    members, number = plan.stage3.association(association).members, int(part)
    if not 1 <= number <= parts_of(len(members)):
        raise UnknownAssociation(f"{association!r} has no page {part} of its exposures")
    roots = [member.root for member in members]
    return Exposures(association, roots[(number - 1) * MOST_PICTURES : number * MOST_PICTURES])


def changed_parameters(section: Section, name: str) -> list[str]:
    """Return the parameters of a section that differ from their defaults, as ``key = value``.

    Parameters
    ----------
    section : Section
    name : str
        Of the section in the configuration, with a point behind it; empty for the whole of it.
    """
    found = []
    for key, declared in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, Section):
            found += changed_parameters(value, f"{name}{key}.")
        elif value != declared.default:
            found.append(f"{name}{key} = {value}")
    return found


JOBS = {
    "association_page": Job("association_page.py", shown, showing, like="align"),
    "exposure_page": Job("exposure_page.py", shown_exposures, exposures_of, like="align"),
}
