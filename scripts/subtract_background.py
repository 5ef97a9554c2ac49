"""Subtract an average background from an exposure. Makes ``_bsub`` of ``_rate``."""

from pathlib import Path

from calibration.average import subtract_average
from job import remark, run
from products.exposure import read_exposure, write_exposure
from products.keywords import record_facts, record_origin, record_status


def subtract_background(input, output, params):
    """Subtract the average and record it."""
    exposure = read_exposure(input.exposure, params.images)
    if exposure.damaged:
        remark("checksum", "FAILED", str(input.exposure), exposure.wrong_checksums)
    if exposure.discarded:
        remark("bkg_subtract", "COMPLETE", str(input.exposure), exposure.without_value)
    subtract_average(exposure, input, params)
    record_facts(exposure, params.facts)
    record_origin(exposure, params.origin)
    record_status(exposure, "bkg_subtract", "COMPLETE")
    write_exposure(exposure, Path(output.bsub), params.write_date)


if "snakemake" in globals():
    run(subtract_background, snakemake)
