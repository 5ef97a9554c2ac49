"""Stripes as medians of lines, after jwst 3.0.0: bright pixels are clipped, and a background is taken off, before.

Not as in jwst: pixels with flags are not used, and without a background the mean of the stripes stays in the image.
"""

import numpy as np

from calflow.science.cleaning.clean_flicker_noise_parameters import FlickerCleaning
from calflow.science.cleaning.stripes import Stripes

ROUNDS, ROUND_SIGMA = 5, 3.0
BINS, BINS_SIGMA = 2000, 4.0
LARGEST_BOX = 32
# A box with this part of its pixels masked or clipped, or more, has the level of its neighbours; per cent.
EXCLUDE_PERCENTILE = 10.0
FILTER_SIZE = 5
# The variance of a median over that of a mean, of many normally distributed values
MEDIAN_VARIANCE = np.pi / 2


def clipped_stripes(
    image: np.ndarray, good: np.ndarray, parameters: FlickerCleaning, channels: int = 1, masked: bool = False
) -> Stripes:
    """Measure the stripes of an image as medians of its lines.

    Parameters
    ----------
    image : float32 array, shape (lines, pixels)
        Finite.
    good : bool array of that shape
        True: the pixel may be used.
    parameters : FlickerCleaning
    channels : int
        How many amplifiers read a line, each the same number of pixels of it.
    masked : bool
        Whether `good` leaves out the sources: they are not clipped once more.

    Returns
    -------
    Stripes
    """
    clipping = parameters.n_sigma > 0
    if clipping and not masked:
        good = clip(image, good, 3.0, parameters.n_sigma, histogram=parameters.fit_histogram)
    background = np.float32(0)
    if parameters.background_method != "none":
        good = clip(image, good, 3.0, 3.0, mirrored=True)
        background = _background(image, good, parameters)
    rest = image - background
    if clipping and parameters.background_method != "none":
        good = clip(rest, good, parameters.n_sigma, parameters.n_sigma, mirrored=True)
    edges = np.linspace(0, image.shape[1], channels + 1).astype(int)[1:-1]
    parts = [
        np.ma.masked_array(value, ~use)
        for value, use in zip(np.split(rest, edges, 1), np.split(good, edges, 1), strict=True)
    ]
    numbers = np.stack([part.count(axis=1) for part in parts], axis=1)
    levels = np.stack([np.ma.median(part, axis=1).filled(0) for part in parts], axis=1)
    if parameters.background_method == "none":
        levels = np.where(numbers > 0, levels - levels[numbers > 0].mean(), 0)
    noise = statistics(rest[good])[2] if good.any() else 0.0
    variance = np.where(numbers > 0, MEDIAN_VARIANCE * noise**2 / np.maximum(numbers, 1), 0)
    figures = {"noise": noise, "used": float(good.mean()), "free": float(good.mean()), "risk": 0.0}
    return Stripes(levels.astype(np.float32), variance.astype(np.float32), good, figures)


def clip(
    image: np.ndarray, good: np.ndarray, low: float, high: float, *, histogram: bool = False, mirrored: bool = False
) -> np.ndarray:
    """Return which of the good pixels are not too far from their median.

    Parameters
    ----------
    image : float array, shape (ny, nx)
    good : bool array, shape (ny, nx)
    low, high : float
        How far below and above, in standard deviations.
    histogram : bool
        Median and standard deviation from a Gaussian fitted to the histogram.
    mirrored : bool
        From the values below the median alone, mirrored at it.

    Returns
    -------
    bool array, shape (ny, nx)
    """
    values = image[good].astype(np.float64)
    if not values.size:
        return good
    which = 0 if histogram else 1
    found = statistics(values)
    centre, sigma = found[which], found[2]
    if mirrored:
        below = centre - values[values <= centre]
        values = np.concatenate((centre - below, centre + below))
        found = statistics(values)
        centre, sigma = found[which], found[2]
    if histogram and sigma > 0:
        centre, sigma = _fitted(values, centre, sigma)
    return good & (image >= centre - low * sigma) & (image <= centre + high * sigma)


def statistics(values: np.ndarray) -> tuple[float, float, float]:
    """Return mean, median and standard deviation without outliers, after at most 5 rounds of clipping at 3 sigma.

    Parameters
    ----------
    values : float array, shape (n,)
        Finite, at least one.
    """
    values = values.astype(np.float64)
    for _ in range(ROUNDS):
        kept = values[np.abs(values - np.median(values)) <= ROUND_SIGMA * values.std()]
        if kept.size == values.size:
            break
        values = kept
    return float(values.mean()), float(np.median(values)), float(values.std())


def _fitted(values: np.ndarray, centre: float, sigma: float) -> tuple[float, float]:
    """Return mean and standard deviation of a Gaussian fitted to a histogram; those given if that fails."""
    from scipy.optimize import curve_fit

    numbers, edges = np.histogram(values, BINS, (centre - BINS_SIGMA * sigma, centre + BINS_SIGMA * sigma))
    x = (edges[1:] + edges[:-1]) / 2
    start = numbers.max(), x[numbers.argmax()], sigma
    bounds = [(0, x[0], 0), (np.inf, x[-1], x[-1] - x[0])]
    try:
        (_, mean, width), _ = curve_fit(
            lambda x, height, mean, width: height * np.exp(-0.5 * ((x - mean) / width) ** 2),
            x,
            numbers,
            start,
            bounds=bounds,
        )
    except (RuntimeError, ValueError):
        return centre, sigma
    return float(mean), float(width)


def _background(image: np.ndarray, good: np.ndarray, parameters: FlickerCleaning):
    """Return the median of the good pixels, or a smooth background."""
    if not good.any():
        return np.float32(0)
    if parameters.background_method == "median":
        return np.float32(np.median(image[good]))
    from astropy.stats import SigmaClip
    from photutils.background import Background2D, MedianBackground

    # Rows and columns of the image; its lines may be either, and the boxes that are given are those of the lines.
    box = parameters.background_box_size or [
        max(b for b in range(1, LARGEST_BOX + 1) if n % b == 0) for n in image.shape
    ]
    try:
        found = Background2D(
            image,
            box,
            mask=~good,
            filter_size=FILTER_SIZE,
            exclude_percentile=EXCLUDE_PERCENTILE,
            sigma_clip=SigmaClip(ROUND_SIGMA, maxiters=ROUNDS),
            bkg_estimator=MedianBackground(),
        )
    except ValueError:  # every box is excluded
        return np.float32(np.median(image[good]))
    return found.background.astype(np.float32)
