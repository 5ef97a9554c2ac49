"""Sharpness and roundness of sources, as DAOFIND defines them.

Source: Stetson 1987, PASP 99, 191; the definitions of `photutils.detection.DAOStarFinder`, of which roundness is the
one from symmetry (SROUND).
"""

import numpy as np

from calflow.science.sources.segmentation import FWHM_PER_SIGMA

SIGMA_RADIUS = 1.5
SMALLEST_RADIUS = 2.0


def sharpness_and_roundness(
    data: np.ndarray, x: np.ndarray, y: np.ndarray, kernel_fwhm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Measure sharpness and roundness at the pixels nearest to positions.

    Parameters
    ----------
    data : float array, shape (ny, nx)
        The image. A constant background does not matter, but near the edge: outside of the image
        are zeros. NaN near a position makes the result NaN.
    x, y : float array, shape (n,)
        Positions, pixels from 0.
    kernel_fwhm : float
        Full width at half maximum of the expected source, pixels.

    Returns
    -------
    sharpness : float64 array, shape (n,)
        Central pixel minus the mean of those around it, over the height of the best fitting
        Gaussian there.
    roundness : float64 array, shape (n,)
        Twice the two-fold over the four-fold symmetry; 0 is round, negative and positive are
        extended in x and in y. Both are NaN for positions outside of the image.
    """
    kernel, used = _zero_sum_gaussian(kernel_fwhm)
    radius = len(kernel) // 2
    sharpness, roundness = np.full((2, len(x)), np.nan)
    ny, nx = data.shape
    inside = (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)
    if inside.any():
        wide, in_image = _cutouts(data, x[inside], y[inside], 2 * radius)
        windows = np.lib.stride_tricks.sliding_window_view(wide, kernel.shape, axis=(1, 2))
        convolved = np.einsum("nijkl,kl->nij", windows, kernel)
        convolved[~in_image[:, radius:-radius, radius:-radius]] = 0
        near = wide[:, radius:-radius, radius:-radius]
        with np.errstate(divide="ignore", invalid="ignore"):
            sharpness[inside] = _sharpness(near, convolved[:, radius, radius], used)
            roundness[inside] = _roundness(convolved)
    return sharpness, roundness


def reach_of_kernel(kernel_fwhm: float) -> int:
    """Return how far from the nearest pixel others are, in x or y, that are looked at; pixels.

    Parameters
    ----------
    kernel_fwhm : float
        As of `sharpness_and_roundness`.
    """
    return 2 * _radius(kernel_fwhm / FWHM_PER_SIGMA)


def _radius(sigma: float) -> int:
    return int(max(SMALLEST_RADIUS, SIGMA_RADIUS * sigma))


def _zero_sum_gaussian(fwhm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel that fits a Gaussian on a constant to each pixel, and the pixels it uses."""
    sigma = fwhm / FWHM_PER_SIGMA
    radius = _radius(sigma)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    distance = np.hypot(x, y)
    used = (distance <= SIGMA_RADIUS * sigma) | (distance <= SMALLEST_RADIUS)
    gaussian = np.where(used, np.exp(-0.5 * (distance / sigma) ** 2), 0)
    deviation = np.where(used, gaussian - gaussian[used].mean(), 0)
    return deviation / (deviation**2).sum(), used


def _cutouts(data: np.ndarray, x: np.ndarray, y: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the surroundings of the pixels nearest to positions, (n, 2 reach + 1, 2 reach + 1), and what is inside."""
    ny, nx = data.shape
    offsets = np.arange(-reach, reach + 1)
    rows = np.rint(y).astype(int)[:, None, None] + offsets[:, None]
    columns = np.rint(x).astype(int)[:, None, None] + offsets
    inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
    values = data[np.clip(rows, 0, ny - 1), np.clip(columns, 0, nx - 1)].astype(np.float64)
    return np.where(inside, values, 0), inside


def _sharpness(near: np.ndarray, height: np.ndarray, used: np.ndarray) -> np.ndarray:
    radius = used.shape[0] // 2
    peak = near[:, radius, radius]
    around = (near[:, used].sum(axis=1) - peak) / (np.count_nonzero(used) - 1)
    return (peak - around) / height


def _roundness(convolved: np.ndarray) -> np.ndarray:
    """Compare the quarters of the smoothed image: + above and below, - left and right of the centre."""
    c = convolved.shape[1] // 2
    right = convolved[:, : c + 1, c + 1 :].sum(axis=(1, 2))
    below = convolved[:, :c, : c + 1].sum(axis=(1, 2))
    left = convolved[:, c:, :c].sum(axis=(1, 2))
    above = convolved[:, c + 1 :, c:].sum(axis=(1, 2))
    everything = np.abs(convolved).sum(axis=(1, 2)) - np.abs(convolved[:, c, c])
    return 2 * (below + above - right - left) / everything
