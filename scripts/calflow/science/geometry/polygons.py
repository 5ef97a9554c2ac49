"""Plane polygons: clipped to a frame, joined, freed of needless vertices.

A polygon is a float array of shape (n, 2), its vertices x, y in order, not closed: the last
is joined to the first.
"""

from collections.abc import Sequence

import numpy as np

# Vertices nearer than this to the one before are the same vertex, pixels.
MIN_SEPARATION = 0.05
# Sides that turn by less than this (radians) are one side.
MIN_TURN = 1e-6
# Decimals of vertices (pixels) in a union: the first, or the next if that went wrong.
VERTEX_DECIMALS = (5, 3, 1)
# A union went wrong if it is smaller than one of its parts by more than this fraction.
AREA_TOLERANCE = 1e-3
# Outlines of less than this are slivers made by rounding, square pixels.
MIN_AREA = 1e-2
# Ends of sides nearer than this are the same point, pixels.
SNAP = 1e-7
# Distance from a side, in pixels, at which it is asked what lies left and right of it: more than
# rounding errors, less than what anybody sees.
SIDE_STEP = 1e-6


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
    """Tell which convex polygons overlap with one, or come nearer to it than a margin.

    Parameters
    ----------
    one : float array, shape (m, 2)
    others : float array, shape (k, n, 2)
        Vertices may be repeated.
    margin : float

    Returns
    -------
    bool array, shape (k,)

    Notes
    -----
    Two convex polygons are apart if one of their sides has all of one on its one side and all of the other on the
    other side (separating axis theorem). The distance is measured across that side: beyond a corner it may be less than
    the true one by a factor of sqrt(2).
    """
    together = np.ones(len(others), bool)
    for sided in (one[None], others):
        normals = _normals(sided)  # shape (1 or k, sides, 2)
        ours, theirs = (np.swapaxes(points @ np.swapaxes(normals, 1, 2), 1, 2) for points in (one[None], others))
        gaps = np.maximum(ours.min(axis=2) - theirs.max(axis=2), theirs.min(axis=2) - ours.max(axis=2))
        together &= ~(gaps > margin).any(axis=1)
    return together


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
        first. Holes are left out.

    Notes
    -----
    All sides are cut where they meet. A piece is part of the outline if there is a polygon on
    one side of it and none on the other. The pieces are put end to end again.
    """
    polygons = [p if signed_area(p) < 0 else p[::-1] for p in (np.asarray(p, float) for p in polygons)]
    if len(polygons) <= 1:
        return polygons
    largest = max(-signed_area(polygon) for polygon in polygons)
    for decimals in VERTEX_DECIMALS:
        # Sides that nearly coincide, as of exposures without a dither, then do so or are well apart.
        rounded = [np.round(polygon, decimals) for polygon in polygons]
        starts, ends = _outline_pieces(*_cut_sides(rounded), rounded)
        rings = [ring for ring in _chain(starts, ends) if -signed_area(ring) > MIN_AREA]
        if sum(map(signed_area, rings)) < -(1 - AREA_TOLERANCE) * largest:
            break
    return sorted(rings, key=signed_area)


def drop_needless_vertices(polygon: np.ndarray) -> np.ndarray:
    """Leave out vertices that nearly coincide with another or lie on a straight side."""
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
    """Return the area of a polygon, negative if it runs clockwise (x to the right, y up)."""
    x, y = np.transpose(polygon)
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def contains(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Tell which points, shape (n, 2), are inside a polygon (crossing number), bool, shape (n,)."""
    x, y = np.transpose(points)[:, :, None]
    (x0, y0), (x1, y1) = np.transpose(polygon), np.transpose(np.roll(polygon, -1, axis=0))
    spans = (y0 <= y) != (y1 <= y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return np.count_nonzero(spans & (crossing > x), axis=1) % 2 == 1


def _normals(polygons: np.ndarray) -> np.ndarray:
    """Return the unit vectors across the sides of polygons, shape (k, n, 2); 0 for a side without length."""
    sides = np.roll(polygons, -1, axis=1) - polygons
    lengths = np.linalg.norm(sides, axis=-1, keepdims=True)
    sides = np.divide(sides, lengths, out=np.zeros_like(sides), where=lengths > 0)
    return np.stack([sides[..., 1], -sides[..., 0]], axis=-1)


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


def _cut_sides(polygons: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts and ends of all sides, cut where they meet others, each shape (n, 2)."""
    a = np.concatenate(polygons)
    b = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    starts, ends = [], []
    for p, q in zip(a, b, strict=True):
        along = q - p
        length = np.hypot(*along)
        if length <= SNAP:
            continue
        other = b - a
        cross = along[0] * other[:, 1] - along[1] * other[:, 0]
        gap = a - p
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (gap[:, 0] * other[:, 1] - gap[:, 1] * other[:, 0]) / cross
            s = (gap[:, 0] * along[1] - gap[:, 1] * along[0]) / cross
        crossings = t[(s > -SNAP) & (s < 1 + SNAP) & (np.abs(cross) > 0)]
        # Vertices of other sides that lie on this one, as where two sides run along each other.
        offset = np.abs(gap[:, 0] * along[1] - gap[:, 1] * along[0]) / length
        touching = (gap @ along / length**2)[offset < SNAP]
        t = np.concatenate([crossings, touching])
        t = np.unique(np.concatenate([[0.0, 1.0], t[(t > 0) & (t < 1)]]))
        t = t[np.concatenate([[True], np.diff(t) * length > SNAP])]
        t[-1] = 1.0
        points = p + t[:, None] * along
        starts.append(points[:-1])
        ends.append(points[1:])
    return np.concatenate(starts), np.concatenate(ends)


def _outline_pieces(starts, ends, polygons):
    """Keep the pieces with a polygon on one side only, and turn none: it is on their right."""
    along = ends - starts
    normal = np.stack([along[:, 1], -along[:, 0]], axis=-1) / np.hypot(*along.T)[:, None]
    middle = (starts + ends) / 2
    right, left = (
        np.any([contains(polygon, middle + side * SIDE_STEP * normal) for polygon in polygons], axis=0)
        for side in (1, -1)
    )
    kept = right & ~left
    return starts[kept], ends[kept]


def _chain(starts, ends):
    """Put pieces end to end to closed rings; of pieces between the same points one is taken."""
    points, numbers = _distinct(np.concatenate([starts, ends]))
    leaving = {}
    for start, end in np.unique(numbers.reshape(2, -1), axis=1).T.tolist():
        leaving.setdefault(start, []).append(end)
    rings = []
    while leaving:
        ring = [next(iter(leaving))]
        here = _take(leaving, ring[0], None, points)
        while here != ring[0] and here in leaving:
            direction = points[here] - points[ring[-1]]
            ring.append(here)
            here = _take(leaving, here, direction, points)
        rings.append(points[ring])
    return rings


def _distinct(points):
    """Return the points without repetition, and for each given point its number among them."""
    from scipy.spatial import cKDTree

    near = cKDTree(points).query_ball_point(points, SNAP)
    first = np.array([min(neighbours) for neighbours in near], dtype=int)
    kept, numbers = np.unique(first, return_inverse=True)
    return points[kept], numbers


def _take(leaving, here, direction, points) -> int:
    """Take one of the pieces that start at a point, and return where it ends.

    Where outlines touch, the piece that turns most to the left keeps them apart.
    """
    ends = leaving[here]
    i = 0
    if direction is not None and len(ends) > 1:
        i = int(np.argmax([_turn(direction, points[end] - points[here]) for end in ends]))
    end = ends.pop(i)
    if not ends:
        del leaving[here]
    return end


def _turn(before, after) -> float:
    """Return the angle from one direction to another, counterclockwise, radians."""
    return np.arctan2(before[0] * after[1] - before[1] * after[0], before @ after)


def _needless(before, here, after) -> bool:
    if np.hypot(*(here - before)) < MIN_SEPARATION:
        return True
    return abs(_turn(here - before, after - here)) < MIN_TURN
