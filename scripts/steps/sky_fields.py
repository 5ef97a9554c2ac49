"""Which exposures lie together on the sky: fields between which nothing overlaps."""

from collections.abc import Hashable, Sequence

import numpy as np

from steps.input_pixels import fiducial
from steps.polygons import overlap
from steps.tangent_plane import to_plane


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
    circles = [circle_around(vertices) for vertices in footprints]
    directions, radii = (np.array(values) for values in zip(*circles, strict=True))
    members: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    left, fields = np.ones(len(footprints), bool), []
    while left.any():
        field, waiting = [], [int(np.argmax(left))]
        left[waiting[0]] = False
        while waiting:
            here = waiting.pop()
            field.append(here)
            distance = np.linalg.norm(directions - directions[here], axis=-1)
            near = np.flatnonzero(left & (distance <= radii + radii[here])).tolist()
            found = [i for i in near if sky_overlap(footprints[here], footprints[i])]
            found += [i for i in members[groups[here]] if left[i] and i not in found]
            left[found] = False
            waiting += found
        fields.append(sorted(field))
    return fields


def sky_overlap(one: np.ndarray, other: np.ndarray, margin: float = 0.0) -> bool:
    """Tell whether two convex sky polygons overlap, or come nearer to each other than a margin.

    Parameters
    ----------
    one, other : float array, shape (n, 2)
        Right ascension and declination of the vertices, degrees.
    margin : float
        Arcsec.
    """
    here, there = (to_plane(vertices, fiducial(one)) for vertices in (one, other))
    beyond = np.isnan(there).all(axis=1)
    if beyond.any():  # 90 degrees away; what is so in part only is too large to tell
        return not beyond.all()
    return overlap(here, there, margin)


def circle_around(vertices: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the unit vector to the middle of sky positions, and the radius of the circle that holds them, radians.

    The radius is that of the chord: right for small circles.
    """
    direction = unit_vectors(fiducial(vertices))
    return direction, float(np.linalg.norm(unit_vectors(vertices) - direction, axis=-1).max())


def unit_vectors(sky: np.ndarray | tuple[float, float]) -> np.ndarray:
    """Return the unit vectors, shape (..., 3), of sky positions in degrees, shape (..., 2)."""
    ra, dec = np.moveaxis(np.radians(np.asarray(sky, float)), -1, 0)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
