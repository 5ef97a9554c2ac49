"""Cells of HEALPix (Gorski et al. 2005, ApJ 622, 759) in nested numbering, and what of the sky some of them cover.

The sky has twelve faces. In each of them a cell of an order has x, from the southern corner to the north-east, and y,
to the north-west, from 0 to 2**order - 1.
"""

import numpy as np

SIDES = 4 * np.pi / 12  # area of a cell of order 0, steradian
# Of the southern corner of each face: rings from the north pole, in sides of a face, and eighths of a circle.
CORNER_RINGS = np.repeat([2, 3, 4], 4)
CORNER_EIGHTHS = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])


def cell_size(order: int) -> float:
    """Return the side of a square as large as a cell, degrees.

    Parameters
    ----------
    order : int
    """
    return float(np.degrees(np.sqrt(SIDES))) / 2**order


def nested_cells(ra: np.ndarray, dec: np.ndarray, order: int) -> np.ndarray:
    """Return the numbers of the cells in which positions lie.

    Parameters
    ----------
    ra, dec : float array, shape (n,)
        Degrees.
    order : int
        From 0, of 12 cells, to 29.

    Returns
    -------
    int64 array, shape (n,)
    """
    nside = 1 << order
    quarter = np.mod(np.asarray(ra, float) / 90.0, 4.0)
    z, radius = np.sin(np.radians(dec)), np.cos(np.radians(dec))
    # Around the equator: the lines that rise and fall, of which two in each direction bound a cell.
    rising = np.floor(nside * (0.5 + quarter - 0.75 * z)).astype(np.int64)
    falling = np.floor(nside * (0.5 + quarter + 0.75 * z)).astype(np.int64)
    one, other = rising >> order, falling >> order
    face = np.where(one == other, (one & 3) | 4, np.where(one < other, one & 3, (other & 3) + 8))
    x, y = falling & (nside - 1), nside - 1 - (rising & (nside - 1))
    # Around the poles, where cells lie on rings of ever fewer.
    column = np.minimum(quarter.astype(np.int64), 3)
    part, ring = quarter - column, nside * radius / np.sqrt((1 + np.abs(z)) / 3)
    inner = np.minimum((part * ring).astype(np.int64), nside - 1)
    outer = np.minimum(((1 - part) * ring).astype(np.int64), nside - 1)
    polar, north = np.abs(z) > 2 / 3, z > 0
    face = np.where(polar, np.where(north, column, column + 8), face)
    x = np.where(polar, np.where(north, nside - 1 - outer, inner), x)
    y = np.where(polar, np.where(north, nside - 1 - inner, outer), y)
    return (face << (2 * order)) + nested_number(x, y)


def nested_number(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the numbers of cells within a face, or within a cell of a smaller order.

    Parameters
    ----------
    x, y : int array, shape (n,)
        Of the cells, counted from that face or cell.

    Returns
    -------
    int64 array, shape (n,)
    """
    return _spread(x) + (_spread(y) << 1)


def cells_within(cell: int, order: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres of the cells into which a cell is divided.

    Parameters
    ----------
    cell : int
        Its number, nested.
    order : int
        Its order.
    side : int
        Number of cells along its side, a power of two.

    Returns
    -------
    ra, dec : float array, shape (side, side)
        Degrees, by x and y of the cells.
    """
    face, number = divmod(cell, 4**order)
    steps = (np.arange(side) + 0.5) / side
    x, y = ((_gathered(number >> shift) + steps) / 2**order for shift in (0, 1))
    rings = CORNER_RINGS[face] - x[:, None] - y
    across = x[:, None] - y
    # Rings around a pole have as many eighths, of ever fewer cells.
    from_pole = np.minimum(np.minimum(rings, 4.0 - rings), 1.0)
    eighths = CORNER_EIGHTHS[face] + across / from_pole
    cap = 1.0 - from_pole**2 / 3.0
    z = np.where(from_pole < 1.0, np.where(rings < 2.0, cap, -cap), (2.0 - rings) * 2.0 / 3.0)
    # Around a pole 1 - |z| is known better than z.
    radius = np.where(from_pole < 1.0, from_pole * np.sqrt((1.0 + np.abs(z)) / 3.0), np.sqrt(1.0 - z**2))
    return np.mod(45.0 * eighths, 360.0), np.degrees(np.arctan2(z, radius))


def _gathered(number: int) -> int:
    """Return every other binary digit of a number, from the lowest on."""
    return sum(((number >> 2 * digit) & 1) << digit for digit in range(30))


def _spread(number: np.ndarray) -> np.ndarray:
    """Return numbers below 2**31 with a zero before each of their binary digits."""
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        number = (number | (number << shift)) & mask
    return number


def joined_cells(cells: np.ndarray, order: int) -> dict[int, np.ndarray]:
    """Return the fewest cells that cover the same: four in one place become the one around them, and so on.

    Parameters
    ----------
    cells : int array, shape (n,)
        Numbers of cells of one order.
    order : int
        That order.

    Returns
    -------
    dict of int to int64 array
        By order, from the largest cells to the smallest, the numbers in ascending order; orders without any are left
        out.
    """
    cells = np.unique(np.asarray(cells, np.int64))
    found = {}
    for at in range(order, -1, -1):
        around, counts = np.unique(cells >> 2, return_counts=True)
        whole = around[counts == 4] if at else cells[:0]
        alone = cells[~np.isin(cells >> 2, whole)] if at else cells
        if len(alone):
            found[at] = alone
        cells = whole
    return dict(sorted(found.items()))
