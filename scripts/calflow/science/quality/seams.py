"""Steps in sky level between overlapping exposures, which show as seams of the combined image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calflow.science.quality.robust import ERROR_OF_MEDIAN, robust_sigma


@dataclass(frozen=True)
class Step:
    """How much brighter the sky of an exposure is than that of those that overlap with it.

    Attributes
    ----------
    height : float
        Median of the differences, in the unit of the levels; NaN if nothing overlaps.
    error : float
        Of that median; NaN of less than two cells.
    cells : int
        Places in which it was compared.
    """

    height: float
    error: float
    cells: int


def sky_steps(places: Sequence[np.ndarray], levels: Sequence[np.ndarray], cell: float) -> list[Step]:
    """Compare the level of each exposure with the mean of all others, place by place.

    Parameters
    ----------
    places : sequence of float array, shape (n, 2)
        Of each exposure, where its levels were measured, in one plane.
    levels : sequence of float array, shape (n,)
        The levels. NaN does not count.
    cell : float
        Levels within a square of this side are compared.

    Returns
    -------
    list of Step
        One for each exposure.
    """
    found = []
    for place, level in zip(places, levels, strict=True):
        good = np.isfinite(level) & np.isfinite(place).all(axis=1)
        found.append((np.floor(place[good] / cell).astype(np.int64), level[good]))
    all_cells = np.concatenate([cells for cells, _ in found]) if found else np.empty((0, 2), np.int64)
    _, numbers = np.unique(all_cells, axis=0, return_inverse=True)
    numbers = numbers.reshape(-1)
    size = int(numbers.max()) + 1 if len(numbers) else 0
    ends = np.cumsum([len(values) for _, values in found])
    # The mean of an exposure in each cell first, so that each exposure counts once there.
    means = []
    total, count = np.zeros(size), np.zeros(size, int)
    for end, (_, values) in zip(ends, found, strict=True):
        own = numbers[end - len(values) : end]
        cells, index = np.unique(own, return_inverse=True)
        mean = np.bincount(index, values, len(cells)) / np.maximum(np.bincount(index, minlength=len(cells)), 1)
        means.append((cells, mean))
        total[cells] += mean
        count[cells] += 1
    return [_step(mean, total[cells] - mean, count[cells] - 1) for cells, mean in means]


def _step(own: np.ndarray, others: np.ndarray, number: np.ndarray) -> Step:
    """Return the step from the sum of the levels of others, and how many they are, in the cells of an exposure."""
    shared = number > 0
    difference = own[shared] - others[shared] / number[shared]
    n = len(difference)
    if not n:
        return Step(float("nan"), float("nan"), 0)
    error = ERROR_OF_MEDIAN * robust_sigma(difference) / np.sqrt(n) if n > 1 else float("nan")
    return Step(float(np.median(difference)), float(error), n)
