"""Where the pixels of one image lie in another.

An evaluation of the WCS models for every pixel is slow (seconds for 2048 x 2048), and the
result is smooth: some nodes and a spline between them give the same map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from calflow.science.geometry.geometry import Geometry
from calflow.science.geometry.grid_parameters import PixelMapping
from calflow.science.geometry.output_grid import OutputGrid
from calflow.science.geometry.smooth_map import NotSmooth, smooth_map
from calflow.science.parameters import check_values

# Largest deviation from the exact map, pixels. Rounding of degrees in float64 makes 1e-8.
MAX_ERROR = 1e-7
# An image with fewer pixels on an axis is evaluated pixel by pixel.
MIN_SIZE_FOR_FIT = 16
MIN_NODES = 10
# Pixels around the outermost pixel centres that a window takes in.
MARGIN = 8

Interval = tuple[float, float]


def pixel_map(
    to_output: Callable[[np.ndarray, np.ndarray], np.ndarray],
    shape: tuple[int, int],
    bounds: tuple[Interval, Interval] | None = None,
    stepsize: float = PixelMapping.pixmap_stepsize,
    order: int = PixelMapping.pixmap_order,
    part: slice | None = None,
) -> np.ndarray:
    """Return the positions of the pixel centres of one image in the pixels of another.

    Parameters
    ----------
    to_output : callable
        Takes x and y of the image the map is for, returns positions in the other image, shape
        (..., 2). It should go through the pixel-to-sky direction of the one and the
        sky-to-pixel direction of the other, a map projection: the inverse of a distortion is
        an approximation, that of a projection is exact.
    shape : (ny, nx)
        Of the image the map is for.
    bounds : ((xmin, xmax), (ymin, ymax)) or None
        Its bounding box. None: all of it.
    stepsize : float
        1: within 1e-7 pixel of the exact map. Greater: nodes at about this distance (at least
        10 per axis) and a spline between them, whatever its error.
    order : {1, 3}
        Degree of that spline. Not used with `stepsize` 1.
    part : slice or None
        Rows for which the map is wanted; None: all.

    Returns
    -------
    float64 array, shape (ny, nx, 2)
        x and y (0-based) in the other image, of the rows that are wanted; NaN for pixels outside the bounds.

    Raises
    ------
    ValueError
        If `stepsize` is below 1 or `order` is neither 1 nor 3.
    """
    check_values(PixelMapping, pixmap_stepsize=stepsize, pixmap_order=order)
    first, stop, _ = (part or slice(None)).indices(shape[0])
    pixmap = np.empty((stop - first, shape[1], 2))
    rows, columns = _pixels_inside(bounds, shape)
    wanted = rows[(rows >= first) & (rows < stop)]
    if (len(wanted), len(columns)) != pixmap.shape[:2]:
        pixmap[...] = np.nan
    if len(wanted) and len(columns):
        inside = pixmap[wanted[0] - first : wanted[-1] + 1 - first, columns[0] : columns[-1] + 1]
        if stepsize == 1 or not _fill_by_spline(inside, to_output, rows, columns, stepsize, order, wanted):
            _fill_to_accuracy(inside, to_output, rows, columns, wanted)
    return pixmap


def map_to_grid(
    geometry: Geometry,
    grid: OutputGrid,
    stepsize: float = PixelMapping.pixmap_stepsize,
    order: int = PixelMapping.pixmap_order,
    part: slice | None = None,
) -> np.ndarray:
    """Return where the pixels of an exposure lie on a grid; see `pixel_map`.

    Parameters
    ----------
    geometry : Geometry
        Of the exposure.
    grid : OutputGrid
    stepsize, order, part : float, int, slice or None
        As of `pixel_map`.

    Returns
    -------
    float64 array, shape (ny, nx, 2)
        x and y of each pixel in the grid, 0-based; NaN for pixels outside the bounding box.
    """

    def to_output(x, y):
        return grid.to_pixel(geometry.sky(x, y))

    return pixel_map(to_output, geometry.shape, geometry.bounds, stepsize, order, part)


def pixel_range(bounds: tuple[Interval, Interval], shape: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and last columns and rows, last included, of an image that its bounding box takes in.

    Parameters
    ----------
    bounds : ((xmin, xmax), (ymin, ymax))
    shape : (ny, nx)
    """
    (x, y), (ny, nx) = bounds, shape
    return _pixels_between(*x, nx), _pixels_between(*y, ny)


def covered_window(positions: Iterable[np.ndarray], shape: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the rows and columns ((y0, y1), (x0, x1)), ends not included, that images reach in another one.

    Parameters
    ----------
    positions : iterable of float64 array, shape (..., 2)
        Where the edges of the images lie in the other one; NaN: nowhere.
    shape : (ny, nx)
        Of the other image.
    """
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for points in positions:
        points = np.reshape(points, (-1, 2))
        if np.isfinite(points).any():
            low = np.minimum(low, np.nanmin(points, axis=0))
            high = np.maximum(high, np.nanmax(points, axis=0))
    if not np.isfinite(low).all():
        return (0, 0), (0, 0)
    # A pixel reaches around its centre by its half diagonal; the scale of the pixels may differ.
    (x0, y0), (x1, y1) = np.floor(low).astype(int) - MARGIN, np.ceil(high).astype(int) + MARGIN + 1
    ny, nx = shape
    return (min(max(int(y0), 0), ny), min(max(int(y1), 0), ny)), (min(max(int(x0), 0), nx), min(max(int(x1), 0), nx))


def _pixels_inside(bounds, shape) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows and of the columns whose centres are within the bounds."""
    rows, columns = (np.arange(n, dtype=float) for n in shape)
    if bounds is None:
        return rows.astype(int), columns.astype(int)
    (xmin, xmax), (ymin, ymax) = bounds
    return (
        np.flatnonzero((rows >= ymin) & (rows <= ymax)),
        np.flatnonzero((columns >= xmin) & (columns <= xmax)),
    )


def _pixels_between(low: float, high: float, n: int) -> tuple[int, int]:
    return max(0, int(low + 0.5)), min(n - 1, int(high + 0.5))


def _fill_to_accuracy(pixmap, exact, rows, columns, wanted) -> None:
    """Fill the wanted rows of a map by polynomials that are accurate enough, or exactly."""
    if min(len(rows), len(columns)) >= MIN_SIZE_FOR_FIT:
        try:
            approximation = smooth_map(exact, (columns[0], columns[-1]), (rows[0], rows[-1]), MAX_ERROR)
        except NotSmooth:
            pass
        else:
            approximation.on_grid(columns, wanted, out=pixmap)
            return
    pixmap[...] = exact(*np.meshgrid(columns.astype(float), wanted.astype(float)))


def _fill_by_spline(pixmap, exact, rows, columns, step, order, wanted) -> bool:
    """Fill the wanted rows of a map by a spline from its values at nodes; return False if one of them has no value.

    A spline through values on a rectangular grid is linear in the values and separable: two
    matrix products, with the splines through unit vectors as the matrices.
    """
    y, x = _nodes(rows, step), _nodes(columns, step)
    values = exact(*np.meshgrid(x, y))
    if not np.isfinite(values).all():
        return False
    to_rows, to_columns = _spline_matrix(y, wanted, order), _spline_matrix(x, columns, order)
    for axis in (0, 1):
        pixmap[..., axis] = to_rows @ values[..., axis] @ to_columns.T
    return True


def _nodes(pixels: np.ndarray, step: float) -> np.ndarray:
    """Return evenly spaced positions from the first to the last pixel, about `step` apart."""
    return np.linspace(pixels[0], pixels[-1], max(MIN_NODES, int(np.ceil(len(pixels) / step))))


def _spline_matrix(nodes: np.ndarray, pixels: np.ndarray, order: int) -> np.ndarray:
    """Return the matrix from values at nodes to values at pixels, shape (pixels, nodes)."""
    from scipy.interpolate import make_interp_spline

    return make_interp_spline(nodes, np.eye(len(nodes)), k=order)(pixels)
