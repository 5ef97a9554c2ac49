"""Choose the scale of brightness of all pictures of an association: its own sky, the noise of the filter."""

from pathlib import Path

from calflow.files.geometry_files import read_json, write_json
from calflow.job import run
from calflow.quality.brightness import brightness_of


def choose(input, output, params):
    """Write what is black, what is white, and how far the scale is linear."""
    exposures = [read_json(Path(path)) for path in input.exposures]
    write_json(Path(output.scale), brightness_of(exposures, read_json(Path(input.noise))["noise"]))


if "snakemake" in globals():
    run(choose, snakemake)
