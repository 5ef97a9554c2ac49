"""The pixels of an exposure that differ most from the combined image, whether they are flagged or not."""

from dataclasses import dataclass

import numpy as np

# Pixels around a suspect in which no other is looked for, and that a cut-out shows.
APART, HALF = 10, 20
LEVEL_STEP = 4  # of every so many pixels the level of the sky is the median


@dataclass(frozen=True)
class Suspect:
    """A pixel of an exposure that differs from the combined image.

    Attributes
    ----------
    exposure : str
    x, y : int
        The pixel, from 0.
    strength : float
        Its difference over the threshold of the outlier search: below 1 that flags nothing. Negative: fainter.
    flagged : bool
        Whether it is flagged as an outlier.
    difference, error : float
        In the unit of the exposure.
    own, combined : float array, shape (2 HALF + 1, 2 HALF + 1)
        The pixels around it, without the level of the sky, in the exposure and in the combined image. NaN: no value.
    """

    exposure: str
    x: int
    y: int
    strength: float
    flagged: bool
    difference: float
    error: float
    own: np.ndarray
    combined: np.ndarray


def strongest_suspects(
    exposure: str,
    sci: np.ndarray,
    err: np.ndarray,
    combined: np.ndarray,
    good: np.ndarray,
    flagged: np.ndarray,
    *,
    snr: float,
    scale: float,
    number: int,
) -> list[Suspect]:
    """Return the pixels that differ most from the combined image: of those that are flagged, and of those that are not.

    The difference is measured by the criterion of the outlier search, |r| over snr ERR + scale D with D the largest
    difference of a pixel of the combined image to its neighbours. The search compares with the median of the exposures,
    and this with their mean: of n exposures, one that is not flagged has moved that by 1/n of its own difference.

    Parameters
    ----------
    exposure : str
        Its name.
    sci, err : float array, shape (ny, nx)
        The exposure. NaN: no value.
    combined : float array, shape (ny, nx)
        The combined image at its pixels, NaN: none.
    good, flagged : bool array, shape (ny, nx)
        Pixels that can be used; pixels flagged as outliers, which cannot.
    snr, scale : float
        Thresholds of the outlier search, the first of each pair.
    number : int
        How many of each kind, at the most.

    Returns
    -------
    list of Suspect
        The flagged ones first, the strongest first of each kind, none beside another.
    """
    from scipy.ndimage import binary_dilation, maximum_filter

    residual = sci - combined
    level = _level(np.where(good, residual, np.nan))
    residual = residual - level
    with np.errstate(invalid="ignore", divide="ignore"):
        strength = residual / (snr * np.nan_to_num(err) + scale * _steepest(combined))
    strength = np.where(np.isfinite(strength), strength, 0.0)
    beside = binary_dilation(flagged, np.ones((3, 3), bool))
    found = []
    for is_flagged, allowed in ((True, flagged), (False, good & ~beside)):
        size = np.where(allowed, np.abs(strength), 0.0)
        peaks = np.argwhere((size > 0) & (size == maximum_filter(size, 2 * APART + 1)))
        order = np.argsort(-size[tuple(peaks.T)], kind="stable")[:number]
        for y, x in peaks[order].tolist():
            found.append(
                Suspect(
                    *(exposure, x, y, float(strength[y, x]), is_flagged, float(residual[y, x]), float(err[y, x])),
                    own=_around(sci - level, y, x),
                    combined=_around(combined, y, x),
                )
            )
    return found


def _level(residual: np.ndarray) -> float:
    """Return the level of the sky that the exposure has and the combined image has not."""
    some = residual[::LEVEL_STEP, ::LEVEL_STEP]
    some = some[np.isfinite(some)]
    return float(np.median(some)) if len(some) else 0.0


def _steepest(image: np.ndarray) -> np.ndarray:
    """Return the largest difference of each pixel to its four neighbours; those without a value do not count."""
    steepest = np.zeros_like(image)
    for axis in (0, 1):
        step = np.nan_to_num(np.abs(np.diff(image, axis=axis)))
        ahead, behind = ([(0, 0), (0, 0)] for _ in range(2))
        ahead[axis], behind[axis] = (0, 1), (1, 0)
        for around in (ahead, behind):
            steepest = np.maximum(steepest, np.pad(step, around))
    return steepest


def _around(image: np.ndarray, y: int, x: int) -> np.ndarray:
    """Return a square around a pixel; NaN beyond the edge."""
    ny, nx = image.shape
    square = np.full((2 * HALF + 1, 2 * HALF + 1), np.nan, np.float32)
    rows, columns = (slice(max(0, at - HALF), min(size, at + HALF + 1)) for at, size in ((y, ny), (x, nx)))
    own = (slice(part.start - at + HALF, part.stop - at + HALF) for part, at in ((rows, y), (columns, x)))
    square[tuple(own)] = image[rows, columns]
    return square
