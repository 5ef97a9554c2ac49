"""Subtract an average background from an exposure."""

from pathlib import Path

from astropy.io import fits

from job import run
from products.exposure import read_exposure, write_exposure
from products.keywords import record_origin, record_status
from steps.background import Background, subtract


def subtract_background(input, output, params):
    """Make ``_bsub`` of ``_rate``."""
    exposure = read_exposure(input.exposure)
    with fits.open(input.background, memmap=False) as hdus:
        background = Background(hdus["SCI"].data, hdus["ERR"].data, hdus["DQ"].data)
        exposure.image = subtract(exposure.image, background)
    record_origin(exposure, params.origin)
    record_status(exposure, "bkg_subtract", "COMPLETE")
    write_exposure(exposure, Path(output.bsub), params.write_date)


if "snakemake" in globals():
    run(subtract_background, snakemake)
