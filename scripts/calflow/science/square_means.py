"""Images at a part of their size: the means of squares of pixels."""

import numpy as np


def mean_of_squares(data: np.ndarray, side: int) -> np.ndarray:
    """Return the mean of what is finite in each square of pixels; the last ones may be incomplete.

    Parameters
    ----------
    data : float array, shape (ny, nx) or (ny, nx, planes)
    side : int
        Of the squares, pixels.

    Returns
    -------
    float32 array, shape (ny / side, nx / side) or the same with planes, rounded up
        NaN where nothing is finite. Of a side of 1 the data themselves.
    """
    if side == 1:
        return data
    ny, nx = (-(-size // side) for size in data.shape[:2])
    total = np.zeros((ny, nx, *data.shape[2:]), np.float32)
    number = np.zeros_like(total)
    for y in range(side):
        for x in range(side):
            part = data[y::side, x::side]
            known = np.isfinite(part)
            place = np.s_[: part.shape[0], : part.shape[1]]
            np.add(total[place], part, out=total[place], where=known, casting="same_kind")
            number[place] += known
    mean = np.full_like(total, np.nan)
    return np.divide(total, number, out=mean, where=number > 0)
