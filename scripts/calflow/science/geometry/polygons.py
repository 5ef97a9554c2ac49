"""Plane polygons: clipped to a frame, joined, freed of needless vertices.

A polygon is a float array of shape (n, 2), its vertices x, y in order, not closed: the last
is joined to the first.
"""

from collections.abc import Sequence

import numpy as np
import shapely

# Vertices nearer than this to the one before are the same vertex, pixels.
MIN_SEPARATION = 0.05
# Sides that turn by less than this (radians) are one side.
MIN_TURN = 1e-6
# Decimals of vertices (pixels) in a union.
VERTEX_DECIMALS = 5
# Outlines of less than this are slivers made by rounding, square pixels.
MIN_AREA = 1e-2
# What is nearer to a side than this lies on it, pixels.
ON_SIDE = 1e-7


def clip(polygon: np.ndarray, frame: tuple[float, float, float, float]) -> np.ndarray:
    """Cut a convex polygon to a rectangle (Sutherland and Hodgman 1974).

    Parameters
    ----------
    polygon : float array, shape (n, 2)
    frame : (xmin, xmax, ymin, ymax)

    Returns
    -------
    float64 array, shape (m, 2)
        The part inside, in the same sense of rotation. It ends with the first point of
        `polygon` that is inside. Empty, shape (0, 2), if nothing is.
    """
    xmin, xmax, ymin, ymax = frame
    polygon = np.asarray(polygon, float)
    for axis, limit, sign in ((0, xmin, 1.0), (0, xmax, -1.0), (1, ymin, 1.0), (1, ymax, -1.0)):
        polygon = _cut(polygon, axis, limit, sign)
    if len(polygon) < 3 or signed_area(polygon) == 0:
        return np.empty((0, 2))
    return np.roll(polygon, -1, axis=0)


def overlaps(one: np.ndarray, others: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """Tell which polygons overlap with one, touch it, or come nearer to it than a margin.

    Parameters
    ----------
    one : float array, shape (m, 2)
    others : float array, shape (k, n, 2)
        Vertices may be repeated.
    margin : float

    Returns
    -------
    bool array, shape (k,)
    """
    return shapely.distance(shapely.polygons(one), shapely.polygons(others)) <= margin


def union(polygons: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Join polygons.

    Parameters
    ----------
    polygons : sequence of float array, shape (n, 2)
        Simple polygons (sides do not cross), either sense of rotation.

    Returns
    -------
    list of float64 array, shape (m, 2)
        The outlines of the connected parts, clockwise (x to the right, y up), the largest
        first. Each begins where the first of the polygons that has a part in it does. Holes are left out.

    Notes
    -----
    Vertices are rounded: sides that nearly coincide, as of exposures without a dither, then do so or are well apart.
    """
    polygons = [p if signed_area(p) < 0 else p[::-1] for p in (np.asarray(p, float) for p in polygons)]
    if len(polygons) <= 1:
        return polygons
    sides = [shapely.LinearRing(np.round(polygon, VERTEX_DECIMALS)) for polygon in polygons]
    joined = shapely.union_all(shapely.make_valid(shapely.polygons(sides)))
    rings = [_begun(ring, sides) for ring in outlines(joined) if -signed_area(ring) > MIN_AREA]
    return sorted(rings, key=signed_area)


def outlines(shape: shapely.Geometry) -> list[np.ndarray]:
    """Return the outlines of the polygons of a shape, clockwise, float64, each shape (n, 2). Holes are left out.

    Parameters
    ----------
    shape : shapely.Geometry
        Polygons, in one collection or by themselves.
    """
    parts = [part.exterior for part in shapely.get_parts(shape) if part.area > 0]
    return [shapely.get_coordinates(part if not part.is_ccw else part.reverse())[:-1] for part in parts]


def drop_needless_vertices(polygon: np.ndarray) -> np.ndarray:
    """Leave out vertices that nearly coincide with another or lie on a straight side.

    Parameters
    ----------
    polygon : float array, shape (n, 2)
        Vertices in a plane.

    Returns
    -------
    float array, shape (m, 2)
    """
    kept = list(np.asarray(polygon, float))
    changed = True
    while changed and len(kept) > 2:
        changed = False
        for i in range(len(kept)):
            before, here, after = kept[i - 1], kept[i], kept[(i + 1) % len(kept)]
            if _needless(before, here, after):
                del kept[i]
                changed = True
                break
    return np.array(kept).reshape(-1, 2)


def signed_area(polygon: np.ndarray) -> float:
    """Return the area of a polygon, negative if it runs clockwise (x to the right, y up).

    Parameters
    ----------
    polygon : float array, shape (n, 2)
        Vertices in a plane.

    Returns
    -------
    float
        In the square of their unit.
    """
    x, y = np.transpose(polygon)
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def contains(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Tell which points, shape (n, 2), are inside a polygon (crossing number), bool, shape (n,).

    Parameters
    ----------
    polygon : float array, shape (m, 2)
        Vertices in a plane.
    points : float array, shape (n, 2)
        In the same plane.
    """
    x, y = np.transpose(points)[:, :, None]
    (x0, y0), (x1, y1) = np.transpose(polygon), np.transpose(np.roll(polygon, -1, axis=0))
    spans = (y0 <= y) != (y1 <= y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return np.count_nonzero(spans & (crossing > x), axis=1) % 2 == 1


def _cut(polygon, axis, limit, sign):
    """Return the part of a polygon where sign * coordinate >= sign * limit."""
    kept = []
    for here, after in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        inside, inside_after = (sign * (point[axis] - limit) >= 0 for point in (here, after))
        if inside:
            kept.append(here)
        if inside != inside_after:
            crossing = here + (after - here) * (limit - here[axis]) / (after[axis] - here[axis])
            crossing[axis] = limit
            kept.append(crossing)
    return np.array(kept).reshape(-1, 2)


def _begun(ring: np.ndarray, sides: Sequence[shapely.LinearRing]) -> np.ndarray:
    """Return a ring from the first of its sides along the first of some outlines that has any."""
    middles = shapely.points((ring + np.roll(ring, -1, axis=0)) / 2)
    for outline in sides:
        on = np.flatnonzero(shapely.distance(outline, middles) < ON_SIDE)
        if len(on):
            first = on[np.argmin(shapely.line_locate_point(outline, middles[on]))]
            return np.roll(ring, -first, axis=0)
    return ring


def _turn(before, after) -> float:
    """Return the angle from one direction to another, counterclockwise, radians."""
    return np.arctan2(before[0] * after[1] - before[1] * after[0], before @ after)


def _needless(before, here, after) -> bool:
    if np.hypot(*(here - before)) < MIN_SEPARATION:
        return True
    return abs(_turn(here - before, after - here)) < MIN_TURN
