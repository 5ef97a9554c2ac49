"""Jobs that write pages for people."""

from typing import Any, NamedTuple

from calflow.configuration.section import Section
from calflow.jobs.declaration import Job
from calflow.plan.plan import Plan
from calflow.plan.preview_files import all_previews, cutouts_path, has_cutouts, preview_path
from calflow.plan.quality_files import association_qualities
from calflow.references.parameter_references import settings_for


class Showing(NamedTuple):
    """Parameters of ``association_page``."""

    exposures: list[str]  # root of each
    changed: list[str]  # parameters that differ from the defaults, as key = value


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
    return Showing([member.root for member in planned.members], changed)


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


JOBS = {"association_page": Job("association_page.py", shown, showing, like="align")}
