"""Scatter that a few odd values do not change."""

import numpy as np

# Of a normal distribution: the standard deviation over the median of absolute deviations, ...
SIGMA_OF_MAD = 1.4826
# ... and the error of a median over that of a mean.
ERROR_OF_MEDIAN = 1.2533


def robust_sigma(values: np.ndarray) -> float:
    """Return the standard deviation of a normal distribution with the median absolute deviation of these values.

    Parameters
    ----------
    values : float array, shape (n,)
        NaN does not count.

    Returns
    -------
    float
        NaN of no values.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan")
    return float(SIGMA_OF_MAD * np.median(np.abs(values - np.median(values))))
