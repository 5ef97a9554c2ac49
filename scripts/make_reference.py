"""Make a reference file of exposures: a master dark, a normalised flat, or a flat of their skies."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.calibration.work import function_named
from calflow.files.packed import unpacked
from calflow.files.reference_files import write_detector_reference
from calflow.files.writing import Writing
from calflow.job import remark, run
from calflow.science.windows import Window

if TYPE_CHECKING:
    from calflow.jobs.references import Making


def make_reference(input, output, params: "Making"):
    """Combine the exposures."""
    path = Path(output.reference)
    known = {reftype: file for reftype in ("dark", "flat") if (file := input.get(reftype))}
    with unpacked(input.exposures, path) as exposures:
        make = function_named(params.maker)
        made = make(exposures, known, Window(*params.window), params.images, params.options)
    if made.doubt:
        remark("sky_flat", "COMPLETE", path.stem, made.doubt)
    planes = {"SCI": made.sci, "DQ": made.dq, "ERR": made.err}
    write_detector_reference(
        path, params.reftype, planes, {**params.keywords, **made.keywords}, Writing(**params.writing)
    )


if "snakemake" in globals():
    run(make_reference, snakemake)
