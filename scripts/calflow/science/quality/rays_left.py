"""Cosmic rays that no search has flagged: pixels of an exposure that are brighter than the combined image is there."""

import numpy as np

from calflow.science.combination.outlier_detection import largest_difference

# So many sigma above the others is no noise, and no ray that the search was not meant to find.
SIGMAS = 8.0
# A source may differ by this part of the largest difference between neighbours in the combined image, being sampled
# otherwise: that of the outlier search. A ray is in the image, too, but as the n-th part of itself.
SCALE = 1.2
# A star narrower than a pixel has all of its light in one if it lies in its middle, and a quarter if at its corner: so
# many times the brightness of the others is no ray. In these the exposure has no part.
SHARPEST = 4.0
# A ray raises the error of its own pixel: errors above so many times the median do not count for more.
STANDS_OUT = 2.0


def rays_left(sci: np.ndarray, err: np.ndarray, combined: np.ndarray, exposures: int, ratio: float) -> tuple[int, int]:
    """Count the pixels that are too bright, less those that are too faint.

    What is displaced, or noise, makes as many of either; a cosmic ray, or a hot pixel, only the first.

    Parameters
    ----------
    sci, err : float array, shape (ny, nx)
        An exposure and its 1-sigma errors. NaN: not used, or flagged.
    combined : float32 array, shape (ny, nx)
        The combined image at its pixels, of which it is a part. NaN: none.
    exposures : int
        How many are combined, at least 2. Of 2, what is too faint is a ray of the other: it is not taken off.
    ratio : float
        What the errors have to be multiplied with to be those of the exposure.

    Returns
    -------
    left, looked_at : int
        How many pixels are too bright, of how many.
    """
    known = np.isfinite(sci) & np.isfinite(err) & np.isfinite(combined)
    if not known.any():
        return 0, 0
    # The combined image has 1/n of the exposure.
    residual = (sci - combined) * (exposures / (exposures - 1))
    residual -= np.median(residual[known])
    sigma = ratio * np.minimum(err, STANDS_OUT * np.median(err[known]))
    with np.errstate(invalid="ignore"):
        others = combined - residual / exposures - np.median(combined[known])
        threshold = SIGMAS * sigma + np.maximum(SCALE * largest_difference(combined), SHARPEST * others)
        above = int((known & (residual > threshold)).sum())
        below = int((known & (residual < -threshold)).sum()) if exposures > 2 else 0
    return max(above - below, 0), int(known.sum())
