"""Subtract an average background from an exposure. Makes ``_bsub`` of ``_rate``."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.calibration.average import subtract_average
from calflow.calibration.work import BLOCK_PIXELS
from calflow.files.exposure import writing_exposure
from calflow.files.integrations import read_by_integrations
from calflow.files.keywords import record_facts, record_origin, record_status
from calflow.files.writing import Writing
from calflow.job import remark_on, run

if TYPE_CHECKING:
    from calflow.jobs.backgrounds import Subtraction


def subtract_background(input, output, params: "Subtraction"):
    """Subtract the average and record it."""
    with (
        closing(read_by_integrations(input.exposure, params.images, Path(output.bsub), BLOCK_PIXELS)) as blocks,
        writing_exposure(Path(output.bsub), Writing(**params.writing)) as write,
    ):
        for exposure in blocks:
            if not exposure.rest:
                remark_on(exposure, "bkg_subtract", str(input.exposure))
            subtract_average(exposure, input, params)
            record_facts(exposure, params.facts)
            record_origin(exposure, params.origin)
            record_status(exposure, "bkg_subtract", "COMPLETE")
            write(exposure)


if "snakemake" in globals():
    run(subtract_background, snakemake)
