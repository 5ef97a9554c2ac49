"""Calibrate an exposure: the steps of stage 2 that its plan lists. Makes ``_cal`` of ``_rate``."""

import logging
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.calibration.photometry import attach_area
from calflow.calibration.work import BLOCK_PIXELS, function_named
from calflow.files.exposure import writing_exposure
from calflow.files.geometry_files import write_geometry, write_json
from calflow.files.integrations import read_by_integrations
from calflow.files.keywords import pointing, record_facts, record_origin, record_status
from calflow.files.writing import Writing
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
    tally = _Tally(input)
    block = BLOCK_PIXELS if params.by_integrations else None
    with (
        closing(read_by_integrations(input.exposure, params.images, Path(output.cal), block)) as blocks,
        writing_exposure(Path(output.cal), Writing(**params.writing)) as write,
    ):
        for number, exposure in enumerate(blocks):
            _calibrate(exposure, input, params, tally)
            if number == 0 and output.get("geometry"):
                _describe_geometry(exposure, Path(output.geometry))
            write(exposure)


def _calibrate(exposure, input, params: "Calibration", tally):
    """Calibrate an exposure, or some of its integrations; all that is said of it is said with the last of them."""
    tally.require_usable(exposure, "before calibration")
    tally.remark_oddities(exposure)
    record_facts(exposure, params.facts)
    record_origin(exposure, {**params.origin, **params.context})
    for step, status in params.status.items():
        record_status(exposure, step, status)
    for step, function in params.steps:
        function_named(function)(exposure, input, params)
        file = input.get(FILES.get(step, step))
        tally.require_usable(exposure, f"after {step}{f' ({file})' if file else ''}")
        record_status(exposure, step, "COMPLETE")
        if not exposure.rest:
            log.info("%s COMPLETE", step)
    if "photom" in params.status and input.get("area"):
        attach_area(exposure, input)
    tally.require_usable(exposure, "after calibration")


class _Tally:
    """What is counted over all integrations of an exposure."""

    def __init__(self, input):
        self._path = str(input.exposure)
        self._usable = Counter()
        self._weighed = False

    def require_usable(self, exposure, when):
        """Refuse an exposure that has no usable pixel in any integration."""
        self._usable[when] += usable(exposure.image)
        if not exposure.rest and not self._usable[when]:
            why = f"; {exposure.without_value}" if exposure.discarded else ""
            raise UnusableExposure(f"no usable pixel {when}: all are NaN or DO_NOT_USE{why}")

    def remark_oddities(self, exposure):
        """Have the summary tell what is odd about an exposure that can be calibrated all the same."""
        noise = exposure.image.var_rnoise
        self._weighed |= noise is None or bool((noise > 0).any())
        if exposure.rest:
            return
        remark_on(exposure, "calibrate", self._path)
        if not self._weighed:
            why = "VAR_RNOISE is 0 or NaN everywhere: with weight_type ivm no pixel has weight"
            remark("calibrate", "COMPLETE", self._path, why)


def _describe_geometry(exposure, path):
    """Write where the pixels lie. Without that there is no quick look and no stage 3, but still this product."""
    try:
        if exposure.wcs is None:
            raise ValueError("the exposure has no world coordinates")
        write_geometry(path, geometry_of(exposure.wcs, exposure.image.sci.shape[-2:], pointing(exposure)))
    except ValueError as error:
        remark("assign_wcs", "COMPLETE", path.stem, f"no geometry for the quick look and stage 3: {error}")
        write_json(path, {"none": str(error)})


if "snakemake" in globals():
    run(calibrate, snakemake)
