"""Keep the average background of an exposure under its own name."""

from pathlib import Path

from calflow.files.background_files import read_average, write_average
from calflow.job import run


def save_combined_background(input, output, params):
    """Copy the shared average. A link would not do: Snakemake would touch the average through it."""
    write_average(*read_average(input.background), Path(output.background))


if "snakemake" in globals():
    run(save_combined_background, snakemake)
