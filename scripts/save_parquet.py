"""Write a source catalogue once more, as parquet. Makes ``_cat.parquet`` of ``_cat.ecsv``."""

from pathlib import Path

from calflow.files.catalogs import write_parquet
from calflow.job import run


def save(input, output, params):
    """Write it."""
    write_parquet(Path(input.catalog), Path(output.parquet))


if "snakemake" in globals():
    run(save, snakemake)
