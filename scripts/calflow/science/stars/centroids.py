"""Centroids: positions of stars from a Gaussian window that follows the star.

A star finder's centroid from a few pixels is pulled towards the middle of a pixel, by up to 0.1
pixel. The windowed centroid (Bertin & Arnouts 1996, A&AS 117, 393; XWIN and YWIN of SExtractor) is
where the image convolved with the window has its maximum, for which the place of the star within
its pixel hardly matters.
"""

from dataclasses import dataclass

import numpy as np

# A narrower window, pixels, is pulled to the middles of pixels by stars sharper than 1.5 pixels.
MIN_SIGMA = 1.5
# The window ends at so many standard deviations.
REACH = 3.5
ITERATIONS = 10
# Stars that would move farther than this, pixels, stay where they are: the window went to a neighbour.
MAX_MOVE = 1.0
FWHM_IN_SIGMAS = 2 * np.sqrt(2 * np.log(2))


@dataclass(frozen=True, eq=False)
class Centroids:
    """Positions of stars.

    Attributes
    ----------
    x, y : float64 array, shape (n,)
        Pixels; the centre of the first pixel is 0, 0.
    error : float64 array, shape (n,)
        Standard deviation of x, and of y, from the noise of the background, pixels, 1 at most. 1
        for stars that have no windowed centroid within 1 pixel and are left where they were.
    """

    x: np.ndarray
    y: np.ndarray
    error: np.ndarray


def refine(data: np.ndarray, mask: np.ndarray, x: np.ndarray, y: np.ndarray, fwhm: float, noise: float) -> Centroids:
    """Refine the positions of stars.

    Parameters
    ----------
    data : float array, shape (ny, nx)
        The image without its background. NaN: no value.
    mask : bool array, shape (ny, nx)
        True: the pixel does not count. Such pixels, and those outside of the image, are taken to
        be what a star of the width of the window has there.
    x, y : float array, shape (n,)
        Where the stars were found, pixels. NaN stays NaN.
    fwhm : float
        Full width at half maximum of the stars, pixels, which that of the window is; but that is
        never less than 3.5.
    noise : float
        Standard deviation of the background per pixel, units of the image.

    Returns
    -------
    Centroids

    Raises
    ------
    ValueError
        If `fwhm` is not positive.

    Notes
    -----
    Each round is a step of Newton's method to the maximum of ``C = sum(data * window)``: by the
    first moment of ``data * window`` about the centre of the window, divided by one minus the
    second moment in units of the window's. For a Gaussian star one step is exact.

    The error is sqrt(pi / 2) noise over the curvature of the maximum, of which that divisor is one
    factor; its mean of both axes is taken.
    """
    if not fwhm > 0:
        raise ValueError(f"fwhm is {fwhm}; it must be larger than 0")
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    sigma = max(fwhm / FWHM_IN_SIGMAS, MIN_SIGMA)
    columns, rows = (np.rint(np.nan_to_num(each)).astype(int) for each in (x, y))
    offsets = np.arange(-np.ceil(REACH * sigma), np.ceil(REACH * sigma) + 1)
    stamps, missing = _stamps(data, mask, columns, rows, offsets.astype(int))
    dx, dy = np.nan_to_num(x) - columns, np.nan_to_num(y) - rows
    for _ in range(ITERATIONS):
        across, up = offsets - dx[:, np.newaxis], offsets - dy[:, np.newaxis]
        window_x, window_y = np.exp(-0.5 * (across / sigma) ** 2), np.exp(-0.5 * (up / sigma) ** 2)
        _fill(stamps, missing, window_x, window_y)
        along_x = np.einsum("nij,ni->nj", stamps, window_y) * window_x
        along_y = np.einsum("nij,nj->ni", stamps, window_x) * window_y
        signal = along_x.sum(axis=1)
        step_x, sharp_x = _step(along_x, across, sigma)
        step_y, sharp_y = _step(along_y, up, sigma)
        dx, dy = dx + step_x, dy + step_y
    new_x, new_y = columns + dx, rows + dy
    good = (signal > 0) & (np.hypot(new_x - x, new_y - y) < MAX_MOVE)
    error = np.full(len(x), MAX_MOVE)
    curvature = (signal * (sharp_x + sharp_y) / (2 * sigma**2))[good]
    error[good] = np.minimum(np.sqrt(np.pi / 2) * noise / curvature, MAX_MOVE)
    return Centroids(np.where(good, new_x, x), np.where(good, new_y, y), error)


def _stamps(
    data: np.ndarray, mask: np.ndarray, columns: np.ndarray, rows: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Cut out the pixels about each star.

    Returns
    -------
    stamps : float64 array, shape (n, m, m)
    missing : three int arrays
        Indices of the pixels of `stamps` without a value.
    """
    ny, nx = data.shape
    row, column = rows[:, np.newaxis] + offsets, columns[:, np.newaxis] + offsets
    inside = ((row >= 0) & (row < ny))[:, :, np.newaxis] & ((column >= 0) & (column < nx))[:, np.newaxis]
    at = np.clip(row, 0, ny - 1)[:, :, np.newaxis], np.clip(column, 0, nx - 1)[:, np.newaxis]
    stamps = data[at].astype(np.float64)
    return stamps, np.nonzero(~inside | mask[at] | ~np.isfinite(stamps))


def _fill(stamps: np.ndarray, missing: tuple[np.ndarray, ...], window_x: np.ndarray, window_y: np.ndarray) -> None:
    """Set missing pixels to the window, as high as it fits the other pixels best. Changes `stamps`."""
    star, row, column = missing
    window = window_y[star, row] * window_x[star, column]
    stamps[missing] = 0
    product = np.einsum("nij,ni,nj->n", stamps, window_y, window_x)
    square = (window_x**2).sum(axis=1) * (window_y**2).sum(axis=1)
    square_left = square - np.bincount(star, window**2, len(stamps))
    # With next to nothing left there is no height to find.
    height = np.where(square_left > 1e-3 * square, product / np.maximum(square_left, 1e-300), 0.0)
    stamps[missing] = height[star] * window


def _step(weighted: np.ndarray, offsets: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the step to the maximum along one axis, pixels, and its divisor: the wider the star, the smaller."""
    signal = weighted.sum(axis=1)
    signal = np.where(signal > 0, signal, np.inf)
    first = (weighted * offsets).sum(axis=1) / signal
    second = (weighted * offsets**2).sum(axis=1) / (signal * sigma**2)
    # Between a star of twice the window's width and a point: others are no single star.
    divisor = np.clip(1 - second, 0.2, 1.0)
    return np.clip(first / divisor, -MAX_MOVE, MAX_MOVE), divisor
