"""Keep a flat or a dark as it is applied to an exposure: cut to its window, with the standard DQ bits."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.files.reference_files import read_detector_reference, write_detector_reference
from calflow.files.writing import Writing
from calflow.job import run
from calflow.science.windows import Window

if TYPE_CHECKING:
    from calflow.jobs.calibration import AppliedReference


def save_reference(input, output, params: "AppliedReference"):
    """Make ``_interpolatedflat`` or ``_dark``."""
    source = Path(input.reference)
    sci, err, dq = read_detector_reference(source, Window(*params.window), params.images, params.optional)
    keywords = {f"R_{params.reftype.upper()}": source.name} | params.keywords
    planes = {"SCI": sci, "DQ": dq, "ERR": err}
    write_detector_reference(Path(output.reference), params.reftype, planes, keywords, Writing(**params.writing))


if "snakemake" in globals():
    run(save_reference, snakemake)
