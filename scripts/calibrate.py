"""Calibrate an exposure: the steps of stage 2 that its plan lists. Makes ``_cal`` of ``_rate``."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.calibration.photometry import attach_area
from calflow.calibration.work import function_named
from calflow.files.exposure import read_exposure, write_exposure
from calflow.files.geometry_files import write_geometry, write_json
from calflow.files.keywords import pointing, record_facts, record_origin, record_status
from calflow.job import UnusableExposure, remark, remark_on, run
from calflow.science.geometry.geometry import geometry_of
from calflow.science.image import usable

if TYPE_CHECKING:
    from calflow.jobs.calibration import Calibration

log = logging.getLogger(__name__)
# The input that a step takes its numbers from, where it has another name than the step.
FILES = {"bkg_subtract": "background", "dark_current": "dark", "flat_field": "flat"}


def calibrate(input, output, params: "Calibration"):
    """Run the steps that the plan says, in its order, and record what became of each."""
    exposure = read_exposure(input.exposure, params.images)
    _require_usable(exposure, "before calibration")
    _remark_oddities(exposure, str(input.exposure))
    record_facts(exposure, params.facts)
    record_origin(exposure, {**params.origin, **params.context})
    for step, status in params.status.items():
        record_status(exposure, step, status)
    for step, function in params.steps:
        function_named(function)(exposure, input, params)
        file = input.get(FILES.get(step, step))
        _require_usable(exposure, f"after {step}{f' ({file})' if file else ''}")
        record_status(exposure, step, "COMPLETE")
        log.info("%s COMPLETE", step)
    if "photom" in params.status and input.get("area"):
        attach_area(exposure, input)
    _require_usable(exposure, "after calibration")
    if output.get("geometry"):
        _describe_geometry(exposure, Path(output.geometry))
    write_exposure(exposure, Path(output.cal), params.write_date)


def _remark_oddities(exposure, path):
    """Have the summary tell what is odd about an exposure that can be calibrated all the same."""
    remark_on(exposure, "calibrate", path)
    noise = exposure.image.var_rnoise
    if noise is not None and not (noise > 0).any():
        remark(
            "calibrate", "COMPLETE", path, "VAR_RNOISE is 0 or NaN everywhere: with weight_type ivm no pixel has weight"
        )


def _describe_geometry(exposure, path):
    """Write where the pixels lie. Without that there is no quick look and no stage 3, but still this product."""
    try:
        if exposure.wcs is None:
            raise ValueError("the exposure has no world coordinates")
        write_geometry(path, geometry_of(exposure.wcs, exposure.image.sci.shape[-2:], pointing(exposure)))
    except ValueError as error:
        remark("assign_wcs", "COMPLETE", path.stem, f"no geometry for the quick look and stage 3: {error}")
        write_json(path, {"none": str(error)})


def _require_usable(exposure, when):
    if not usable(exposure.image):
        why = f"; {exposure.without_value}" if exposure.discarded else ""
        raise UnusableExposure(f"no usable pixel {when}: all are NaN or DO_NOT_USE{why}")


if "snakemake" in globals():
    run(calibrate, snakemake)
