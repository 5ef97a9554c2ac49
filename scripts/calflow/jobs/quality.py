"""Jobs that measure how good products are."""

from typing import Any, NamedTuple

from calflow.jobs.alignment import geometries, star_lists
from calflow.jobs.declaration import Job
from calflow.plan.plan import Plan
from calflow.plan.quality_files import calibrated_path, completeness_path, exposure_quality


class Judging(NamedTuple):
    """Parameters of ``association_quality``."""

    association: str
    members: list[list[str]]  # root and group of each
    status: dict[str, str]  # of the steps that do not run
    variance: str  # how the errors of the image are made
    thresholds: dict[str, Any]


class Completing(NamedTuple):
    """Parameters of ``association_completeness``."""

    source_catalog: dict[str, Any]  # how the catalogue was made
    injection: dict[str, Any]  # of `science.quality.completeness_parameters.Injection`


def calibrated(plan: Plan, member: str) -> dict[str, str]:
    """Return the file of ``exposure_quality``: a calibrated exposure.

    Parameters
    ----------
    plan : Plan
        What this run does.
    member : str
        Root of the names of its products.
    """
    return {"cal": calibrated_path(plan, member)}


def combined(plan: Plan, association: str) -> dict[str, Any]:
    """Return the files of ``association_quality``: what was measured on its members, its tables and its products.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    stage3, planned = plan.stage3, plan.stage3.association(association)
    files: dict[str, Any] = {
        "alignment": stage3.table(association, "alignment"),
        "exposures": [exposure_quality(plan, member.root) for member in planned.members],
        **geometries(plan, association),
    }
    made = set(stage3.products_of(planned))
    if not planned.single:
        if not planned.moving:
            files["stars"] = star_lists(plan, association)
        files["crfs"] = [stage3.path(planned.crf(member)) for member in planned.members]
    products = {
        "sky": stage3.table(association, "sky"),
        "outliers": stage3.table(association, "outliers"),
        "i2d": stage3.path(f"{association}_i2d.fits"),
        "catalog": stage3.path(f"{association}_cat.ecsv"),
        "segm": stage3.path(f"{association}_segm.fits"),
    }
    files |= {role: path for role, path in products.items() if path in made}
    completeness = completeness_path(plan, association)
    return files | ({"completeness": completeness} if completeness else {})


def judging(plan: Plan, association: str) -> Judging:
    """Return the parameters of ``association_quality``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    planned = plan.stage3.association(association)
    return Judging(
        association=association,
        members=planned.identities(),
        status=dict(planned.status),
        variance=plan.stage3.parameters(association).resample.variance,
        thresholds=plan.settings.quality.thresholds(),
    )


def completed(plan: Plan, association: str) -> dict[str, str]:
    """Return the files of ``association_completeness``: the combined image and its catalogue.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    stage3 = plan.stage3
    return {
        "i2d": stage3.path(f"{stage3.association(association).name}_i2d.fits"),
        "catalog": stage3.path(f"{association}_cat.ecsv"),
    }


def completing(plan: Plan, association: str) -> Completing:
    """Return the parameters of ``association_completeness``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    return Completing(
        source_catalog=plan.stage3.parameters(association).source_catalog.catalog_parameters(),
        injection=plan.settings.quality.completeness.injection_parameters(),
    )


JOBS = {
    "exposure_quality": Job("exposure_quality.py", calibrated, like="find_stars"),
    "association_completeness": Job("association_completeness.py", completed, completing, like="catalog_sources"),
    "association_quality": Job("association_quality.py", combined, judging, like="catalog_sources"),
}
