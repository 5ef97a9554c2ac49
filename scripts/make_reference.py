"""Make a reference file of exposures: a master dark, a normalised flat, or a flat of their skies."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.calibration.dark import read_dark
from calflow.calibration.flat import read_flat
from calflow.files.exposure import read_exposure
from calflow.files.exposure_planes import exposure_planes
from calflow.files.packed import unpacked
from calflow.files.reference_files import write_detector_reference
from calflow.files.writing import Writing
from calflow.job import remark, run
from calflow.science.calibration.dark_current import subtract_dark
from calflow.science.calibration.reference_making import master_dark, normalised_flat
from calflow.science.windows import Window

if TYPE_CHECKING:
    from calflow.jobs.references import Making

log = logging.getLogger(__name__)


def make_reference(input, output, params: "Making"):
    """Combine the exposures."""
    window, keywords = Window(*params.window), dict(params.keywords)
    dark = read_dark(input.dark, window, params.images) if input.get("dark") else None
    with unpacked(input.exposures, Path(output.reference)) as exposures:
        stacks = exposure_planes(exposures, params.images)
        if params.sky is not None:
            flat = read_flat(input.flat, window, params.images) if input.get("flat") else None
            images = (read_exposure(Path(path), params.images).image for path in exposures)
            made, figures = _of_skies(images, params.sky, dark, flat, Path(output.reference).stem)
            keywords |= figures
        elif params.reftype == "dark":
            made = master_dark(*stacks, **params.combination)
        else:
            made = normalised_flat(*stacks, dark=dark, normalisation=params.normalisation, **params.combination)
    planes = {"SCI": made.sci, "DQ": made.dq, "ERR": made.err}
    write_detector_reference(Path(output.reference), params.reftype, planes, keywords, Writing(**params.writing))


def _of_skies(images, parameters, dark, flat, name):
    """Return a flat of the skies of exposures, and the keywords that tell what it corrects."""
    # No other kind of reference waits for this import.
    from calflow.science.calibration.sky_reference import flat_of_skies
    from calflow.science.cleaning.sky_flat_parameters import SkyFlat

    if dark is not None:
        images = (subtract_dark(image, dark) for image in images)
    made, corrects, noise = flat_of_skies(images, SkyFlat(**parameters), flat)
    of = "the flat" if flat else "1"
    log.info("differs from %s by %.3g %%, with an error of %.3g %% in a pixel", of, 100 * corrects, 100 * noise)
    if corrects < noise:
        remark("sky_flat", "COMPLETE", name, f"corrects {100 * corrects:.2g} %, and has {100 * noise:.2g} % of noise")
    return made, {
        "CORRECTS": (round(corrects, 6), f"rms by which it differs from {of}"),
        "FLATNOIS": (round(noise, 6), "rms error of that in a pixel"),
    }


if "snakemake" in globals():
    run(make_reference, snakemake)
