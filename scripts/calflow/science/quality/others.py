"""What the others say: of each value the median of the others, so that one that is odd stands alone."""

import numpy as np


def median_of_others(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return of each value the median of the other values of its group.

    Against their mean, each exposure would differ from an odd one by a part of what is odd.

    Parameters
    ----------
    values : float array, shape (n,)
        Finite.
    groups : int array, shape (n,)
        To which group each belongs.

    Returns
    -------
    float array, shape (n,)
        NaN where there is no other.

    Examples
    --------
    >>> median_of_others(np.array([1.0, 2.0, 4.0, 9.0]), np.array([0, 0, 0, 7])).tolist()
    [3.0, 2.5, 1.5, nan]
    """
    order = np.lexsort((values, groups))
    ordered = values[order].astype(float)
    first, number = (part[order] for part in _places(groups, order))
    rank = np.arange(len(values)) - first
    others = number - 1
    middle = np.zeros(len(values))
    for place in ((others - 1) // 2, others // 2):
        # Without the value itself, those behind it move up.
        index = np.clip(first + place + (place >= rank), 0, max(len(values) - 1, 0))
        middle += ordered[index] / 2
    found = np.empty(len(values))
    found[order] = np.where(others > 0, middle, np.nan)
    return found


def _places(groups: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, of each value, where its group begins in the order, and how many it has."""
    _, start, index, counts = np.unique(groups[order], return_index=True, return_inverse=True, return_counts=True)
    first, number = np.empty(len(groups), int), np.empty(len(groups), int)
    first[order], number[order] = start[index], counts[index]
    return first, number
