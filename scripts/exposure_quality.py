"""Measure how good a calibrated exposure is. Makes a JSON file of ``_cal``."""

from pathlib import Path

from calflow.files.geometry_files import write_json
from calflow.job import run
from calflow.quality.exposures import measure_exposure


def measure(input, output, params):
    """Write what is measured."""
    write_json(Path(output.quality), measure_exposure(Path(input.cal)))


if "snakemake" in globals():
    run(measure, snakemake)
