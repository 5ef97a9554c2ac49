"""Choose the scale of brightness of all pictures of an association, by the sky of its exposures."""

from pathlib import Path

from calflow.files.geometry_files import read_json, write_json
from calflow.job import run
from calflow.quality.brightness import brightness_of


def choose(input, output, params):
    """Write what is black, what is white, and how far the scale is linear."""
    write_json(Path(output.scale), brightness_of([read_json(Path(path)) for path in input.exposures]))


if "snakemake" in globals():
    run(choose, snakemake)
