"""Describe where the pixels of a calibrated exposure from elsewhere lie on the sky."""

from pathlib import Path

from calflow.files.exposure import read_wcs
from calflow.files.geometry_files import write_geometry
from calflow.files.keywords import pointing_of
from calflow.job import run
from calflow.science.geometry.geometry import geometry_of


def describe(input, output, params):
    """Write the geometry."""
    wcs, keywords = read_wcs(input.cal)
    write_geometry(Path(output.geometry), geometry_of(wcs, keywords["SHAPE"], pointing_of(keywords)))


if "snakemake" in globals():
    run(describe, snakemake)
