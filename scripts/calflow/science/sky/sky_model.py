"""A smooth sky: measured in calibrated exposures, scaled and subtracted.

The sky is measured in frames of blank sky, or in the science exposures themselves (`smooth_sky`),
several are combined into one (`science.sky.sky_combination`), and that is subtracted, times the ratio of an exposure's
own sky level to its level (`subtract_sky`).

Source of the formulas: the newer Liger/IRIS imager pipeline's sky steps; boxes as in SExtractor (Bertin &
Arnouts 1996, A&AS 117, 393), measured by `photutils.background`. Not kept of that pipeline: skies
that are multiplied by their relative level instead of divided, NaN where all frames have flags, flags cut
to 16 bits, and the noise of a pixel as the error of a sky that comes from thousands of pixels.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from calflow.science.image import Image, has_value, without_impossible
from calflow.science.sky.background_map import NoBackground


@dataclass
class SkyModel:
    """The sky on a detector window.

    Attributes
    ----------
    sky : float32 array, shape (ny, nx)
        Its brightness, in the unit of the exposures it comes from. Every pixel has a value.
    err : float32 array, shape (ny, nx)
        Its 1-sigma error.
    dq : uint32 array, shape (ny, nx)
        Flags of the exposure, or those that all exposures have. They say nothing against the sky.
    level : float
        The sky as one number.
    """

    sky: np.ndarray
    err: np.ndarray
    dq: np.ndarray
    level: float


def smooth_sky(
    image: Image,
    *,
    box_size: int,
    filter_size: int,
    sigma_low: float,
    sigma_high: float,
    maxiters: int,
) -> SkyModel:
    """Measure the sky of an exposure in boxes and interpolate between these.

    The sky of a box is the biweight location of its pixels without outliers, its error their
    standard deviation over the root of their number. Boxes with more than 10 per cent of their pixels
    flagged or clipped get the value of their neighbours. The boxes are smoothed by a median filter
    and interpolated to pixels by a cubic spline. If no box can be used, there is one for
    the whole exposure. The level is the biweight location of all pixels of the smooth sky.

    Parameters
    ----------
    image : Image
        A calibrated exposure, 2-D. Pixels without a value (`science.image`) or with any flag are not used.
    box_size : int
        Side of the boxes in pixels; one longer than the exposure is cut to it. Boxes must be
        much larger than sources.
    filter_size : int
        Side of the median filter in boxes, odd; 1: no filter.
    sigma_low, sigma_high : float
        Pixels further than these below or above the median of their box, in its standard
        deviations, are clipped. With fewer of them above than below (6 and 2, for faint sources)
        the sky comes out low by 5 per cent of the noise of a pixel.
    maxiters : int
        Highest number of clipping rounds.

    Returns
    -------
    SkyModel

    Raises
    ------
    NoBackground
        If no pixel can be used. It is a ValueError.
    ValueError
        If the exposure is not 2-D.
    """
    if image.sci.ndim != 2:
        raise ValueError(f"a sky is measured in one 2-D exposure, not in one of shape {image.sci.shape}")
    unused = ~has_value("sci", image.sci) | (image.dq != 0)
    if unused.all():
        raise NoBackground("all pixels of the exposure have flags or no value; its sky needs at least one")
    from astropy.stats import SigmaClip, biweight_location

    clip = SigmaClip(sigma_lower=sigma_low, sigma_upper=sigma_high, maxiters=maxiters)
    boxes = _boxes(image.sci, unused, box_size, filter_size, clip)
    sky = boxes.background.astype(np.float32)
    pixels = boxes.n_pixels_mesh
    err = boxes.background_rms / math.sqrt(pixels[pixels > 0].mean())
    return SkyModel(sky, err.astype(np.float32), image.dq.astype(np.uint32), float(biweight_location(sky)))


def subtract_sky(image: Image, model: SkyModel, scale: float = 1.0) -> Image:
    """Subtract a sky from an exposure, with its error.

    Parameters
    ----------
    image : Image
        A calibrated exposure in the unit of the sky, 2-D, or 3-D: the sky is subtracted from
        every integration.
    model : SkyModel
        Of the shape of one integration.
    scale : float
        Factor to the sky: the sky level of this exposure over that of the model.

    Returns
    -------
    Image
        New `sci`; new `err`, in quadrature with the error of the sky; new `dq` with its flags.
        Variances are the arrays of `image`.

    Raises
    ------
    ValueError
        If the sky has not the shape of one integration.
    """
    if model.sky.shape != image.sci.shape[-2:]:
        raise ValueError(
            f"the sky has shape {model.sky.shape}, the exposure {image.sci.shape}; "
            "cut the sky to the window of the exposure first"
        )
    factor = np.float32(scale)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found below
        sci, err = image.sci - model.sky * factor, np.hypot(image.err, model.err * factor)
    return without_impossible(replace(image, sci=sci, err=err, dq=image.dq | model.dq))


def _boxes(data: np.ndarray, unused: np.ndarray, box_size: int, filter_size: int, clip):
    """Return photutils' measurement of the boxes."""
    from photutils.background import Background2D, BiweightLocationBackground, StdBackgroundRMS

    def measure(size, **options):
        return Background2D(
            data,
            size,
            mask=unused,
            filter_size=filter_size,
            sigma_clip=clip,
            bkg_estimator=BiweightLocationBackground(),
            bkg_rms_estimator=StdBackgroundRMS(),
            **options,
        )

    try:
        return measure([min(box_size, side) for side in data.shape])
    except ValueError:  # every box is excluded
        return measure(data.shape, exclude_percentile=100)
