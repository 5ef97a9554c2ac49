"""Measure how good an association is, and judge it. Makes a JSON file of the tables and products of stage 3."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.files.geometry_files import write_json
from calflow.job import run
from calflow.quality.associations import Files, measure_association
from calflow.quality.report import report
from calflow.science.quality.thresholds import Thresholds

if TYPE_CHECKING:
    from calflow.jobs.quality import Judging


def judge(input, output, params: "Judging"):
    """Write what is measured, and what is thought of it."""
    files = Files(
        alignment=input.alignment,
        exposures=input.exposures,
        geometries=input.geometries,
        stars=input.get("stars", ()),
        crfs=input.get("crfs", ()),
        sky=input.get("sky"),
        outliers=input.get("outliers"),
        i2d=input.get("i2d"),
        segm=input.get("segm"),
        catalog=input.get("catalog"),
        completeness=input.get("completeness"),
    )
    limits = Thresholds(**params.thresholds)
    measured = measure_association(files, [(root, group) for root, group in params.members], limits.apertures)
    write_json(Path(output.quality), report(params.association, measured, params.status, limits, params.variance))


if "snakemake" in globals():
    run(judge, snakemake)
