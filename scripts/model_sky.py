"""Model the sky of a set of background exposures: each is calibrated and smoothed, all are scaled to one level."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.calibration.dark import read_dark
from calflow.calibration.flat import read_flat
from calflow.calibration.smooth_sky import mean_of_integrations
from calflow.files.background_files import read_part
from calflow.files.sky_files import write_sky
from calflow.job import UnusableExposure, run
from calflow.science.calibration.dark_current import subtract_dark
from calflow.science.calibration.flat_field import divide_by_flat
from calflow.science.image import Image
from calflow.science.sky.sky_combination import combine_skies
from calflow.science.sky.sky_model import smooth_sky
from calflow.science.windows import Window

if TYPE_CHECKING:
    from calflow.jobs.backgrounds import Sky


def model_sky(input, output, params: "Sky"):
    """Write the sky on the window of the exposures that use it."""
    window = Window(*params.window)
    dark = read_dark(input.dark, window, params.images) if params.undarkened else None
    flat = read_flat(input.flat, window, params.images) if input.get("flat") else None
    skies = []
    for path in input.members:
        part = read_part(path, window, params.images)
        if part is None or part[-1] != window:
            covered = "nothing" if part is None else part[-1]
            raise UnusableExposure(f"{path} covers {covered} of {window}; a sky is modelled on all of it")
        sci, err, dq, _ = part
        image = mean_of_integrations(Image(sci, err, dq))
        if dark is not None and path in params.undarkened:
            image = subtract_dark(image, dark)
        if flat is not None:
            image = divide_by_flat(image, flat)
        skies.append(smooth_sky(image, **params.sky_model))
    write_sky(combine_skies(skies), len(skies), Path(output.background))


if "snakemake" in globals():
    run(model_sky, snakemake)
