"""Arrays of one window of a detector in the frame of another: subarrays and full frames."""

import numpy as np

from calflow.science.windows import Window


def placed(
    values: np.ndarray, first_pixel: tuple[int, int], onto: tuple[int, int], shape: tuple[int, ...], fill: float = 0
) -> np.ndarray:
    """Return an array of one window of a detector in the frame of another.

    Parameters
    ----------
    values : array, shape (ny, nx)
    first_pixel : (int, int)
        Where its first pixel (x, y) lies on the detector, counted from 1.
    onto : (int, int)
        The same of the other window.
    shape : (int, int)
        Rows, columns of the other window.
    fill : float
        What is where the array has no pixel.

    Returns
    -------
    array, shape `shape`
        `values` itself, if both windows are the same.
    """
    if first_pixel == onto and values.shape == shape:
        return values
    there = Window(*first_pixel, values.shape[1], values.shape[0])
    here = Window(*onto, shape[1], shape[0])
    out = np.full(shape, fill, values.dtype)
    if common := here.overlap(there):
        out[here.slices(common)] = values[there.slices(common)]
    return out
