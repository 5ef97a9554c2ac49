"""The part of sources that is found as a function of their magnitude: a curve, its limits, and a table of bins."""

from dataclasses import dataclass

import numpy as np
from astropy.stats import binom_conf_interval

from calflow.science.quality.robust import robust_sigma

# Width of the fall, and what is found of bright sources, as the fit may have them.
WIDTHS, PLATEAUS = (0.01, 3.0), (0.01, 1.0)
# A plateau that is as high as it can be has no error.
AT_BOUND = 1e-4
# Of fewer sources neither bias nor scatter is told.
LEAST = 5


@dataclass(frozen=True)
class Curve:
    """The part that is found of sources of magnitude m: ``plateau / (1 + exp((m - middle) / width))``.

    Attributes
    ----------
    middle, width : float
        Magnitudes.
    plateau : float
        What is found of bright sources, from 0 to 1: the others are lost beside brighter ones.
    covariance : float array, shape (3, 3)
        Of middle, width and plateau.
    range : (float, float)
        The magnitudes that it was fitted to, from bright to faint.
    """

    middle: float
    width: float
    plateau: float
    covariance: np.ndarray
    range: tuple[float, float]

    def at(self, magnitude: np.ndarray) -> np.ndarray:
        """Return the part that is found.

        Parameters
        ----------
        magnitude : float array, shape (n,)
        """
        return _model(np.array([self.middle, self.width, self.plateau]), magnitude)

    def limit(self, part: float) -> tuple[float, float] | None:
        """Return the magnitude at which a part of the sources is found, and its error.

        Parameters
        ----------
        part : float
            Above 0, below 1.

        Returns
        -------
        (magnitude, error) or None
            None: not as many are found of any magnitude, or more than that of all that were tried.
        """
        if not self.plateau > part:
            return None
        logarithm = np.log(self.plateau / part - 1)
        magnitude = self.middle + self.width * logarithm
        if not self.range[0] <= magnitude <= self.range[1]:
            return None
        gradient = np.array([1.0, logarithm, self.width / (self.plateau - part)])
        return float(magnitude), float(np.sqrt(gradient @ self.covariance @ gradient))


def fitted_curve(magnitude: np.ndarray, found: np.ndarray) -> Curve | None:
    """Fit the curve to sources that were found and not found: the one of the greatest likelihood.

    Its errors are those of binomial numbers, by the information that the sources have of it.

    Parameters
    ----------
    magnitude : float array, shape (n,)
    found : bool array, shape (n,)

    Returns
    -------
    Curve or None
        None: all or none were found.
    """
    from scipy.optimize import minimize

    if found.all() or not found.any():
        return None
    low, high = float(magnitude.min()), float(magnitude.max())

    def cost(values):
        part = np.clip(_model(values, magnitude), 1e-9, 1 - 1e-9)
        outside = np.where(found, -1 / part, 1 / (1 - part))
        return -np.log(np.where(found, part, 1 - part)).sum(), _gradient(values, magnitude) @ outside

    # From the magnitude at which as many are fainter and found as are brighter and not found.
    start = np.clip(low + (high - low) * found.mean(), low, high), 0.2, 0.97
    best = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=[(low - 1, high + 1), WIDTHS, PLATEAUS])
    part = np.clip(_model(best.x, magnitude), 1e-6, 1 - 1e-6)
    gradient = _gradient(best.x, magnitude)
    free = np.array([True, True, best.x[2] < 1 - AT_BOUND])
    information = (gradient / (part * (1 - part))) @ gradient.T
    covariance = np.zeros((3, 3))
    covariance[np.ix_(free, free)] = np.linalg.pinv(information[np.ix_(free, free)])
    middle, width, plateau = map(float, best.x)
    return Curve(middle, width, plateau, covariance, (low, high))


def _model(values: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    middle, width, plateau = values
    return plateau / (1 + np.exp(np.clip((magnitude - middle) / width, -500, 500)))


def _gradient(values: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    """Return the derivatives of the model, shape (3, n)."""
    middle, width, plateau = values
    part = _model(values, magnitude) / plateau
    slope = plateau * part * (1 - part) / width
    return np.stack([slope, slope * (magnitude - middle) / width, part])


@dataclass(frozen=True, eq=False)
class Bins:
    """What became of sources, bin by bin of their magnitudes, arrays of shape (n,) but for the edges.

    Attributes
    ----------
    edges : float array, shape (n + 1,)
    injected, found : int array
    part, low, high : float array
        The part that was found, and the ends of its 68 % interval (Wilson 1927); NaN of none.
    bias, scatter : float array
        Median of the magnitude that was measured less the true one, and its scatter as a standard deviation; NaN of
        fewer than `LEAST`.
    """

    edges: np.ndarray
    injected: np.ndarray
    found: np.ndarray
    part: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bias: np.ndarray
    scatter: np.ndarray


def in_bins(magnitude: np.ndarray, found: np.ndarray, measured: np.ndarray, step: float) -> Bins:
    """Return what became of sources, bin by bin.

    Parameters
    ----------
    magnitude : float array, shape (n,)
        The true one.
    found : bool array, shape (n,)
    measured : float array, shape (n,)
        Magnitude that was measured; NaN: none.
    step : float
        Width of a bin; edges are multiples of it.
    """
    first, last = np.floor(magnitude.min() / step), np.floor(magnitude.max() / step) + 1
    edges = np.arange(first, last + 1) * step
    which = np.clip(np.floor(magnitude / step).astype(int) - int(first), 0, len(edges) - 2)
    injected = np.bincount(which, minlength=len(edges) - 1)
    number = np.bincount(which[found], minlength=len(edges) - 1)
    tried = injected > 0
    part, low, high = np.full((3, len(injected)), np.nan)
    part[tried] = number[tried] / injected[tried]
    low[tried], high[tried] = binom_conf_interval(number[tried], injected[tried], interval="wilson")
    bias, scatter = np.full((2, len(injected)), np.nan)
    difference = measured - magnitude
    for place in range(len(injected)):
        those = difference[found & (which == place) & np.isfinite(difference)]
        if len(those) >= LEAST:
            bias[place], scatter[place] = np.median(those), robust_sigma(those)
    return Bins(edges, injected, number, part, low, high, bias, scatter)
