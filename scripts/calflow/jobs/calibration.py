"""Jobs of stage 2 on one exposure: calibrated, merged with its subarrays, looked at; its references as applied."""

from functools import partial
from typing import Any, NamedTuple

from calflow.calibration.work import work_of, work_on_integrations
from calflow.inputs.headers import window_of
from calflow.jobs.backgrounds import Numbers, Record, subtracted
from calflow.jobs.declaration import Job, Work
from calflow.plan.plan import Plan, UnknownExposure, association_record

DETECTOR_KEYWORDS = "TELESCOP INSTRUME DETECTOR FILTER PUPIL SUBARRAY SUBSTRT1 SUBSTRT2 SUBSIZE1 SUBSIZE2".split()


class Calibration(NamedTuple):
    """Parameters of ``calibrate``: one for each step and fact, so that a dry run shows what has changed, and no more.

    What a step uses to choose a row of a table is a mapping of ``selectors``, pairs of column and value.
    """

    sip: dict[str, Any] | None
    flat_field: dict[str, Any]
    photom: dict[str, Any]
    sky_model: dict[str, Any] | None
    images: list[str]
    steps: list[list[str]]  # those that run, in their order, each with the function that does it
    by_integrations: bool  # whether an exposure of many integrations is worked on in blocks of them
    facts: dict[str, Any]  # keywords of the exposure that were made of others
    count_rate_unit: str
    origin: Record
    context: Record
    status: dict[str, str]
    full_frame: list[int]  # columns and rows of the detector
    filter_offset: dict[str, Any]
    photom_row: dict[str, Any]
    writing: dict[str, Any]  # how products are written: of `Writing`


class Merge(NamedTuple):
    """Parameters of ``merge_subarrays``."""

    ids: list[int]
    origin: Record
    writing: dict[str, Any]  # how products are written: of `Writing`


class AppliedReference(NamedTuple):
    """Parameters of ``save_flat`` and ``save_dark``."""

    reftype: str
    images: list[str]
    optional: list[str]  # those of ERR and DQ that the reference need not have
    window: Numbers
    keywords: dict[str, Any]
    writing: dict[str, Any]  # how products are written: of `Writing`


class QuickLook(NamedTuple):
    """Parameters of ``resample_exposure``."""

    origin: Record
    resample: dict[str, Any]
    max_pixels: float
    writing: dict[str, Any]  # how products are written: of `Writing`


def calibrated(plan: Plan, exposure: str, cal: str) -> dict[str, str]:
    """Return the files of ``calibrate``: the exposure, its background and its references.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    cal : str
        ``cal``, or ``calints`` of an exposure with integrations.
    """
    planned = plan.exposure(exposure, cal)
    files = {"exposure": planned.rate}
    if plan.saves_bsub(planned):
        files["exposure"] = plan.path(planned, "bsub")
    elif planned.background:
        files = subtracted(plan, exposure)
    return files | {name: str(reference.path) for name, reference in planned.references.items() if reference.path}


def calibration(plan: Plan, exposure: str, cal: str) -> Calibration:
    """Return the parameters of ``calibrate``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    cal : str
        ``cal``, or ``calints`` of an exposure with integrations.
    """
    planned = plan.exposure(exposure)
    stage2 = plan.chosen(planned).settings.stage2
    ny, nx = planned.family.instruments[planned.instrument]
    parameter_references = plan.chosen(planned).record(2, "resample")
    return Calibration(
        sip=stage2.assign_wcs.sip_parameters(),
        flat_field=stage2.flat_field.flat_parameters(),
        photom=stage2.photom.photom_parameters(),
        sky_model=stage2.bkg_subtract.sky_parameters(),
        images=list(planned.family.images),
        steps=_steps(plan, exposure),
        by_integrations=work_on_integrations(planned.steps),
        facts=dict(planned.header.derived),
        count_rate_unit=str(planned.header.values.get("BUNIT") or planned.family.count_rate_units[0]),
        origin=association_record(planned) | dict(planned.reference_record) | parameter_references,
        context=dict(planned.context_record),
        status=dict(planned.status),
        full_frame=[nx, ny],
        filter_offset=_filter_offset(plan, exposure),
        photom_row=photom_row(plan, exposure),
        writing=plan.settings.writing,
    )


def _steps(plan: Plan, exposure: str) -> list[list[str]]:
    planned = plan.exposure(exposure)
    done = {"bkg_subtract"} if plan.saves_bsub(planned) else set()
    return work_of((name, rule) for name, rule in planned.steps if name not in done)


def step_functions(plan: Plan, exposure: str, cal: str) -> list[str]:
    """Return the functions that ``calibrate`` calls for an exposure, as ``module:function``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    cal : str
        ``cal``, or ``calints`` of an exposure with integrations.
    """
    return [function for _, function in _steps(plan, exposure)]


def photom_row(plan: Plan, exposure: str) -> dict[str, Any]:
    """Return by what the row of the photom table is chosen.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    """
    planned = plan.exposure(exposure)
    rows = planned.family.photom_rows[planned.instrument]
    return {"selectors": rows.wanted(planned.header.values), "optional": sorted(rows.optional)}


def _filter_offset(plan: Plan, exposure: str) -> dict[str, Any]:
    """Return the selectors of the filter offset, and whether there must be one."""
    planned = plan.exposure(exposure)
    rows = planned.family.filter_offsets.get(planned.instrument)
    kind = planned.family.references.get("filteroffset")
    required = kind is not None and planned.instrument in kind.required
    return {"selectors": rows.wanted(planned.header.values) if rows else [], "required": required}


def frames(plan: Plan, merged: str, cal: str) -> dict[str, Any]:
    """Return the files of ``merge_subarrays``: a full frame, and its subarrays in the order of their ids.

    Parameters
    ----------
    plan : Plan
        What this run does.
    merged : str
        Root of the names of its products.
    cal : str
        ``cal``, or ``calints`` of an exposure with integrations.
    """
    merge = plan.merge(merged, cal)
    return {"full": merge.full, "subarrays": [merge.subarrays[number] for number in sorted(merge.subarrays)]}


def merge(plan: Plan, merged: str, cal: str) -> Merge:
    """Return the parameters of ``merge_subarrays``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    merged : str
        Root of the names of its products.
    cal : str
        ``cal``, or ``calints`` of an exposure with integrations.
    """
    planned = plan.merge(merged)
    return Merge(sorted(planned.subarrays), association_record(planned), plan.settings.writing)


def applied(reftype: str, plan: Plan, exposure: str) -> dict[str, str]:
    """Return the files of ``save_flat`` and ``save_dark``: an exposure, and the reference that it is calibrated with.

    Parameters
    ----------
    reftype : str
        ``flat`` or ``dark``.
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    """
    planned = plan.exposure(exposure)
    path = planned.reference(reftype)
    if path is None:
        raise UnknownExposure(f"{exposure!r} is calibrated without a {reftype}")
    return {"exposure": str(planned.science), "reference": str(path)}


def applied_reference(reftype: str, plan: Plan, exposure: str) -> AppliedReference:
    """Return the parameters of ``save_flat`` and ``save_dark``.

    Parameters
    ----------
    reftype : str
        ``flat`` or ``dark``.
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    """
    planned = plan.exposure(exposure)
    required = planned.family.references[reftype].planes or ()
    values = planned.header.values
    return AppliedReference(
        reftype=reftype,
        images=list(planned.family.images),
        optional=[name for name in ("ERR", "DQ") if name not in required],
        window=window_of(planned.header).numbers,
        keywords={keyword: values[keyword] for keyword in DETECTOR_KEYWORDS if keyword in values},
        writing=plan.settings.writing,
    )


def looked_at(plan: Plan, exposure: str) -> dict[str, str]:
    """Return the files of ``resample_exposure``: a calibrated or a merged exposure, its geometry, and the user's WCS.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    """
    planned = plan.calibrated(exposure)
    if not planned.quick_look:
        raise UnknownExposure(f"{exposure!r} gets no quick look: not of its type of exposure, or resample is skipped")
    output_wcs = plan.settings.stage2.resample.output_wcs
    files = {"cal": plan.path(planned, "cal"), "geometry": plan.geometry(planned)}
    return files | ({"output_wcs": output_wcs} if output_wcs else {})


def quick_look(plan: Plan, exposure: str) -> QuickLook:
    """Return the parameters of ``resample_exposure``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    """
    planned = plan.calibrated(exposure)
    return QuickLook(
        origin=plan.chosen(planned).record(2),
        resample=plan.chosen(planned).settings.stage2.resample.quick_look_parameters(),
        max_pixels=plan.settings.max_output_pixels,
        writing=plan.settings.writing,
    )


JOBS = {
    # Another context that chooses the same references changes nothing.
    "calibrate": Job(
        "calibrate.py",
        calibrated,
        calibration,
        uncompared=("context",),
        work=Work(memory=("block",)),
        functions=step_functions,
    ),
    "merge_subarrays": Job("merge_subarrays.py", frames, merge, like="subtract_background"),
    "resample_exposure": Job(
        "resample_exposure.py",
        looked_at,
        quick_look,
        uncompared=("max_pixels",),
        work=Work(time="largest", memory=("frame", "image")),
    ),
    "save_flat": Job("save_reference.py", partial(applied, "flat"), partial(applied_reference, "flat")),
    "save_dark": Job(
        "save_reference.py", partial(applied, "dark"), partial(applied_reference, "dark"), like="save_flat"
    ),
}
