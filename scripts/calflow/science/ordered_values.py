"""Many values in order, as far as that is asked for.

Clipping asks where values far from the middle lie, how many there are, and for sums over the rest. To sort millions
of values takes most of its time, and the order of those in the middle is not used. So only the outer ones are sorted,
a few per cent of them; all are if somebody asks for a place among the others.
"""

from bisect import bisect_right
from typing import Literal

import numpy as np

# Of so many values, evenly picked, the quartiles tell where the middle is.
SAMPLE = 2**14
# Values that are summed at a time: their differences in float64 stay in the cache of the processor.
BLOCK = 2**16


class OrderedValues:
    """Values by their rank, from the smallest, 0, to the largest.

    Parameters
    ----------
    values : float array, shape (n,)
        At least one, all finite. It is not changed.

    Notes
    -----
    The middle is what is not further from the quartiles of a sample than these are from each other: 96 per cent of
    normally distributed values. The results do not depend on it, but for the rounding of sums in float64.
    """

    def __init__(self, values: np.ndarray):
        sample = np.sort(values[:: len(values) // SAMPLE | 1])
        lower, upper = sample[len(sample) // 4], sample[3 * len(sample) // 4]
        with np.errstate(over="ignore"):
            self._low, self._high = lower - (upper - lower), upper + (upper - lower)
        below, above = values < self._low, values > self._high
        smallest, largest = np.sort(values[below]), np.sort(values[above])
        self._values = np.concatenate([smallest, values[~(below | above)], largest])
        # The ranks from the first to the last, not included, that are not in order
        self._first, self._last = len(smallest), len(values) - len(largest)
        # Ranks among them below which there are the smaller values
        self._parted = [self._first, self._last]
        self._typical = np.float64(sample[len(sample) // 2])
        self._middle_sums = self._sums(self._first, self._last)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rank: int) -> np.floating:
        """Return the value of a rank; a negative one counts from the largest."""
        rank += len(self) if rank < 0 else 0
        if self._first <= rank < self._last:
            above = bisect_right(self._parted, rank)
            start, end = self._parted[above - 1 : above + 1]
            if end - start > 1:
                self._values[start:end].partition(rank - start)
                self._parted[above:above] = [part for part in (rank, rank + 1) if start < part < end]
        return self._values[rank]

    def median(self, first: int, last: int) -> float:
        """Return the median of some of the values.

        Parameters
        ----------
        first, last : int
            Their ranks; the last one is not included.
        """
        return (float(self[(first + last - 1) // 2]) + float(self[(first + last) // 2])) / 2

    def rank(self, value: float | np.floating, side: Literal["left", "right"]) -> int:
        """Return how many values are smaller than a value.

        Parameters
        ----------
        value : float
        side : {"left", "right"}
            Right: or equal to it.
        """
        if self._first < self._last:
            if value < self._low:
                return int(np.searchsorted(self._values[: self._first], value, side))
            if value > self._high:
                return self._last + int(np.searchsorted(self._values[self._last :], value, side))
            self._values.sort()
            self._first = self._last = 0
        return int(np.searchsorted(self._values, value, side))

    def part(self, first: int, last: int) -> np.ndarray:
        """Return some of the values, in any order.

        Parameters
        ----------
        first, last : int
            Their ranks; the last one is not included. Both are such as `rank` gives.
        """
        return self._values[first:last]

    def mean_and_variance(self, first: int, last: int) -> tuple[float, float]:
        """Return the mean of values, and their mean squared deviation from it.

        Parameters
        ----------
        first, last : int
            Their ranks; the last one is not included. Both are such as `rank` gives.
        """
        n = last - first
        middle = self._middle_sums if first <= self._first < self._last <= last else (0.0, 0.0)
        outer = self._sums(first, min(last, self._first)), self._sums(max(first, self._last), last)
        total, squares = map(sum, zip(middle, *outer, strict=True))
        return float(self._typical + total / n), max(squares / n - (total / n) ** 2, 0.0)

    def _sums(self, first: int, last: int) -> tuple[float, float]:
        """Return the sums of the differences from a typical value, which lose no digits, and of their squares."""
        total = squares = 0.0
        for start in range(first, last, BLOCK):
            difference = self._values[start : min(start + BLOCK, last)] - self._typical
            total += float(difference.sum())
            squares += float(np.square(difference, out=difference).sum())
        return total, squares
