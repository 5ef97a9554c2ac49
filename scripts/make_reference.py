"""Make a reference file of calibration exposures: a master dark, or a normalised flat."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.calibration.dark import read_dark
from calflow.files.exposure_planes import exposure_planes
from calflow.files.packed import unpacked
from calflow.files.reference_files import write_detector_reference
from calflow.files.writing import Writing
from calflow.job import run
from calflow.science.calibration.reference_making import master_dark, normalised_flat
from calflow.science.windows import Window

if TYPE_CHECKING:
    from calflow.jobs.references import Making
    from calflow.science.calibration.dark_current import Dark
    from calflow.science.calibration.flat_field import Flat


def make_reference(input, output, params: "Making"):
    """Combine the exposures."""
    with unpacked(input.exposures, Path(output.reference)) as exposures:
        stacks = exposure_planes(exposures, params.images)
        if params.reftype == "dark":
            made: Dark | Flat = master_dark(*stacks, **params.combination)
        else:
            dark = read_dark(input.dark, Window(*params.window), params.images) if input.get("dark") else None
            made = normalised_flat(*stacks, dark=dark, normalisation=params.normalisation, **params.combination)
    planes = {"SCI": made.sci, "DQ": made.dq, "ERR": made.err}
    write_detector_reference(Path(output.reference), params.reftype, planes, params.keywords, Writing(**params.writing))


if "snakemake" in globals():
    run(make_reference, snakemake)
