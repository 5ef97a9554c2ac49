"""Describe where the pixels of a calibrated exposure lie on the sky that this workflow has not made itself."""

from pathlib import Path

from job import run
from products.exposure import read_wcs
from products.geometry_files import write_geometry
from products.keywords import pointing_of
from steps.geometry import geometry_of


def describe(input, output, params):
    """Write the geometry."""
    wcs, keywords = read_wcs(input.cal)
    write_geometry(Path(output.geometry), geometry_of(wcs, keywords["SHAPE"], pointing_of(keywords)))


if "snakemake" in globals():
    run(describe, snakemake)
