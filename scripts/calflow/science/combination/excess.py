"""Pixels brighter than the other exposures and the structure of the sources allow.

The thresholds of `flag_outliers` allow what undersampling may do at the worst, 0.7 to 1.2 times the difference to a
neighbour. On the slopes of stars that hides many cosmic rays. Here it is measured in each exposure, on its own sources,
how much of them the comparison leaves.

A resampled image that is interpolated at the pixels of an exposure is smoother than this, by a part a of its curvature
L (its Laplacian): that is taken off. What is left of a source is a part of its structure S, with the second and the
first derivatives of the image::

    S^2 = xx^2 + yy^2 + 2 xy^2 + (x^2 + y^2) / 4

The first derivatives stand for what is left of the offsets between the exposures.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from calflow.science.combination.combination_parameters import OutlierThresholds
from calflow.science.combination.neighbours import Positions, parts_of, values_beside
from calflow.science.combination.outlier_detection import grown
from calflow.science.quality.robust import SIGMA_OF_MAD

# Pixels are looked at from so many errors on, of the residual, or of the difference to a neighbour: with a smaller one
# there is hardly a curvature that raises a residual above its limit.
NOTED, NOTED_SLOPE = 2.0, 3.0
# Curvature below so many errors may be noise, and is not taken off.
NOISE_OF_CURVATURE = 2.0
# Structure, in errors, of pixels by which it is measured what is left of sources; how many are needed.
STRUCTURED, FEWEST_STRUCTURED = 10.0, 50
# Of what is left of S, the part that this percentage is below: hits are fewer than the rest. A pixel is an outlier
# beyond FAR_OUT times that, which 3 of 10000 pixels of stars reach.
USUAL, FAR_OUT = 90, 3.0
# A neighbour of an outlier, beyond this part of what an outlier must be beyond.
WING = 0.6
# Where more is left, or it is not known how much, sources are too undersampled to be compared: S is to be below so
# many errors.
POORLY_DESCRIBED, FLAT = 0.3, 5.0
UNKNOWN = 0.4
# Deviations from the measured part of the curvature, in robust standard deviations, that are left out; rounds.
CLIP, ROUNDS = 3.0, 5


def find_excess(
    residual: np.ndarray,
    compared: np.ndarray,
    err: np.ndarray,
    where: np.ndarray,
    slope: np.ndarray,
    snr: tuple[float, ...] = OutlierThresholds.snr,
) -> np.ndarray:
    """Return the mask of pixels that are brighter than noise and the structure of sources allow.

    With f the part of S that is usually left of sources, a pixel is an outlier if for r = residual - a L::

        r > snr[0] ERR + FAR_OUT f S, or, beside such a pixel, r > snr[1] ERR + WING FAR_OUT f S

    Where f is large or not known, in pixels with a small S alone.

    Parameters
    ----------
    residual : float32 array, shape (ny, nx)
        The exposure less `compared` and the sky. NaN: not judged.
    compared : float32 array, shape (ny, nx)
        What the exposure is compared with. NaN: no value, pixels and their four neighbours are not judged.
    err : float32 array, shape (ny, nx)
        Errors of the exposure. NaN: not judged.
    where : bool array, shape (ny, nx)
        True: to be judged, and a and f to be measured on.
    slope : float32 array, shape (ny, nx)
        The largest absolute difference to a neighbour in `compared` (`largest_difference`).
    snr : (float, float)
        Thresholds in units of ERR.

    Returns
    -------
    bool array, shape (ny, nx)
        True: outlier.
    """
    where = where & ((residual > np.float32(NOTED) * err) | (slope > np.float32(NOTED_SLOPE) * err))
    smoothing, left = what_is_left(_seen(residual, compared, err, part) for part in parts_of(where))
    core, wings = np.zeros(err.shape, bool), np.zeros(err.shape, bool)
    for part in parts_of(where):
        seen = _seen(residual, compared, err, part)
        excess = seen.residual - smoothing * seen.curvature
        if left > POORLY_DESCRIBED:
            excess[seen.structure > FLAT * seen.err] = np.nan
        allowed = FAR_OUT * left * seen.structure
        core[part] = excess > snr[0] * seen.err + allowed
        wings[part] = excess > snr[1] * seen.err + WING * allowed
    return wings & grown(core)


class Compared(NamedTuple):
    """Pixels of an exposure, and what it is compared with there.

    Attributes
    ----------
    residual, err : array, shape (n,)
        The exposure less what it is compared with, and its errors.
    curvature : array, shape (n,)
        L, as far as it stands out from noise.
    structure : array, shape (n,)
        S. NaN: not known.
    """

    residual: np.ndarray
    err: np.ndarray
    curvature: np.ndarray
    structure: np.ndarray


def what_is_left(parts: Iterable[Compared]) -> tuple[float, float]:
    """Measure how a comparison differs from an exposure on sources.

    Parameters
    ----------
    parts : iterable of Compared
        All pixels, in parts, which are taken one after the other.

    Returns
    -------
    smoothing : float
        a, the part of the curvature in the residuals: a robust fit.
    left : float
        f, the part of the structure that `USUAL` percent of the absolute residuals are below after that; `UNKNOWN`, and
        a is 0, where fewer than `FEWEST_STRUCTURED` pixels have a structure above `STRUCTURED` errors.
    """
    residuals, curvatures = [np.empty(0)], [np.empty(0)]
    for seen in parts:
        steep = (seen.structure > STRUCTURED * seen.err) & np.isfinite(seen.residual)
        residuals.append(seen.residual[steep] / seen.structure[steep])
        curvatures.append(seen.curvature[steep] / seen.structure[steep])
    residual, curvature = np.concatenate(residuals), np.concatenate(curvatures)
    if len(residual) < FEWEST_STRUCTURED:
        return 0.0, UNKNOWN
    smoothing, kept = 0.0, np.ones(len(residual), bool)
    for _ in range(ROUNDS):
        power = np.sum(curvature[kept] ** 2)
        smoothing = float(np.sum((residual * curvature)[kept]) / power) if power > 0 else 0.0
        deviation = np.abs(residual - smoothing * curvature)
        kept = deviation <= CLIP * SIGMA_OF_MAD * np.median(deviation)
    return smoothing, float(np.percentile(np.abs(residual - smoothing * curvature), USUAL))


def _seen(residual: np.ndarray, compared: np.ndarray, err: np.ndarray, part: Positions) -> Compared:
    """Return some pixels, with the derivatives of the image they are compared with."""
    at = {(y, x): values_beside(compared, part, (y, x)) for y in (-1, 0, 1) for x in (-1, 0, 1)}
    xx, yy = (at[a] + at[b] - 2 * at[0, 0] for a, b in (((0, 1), (0, -1)), ((1, 0), (-1, 0))))
    x, y = ((at[a] - at[b]) / 2 for a, b in (((0, 1), (0, -1)), ((1, 0), (-1, 0))))
    # Without a value in one of the corners it is not known, and mostly small.
    xy = np.nan_to_num((at[1, 1] + at[-1, -1] - at[1, -1] - at[-1, 1]) / 4)
    laplacian, own = xx + yy, err[part]
    curvature = np.sign(laplacian) * np.fmax(np.abs(laplacian) - np.float32(NOISE_OF_CURVATURE) * own, 0)
    structure = np.sqrt(xx**2 + yy**2 + 2 * xy**2 + (x**2 + y**2) / 4)
    return Compared(residual[part], own, curvature, structure)
