"""Keep a flat or a dark as it is applied to an exposure: cut to its window, with the standard DQ bits."""

from pathlib import Path

from calflow.files.reference_files import read_detector_reference, write_detector_reference
from calflow.job import run
from calflow.science.windows import Window


def save_reference(input, output, params):
    """Make ``_interpolatedflat`` or ``_dark``."""
    source = Path(input.reference)
    sci, err, dq = read_detector_reference(source, Window(*params.window), params.images, params.optional)
    keywords = {f"R_{params.reftype.upper()}": source.name} | params.keywords
    planes = {"SCI": sci, "DQ": dq, "ERR": err}
    write_detector_reference(Path(output.reference), params.reftype, planes, keywords, params.write_date)


if "snakemake" in globals():
    run(save_reference, snakemake)
