"""Where the pixels of one image lie in another.

An evaluation of the WCS models for every pixel is slow (seconds for 2048 x 2048), and the
result is smooth: some nodes and a spline between them give the same map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steps.footprints import pixel_bounds

if TYPE_CHECKING:
    from gwcs import WCS

# Distance of the nodes to begin with, and the smallest before every pixel is evaluated.
NODE_STEP = 32
MIN_NODE_STEP = 4
NODE_SPLINE_ORDER = 5
MIN_NODES = 10
# Below this number of pixels along an axis a spline saves nothing.
MIN_SIZE_FOR_SPLINE = 64
# Largest deviation of the spline from the exact map, pixels. Rounding of degrees in float64 makes 1e-8.
MAX_ERROR = 1e-7
SPARSE_ORDERS = (1, 3)


def pixel_map(wcs_in: WCS, wcs_out: WCS, shape: tuple[int, int], stepsize: float = 1.0, order: int = 1) -> np.ndarray:
    """Return the positions of the pixel centres of one image in the pixels of another.

    Only the pixel-to-sky direction of `wcs_in` and the sky-to-pixel direction of `wcs_out` are
    used: the inverse of a distortion is an approximation, that of a projection is exact.

    Parameters
    ----------
    wcs_in : gwcs.WCS
        Of the image the map is for.
    wcs_out : gwcs.WCS
        Of the other image, a map projection.
    shape : (ny, nx)
        Of the image the map is for.
    stepsize : float
        1: within 1e-7 pixel of the exact map. Greater: nodes at about this distance (at least
        10 per axis) and a spline between them, whatever its error.
    order : {1, 3}
        Degree of that spline. Not used with `stepsize` 1.

    Returns
    -------
    float64 array, shape (ny, nx, 2)
        x and y (0-based) in the other image; NaN for pixels outside the bounding box of
        `wcs_in`.

    Raises
    ------
    ValueError
        If `stepsize` is below 1 or `order` is neither 1 nor 3.
    """
    if not stepsize >= 1:
        raise ValueError(f"pixmap_stepsize is {stepsize}; it must be 1 (exact) or greater")
    if order not in SPARSE_ORDERS:
        raise ValueError(f"pixmap_order is {order}; it must be 1 or 3")

    def exact(x, y):
        sky = wcs_in(x, y, with_bounding_box=False)
        return np.stack(wcs_out.invert(*sky, with_bounding_box=False), axis=-1)

    pixmap = np.full((*shape, 2), np.nan)
    rows, columns = _pixels_inside(wcs_in, shape)
    if len(rows) and len(columns):
        part = pixmap[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        if stepsize == 1 or not _fill_by_spline(part, exact, rows, columns, stepsize, order):
            _fill_to_accuracy(part, exact, rows, columns)
    return pixmap


def _pixels_inside(wcs: WCS, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows and of the columns whose centres are in the bounding box."""
    rows, columns = (np.arange(n, dtype=float) for n in shape)
    if wcs.bounding_box is None:
        return rows.astype(int), columns.astype(int)
    (xmin, xmax), (ymin, ymax) = pixel_bounds(wcs)
    return (
        np.flatnonzero((rows >= ymin) & (rows <= ymax)),
        np.flatnonzero((columns >= xmin) & (columns <= xmax)),
    )


def _fill_to_accuracy(pixmap, exact, rows, columns) -> None:
    """Fill a map by a spline that is accurate enough, or exactly."""
    step = NODE_STEP
    while min(len(rows), len(columns)) >= MIN_SIZE_FOR_SPLINE and step >= MIN_NODE_STEP:
        filled = _fill_by_spline(pixmap, exact, rows, columns, step, NODE_SPLINE_ORDER)
        if filled and _largest_error(pixmap, exact, rows, columns, step) <= MAX_ERROR:
            return
        step //= 2
    pixmap[...] = exact(*np.meshgrid(columns.astype(float), rows.astype(float)))


def _fill_by_spline(pixmap, exact, rows, columns, step, order) -> bool:
    """Fill a map by a spline from its values at nodes; return False if one of them has no value.

    A spline through values on a rectangular grid is linear in the values and separable: two
    matrix products, with the splines through unit vectors as the matrices.
    """
    y, x = _nodes(rows, step), _nodes(columns, step)
    values = exact(*np.meshgrid(x, y))
    if not np.isfinite(values).all():
        return False
    to_rows, to_columns = _spline_matrix(y, rows, order), _spline_matrix(x, columns, order)
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


def _largest_error(pixmap, exact, rows, columns, step) -> float:
    """Return the largest deviation from the exact map, at pixels in the middle between nodes."""
    y, x = (np.rint(nodes[:-1] + np.diff(nodes) / 2) for nodes in (_nodes(rows, step), _nodes(columns, step)))
    approximate = pixmap[np.ix_(y.astype(int) - rows[0], x.astype(int) - columns[0])]
    return float(np.abs(approximate - exact(*np.meshgrid(x, y))).max())
