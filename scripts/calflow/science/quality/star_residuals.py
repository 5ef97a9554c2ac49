"""How far the stars of each exposure lie from where the others have them, whatever the alignment says of itself."""

from collections.abc import Sequence

import numpy as np

from calflow.science.quality.others import median_of_others
from calflow.science.stars.star_matching import nearest_pairs


def star_residuals(stars: Sequence[np.ndarray], radius: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Match the stars of all exposures, and compare each with the median of the others.

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
        they are displaced against the median of the others, along each axis.
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
    every, star = np.concatenate([*stars, np.empty((0, 2))]), np.concatenate([*indices, np.empty(0, int)])
    residuals = every - np.stack([median_of_others(axis, star) for axis in every.T], axis=-1)
    parts = np.cumsum([len(given) for given in stars])[:-1]
    return [
        (given[shared], residual[shared])
        for given, residual in zip(stars, np.split(residuals, parts), strict=True)
        for shared in [np.isfinite(residual).all(axis=1)]
    ]
