"""Jobs that look for outliers: groups on one grid, their median, each exposure compared with it.

Where the search goes by the median of the errors, too, that is made by the same jobs of the errors; where it goes by
the lowest of the groups, that is made beside the median.
"""

from functools import partial
from typing import Any, NamedTuple

from calflow.jobs.backgrounds import Record
from calflow.jobs.declaration import Job, Work
from calflow.plan.plan import Plan


class Group(NamedTuple):
    """Parameters of ``resample_group`` and ``resample_error``."""

    plane: str
    exposures: list[str]
    outlier_detection: dict[str, Any]


class Flagging(NamedTuple):
    """Parameters of ``flag_outliers``."""

    exposure: str
    origin: Record
    alignment_step: str
    correct_wcs: str  # a function of the instrument family, as module:function
    status: dict[str, str]
    sip: dict[str, Any] | None
    subtract: bool
    outlier_detection: dict[str, Any]
    writing: dict[str, Any]  # how products are written: of `Writing`


def grouped(plane: str, plan: Plan, crf: str) -> dict[str, Any]:
    """Return the files of ``resample_group``, or of ``resample_error``: the exposures of a group and how they lie.

    Parameters
    ----------
    plane : str
        ``sci`` or ``err``.
    plan : Plan
        What this run does.
    crf : str
        Root of the ``_crf`` of the first member of the group.
    """
    stage3, members = plan.stage3, plan.stage3.group(crf)
    name = stage3.crf_of(crf).association
    return {
        "cals": [member.pixels for member in members],
        "geometries": [member.geometry for member in members],
        "alignment": stage3.table(name, "alignment"),
        **_grid(plan, name),
        **({} if plane == "err" else stage3.sky(name)),
    }


def group(plane: str, plan: Plan, crf: str) -> Group:
    """Return the parameters of ``resample_group``, or of ``resample_error``.

    Parameters
    ----------
    plane : str
        ``sci`` or ``err``.
    plan : Plan
        What this run does.
    crf : str
        Root of the ``_crf`` of the first member of the group.
    """
    section = plan.stage3.parameters(plan.stage3.crf_of(crf).association).outlier_detection
    exposures = [member.root for member in plan.stage3.group(crf)]
    return Group(plane, exposures, section.resampling_parameters())


def layers(suffix: str, plan: Plan, crf: str) -> dict[str, Any]:
    """Return the files of ``take_median`` and ``take_lowest``: the resampled groups of an association, and the grid.

    Parameters
    ----------
    suffix : str
        ``layer``, or ``layer_error`` for the errors.
    plan : Plan
        What this run does.
    crf : str
        Root of the ``_crf`` of the first member of the association.
    """
    stage3 = plan.stage3
    association = stage3.association(stage3.crf_of(crf).association)
    roots = [association.crf_root(members[0]) for members in association.groups().values()]
    return {
        "layers": [stage3.path(f"outliers/{root}_{suffix}.npy") for root in roots],
        "windows": [stage3.path(f"outliers/{root}_{suffix}.json") for root in roots],
        **_grid(plan, association.name),
    }


def flagged(plan: Plan, crf: str) -> dict[str, str]:
    """Return the files of ``flag_outliers``: an exposure, how it lies, its sky level, the median and the grid.

    Parameters
    ----------
    plan : Plan
        What this run does.
    crf : str
        Root of the ``_crf``: of the exposure and the association.
    """
    stage3 = plan.stage3
    name, root = stage3.crf_of(crf)
    association = stage3.association(name)
    files = stage3.aligned(name, root) | stage3.sky(name)
    if association.runs("outlier_detection"):
        first = association.crf_root(association.members[0])
        files["median"] = stage3.path(f"outliers/{first}_median.npy")
        if plan.settings.stage3.outlier_detection.error == "median":
            files["median_error"] = stage3.path(f"outliers/{first}_median_error.npy")
        if plan.settings.stage3.outlier_detection.search == "lowest":
            files["lowest"] = stage3.path(f"outliers/{first}_lowest.npy")
        files |= _grid(plan, name)
    return files


def flagging(plan: Plan, crf: str) -> Flagging:
    """Return the parameters of ``flag_outliers``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    crf : str
        Root of the ``_crf``: of the exposure and the association.
    """
    name, root = plan.stage3.crf_of(crf)
    association, stage3 = plan.stage3.association(name), plan.stage3.parameters(name)
    return Flagging(
        exposure=root,
        origin=plan.stage3.record(name, "resample", "source_catalog"),
        alignment_step=association.alignment_step,
        correct_wcs=association.family.wcs_correction,
        status=association.status_of("outlier_detection"),
        sip=stage3.tweakreg.sip_parameters(),
        subtract=stage3.skymatch.subtract,
        outlier_detection=stage3.outlier_detection.flagging_parameters(),
        writing=plan.settings.writing,
    )


def correction(plan: Plan, crf: str) -> list[str]:
    """Return the function that corrects the WCS of an exposure, as ``module:function``, in a list.

    Parameters
    ----------
    plan : Plan
        What this run does.
    crf : str
        Root of the ``_crf``: of the exposure and the association.
    """
    return [plan.stage3.association(plan.stage3.crf_of(crf).association).family.wcs_correction]


def counts(plan: Plan, association: str) -> dict[str, Any]:
    """Return the files of ``count_outliers``: the number of outliers in each member of an association.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    planned = plan.stage3.association(association)
    return {"counts": [plan.stage3.path(f"outliers/{planned.crf_root(m)}_count.json") for m in planned.members]}


def _grid(plan: Plan, association: str) -> dict[str, str]:
    """Return the grid of the search, unless the exposures are compared as they are."""
    resampled = plan.settings.stage3.outlier_detection.resample_data
    return {"grid": plan.stage3.outlier_grid(association)} if resampled else {}


JOBS = {
    "resample_group": Job("resample_group.py", partial(grouped, "sci"), partial(group, "sci")),
    "resample_error": Job("resample_group.py", partial(grouped, "err"), partial(group, "err"), like="resample_group"),
    # What it makes is kept: other thresholds, or a lost _crf, then need no group again.
    "take_median": Job("take_median.py", partial(layers, "layer"), work=Work(whole=True)),
    "take_median_error": Job("take_median.py", partial(layers, "layer_error"), like="take_median"),
    "take_lowest": Job("take_lowest.py", partial(layers, "layer"), like="take_median"),
    "flag_outliers": Job("flag_outliers.py", flagged, flagging, functions=correction),
    "count_outliers": Job("count_outliers.py", counts),
}
