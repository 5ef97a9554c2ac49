"""A smooth sky subtracted from an exposure."""

import logging
from dataclasses import replace

import numpy as np

from calflow.files.exposure import Exposure
from calflow.files.sky_files import read_sky
from calflow.science.calibration.background import average_integrations
from calflow.science.image import Image
from calflow.science.sky.sky_model import smooth_sky, subtract_sky

log = logging.getLogger(__name__)


def subtract_smooth_sky(exposure: Exposure, input, params) -> None:
    """Subtract a smooth sky: that of the background exposures, scaled to the level of this one; without any, its own.

    Parameters
    ----------
    exposure : Exposure
        It is changed.
    input : Snakemake's InputFiles
        The files of the job: `background`, if there is one.
    params : Snakemake's Params
        Its parameters: `sky_model`.
    """
    image = mean_of_integrations(exposure.image)
    own = smooth_sky(image, **params.sky_model)
    if input.get("background"):
        sky = read_sky(input.background)
        if not sky.level > 0:
            raise ValueError(f"the sky of the background exposures has the level {sky.level:.6g}; it must be positive")
        scale = own.level / sky.level
    else:
        sky, scale = replace(own, dq=np.zeros_like(own.dq)), 1.0  # its flags are those of the exposure
    log.info("sky level %.6g, scale %.6g", own.level, scale)
    exposure.image = subtract_sky(exposure.image, sky, scale)


def mean_of_integrations(image: Image) -> Image:
    """Return a 2-D exposure as it is, and the average of a 3-D one.

    Parameters
    ----------
    image : Image
        2-D or 3-D.
    """
    if image.sci.ndim == 2:
        return image
    sci, err, dq = average_integrations(image.sci, image.err, image.dq)
    return Image(sci.astype(np.float32), err.astype(np.float32), dq)
