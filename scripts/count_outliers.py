"""Gather the numbers of outliers of the exposures of an association in one table."""

from pathlib import Path

from calflow.files.geometry_files import read_json
from calflow.files.tables import write_table
from calflow.job import remark, run

COLUMNS = (
    ("exposure", "", ""),
    ("group", "", "exposures taken at once"),
    ("status", "", "COMPLETE, SKIPPED or FAILED"),
    ("flagged", "", "pixels flagged as outliers"),
    ("pixels", "", "all pixels"),
    ("fraction", "", "flagged / pixels"),
)


def count(input, output, params):
    """Write the outlier table."""
    rows = [read_json(path) for path in input.counts]
    for row in rows:
        if row["status"] == "FAILED":
            remark("outlier_detection", "FAILED", row["exposure"], "there is no other group to compare it with")
    write_table(Path(output.table), COLUMNS, [row | {"fraction": row["flagged"] / row["pixels"]} for row in rows])


if "snakemake" in globals():
    run(count, snakemake)
