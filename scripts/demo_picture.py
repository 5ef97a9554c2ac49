"""Draw one exposure before and after stage 2."""

from pathlib import Path

from calflow.job import run
from calflow.pictures.before_and_after import make_picture


def demo_picture(input, output, params):
    """Draw ``_rate``, ``_cal`` and ``_i2d`` side by side."""
    make_picture(Path(input.rate), Path(input.cal), Path(input.i2d), Path(output.picture))


if "snakemake" in globals():
    run(demo_picture, snakemake)
