"""Combine equal exposures of a detector pixel by pixel, outlying samples left out.

Made for reference files and skies: darks, flats and sky frames that show the same in each exposure.

Source of the formulas: the newer Liger/IRIS imager pipeline's combination of frames; biweight location
and midvariance of Beers, Flynn & Gebhardt 1990, AJ 100, 32. Not kept of that pipeline: clipped samples
that make the measured error 0 or count in the propagated one, the error of the weighted mean given to
mean and median, sqrt(n - 1) where the error of a mean has sqrt(n), flagged samples used when nothing is
clipped, and 0 as the weighted mean of nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calflow.science.calibration.calibration_parameters import FrameCombination
from calflow.science.combination.median import nan_median
from calflow.science.image import has_value
from calflow.science.parameters import check_values

# Tuning constants of the biweight: samples so many median absolute deviations away have no weight.
LOCATION_REACH = 6.0
SCATTER_REACH = 9.0
# One array of float64 for a band of rows; about ten are needed at a time.
BAND_BYTES = 8 * 2**20

Stack = np.ndarray | Sequence[Any]  # of planes: arrays, or what reads like one (files.exposure_planes)


@dataclass
class Combined:
    """What frames have in common.

    Attributes
    ----------
    sci, err : float32 array, shape (ny, nx)
        The combined value and its 1-sigma error, in the unit of the frames; NaN without a sample.
    dq : uint32 array, shape (ny, nx)
        The flags of the frames together.
    n : int32 array, shape (ny, nx)
        The number of samples used.
    """

    sci: np.ndarray
    err: np.ndarray
    dq: np.ndarray
    n: np.ndarray


def combine_frames(
    sci: Stack,
    err: Stack,
    dq: Stack,
    *,
    method: str = FrameCombination.method,
    sigma_clip: bool = FrameCombination.sigma_clip,
    sigma_low: float = FrameCombination.sigma_low,
    sigma_high: float = FrameCombination.sigma_high,
    min_samples: int = FrameCombination.min_samples,
    maxiters: int = FrameCombination.maxiters,
    error: str = FrameCombination.error,
    flags: str = FrameCombination.flags,
) -> Combined:
    """Combine frames, pixel by pixel.

    A sample is used if its `sci` and `err` are values (`science.image`), it has no flag at all, and clipping
    leaves it. With x, e the samples used at a pixel and their errors, n their number and
    w = 1/e^2 (all 1 where an error is 0)::

        mean    sum(x) / n             propagated error  sqrt(sum(e^2)) / n
        wmean   sum(w x) / sum(w)                        sum(w)^(-1/2)
        median                                           k sqrt(sum(e^2)) / n

        measured error  sqrt(sum(w (x - M)^2) / (1 - sum(w^2)) / n),  M = sum(w x), w of sum 1

    and k times that for the median; k (1 to 1.25) is how much wider than a mean the median of n
    samples of a Gaussian scatters. Of a single sample the measured error is the propagated one.

    Parameters
    ----------
    sci, err : float array, shape (n, ny, nx), or sequence of n arrays (ny, nx)
        The frames and their 1-sigma errors, in one unit. They are read in bands of rows, so that
        they may be memory-mapped.
    dq : integer array alike
        Their flags.
    method : {"mean", "median", "wmean"}
        "wmean" is the mean weighted with 1/err^2, and uses only samples whose error is positive.
    sigma_clip : bool
        Leave out samples further than `sigma_low` below or `sigma_high` above the biweight
        location, in units of the root of the biweight midvariance, round by round.
    sigma_low, sigma_high : float
    min_samples : int
        Clipping stops at a pixel when no more samples than these are left.
    maxiters : int
        Highest number of clipping rounds.
    error : {"measure", "propagate"}
        From the scatter of the samples, or from their errors.
    flags : {"any", "all"}
        Whether `dq` has the flags of any frame, or only those that all frames have.

    Returns
    -------
    Combined

    Raises
    ------
    ValueError
        If the stacks differ in shape or have no frame, or a choice is none of those named.
    """
    check_values(FrameCombination, method=method, error=error, flags=flags)
    _check(sci, err, dq)
    shape = sci[0].shape
    out = Combined(*(np.empty(shape, dtype) for dtype in (np.float32, np.float32, np.uint32, np.int32)))
    rows = max(1, BAND_BYTES // (8 * len(sci) * shape[1]))
    for start in range(0, shape[0], rows):
        band = slice(start, start + rows)
        values, errors = (_band(stack, band, np.float64) for stack in (sci, err))
        bits = _band(dq, band, np.uint32)
        used = has_value("sci", values) & has_value("err", errors) & (bits == 0)
        if method == "wmean":
            used &= errors > 0
        if sigma_clip:
            used = _without_outliers(values, used, (sigma_low, sigma_high), min_samples, maxiters)
        number = used.sum(axis=0, dtype=np.int32)
        out.sci[band] = _estimate(values, errors, used, number, method)
        out.err[band] = _error(values, errors, used, number, method, error)
        out.dq[band] = (np.bitwise_or if flags == "any" else np.bitwise_and).reduce(bits, axis=0)
        out.n[band] = number
    return out


def _check(sci: Stack, err: Stack, dq: Stack) -> None:
    shapes = {name: [np.shape(plane) for plane in stack] for name, stack in (("sci", sci), ("err", err), ("dq", dq))}
    first = shapes["sci"][0] if shapes["sci"] else ()
    if len(first) != 2 or any(found != [first] * len(sci) for found in shapes.values()):
        raise ValueError(f"frames to combine must be stacks (n, ny, nx) of one shape, not {shapes}")


def _band(stack: Stack, band: slice, dtype: type) -> np.ndarray:
    return np.stack([plane[band] for plane in stack]).astype(dtype, copy=False)


def _without_outliers(
    values: np.ndarray, used: np.ndarray, sigma: tuple[float, float], min_samples: int, maxiters: int
) -> np.ndarray:
    """Return which of the samples used are left by clipping, a new array of the shape of `used`."""
    kept = used.reshape(len(used), -1).copy()
    values = values.reshape(len(values), -1)
    pixels = np.arange(kept.shape[1])
    for _ in range(maxiters):
        pixels = pixels[kept[:, pixels].sum(axis=0) > min_samples]
        if not pixels.size:
            break
        keep = kept[:, pixels]
        samples = np.where(keep, values[:, pixels], np.nan)
        location, scatter = _biweight(samples)
        offset = samples - location
        # A comparison with NaN is False, so that samples left out stay so.
        surviving = (offset >= -sigma[0] * scatter) & (offset <= sigma[1] * scatter)
        kept[:, pixels] = surviving
        pixels = pixels[(surviving != keep).any(axis=0)]
    return kept.reshape(used.shape)


def _biweight(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return biweight location and root of the biweight midvariance along the first axis, NaN left out.

    Both deviations are medians about the centre that belongs to them, the location for the
    midvariance, whose number of samples is that of the samples in reach. Where the first is 0, the
    location is the median; where the second is, the scatter is 0. (astropy.stats has the
    deviation about the median in both, and takes four times as long.)
    """
    median = nan_median(samples.copy())
    offset, squared_reach = _in_reach(samples, median, LOCATION_REACH)
    weight = np.square(1 - squared_reach)
    total = weight.sum(axis=0)
    location = median + (offset * weight).sum(axis=0) / np.where(total > 0, total, 1)
    offset, squared_reach = _in_reach(samples, location, SCATTER_REACH)
    weight = 1 - squared_reach
    above = np.sqrt(np.count_nonzero(squared_reach < 1, axis=0) * np.square(offset * weight * weight).sum(axis=0))
    below = np.abs((weight * (1 - 5 * squared_reach)).sum(axis=0))
    return location, above / np.where(below > 0, below, 1)


def _in_reach(samples: np.ndarray, centre: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets from a centre, and their squares in units of `reach` median absolute deviations.

    Samples that are NaN or out of reach have offset 0 and square 1, which gives them no weight.
    """
    offset = samples - centre
    limit = reach * nan_median(np.abs(offset))
    inside = np.abs(offset) < limit
    offset = np.where(inside, offset, 0)
    return offset, np.where(inside, np.square(offset / np.where(limit > 0, limit, 1)), 1)


def _estimate(values, errors, used, number, method: str) -> np.ndarray:
    if method == "median":
        return nan_median(np.where(used, values, np.nan))
    weights = _weights(errors, used) if method == "wmean" else used.astype(np.float64)
    return _nan_without_samples((weights * np.where(used, values, 0)).sum(axis=0) / _at_least_one(weights), number)


def _error(values, errors, used, number, method: str, error: str) -> np.ndarray:
    scale = _width_of_median(number) if method == "median" else 1.0
    if method == "wmean":
        propagated = 1 / np.sqrt(_at_least_one(_weights(errors, used)))
    else:
        propagated = scale * np.sqrt(np.where(used, np.square(errors), 0).sum(axis=0)) / np.maximum(number, 1)
    if error == "propagate":
        return _nan_without_samples(propagated, number)
    measured = scale * _measured(np.where(used, values, 0), _weights(errors, used), number)
    return _nan_without_samples(np.where(np.isnan(measured), propagated, measured), number)


def _weights(errors: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return 1/err^2 of the samples used, 1 for all of a pixel where one has no error; 0 for those not used."""
    known = ~(used & (errors == 0)).any(axis=0)
    usable = used & known
    weights = np.where(usable, 1 / np.square(np.where(usable, errors, 1)), 0)
    return np.where(known, weights, used)


def _measured(values: np.ndarray, weights: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the error of the mean that the scatter of samples tells, NaN where only one has a weight to speak of."""
    weights = weights / _at_least_one(weights)
    mean = (weights * values).sum(axis=0)
    scatter = (weights * np.square(values - mean)).sum(axis=0)
    freedom = 1 - np.square(weights).sum(axis=0)
    enough = (number > 1) & (freedom > 0)
    return np.where(enough, np.sqrt(scatter / np.where(enough, freedom, 1) / np.maximum(number, 1)), np.nan)


def _at_least_one(weights: np.ndarray) -> np.ndarray:
    """Return the sum of weights along the first axis, 1 where they are all 0."""
    total = weights.sum(axis=0)
    return np.where(total > 0, total, 1)


def _width_of_median(number: np.ndarray) -> np.ndarray:
    """Return by how much the median of n Gaussian samples scatters more than their mean.

    Fits to the exact variances of order statistics, within 0.5 per cent for any n: pi / (2 n + 1) for odd
    n, pi / (2 n + 2.5) for even n, in units of that of a sample. Up to two samples it is the mean.
    """
    variance = np.pi / (2 * number + np.where(number % 2, 1, 2.5))
    return np.where(number > 2, np.sqrt(number * variance), 1)


def _nan_without_samples(plane: np.ndarray, number: np.ndarray) -> np.ndarray:
    return np.where(number > 0, plane, np.nan)
