"""Values far from the median are left out: as `astropy.stats.SigmaClip` does, in less time or memory."""

import math
from collections.abc import Callable, Iterable

import numpy as np

from calflow.science.ordered_values import OrderedValues

ITERATIONS = 5


def clipping_limits(values: np.ndarray, sigma: float) -> tuple[np.floating, np.floating, np.floating]:
    """Return the smallest and the largest value that clipping leaves in, and their median.

    Values that are further from the median than some standard deviations are left out, and again among those left, at
    most five times, as `astropy.stats.SigmaClip` does.

    Parameters
    ----------
    values : float array, shape (n,)
        None infinite. NaN: no value.
    sigma : float
        How many standard deviations.

    Returns
    -------
    low, high : float of the type of the values
        Of all values, also those left out before, the ones between are in. NaN if there is no value.
    median : float of the type of the values
        Of those between, as `numpy.nanmedian` has it.
    """
    ordered = OrderedValues(values)
    first, last = 0, len(ordered)
    low = high = np.float64(np.nan)
    for _ in range(ITERATIONS if last else 0):
        median, variance = ordered.median(first, last), ordered.mean_and_variance(first, last)[1]
        reach = sigma * math.sqrt(variance)
        # Of float64: rounded to float32, a limit might come to lie on the other side of a value.
        low, high = np.float64(median - reach), np.float64(median + reach)
        before = first, last
        first, last = max(first, ordered.rank(low, "left")), min(last, ordered.rank(high, "right"))
        if (first, last) == before:
            break
    nearest = values.dtype.type(low), values.dtype.type(high)
    lowest = np.nextafter(nearest[0], nearest[0].dtype.type(np.inf)) if nearest[0] < low else nearest[0]
    highest = np.nextafter(nearest[1], nearest[1].dtype.type(-np.inf)) if nearest[1] > high else nearest[1]
    if not last:
        return lowest, highest, values.dtype.type(np.nan)
    # The last limits, which may be those of a round that left out more than the one before
    first, last = ordered.rank(lowest, "left"), ordered.rank(highest, "right")
    return lowest, highest, (ordered[(first + last - 1) // 2] + ordered[(first + last) // 2]) / values.dtype.type(2)


def clipped_statistics(parts: Callable[[], Iterable[np.ndarray]], sigma: float) -> tuple[np.float32, np.float32] | None:
    """Return the median and the standard deviation of values that are read part by part, several times.

    Values that are further from the median than some standard deviations are left out, and again among those left, at
    most five times, as `astropy.stats.SigmaClip` does.

    Parameters
    ----------
    parts : callable
        Returns the values from the beginning: float32 arrays of one axis, all finite.
    sigma : float
        How many standard deviations.

    Returns
    -------
    median, deviation : float32
        The median is exact, the deviation that of float64. None: there is no value.
    """
    low, high, number, typical = -np.inf, np.inf, -1, 0.0
    for iteration in range(ITERATIONS + 1):
        counts, total, squares = np.zeros(2**16, np.int64), 0.0, 0.0
        for keys, values in _between(parts, low, high):
            counts += np.bincount(keys >> 16, minlength=2**16)
            difference = values - np.float64(typical)
            total += float(difference.sum())
            squares += float(np.square(difference, out=difference).sum())
        before, number = number, int(counts.sum())
        if not number:
            return None
        deviation = max(squares / number - (total / number) ** 2, 0.0) ** 0.5
        median = _median(parts, low, high, counts)
        if number == before or iteration == ITERATIONS:
            break
        typical = float(median)
        low, high = typical - sigma * deviation, typical + sigma * deviation
    return median, np.float32(deviation)


def _between(parts, low, high):
    """Yield values within limits, after integers that are in the same order."""
    for values in parts():
        values = values[(values >= low) & (values <= high)]
        bits = values.view(np.uint32)
        # Of negative numbers all bits are turned over, of others the sign.
        yield bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000)), values


def _median(parts, low, high, counts) -> np.float32:
    """Return the median, whose upper 16 bits the counts tell."""
    number = int(counts.sum())
    ranks = [(number - 1) // 2, number // 2]
    ends = np.cumsum(counts)
    upper = [int(np.searchsorted(ends, rank, side="right")) for rank in ranks]
    lower = {high_bits: np.zeros(2**16, np.int64) for high_bits in upper}
    for keys, _ in _between(parts, low, high):
        for high_bits, found in lower.items():
            found += np.bincount(keys[keys >> 16 == high_bits] & 0xFFFF, minlength=2**16)
    middle = []
    for rank, high_bits in zip(ranks, upper, strict=True):
        rank -= int(ends[high_bits] - counts[high_bits])
        key = high_bits << 16 | int(np.searchsorted(np.cumsum(lower[high_bits]), rank, side="right"))
        bits = key ^ (0x80000000 if key >> 31 else 0xFFFFFFFF)
        middle.append(np.array(bits, np.uint32).view(np.float32))
    return np.float32(np.mean(middle, dtype=np.float64))
