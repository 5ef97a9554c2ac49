"""Draw what concurrent subarrays are for: a star that is saturated in full frames, and whole where one is merged."""

from pathlib import Path

from calflow.job import run
from calflow.pictures.merged_subarrays import Products, make_picture


def demo_iris_picture(input, output, params):
    """Draw a full frame before and after stage 2 and merging, and the combined image."""
    make_picture(Products(**{name: Path(path) for name, path in input.items()}), Path(output.picture))


if "snakemake" in globals():
    run(demo_iris_picture, snakemake)
