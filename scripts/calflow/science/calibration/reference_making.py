"""Make reference files from calibration exposures: the master dark and the normalised flat.

Source of the formulas: the Liger/IRIS imager pipeline's CreateDark, CreateFlatfield and normalize. Not
kept: one NaN that makes the whole flat NaN, pixels with flags that count in its level, the mode as the
most frequent floating-point number, the error of the one dark divided by the number of flats it is
subtracted from, and what `frame_combination` names.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from calflow.science.calibration.calibration_parameters import FlatNormalisation
from calflow.science.calibration.dark_current import Dark, subtract_dark
from calflow.science.calibration.flat_field import Flat
from calflow.science.calibration.frame_combination import Stack, combine_frames
from calflow.science.dq_flags import FLAGS, NO_FLAT_FIELD
from calflow.science.image import Image
from calflow.science.parameters import check_values
from calflow.science.sky.sky_statistics import sky_statistic

UNRELIABLE_DARK = np.uint32(FLAGS["UNRELIABLE_DARK"])
UNRELIABLE_FLAT = np.uint32(FLAGS["UNRELIABLE_FLAT"])


def master_dark(sci: Stack, err: Stack, dq: Stack, **combination: Any) -> Dark:
    """Combine exposures without light into a dark.

    Parameters
    ----------
    sci, err, dq : stacks (n, ny, nx)
        The dark exposures, rates of one unit, as `combine_frames` takes them. Five to ten are usual.
    **combination
        Options of `combine_frames`.

    Returns
    -------
    Dark
        With UNRELIABLE_DARK and NaN where no exposure has a usable value.

    Raises
    ------
    ValueError
        If `combine_frames` refuses the stacks or an option.
    """
    combined = combine_frames(sci, err, dq, **combination)
    combined.dq[combined.n == 0] |= UNRELIABLE_DARK
    return Dark(combined.sci, combined.dq, combined.err)


def normalised_flat(
    sci: Stack,
    err: Stack,
    dq: Stack,
    *,
    dark: Dark | None = None,
    normalisation: str = FlatNormalisation.normalisation,
    **combination: Any,
) -> Flat:
    """Combine exposures of even light into a flat.

    With C, dC the exposures combined and their error, D, dD the dark, and L the level of C - D::

        SCI = (C - D) / L
        ERR = sqrt(dC^2 + dD^2) / L

    All the combinations commute with the subtraction of a dark that is the same for all exposures, so
    it is subtracted once; as it is the same, its error does not average out.

    Parameters
    ----------
    sci, err, dq : stacks (n, ny, nx)
        The exposures, of the same light and one unit, as `combine_frames` takes them; one is enough.
    dark : Dark or None
        Subtracted from each of them. None: it already is.
    normalisation : {"median", "mean", "mode", "none"}
        What the level is of the values of the pixels that have one and no flag. "none": 1.
    **combination
        Options of `combine_frames`.

    Returns
    -------
    Flat
        Its flags are those of the exposures and the dark, with NO_FLAT_FIELD where it is not
        positive or no exposure has a usable value, and UNRELIABLE_FLAT where the dark has no value, so
        that none is subtracted.

    Raises
    ------
    ValueError
        If there is no pixel for the level, the level is not positive, `normalisation` is none of
        those named, the dark has another shape, or `combine_frames` refuses the stacks or an option.
    """
    check_values(FlatNormalisation, normalisation=normalisation)
    combined = combine_frames(sci, err, dq, **combination)
    lit = Image(combined.sci, combined.err, combined.dq)
    if dark is not None:
        lit = _without_dark(lit, dark)
    level = np.float32(_level(lit, normalisation))
    flat = Flat(lit.sci / level, lit.err / level, lit.dq)
    flat.dq[~(flat.sci > 0)] |= NO_FLAT_FIELD
    return flat


def _without_dark(image: Image, dark: Dark) -> Image:
    out = subtract_dark(image, dark)
    unknown = ~np.isfinite(dark.sci)
    out.dq[unknown] |= UNRELIABLE_FLAT
    if dark.err is None:
        return out
    return replace(out, err=np.hypot(image.err, np.where(unknown, 0, dark.err).astype(np.float32)))


def _level(image: Image, normalisation: str) -> float:
    if normalisation == "none":
        return 1.0
    values = image.sci[np.isfinite(image.sci) & (image.dq == 0)]
    if not values.size:
        raise ValueError("no pixel of the flat has a value and no flag; its level needs at least one")
    if normalisation == "mode":
        statistic = sky_statistic(values)
        # Of a single pixel there is no histogram.
        level = float(values[0]) if statistic is None else statistic.value
    else:
        level = float(np.median(values) if normalisation == "median" else np.mean(values, dtype=np.float64))
    if not level > 0:
        raise ValueError(f"the {normalisation} of the flat is {level:.6g}; a flat has a positive level")
    return level
