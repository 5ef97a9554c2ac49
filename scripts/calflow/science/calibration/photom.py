"""Photometric calibration: from count rates to surface brightness.

One conversion factor for all pixels, from the row of a PHOTOM table that fits the optical elements
of the exposure, corrected for the slow loss of throughput since the table's reference date.

Source of the formulas: the JWST calibration pipeline's photom step for imaging (jwst 3.0.0).
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from calflow.science.calibration.calibration_parameters import PhotometricCalibration
from calflow.science.image import FLOAT_PLANES, LARGEST, Image, match_nans, without_impossible

# The unit of all calibrated exposures, of whatever telescope.
SURFACE_BRIGHTNESS = "MJy/sr"
# 1 MJy/sr in uJy/arcsec2, (pi / 648000)^2 x 1e12, as rounded in JWST products (PHOTUJA2 / PHOTMJSR).
MJYSR_TO_UJYA2 = 23.50443


def time_correction(
    mid_time: float,
    linear: Mapping[str, float] | None = None,
    exponential: Mapping[str, float] | None = None,
    powerlaw: Mapping[str, float] | None = None,
) -> float:
    """Compute the throughput at a time, relative to that of the conversion factor.

    The factors of the tables that a reference file has are multiplied; with t the time::

        linear       1 - lossperyear (t - t0) / 365
        exponential  amplitude exp(-(t - t0) / tau) + const
        powerlaw     year1value ((t - t0 + tsoft) / (365 + tsoft))^alpha

    Parameters
    ----------
    mid_time : float
        Middle of the exposure, MJD.
    linear : mapping with t0 (MJD) and lossperyear, or None
    exponential : mapping with t0 (MJD), amplitude, tau (days) and const, or None
    powerlaw : mapping with t0 (MJD), year1value, tsoft (days) and alpha, or None
        The row of each time-dependence table that belongs to the selected PHOTOM row.

    Returns
    -------
    float
        1 without any table.

    Raises
    ------
    ValueError
        If the throughput is not finite and positive.
    """
    correction = np.float64(1.0)
    with np.errstate(all="ignore"):  # what overflows or is not defined is found below
        if linear is not None:
            correction *= 1.0 - linear["lossperyear"] * _days(mid_time, linear) / 365.0
        if exponential is not None:
            decay = np.exp(-_days(mid_time, exponential) / exponential["tau"])
            correction *= exponential["amplitude"] * decay + exponential["const"]
        if powerlaw is not None:
            years = (_days(mid_time, powerlaw) + powerlaw["tsoft"]) / (365.0 + powerlaw["tsoft"])
            correction *= powerlaw["year1value"] * years ** powerlaw["alpha"]
    if not (math.isfinite(correction) and correction > 0):
        raise ValueError(
            f"the time dependence gives a relative throughput of {correction} at MJD {mid_time}; "
            "it must be finite and positive: check the exposure's mid time and the time tables"
        )
    return float(correction)


def conversion_factor(photmjsr: float, correction: float = 1.0) -> float:
    """Compute the factor from DN/s to MJy/sr.

    Parameters
    ----------
    photmjsr : float
        The value of the PHOTOM table, (MJy/sr)/(DN/s).
    correction : float
        Relative throughput from `time_correction`.

    Raises
    ------
    ValueError
        If `photmjsr` is not finite and positive.
    """
    photmjsr = float(photmjsr)
    if not (math.isfinite(photmjsr) and photmjsr > 0):
        raise ValueError(f"photmjsr of the selected PHOTOM row is {photmjsr}; it must be finite and positive")
    return photmjsr / correction


def square_arcsec_factor(factor: float) -> float:
    """Return a conversion factor to MJy/sr as the one to uJy/arcsec^2.

    Parameters
    ----------
    factor : float
        MJy/sr per DN/s.

    Returns
    -------
    float
        uJy/arcsec^2 per DN/s.
    """
    return factor * MJYSR_TO_UJYA2


def apply_conversion(
    image: Image, factor: float, inverse: bool = PhotometricCalibration.inverse, *, matches_nans: bool = True
) -> Image:
    """Convert an exposure from DN/s to MJy/sr, or back.

    Parameters
    ----------
    image : Image
        2-D or 3-D.
    factor : float
        (MJy/sr)/(DN/s), from `conversion_factor`.
    inverse : bool
        Divide by the factor.
    matches_nans : bool
        Make NaN and DO_NOT_USE agree (`science.image.match_nans`). False: only what becomes too large gets both.

    Returns
    -------
    Image
        SCI and ERR times the factor, variances times its square, in new float32 arrays.

    Raises
    ------
    ValueError
        If the factor is 0, or its square, which variances are multiplied by, is beyond single precision.
    """
    if not 1 / LARGEST <= abs(factor) <= LARGEST:
        raise ValueError(f"the conversion factor is {factor}; it must be between {1 / LARGEST:g} and {LARGEST:g}")
    scale = 1.0 / factor if inverse else factor
    powers = {name: scale**2 if name.startswith("var_") else scale for name in FLOAT_PLANES}
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found below
        planes = {name: plane * np.float32(powers[name]) for name, plane in image.float_planes().items()}
    out = replace(image, dq=image.dq.copy(), **planes)
    return match_nans(out) if matches_nans else without_impossible(out)


def _days(mid_time: float, row: Mapping[str, float]) -> np.float64:
    # In float64: the float32 of the tables has steps of 6 minutes at today's dates.
    return np.float64(mid_time) - np.float64(row["t0"])
