"""How far the stars of each exposure lie from where the others have them, whatever the alignment says of itself."""

from collections.abc import Sequence

import numpy as np

from calflow.science.stars.star_matching import nearest_pairs


def star_residuals(stars: Sequence[np.ndarray], radius: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Match the stars of all exposures, and compare each with the mean of the others.

    Exposure after exposure, stars that are each other's nearest within the radius are one; what is new is added.

    Parameters
    ----------
    stars : sequence of float array, shape (n, 2)
        Of each exposure the positions of its stars in one plane, with its pointing corrected.
    radius : float
        In the unit of the positions.

    Returns
    -------
    list of (place, residual)
        Of each exposure, two float arrays of shape (k, 2): the stars that another exposure has, too, and by how much
        they are displaced against the mean of the others.
    """
    place, count = np.empty((0, 2)), np.empty(0, int)
    indices = []
    for given in stars:
        own, known = nearest_pairs(given, place, radius)
        index = np.full(len(given), -1)
        index[own] = known
        place[known] = (place[known] * count[known, None] + given[own]) / (count[known, None] + 1)
        count[known] += 1
        new = index < 0
        index[new] = len(place) + np.arange(new.sum())
        place = np.concatenate([place, given[new]])
        count = np.concatenate([count, np.ones(new.sum(), int)])
        indices.append(index)
    found = []
    for given, index in zip(stars, indices, strict=True):
        shared = count[index] > 1
        given, number, mean = given[shared], count[index][shared, None], place[index][shared]
        # The mean of n with this one is known; that of the others differs more.
        found.append((given, (given - mean) * number / (number - 1)))
    return found
