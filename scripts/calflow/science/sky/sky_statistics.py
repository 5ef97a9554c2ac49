"""The sky level of a set of pixels: mode, median, midpoint or mean of their values, outliers clipped.

Source of the formulas: the statistics of the package stsci.imagestats 1.8 (BSD licence), which
jwst's skymatch step uses. They are rounded to float32 where it rounds, so that the same pixels are
clipped and fall in the same bins. Two defects are kept for the same reason:

- The bins of the histogram are a little wider than asked for, as a whole number of them reaches
  from the smallest to the largest value, but the place of the peak is converted to a value with
  the width asked for. Mode and midpoint are low by up to one bin, alike in images that have the
  same noise.
- If the very first pixel is clipped, the histogram begins (or ends) at the limit of clipping, not
  at the smallest (or largest) value left. This moves the mode by some thousandths of the noise.

Not kept: that values are put in one bin if the bins are narrower than 1e-6, whatever the unit;
that the midpoint is then the number of values; that the median without clipping is that of
values beyond `lower` and `upper`, too.
"""

import math
from dataclasses import dataclass

import numpy as np

from calflow.science.ordered_values import BLOCK, OrderedValues
from calflow.science.parameters import check_values
from calflow.science.sky.sky_parameters import SkyMeasuring

# Bins narrower than this fraction of the values are narrower than what float32 tells apart.
NARROWEST_BIN = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class SkyStatistic:
    """A sky level and how many pixels it comes from.

    Attributes
    ----------
    value : float
        The level, in the unit of the pixels.
    n : int
        Number of pixels left after clipping.
    """

    value: float
    n: int


@dataclass(frozen=True)
class _Clipped:
    """What clipping leaves: the values whose ranks are from `first` to `last`, not included."""

    first: int
    last: int
    mean: float
    std: float
    limits: tuple[float, float]


def sky_statistic(
    values: np.ndarray,
    *,
    skystat: str = SkyMeasuring.skystat,
    lower: float | None = SkyMeasuring.lower,
    upper: float | None = SkyMeasuring.upper,
    nclip: int = SkyMeasuring.nclip,
    lsigma: float = SkyMeasuring.lsigma,
    usigma: float = SkyMeasuring.usigma,
    binwidth: float = SkyMeasuring.binwidth,
) -> SkyStatistic | None:
    """Return the sky level of pixels.

    Parameters
    ----------
    values : float array, any shape
        Pixel values, used as float32. NaN and infinite ones are left out.
    skystat : {"mode", "median", "midpt", "mean"}
        The mode is the highest bin of a histogram (the first of equals), refined with its
        neighbours. The midpoint is the median as the histogram has it.
    lower, upper : float or None
        Smallest and largest value to use.
    nclip : int
        How often values outside mean - `lsigma` * std ... mean + `usigma` * std are left out;
        each time all values are judged anew. std is that of a sample (divisor n - 1).
    lsigma, usigma : float
    binwidth : float
        Width of the bins in standard deviations of the values left.

    Returns
    -------
    SkyStatistic or None
        None if no value is left, or only one and the statistic needs a standard deviation.

    Raises
    ------
    ValueError
        If `skystat` is none of those named.
    """
    check_values(SkyMeasuring, skystat=skystat)
    values = np.ravel(values).astype(np.float32, copy=False)
    finite = np.isfinite(values)
    if not finite.all():
        values = values[finite]
    if not values.size:
        return None
    ordered = OrderedValues(values)
    smallest, largest = float(ordered[0]), float(ordered[-1])
    within = (smallest if lower is None else max(smallest, lower), largest if upper is None else min(largest, upper))
    clipped = _clip(ordered, within, nclip, lsigma, usigma)
    n = clipped.last - clipped.first
    if n == 0:
        return None
    if skystat == "mean":
        value = clipped.mean
    elif skystat == "median":
        value = ordered.median(clipped.first, clipped.last)
    else:
        begin, end = _range(ordered, clipped, values[0])
        width = binwidth * clipped.std
        numbers = _histogram(ordered, begin, end, width)
        bins = 0.5 if numbers is None else _mode(numbers) if skystat == "mode" else _midpoint(numbers)
        value = begin + bins * width
    return SkyStatistic(value, n) if math.isfinite(value) else None


def _clip(ordered: OrderedValues, within: tuple[float, float], nclip: int, lsigma: float, usigma: float) -> _Clipped:
    """Clip values, first to `within`, then `nclip` times to that and a multiple of their scatter."""
    limits, before = within, None
    for clips_done in range(nclip + 1):
        first, last = _positions(ordered, *limits)
        if (first, last) == before:
            break
        before = first, last
        n = last - first
        if n == 0:
            return _Clipped(first, last, math.nan, math.nan, limits)
        exact, variance = ordered.mean_and_variance(first, last)
        mean = float(np.float32(exact))
        if n == 1:
            return _Clipped(first, last, mean, math.nan, limits)
        std = float(np.float32(math.sqrt(variance * (n / (n - 1)))))
        if clips_done < nclip:
            limits = max(within[0], mean - lsigma * std), min(within[1], mean + usigma * std)
    return _Clipped(first, last, mean, std, limits)


def _positions(ordered: OrderedValues, lowest: float, highest: float) -> tuple[int, int]:
    """Return the ranks at which the values from `lowest` to `highest` begin and end."""
    first = ordered.rank(np.float32(lowest), "left")
    return first, max(first, ordered.rank(np.float32(highest), "right"))


def _range(ordered: OrderedValues, clipped: _Clipped, first_pixel: np.float32) -> tuple[float, float]:
    """Return where the histogram begins and where its last bin does."""
    nearest = float(np.float32(min(max(float(first_pixel), clipped.limits[0]), clipped.limits[1])))
    return min(float(ordered[clipped.first]), nearest), max(float(ordered[clipped.last - 1]), nearest)


def _histogram(ordered: OrderedValues, begin: float, end: float, width: float) -> np.ndarray | None:
    """Return the numbers of values in bins of about `width`; None if all are in one bin.

    The last bin begins at `end`, and so has values that were clipped, too.
    """
    if not NARROWEST_BIN * max(abs(begin), abs(end)) < width <= end - begin:
        return None
    n_bins = int((end - begin) / width) + 1
    true_width, origin = np.float32((end - begin) / (n_bins - 1)), np.float32(begin)
    first, last = (ordered.rank(value, "left") for value in (origin, origin + true_width * np.float32(n_bins)))
    values, numbers = ordered.part(first, last), np.zeros(n_bins, np.intp)
    for start in range(0, len(values), BLOCK):
        position = (values[start : start + BLOCK] - origin) * (np.float32(1) / true_width)
        found = np.bincount(position.astype(np.intp), minlength=n_bins)
        numbers += found[:n_bins]
        numbers[-1] += found[n_bins:].sum()  # a position may be rounded to the end of the last bin
    return numbers


def _mode(numbers: np.ndarray) -> float:
    """Return the place of the highest bin, in bins, refined with its neighbours."""
    peak = int(np.argmax(numbers))
    place = peak + 0.5
    if 0 < peak < len(numbers) - 1:
        left, right = (int(numbers[peak] - numbers[peak + side]) for side in (-1, 1))
        if left + right:
            place += 0.5 * (left - right) / (left + right)
    return place


def _midpoint(numbers: np.ndarray) -> float:
    """Return the place, in bins, left of which half of the values lie."""
    share = np.cumsum(numbers) / np.sum(numbers)
    middle = int(np.argmax(share >= 0.5))
    before = share[middle - 1] if middle else 0.0
    return middle + float((0.5 - before) / (share[middle] - before))
