"""The square kernel of drizzle (Fruchter and Hook 2002), for several planes of an exposure at once.

Most of the time of drizzle goes into the overlaps of input and output pixels, and they are the
same for all planes. Here they are computed once: four planes cost little more than one. Most input
pixels meet two rows and two columns of the output, and the corner where these meet lies within
them: then each overlap is two triangles, and nothing need be cut. The drizzle
package gives the same weights and means within the rounding of single precision; that is the test
of this module. It needs numba, and knows drops of the size of the pixel (pixfrac 1) only.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numba
import numpy as np
from numba import njit

from calflow.patches import drizzle_polygons
from calflow.science.threads import in_threads

if getattr(numba.config, "DISABLE_JIT", False):
    raise ImportError("numba is told not to compile: the drizzle package is faster than Python")

Bounds = tuple[tuple[int, int], tuple[int, int]]
Point = tuple[float, float]

# How well drizzle finds the input position of an output position, pixels.
POSITION_ERROR = 0.03
SAME_VERTEX = 1e-12
# Least product, output pixels squared, of the distances from a corner to the sides of an input pixel left and right of
# it, and above and below, for the corner to be taken for one within it.
SMALLEST_PRODUCT = 1e-6
# Output columns for which the overlaps of an input pixel, which may be a large one, are kept in mind.
COLUMNS_AT_ONCE = 64
# Input pixels of a row whose overlaps are found at once: what is noted of them stays in the cache of the processor.
AT_ONCE = 256
# In place of the row of an output pixel: there is none.
NONE = -1e300


def add_image(
    sci: np.ndarray,
    wht: np.ndarray,
    data: np.ndarray,
    weight: np.ndarray,
    pixmap: np.ndarray,
    bounds: Bounds,
    window: tuple[slice, slice],
    *,
    context: np.ndarray | None = None,
    bit: int = 0,
    planes: np.ndarray | None = None,
    planes_out: np.ndarray | None = None,
    planes_wht: np.ndarray | None = None,
    threads: int = 1,
    limits: np.ndarray | None = None,
) -> None:
    """Add an exposure to sums of weighted values, and give the weighted means of further planes of it.

    Parameters
    ----------
    sci, wht : float32 array, shape (ny, nx)
        The sum of weight times value, and that of the weights; zero to begin with. Changed in place.
    data, weight : float32 array, shape (my, mx)
        The exposure. Pixels of weight zero do not contribute.
    pixmap : float64 array, shape (my, mx, 2)
        x and y of each pixel in the output; NaN for none.
    bounds : ((xmin, xmax), (ymin, ymax))
        The part of the exposure to use, last included. Each outermost row and column of it must
        have a pixel with a position.
    window : (rows, columns)
        Part of the output within which the exposure lies.
    context : int32 array, shape (ny, nx), or None
        Gets a bit where the exposure contributes.
    bit : int
        The number of that bit.
    planes : float32 array, shape (k, my, mx), or None
        Further planes of the exposure.
    planes_out : float32 array, or None
        With `planes_wht`, shape of the window: get their means, as if each plane were an image; zero to
        begin with. Without, shape (k, ny, nx): variances of the mean, from variances as planes:
        sum((w a)^2 v) / sum(w a)^2, where a is the overlap and w the weight.
    planes_wht : float32 array, shape of the window, or None
        The weights of the means of the planes.
    threads : int
        Each takes some of the output rows; the result does not depend on it.
    limits : int64 array, shape (my, 2), or None
        Those of the rows, if they are some of an exposure: `scan_limits` looks at all of it.
    """
    rows, columns = window
    squared = planes is not None and planes_wht is None
    nothing, no_planes = np.empty((0, 0), np.float32), np.empty((0, 0, 0), np.float32)
    arguments = (
        np.ascontiguousarray(pixmap, np.float64),
        scan_limits(pixmap, sci.shape, bounds) if limits is None else limits,
        *(np.require(plane, np.float32, ["C", "W"]) for plane in (data, weight)),
        no_planes if planes is None else planes,
        sci,
        wht,
        nothing.astype(np.int32) if context is None else context,
        1 << bit,
        no_planes if planes_out is None else planes_out,
        nothing if planes_wht is None else planes_wht,
        0 if squared else columns.start,
        0 if squared else rows.start,
        squared,
        columns.start,
        columns.stop - 1,
    )
    add_rows: Callable[..., None] = _add_rows
    edges = np.linspace(rows.start, rows.stop, threads + 1).astype(int).tolist()
    in_threads(lambda strip: add_rows(*arguments, strip[0], strip[1] - 1), list(pairwise(edges)), threads)


def start_kernel() -> None:
    """Compile what this module compiles, or load it from where it is kept, which the first image would do."""
    shape = (2, 2)
    pixmap = np.stack(np.meshgrid(*map(np.arange, shape), indexing="xy"), axis=-1).astype(np.float64)
    sci, wht, data = np.zeros((3, *shape), np.float32)
    add_image(sci, wht, data, np.ones_like(data), pixmap, ((0, 1), (0, 1)), (slice(0, 2), slice(0, 2)))


def scan_limits(pixmap: np.ndarray, shape: tuple[int, int], bounds: Bounds) -> np.ndarray:
    """Return the first and last column of each input row that drizzle looks at.

    At the edge of the output it takes pixels that lie within the output wholly; ones that are
    cut by it get lost, or not, depending on the direction of the edge.

    Parameters
    ----------
    pixmap : float64 array, shape (ny, nx, 2)
    shape : (ny, nx)
        Of the output.
    bounds : ((xmin, xmax), (ymin, ymax))
        The part of the input to use, as small as can be: each outermost row and column has a
        pixel with a position.

    Returns
    -------
    int64 array, shape (ny, 2)
        The last one included; (0, -1) for rows that are left out.
    """
    limits = np.tile(np.array([0, -1]), (len(pixmap), 1))
    polygon = _seen_part(pixmap, shape, bounds)
    if len(polygon) < 3:
        return limits
    left, right = (_Side(vertices, sign) for vertices, sign in zip(_sides(polygon), (-1, 1), strict=True))
    lowest, highest = min(y for _, y in polygon), max(y for _, y in polygon)
    (xmin, xmax), (_, ymax) = bounds
    first, last = max(0, int(lowest + 0.5 + 2 * POSITION_ERROR)), min(ymax, int(highest + 2 * POSITION_ERROR))
    for y in range(first, last + 1):
        if y + 0.5 <= lowest or y - 0.5 >= highest + 1:
            continue
        starts, ends = left.crossings(y), right.crossings(y)
        if starts is None or ends is None:
            break
        # The order of the arguments of max() and min() matters for NaN, which a horizontal side gives.
        starts = [max(x, xmin) for x in starts]
        ends = [min(x, xmax) for x in ends]
        if starts[1] >= ends[1]:
            if starts[0] >= ends[0]:
                continue
            start, end = starts[0], ends[0]
        elif starts[0] >= ends[0]:
            start, end = starts[1], ends[1]
        else:
            start = max(starts[1], starts[0])
            end = min(ends[1], ends[0])
        if not math.isnan(start + end):
            limits[y] = _nearest(start), _nearest(end)
    return limits


def _seen_part(pixmap, shape, bounds) -> list[Point]:
    """Return the outline, in input pixels, of the part of the input that the output shows."""
    (xmin, xmax), (ymin, ymax) = bounds
    box = [
        (xmin - 0.5, ymin - 0.5),
        (xmax + 0.5, ymin - 0.5),
        (xmax + 0.5, ymax + 0.5),
        (xmin - 0.5, ymax + 0.5),
    ]
    corners = np.array([_position(pixmap, *corner) for corner in box])
    if np.isnan(corners).any():
        return box
    ny, nx = shape
    frame = np.array([(-0.5, -0.5), (nx - 0.5, -0.5), (nx - 0.5, ny - 0.5), (-0.5, ny - 0.5)])
    # invert_pixmap rounds outer pixel edges to pixels, towards zero.
    inner = np.array([(xmin + 1.0, xmax), (ymin + 1.0, ymax)])
    clip_polygon, invert_pixmap = drizzle_polygons()
    polygon: list[Point] = []
    for vertex in clip_polygon(corners, frame):
        found = invert_pixmap(pixmap, np.array(vertex), inner)
        if found is None:
            return polygon
        x, y = map(float, found)
        if not any(_same(x, y, *polygon[k]) for k in (-1, 0) if polygon):
            polygon.append((x, y))
    return polygon if _is_counterclockwise(polygon) else polygon[::-1]


def _position(pixmap, x: float, y: float) -> Point:
    """Return the output position of an input position: bilinear, extrapolated at the edges."""
    ny, nx = pixmap.shape[:2]
    i, j = min(max(int(x), 0), nx - 2), min(max(int(y), 0), ny - 2)
    x, y = x - i, y - j
    x1, y1 = 1.0 - x, 1.0 - y
    low, high = pixmap[j, i : i + 2].tolist(), pixmap[j + 1, i : i + 2].tolist()
    at = [low[0][k] * x1 * y1 + low[1][k] * x * y1 + high[0][k] * x1 * y + high[1][k] * x * y for k in (0, 1)]
    return at[0], at[1]


def _same(x1, y1, x2, y2) -> bool:
    return abs(x1 - x2) < SAME_VERTEX and abs(y1 - y2) < SAME_VERTEX


def _is_counterclockwise(polygon: list[Point]) -> bool:
    if len(polygon) < 3:
        return True
    x0 = y0 = 0.0
    for x, y in polygon:
        x0, y0 = x0 + x, y0 + y
    x0, y0 = x0 / len(polygon), y0 / len(polygon)
    (x1, y1), (x2, y2) = polygon[:2]
    return (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0) >= 0


def _sides(polygon: list[Point]) -> tuple[list[Point], list[Point]]:
    """Return the vertices of the left and of the right side, each from the lowest to the highest."""
    n = len(polygon)
    y = [vertex[1] for vertex in polygon]
    lowest, highest = min(range(n), key=y.__getitem__), max(range(n), key=y.__getitem__)
    min_left = min_right = lowest
    before, after = (lowest - 1) % n, (lowest + 1) % n
    other = before if y[before] < y[after] else after
    if y[other] <= y[lowest] * (1 + math.copysign(SAME_VERTEX, y[lowest])):
        min_left, min_right = sorted((lowest, other), key=lambda k: polygon[k][0])
    max_left = max_right = highest
    before, after = (highest - 1) % n, (highest + 1) % n
    other = before if y[before] > y[after] else after
    if y[other] >= y[highest] * (1 - math.copysign(SAME_VERTEX, y[highest])):
        max_left, max_right = sorted((highest, other), key=lambda k: polygon[k][0])
    left = [polygon[(min_left - k) % n] for k in range((min_left - max_left) % n + 1)]
    right = [polygon[(min_right + k) % n] for k in range((max_right - min_right) % n + 1)]
    return left, right


class _Side:
    """The left (-1) or the right (+1) side of a polygon, walked along upwards."""

    def __init__(self, vertices: list[Point], sign: int):
        self._error = sign * POSITION_ERROR
        self._edges = []
        for (x1, y1), (x2, y2) in pairwise(vertices):
            with np.errstate(divide="ignore", invalid="ignore"):
                slope, start = (np.array([x2 - x1, x1 * y2 - y1 * x2]) / (y2 - y1)).tolist()
            # Moved inwards, so that a whole pixel, not its centre, fits.
            start -= sign * (0.5 + 0.5 * abs(slope))
            self._edges.append((slope, start, y2))

    def crossings(self, y: int) -> list[float] | None:
        """Return the columns of the side near the lower and the upper edge of a row, None above its end."""
        columns = []
        for height, margin in ((y - 0.5, 0.0), (y + 0.5, 0.5 + POSITION_ERROR)):
            while self._edges and height > self._edges[0][2] + margin:
                self._edges.pop(0)
            if not self._edges:
                return None
            slope, start, _ = self._edges[0]
            columns.append(slope * y + start + self._error)
        return columns


def _nearest(x):
    """Round half up; x + 0.5 would be rounded itself."""
    below = math.floor(x)
    return below + 1 if x - below >= 0.5 else below


@njit(error_model="numpy")
def _corner_row(pixmap, row, x, y):
    """Fill `x` and `y` with the output positions of the pixel corners below a row of pixels."""
    ny, nx = pixmap.shape[0], pixmap.shape[1]
    j = min(max(row - 1, 0), ny - 2)
    v = row - 0.5 - j
    v1 = 1.0 - v
    low, high = pixmap[j], pixmap[j + 1]
    for i in range(nx - 1):
        x[i + 1] = low[i, 0] * 0.5 * v1 + low[i + 1, 0] * 0.5 * v1 + high[i, 0] * 0.5 * v + high[i + 1, 0] * 0.5 * v
        y[i + 1] = low[i, 1] * 0.5 * v1 + low[i + 1, 1] * 0.5 * v1 + high[i, 1] * 0.5 * v + high[i + 1, 1] * 0.5 * v
    for column in (0, nx):  # extrapolated
        i = 0 if column == 0 else nx - 2
        u = column - 0.5 - i
        u1 = 1.0 - u
        x[column] = low[i, 0] * u1 * v1 + low[i + 1, 0] * u * v1 + high[i, 0] * u1 * v + high[i + 1, 0] * u * v
        y[column] = low[i, 1] * u1 * v1 + low[i + 1, 1] * u * v1 + high[i, 1] * u1 * v + high[i + 1, 1] * u * v


@njit(error_model="numpy")
def _edge_in_column(x1, x2, dx, slope):
    """Return the part of an edge that lies in the column 0..1.

    Returns
    -------
    sign, left, right, rise_left, rise_right : float
        Direction of the edge, 0 if nothing of it is there; where the part begins and ends, and
        how far above the first point of the edge.
    """
    if dx == 0.0:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    if dx < 0.0:
        sign, left, right = -1.0, x2, x1
    else:
        sign, left, right = 1.0, x1, x2
    if left >= 1.0 or right <= 0.0:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    left, right = max(left, 0.0), min(right, 1.0)
    return sign, left, right, slope * (left - x1), slope * (right - x1)


@njit(error_model="numpy")
def _area_below(part, x1, y1, x2, y2, dx, dy):
    """Return the signed area of the unit square below an edge, of which `part` lies in its column."""
    sign, left, right, rise_left, rise_right = part
    if sign == 0.0:
        return 0.0
    y_left, y_right = y1 + rise_left, y1 + rise_right
    if y_left <= 0.0 and y_right <= 0.0:
        return 0.0
    if y_left >= 1.0 and y_right >= 1.0:
        return sign * (right - left)
    det = x1 * y2 - y1 * x2
    if y_left < 0.0:
        y_left, left = 0.0, det / dy
    if y_right < 0.0:
        y_right, right = 0.0, det / dy
    if y_left <= 1.0 and y_right <= 1.0:
        return sign * 0.5 * (right - left) * (y_right + y_left)
    top = (dx + det) / dy
    if y_left <= 1.0:
        return sign * (0.5 * (top - left) * (1.0 + y_left) + right - top)
    return sign * (0.5 * (right - top) * (1.0 + y_right) + top - left)


@njit(error_model="numpy")
def _find_overlaps(quadrilateral, box, rows, columns, areas):
    """Find the areas that a quadrilateral has in common with the output pixels of a box.

    Parameters
    ----------
    quadrilateral : 8 float64
        x and y of its corners, in order.
    box : 4 int64
        First and last row, first and last column, within which it lies.
    rows, columns : int64 array
        Get the output pixels that it meets.
    areas : float64 array
        Gets how much of it lies in each; negative if its corners are in clockwise order.

    Returns
    -------
    int
        Their number.
    """
    ax, ay, bx, by, cx, cy, dx, dy = quadrilateral
    row1, row2, column1, column2 = box
    abx, bcx, cdx, dax = bx - ax, cx - bx, dx - cx, ax - dx
    aby, bcy, cdy, day = by - ay, cy - by, dy - cy, ay - dy
    ab, bc, cd, da = aby / abx, bcy / bcx, cdy / cdx, day / dax
    n = 0
    for column in range(column1, column2 + 1):
        u = column - 0.5
        au, bu, cu, du = ax - u, bx - u, cx - u, dx - u
        ab_part = _edge_in_column(au, bu, abx, ab)
        bc_part = _edge_in_column(bu, cu, bcx, bc)
        cd_part = _edge_in_column(cu, du, cdx, cd)
        da_part = _edge_in_column(du, au, dax, da)
        for row in range(row1, row2 + 1):
            v = row - 0.5
            av, bv, cv, dv = ay - v, by - v, cy - v, dy - v
            area = _area_below(ab_part, au, av, bu, bv, abx, aby)
            area += _area_below(bc_part, bu, bv, cu, cv, bcx, bcy)
            area += _area_below(cd_part, cu, cv, du, dv, cdx, cdy)
            area += _area_below(da_part, du, dv, au, av, dax, day)
            if area != 0.0:
                rows[n], columns[n], areas[n] = row, column, area
                n += 1
    return n


@njit(error_model="numpy")
def _share_among_four(x_high, y_high, x_low, y_low, weight, n, shares):
    """Find which pixels of a row meet two rows and two columns of the output, whose corner lies within; give shares.

    Each corner of such a pixel lies in another of the four output pixels, and what it has in common with that are two
    triangles on the line from its corner to that of the output pixels. There are no branches, so that the compiler has
    several pixels worked on by each instruction.

    Parameters
    ----------
    x_high, y_high, x_low, y_low : float64 array, shape (n + 1 or more,)
        Where the upper and lower corners of the pixels lie in the output.
    weight : float32 array, shape (n or more,)
    n : int
        How many pixels, `AT_ONCE` at the most.
    shares : float64 array, shape (6 * AT_ONCE,)
        Gets, `AT_ONCE` numbers of each: the weight in the lower left, the lower right, the upper left and the upper
        right output pixel; row and column of the lower left one. The row of a pixel that is not such is `NONE`.
    """
    for i in range(n):
        ax, bx, cx, dx = x_high[i], x_high[i + 1], x_low[i + 1], x_low[i]
        ay, by, cy, dy = y_high[i], y_high[i + 1], y_low[i + 1], y_low[i]
        total = ax + bx + cx + dx + ay + by + cy + dy
        per_area = weight[i] / abs(0.5 * ((bx - dx) * (ay - cy) - (ax - cx) * (by - dy)))
        row = math.floor(min(min(ay, by), min(cy, dy)) + 0.5)
        column = math.floor(min(min(ax, bx), min(cx, dx)) + 0.5)
        last_row = math.floor(max(max(ay, by), max(cy, dy)) + 0.5)
        last_column = math.floor(max(max(ax, bx), max(cx, dx)) + 0.5)
        x, y = column + 0.5, row + 0.5
        ax, bx, cx, dx = ax - x, bx - x, cx - x, dx - x
        ay, by, cy, dy = ay - y, by - y, cy - y, dy - y
        # Where its sides meet the lines that part the output pixels
        ab, cd = ay - ax * ((by - ay) / (bx - ax)), dy - dx * ((cy - dy) / (cx - dx))
        da, bc = ax - ay * ((dx - ax) / (dy - ay)), bx - by * ((cx - bx) / (cy - by))
        is_such = (total - total == 0.0) & (last_row == row + 1.0) & (last_column == column + 1.0)
        is_such &= (ax * bx < 0.0) & (cx * dx < 0.0) & (ay * dy < 0.0) & (by * cy < 0.0)
        is_such &= (ab * cd <= -SMALLEST_PRODUCT) & (da * bc <= -SMALLEST_PRODUCT)
        a, b = 0.5 * abs(ax * ab + ay * da), 0.5 * abs(bx * ab + by * bc)
        c, d = 0.5 * abs(cx * cd + cy * bc), 0.5 * abs(dx * cd + dy * da)
        # Its corners may be in any order.
        left, right = (b if ax > 0.0 else a), (a if ax > 0.0 else b)
        lower_left, lower_right = (c if ax > 0.0 else d), (d if ax > 0.0 else c)
        shares[i] = per_area * (left if ay < 0.0 else lower_left)
        shares[AT_ONCE + i] = per_area * (right if ay < 0.0 else lower_right)
        shares[2 * AT_ONCE + i] = per_area * (lower_left if ay < 0.0 else left)
        shares[3 * AT_ONCE + i] = per_area * (lower_right if ay < 0.0 else right)
        shares[4 * AT_ONCE + i] = row if is_such else NONE
        shares[5 * AT_ONCE + i] = column


@njit(error_model="numpy")
def _four_of(shares, i):
    """Return the shares of the four output pixels that `_share_among_four` has found for a pixel, float32."""
    return (
        np.float32(shares[i]),
        np.float32(shares[AT_ONCE + i]),
        np.float32(shares[2 * AT_ONCE + i]),
        np.float32(shares[3 * AT_ONCE + i]),
    )


@njit(error_model="numpy")
def _reaches(y_high, y_low, n, first_row, last_row):
    """Tell whether pixels with these corners may reach some rows of the output."""
    lowest, highest = np.inf, -np.inf
    for i in range(n + 1):
        lowest = min(lowest, y_high[i], y_low[i])
        highest = max(highest, y_high[i], y_low[i])
    return not (lowest + 0.5 >= last_row + 1 or highest + 0.5 < first_row)  # true for NaN


@njit(error_model="numpy")
def _mark_four(context, at, nx, shares, bit):
    """Set the bit of an exposure where four pixels have a share of it."""
    for k in range(4):
        if shares[k] > 0.0:
            context[at + np.uint64(k // 2) * nx + np.uint64(k % 2)] |= bit


@njit(error_model="numpy")
def _add_to_four(plane, at, nx, shares, value):
    """Add shares of a value to four pixels of a flat plane, of which `at` is the lower left one."""
    above, one = at + nx, np.uint64(1)
    plane[at] += shares[0] * value
    plane[at + one] += shares[1] * value
    plane[above] += shares[2] * value
    plane[above + one] += shares[3] * value


@njit(error_model="numpy")
def _only_within(box, n, rows, columns, areas):
    """Leave out the output pixels that are not in a box; return how many are left."""
    row1, row2, column1, column2 = box
    kept = 0
    for k in range(n):
        if row1 <= rows[k] <= row2 and column1 <= columns[k] <= column2:
            rows[kept], columns[kept], areas[kept] = rows[k], columns[k], areas[k]
            kept += 1
    return kept


@njit(error_model="numpy")
def _variance(variance, weight, value, added):
    """Return the variance of such a mean, `value` being that of the value."""
    if weight == 0.0:
        return value
    total = np.float64(weight + added)
    return np.float32((variance * np.float64(weight * weight) + np.float64(added * added) * value) / (total * total))


@njit(
    "void(f8[:,:,::1], i8[:,::1], f4[:,::1], f4[:,::1], f4[:,:,::1], f4[:,::1], f4[:,::1], i4[:,::1], i8,"
    " f4[:,:,::1], f4[:,::1], i8, i8, b1, i8, i8, i8, i8)",
    error_model="numpy",  # divisions by zero give inf, as in C
    nogil=True,
    cache=True,  # one signature only, so that processes that compile at the same time write the same
)
def _add_rows(
    pixmap,
    limits,
    data,
    weight,
    planes,
    sci,
    wht,
    context,
    bit,
    planes_out,
    planes_wht,
    x0,
    y0,
    squared,
    first_column,
    last_column,
    first_row,
    last_row,
):
    """Add an exposure to a part of the output."""
    my, mx = data.shape
    # Flat, and with indices that are never negative: numba would look for such as count from the end.
    nx, nx_planes, origin = np.uint64(wht.shape[1]), np.uint64(planes_wht.shape[1]), np.uint64(0)
    if not squared:
        origin = np.uint64(y0) * nx_planes + np.uint64(x0)
    sci, wht, context, sum_wht = sci.ravel(), wht.ravel(), context.ravel(), planes_wht.ravel()
    sums = planes_out.reshape((len(planes_out), planes_out.shape[1] * planes_out.shape[2]))
    size = max(4, COLUMNS_AT_ONCE * (last_row - first_row + 1))
    rows, columns, areas = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size)
    place, added, shares = np.empty(size, np.uint64), np.empty(size, np.float32), np.empty(6 * AT_ONCE)
    x_low, x_high, y_low, y_high = np.empty(mx + 1), np.empty(mx + 1), np.empty(mx + 1), np.empty(mx + 1)
    below = -1
    for j in range(my):
        if limits[j, 0] > limits[j, 1]:
            continue
        if below == j:
            x_low, x_high, y_low, y_high = x_high, x_low, y_high, y_low
        else:
            _corner_row(pixmap, j, x_low, y_low)
        _corner_row(pixmap, j + 1, x_high, y_high)
        below = j + 1
        for start in range(limits[j, 0], limits[j, 1] + 1, AT_ONCE):
            at_once = min(AT_ONCE, limits[j, 1] + 1 - start)
            highs, lows = (x_high[start:], y_high[start:]), (x_low[start:], y_low[start:])
            if not _reaches(highs[1], lows[1], at_once, first_row, last_row):
                continue
            weights = weight[j, start:]
            _share_among_four(highs[0], highs[1], lows[0], lows[1], weights, at_once, shares)
            for k in range(at_once):
                if weights[k] == 0.0:
                    continue
                i = start + k
                is_such = shares[4 * AT_ONCE + k] != NONE
                if is_such:
                    row1, column1 = int(shares[4 * AT_ONCE + k]), int(shares[5 * AT_ONCE + k])
                    inside = first_row <= row1 < last_row and first_column <= column1 < last_column
                    if inside and not squared:
                        # Nearly all of them: without arrays between.
                        four, value = _four_of(shares, k), data[j, i]
                        at = np.uint64(row1) * nx + np.uint64(column1)
                        _add_to_four(sci, at, nx, four, value)
                        _add_to_four(wht, at, nx, four, np.float32(1))
                        if len(context):
                            _mark_four(context, at, nx, four, bit)
                        if len(sum_wht):
                            at = np.uint64(row1) * nx_planes + np.uint64(column1) - origin
                            _add_to_four(sum_wht, at, nx_planes, four, np.float32(1))
                            for p in range(len(sums)):
                                _add_to_four(sums[p], at, nx_planes, four, planes[p, j, i])
                        continue
                ax, bx, cx, dx = x_high[i], x_high[i + 1], x_low[i + 1], x_low[i]
                ay, by, cy, dy = y_high[i], y_high[i + 1], y_low[i + 1], y_low[i]
                if not math.isfinite(ax + bx + cx + dx + ay + by + cy + dy):
                    continue
                row1, row2 = math.floor(min(ay, by, cy, dy) + 0.5), math.floor(max(ay, by, cy, dy) + 0.5)
                column1, column2 = math.floor(min(ax, bx, cx, dx) + 0.5), math.floor(max(ax, bx, cx, dx) + 0.5)
                box = max(row1, first_row), min(row2, last_row), max(column1, first_column), min(column2, last_column)
                if box[0] > box[1]:
                    continue
                quadrilateral = ax, ay, bx, by, cx, cy, dx, dy
                per_area = weights[k] / abs(0.5 * ((bx - dx) * (ay - cy) - (ax - cx) * (by - dy)))
                value, n = data[j, i], 0
                if is_such:
                    # Which way it is must not depend on the box: that depends on the number of threads.
                    rows[0] = rows[1] = row1
                    rows[2] = rows[3] = row2
                    columns[0] = columns[2] = column1
                    columns[1] = columns[3] = column2
                    for m in range(4):
                        areas[m] = shares[m * AT_ONCE + k]
                    n, per_area = _only_within(box, 4, rows, columns, areas), 1.0
                column = box[2]
                while column <= box[3]:
                    last = box[3] if is_such else min(box[3], column + COLUMNS_AT_ONCE - 1)
                    if not is_such:
                        n = _find_overlaps(quadrilateral, (box[0], box[1], column, last), rows, columns, areas)
                    column = last + 1
                    if squared:
                        for m in range(n):
                            at, share = (
                                np.uint64(rows[m]) * nx + np.uint64(columns[m]),
                                np.float32(per_area * abs(areas[m])),
                            )
                            for p in range(len(sums)):
                                sums[p, at] = _variance(sums[p, at], wht[at], planes[p, j, i], share)
                    # Short loops, each over few arrays, are compiled to the fastest code.
                    for m in range(n):
                        at = np.uint64(rows[m]) * nx + np.uint64(columns[m])
                        share = np.float32(per_area * abs(areas[m]))
                        place[m], added[m] = at, share
                        sci[at] += share * value
                        wht[at] += share
                    if len(context):
                        for m in range(n):
                            if added[m] > 0.0:
                                context[place[m]] |= bit
                    if len(sum_wht):
                        for m in range(n):
                            place[m] = np.uint64(rows[m]) * nx_planes + np.uint64(columns[m]) - origin
                            sum_wht[place[m]] += added[m]
                        for p in range(len(sums)):
                            for m in range(n):
                                sums[p, place[m]] += added[m] * planes[p, j, i]
    for row in range(first_row - y0, last_row + 1 - y0 if len(sum_wht) else 0):
        for column in range(planes_wht.shape[1]):
            if planes_wht[row, column] != 0.0:
                for p in range(len(sums)):
                    planes_out[p, row, column] /= planes_wht[row, column]
