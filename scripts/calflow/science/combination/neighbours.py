"""Pixels chosen of an image, and the values beside them, without a plane for each neighbour."""

from collections.abc import Iterator

import numpy as np

Positions = tuple[np.ndarray, np.ndarray]

PIXELS_AT_A_TIME = 1 << 15


def parts_of(mask: np.ndarray) -> Iterator[Positions]:
    """Give the positions of True, so many at a time.

    Parameters
    ----------
    mask : bool array, shape (ny, nx)

    Yields
    ------
    int arrays y, x, shape (n,)
        At most `PIXELS_AT_A_TIME`, row by row.
    """
    y, x = np.nonzero(mask)
    for i in range(0, len(y), PIXELS_AT_A_TIME):
        yield y[i : i + PIXELS_AT_A_TIME], x[i : i + PIXELS_AT_A_TIME]


def values_beside(plane: np.ndarray, positions: Positions, offset: tuple[int, int]) -> np.ndarray:
    """Return the values beside pixels.

    Parameters
    ----------
    plane : float array, shape (ny, nx)
    positions : int arrays y, x, shape (n,)
    offset : (int, int)
        Of the neighbour: rows, columns.

    Returns
    -------
    float array, shape (n,)
        New. NaN off the plane.
    """
    y, x = (axis + o for axis, o in zip(positions, offset, strict=True))
    off = (y < 0) | (x < 0) | (y >= plane.shape[0]) | (x >= plane.shape[1])
    values = plane[np.clip(y, 0, plane.shape[0] - 1), np.clip(x, 0, plane.shape[1] - 1)]
    values[off] = np.nan
    return values
