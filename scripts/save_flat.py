"""Keep the flat as it is applied to an exposure: cut to its window, with the standard DQ bits."""

from pathlib import Path

from job import run
from products.reference_files import read_flat, write_flat
from steps.windows import Window


def save_flat(input, output, params):
    """Make ``_interpolatedflat``."""
    planes = read_flat(input.flat, Window(*params.window))
    write_flat(Path(output.flat), *planes, Path(input.flat).name, params.keywords, params.write_date)


if "snakemake" in globals():
    run(save_flat, snakemake)
