"""Group the exposures of an association for the matching of the sky. Makes their alignment table with these groups."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.files.alignment_tables import read_alignment, write_alignment
from calflow.job import run

if TYPE_CHECKING:
    from calflow.jobs.sky import Grouping


def group(input, output, params: "Grouping"):
    """Write the alignment table with other groups."""
    rows = [replace(row, group=params.groups[row.exposure]) for row in read_alignment(input.alignment)]
    write_alignment(Path(output.table), rows, {"groups": "of the sky"})


if "snakemake" in globals():
    run(group, snakemake)
