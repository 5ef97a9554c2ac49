"""Model the sky that a set of background exposures shows: each calibrated, made smooth, all brought to one level."""

from pathlib import Path

from calibration.dark import read_dark
from calibration.flat import read_flat
from calibration.smooth_sky import mean_of_integrations
from job import UnusableExposure, run
from products.background_files import read_part
from products.sky_files import write_sky
from steps.dark_current import subtract_dark
from steps.flat_field import divide_by_flat
from steps.image import Image
from steps.sky_combination import combine_skies
from steps.sky_model import smooth_sky
from steps.windows import Window


def model_sky(input, output, params):
    """Write the sky on the window of the exposures that use it."""
    window = Window(*params.window)
    dark = read_dark(input.dark, window, params.images) if params.undarkened else None
    flat = read_flat(input.flat, window, params.images) if input.get("flat") else None
    skies = []
    for path in input.members:
        sci, err, dq, covered = read_part(path, window, params.images)
        if covered != window:
            raise UnusableExposure(f"{path} covers {covered} of {window}; a sky is modelled on all of it")
        image = mean_of_integrations(Image(sci, err, dq))
        if path in params.undarkened:
            image = subtract_dark(image, dark)
        if flat is not None:
            image = divide_by_flat(image, flat)
        skies.append(smooth_sky(image, **params.sky_model))
    write_sky(combine_skies(skies), len(skies), Path(output.background))


if "snakemake" in globals():
    run(model_sky, snakemake)
