"""Steps in sky level between overlapping exposures, which show as seams of the combined image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calflow.science.quality.others import median_of_others
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
    """Compare the level of each exposure with the median of those of all others, place by place.

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
    ends = np.cumsum([len(values) for _, values in found])
    # The mean of an exposure in each cell first, so that each exposure counts once there.
    means, cells = [], []
    for end, (_, values) in zip(ends, found, strict=True):
        own, index = np.unique(numbers[end - len(values) : end], return_inverse=True)
        cells.append(own)
        means.append(np.bincount(index, values, len(own)) / np.maximum(np.bincount(index, minlength=len(own)), 1))
    if not means:
        return []
    differences = np.concatenate(means) - median_of_others(np.concatenate(means), np.concatenate(cells))
    return [_step(each) for each in np.split(differences, np.cumsum([len(each) for each in means])[:-1])]


def _step(differences: np.ndarray) -> Step:
    """Return the step from the differences in the cells of an exposure, NaN where no other has a level."""
    shared = differences[np.isfinite(differences)]
    n = len(shared)
    if not n:
        return Step(float("nan"), float("nan"), 0)
    error = ERROR_OF_MEDIAN * robust_sigma(shared) / np.sqrt(n) if n > 1 else float("nan")
    return Step(float(np.median(shared)), float(error), n)
