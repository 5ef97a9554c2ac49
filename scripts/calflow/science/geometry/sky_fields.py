"""Which exposures lie together on the sky: fields between which nothing overlaps."""

from collections.abc import Hashable, Sequence

import numpy as np

from calflow.science.geometry.polygons import overlaps
from calflow.science.geometry.sky_rotation import to_cartesian, to_spherical
from calflow.science.geometry.tangent_plane import to_plane


def connected_fields(footprints: Sequence[np.ndarray], groups: Sequence[Hashable]) -> list[list[int]]:
    """Return which footprints overlap, directly or by way of others, or belong to one group.

    Parameters
    ----------
    footprints : sequence of float array, shape (n, 2)
        Right ascension and declination (degrees) of the vertices of convex polygons, each well below 90 degrees wide.
    groups : sequence
        One for each footprint: those taken at once belong together across the gaps between detectors.

    Returns
    -------
    list of list of int
        The fields in the order of their first footprint, each with the numbers of its footprints in order.
    """
    polygons = _stacked(footprints)
    directions, radii = circles_around(polygons)
    numbers = {group: number for number, group in enumerate(groups)}
    group_numbers = np.array([numbers[group] for group in groups])
    left, fields = np.arange(len(polygons)), []
    while len(left):
        field, waiting = [], [int(left[0])]
        left = left[1:]
        while waiting and len(left):
            here = waiting.pop()
            field.append(here)
            joined = group_numbers[left] == group_numbers[here]
            distance = np.linalg.norm(directions[left] - directions[here], axis=-1)
            near = np.flatnonzero(~joined & (distance <= radii[left] + radii[here]))
            joined[near] = overlaps_on_sky(polygons[here], polygons[left[near]])
            waiting += left[joined].tolist()
            left = left[~joined]
        fields.append(sorted(field + waiting))
    return fields


def overlaps_on_sky(one: np.ndarray, others: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """Tell which sky polygons overlap with one, or come nearer to it than a margin.

    Parameters
    ----------
    one : float array, shape (m, 2)
        Right ascension and declination of the vertices, degrees.
    others : float array, shape (k, n, 2)
    margin : float
        Arcsec.

    Returns
    -------
    bool array, shape (k,)
        What reaches 90 degrees away in part is too large to tell, and counts as overlapping.
    """
    (direction,), _ = circles_around(one[None])
    ra, dec = to_spherical(direction).tolist()
    centre = ra, dec
    here, there = to_plane(one, centre), to_plane(others, centre)
    beyond = np.isnan(there).all(axis=-1)
    found = ~beyond.all(axis=-1)
    whole = ~beyond.any(axis=-1)
    if np.isfinite(here).all():
        found[whole] = overlaps(here, there[whole], margin)
    return found


def circles_around(polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return circles that hold sky polygons.

    Parameters
    ----------
    polygons : float array, shape (k, n, 2)
        Right ascension and declination of the vertices, degrees.

    Returns
    -------
    directions : float64 array, shape (k, 3)
        Unit vectors to the middles, as of `science.geometry.input_pixels.fiducial`.
    radii : float64 array, shape (k,)
        Of the chords: radians, for small circles.
    """
    corners = to_cartesian(polygons)
    middles = (corners.min(axis=1) + corners.max(axis=1)) / 2
    middles /= np.linalg.norm(middles, axis=-1)[:, None]
    return middles, np.linalg.norm(corners - middles[:, None], axis=-1).max(axis=1)


def _stacked(polygons: Sequence[np.ndarray]) -> np.ndarray:
    """Return polygons as one array: those with fewer vertices repeat their last one."""
    most = max(map(len, polygons))
    return np.array([np.concatenate([p, np.repeat(p[-1:], most - len(p), axis=0)]) for p in polygons])
