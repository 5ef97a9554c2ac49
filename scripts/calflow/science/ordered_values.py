"""Many values in order, as far as that is asked for.

Clipping asks where values far from the middle lie, how many there are, and for sums over the rest. To sort millions
of values takes most of its time, and the order of those in the middle is not used. So only the outer ones are sorted,
some per cent of them; all are if somebody asks for a place among the others.
"""

from typing import Literal

import numpy as np

# Of so many values, evenly picked, the quartiles tell where the middle is.
SAMPLE = 2**14
# How far, in units of the root of its number, a rank of the sample may be off: six standard deviations.
MARGIN = 3.0
# How far the middle reaches beyond the quartiles, in units of their distance. Limits of clipping, three standard
# deviations from the median, lie beyond that; so they do for values that are evenly spread.
REACH = 1.2
# Values that are summed at a time: their differences in float64 stay in the cache of the processor.
BLOCK = 2**16


class OrderedValues:
    """Values by their rank, from the smallest, 0, to the largest.

    Parameters
    ----------
    values : float array, shape (n,)
        None infinite. NaN: no value, it has no rank. The array is not changed.

    Notes
    -----
    The middle is what is not further from the quartiles of a sample than 1.2 times what these are from each other: 98
    per cent of normally distributed values. The sample tells about which value a rank in the middle has, and the values
    around that are put in order. The results do not depend on the sample, but for the rounding of sums in float64.
    """

    def __init__(self, values: np.ndarray):
        sample = np.sort(values[:: len(values) // SAMPLE | 1])
        sample = sample[: np.searchsorted(sample, np.nan)]
        if not len(sample):  # of few values, all of them
            values = sample = np.sort(values[~np.isnan(values)])
        if not len(sample):
            sample = np.zeros(1, values.dtype)
        lower, upper = sample[len(sample) // 4], sample[3 * len(sample) // 4]
        with np.errstate(over="ignore"):
            reach = values.dtype.type(REACH) * (upper - lower)
            self._low, self._high = lower - reach, upper + reach
        self._typical = np.float64(sample[len(sample) // 2])
        self._separate(values)
        self._sample = sample[(sample >= self._low) & (sample <= self._high)]
        # Values of the middle that are in order, after the rank of the first of them
        self._parts: list[tuple[int, np.ndarray]] = []

    def _separate(self, values: np.ndarray) -> None:
        """Put the outer values in order, and those of the middle between them; sum up the latter."""
        blocks = [values[start : start + BLOCK] for start in range(0, len(values), BLOCK)]
        first = last = sum(int(np.count_nonzero(block < self._low)) for block in blocks)
        parted, outer = np.empty(len(values), values.dtype), []
        for block in blocks:
            within = (block >= self._low) & (block <= self._high)
            middle = block[within]
            parted[last : last + len(middle)] = middle
            last += len(middle)
            if len(middle) < len(block):
                outer.append(block[~within])
        ends = np.sort(np.concatenate(outer)) if outer else parted[:0]
        ends = ends[: np.searchsorted(ends, np.nan)]
        parted[:first] = ends[:first]
        self._values = parted[: last + len(ends) - first]
        self._values[last:] = ends[first:]
        # The ranks from the first to the last, not included, that are not in order
        self._first, self._last = first, last
        self._middle_sums = self._sums(first, last)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rank: int) -> np.floating:
        """Return the value of a rank; a negative one counts from the largest."""
        rank += len(self) if rank < 0 else 0
        if self._first <= rank < self._last:
            first, part = self._part_with(rank)
            return part[rank - first]
        return self._values[rank]

    def _part_with(self, rank: int) -> tuple[int, np.ndarray]:
        """Return values of the middle in order, among them that of a rank, and the rank of the first of them."""
        for first, part in self._parts:
            if first <= rank < first + len(part):
                return first, part
        middle = self._values[self._first : self._last]
        share, margin = (rank - self._first) / len(middle), MARGIN / len(self._sample) ** 0.5
        low, high = (
            int(len(self._sample) * limit) for limit in (share - margin, share + margin + 1 / len(self._sample))
        )
        above = middle >= (self._sample[low] if low > 0 else self._low)
        below = middle <= (self._sample[high] if high < len(self._sample) else self._high)
        first, part = self._last - int(np.count_nonzero(above)), np.sort(middle[above & below])
        if not first <= rank < first + len(part):  # the sample is not like the rest
            first, part = self._first, np.sort(middle)
        self._parts.append((first, part))
        return first, part

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
