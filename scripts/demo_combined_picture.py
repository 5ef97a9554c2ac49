"""Draw what stage 3 does: one exposure, the combination of all, and the sources found in it."""

from pathlib import Path

from calflow.job import run
from calflow.pictures.combined import Products, make_picture


def demo_combined_picture(input, output, params):
    """Draw the combined image beside one of its exposures and the segmentation map."""
    make_picture(Products(**{name: Path(path) for name, path in input.items()}), Path(output.picture))


if "snakemake" in globals():
    run(demo_combined_picture, snakemake)
