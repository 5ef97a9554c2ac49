"""Subtract an average background from an exposure. Makes ``_bsub`` of ``_rate``."""

from pathlib import Path

from job import run
from products.background_files import read_average
from products.exposure import read_exposure, write_exposure
from products.keywords import record_origin, record_status
from steps.background import subtract


def subtract_background(input, output, params):
    """Subtract the average and record it."""
    exposure = read_exposure(input.exposure)
    background, _ = read_average(input.background)
    exposure.image = subtract(exposure.image, background)
    record_origin(exposure, params.origin)
    record_status(exposure, "bkg_subtract", "COMPLETE")
    write_exposure(exposure, Path(output.bsub), params.write_date)


if "snakemake" in globals():
    run(subtract_background, snakemake)
