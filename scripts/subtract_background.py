"""Subtract an average background from an exposure. Makes ``_bsub`` of ``_rate``."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.calibration.average import subtract_average
from calflow.files.exposure import read_exposure, write_exposure
from calflow.files.keywords import record_facts, record_origin, record_status
from calflow.job import remark_on, run

if TYPE_CHECKING:
    from calflow.jobs.backgrounds import Subtraction


def subtract_background(input, output, params: "Subtraction"):
    """Subtract the average and record it."""
    exposure = read_exposure(input.exposure, params.images)
    remark_on(exposure, "bkg_subtract", str(input.exposure))
    subtract_average(exposure, input, params)
    record_facts(exposure, params.facts)
    record_origin(exposure, params.origin)
    record_status(exposure, "bkg_subtract", "COMPLETE")
    write_exposure(exposure, Path(output.bsub), params.write_date)


if "snakemake" in globals():
    run(subtract_background, snakemake)
