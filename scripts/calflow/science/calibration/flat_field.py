"""Flat field: divide an exposure by the pixel-to-pixel response of the detector.

Source of the formulas: the JWST calibration pipeline's flat_field step for imaging (jwst 3.0.0) for
`apply_flat`, the Liger/IRIS imager pipeline's flat_field step for `divide_by_flat`.
"""

from dataclasses import dataclass, replace

import numpy as np

from calflow.science.calibration.calibration_parameters import FlatFielding
from calflow.science.dq_flags import DO_NOT_USE, NO_FLAT_FIELD
from calflow.science.image import LARGEST, Image, has_value, match_nans, without_impossible

# A response below has no square in single precision, by which variances are divided: as good as 0.
SMALLEST_RESPONSE = 1 / LARGEST


@dataclass
class Flat:
    """A flat field on the detector window of the exposure.

    Attributes
    ----------
    sci : float32 array, shape (ny, nx)
        Relative response. Less than 1e-19, and what is no value (`science.image`): not known.
    err : float32 array, shape (ny, nx), or None
        Its 1-sigma error; NaN, or any other that is no value, makes the pixel unusable. None: not known, taken as 0.
    dq : uint32 array, shape (ny, nx)
        Data quality flags.
    """

    sci: np.ndarray
    err: np.ndarray | None
    dq: np.ndarray


def apply_flat(image: Image, flat: Flat, inverse: bool = FlatFielding.inverse) -> Image:
    """Divide an exposure by a flat, with its error, and flag the pixels that have no flat.

    A flat that is no value or 0 (below 1e-19, that is, of either sign) gets NO_FLAT_FIELD, every NO_FLAT_FIELD
    gets DO_NOT_USE, and where the flat has DO_NOT_USE it is not applied. With F, dF the flat and its error::

        SCI' = SCI / F
        VAR_POISSON' = VAR_POISSON / F^2     (VAR_RNOISE alike)
        VAR_FLAT' = (SCI' / F)^2 dF^2
        ERR' = sqrt(VAR_POISSON' + VAR_RNOISE' + VAR_FLAT')

    DQ gets the flags of the flat, and every pixel with DO_NOT_USE or without a value in a plane becomes NaN in all
    planes.

    Parameters
    ----------
    image : Image
        2-D, or 3-D: the flat applies to every integration. Any unit.
        Without both `var_poisson` and `var_rnoise` its error cannot be summed up anew; then
        ERR' = sqrt((ERR / F)^2 + (SCI' / F)^2 dF^2), and the result has no `var_flat` either.
    flat : Flat
        Of the shape of one integration. Negative values are used as they are.
    inverse : bool
        Multiply by the flat, to undo it. The error of the flat is left out: `var_flat` is 0.

    Returns
    -------
    Image
        With new arrays; those of `image` and `flat` stay as they are.

    Raises
    ------
    ValueError
        If the flat has not the shape of one integration.
    """
    _check_shape(image, flat)
    response, flat_dq = _response(flat)
    flat_err = None if flat.err is None else np.where(has_value("err", flat.err), flat.err, np.float32(np.nan))
    with np.errstate(all="ignore"):  # what overflows or is not defined is found below
        out = _multiply(image, response) if inverse else _divide(image, response, flat_err)
    out.dq = image.dq | flat_dq
    return match_nans(out)


def divide_by_flat(image: Image, flat: Flat) -> Image:
    """Divide an exposure by a flat of which only the flags count beside the values.

    A flat that is no value or not positive gets NO_FLAT_FIELD. Where it has NO_FLAT_FIELD,
    from here or from its file, the exposure stays undivided; that is all the flag does. Any other
    flag of the flat, DO_NOT_USE too, is passed on, and the pixel divided like others. With F the
    flat::

        SCI' = SCI / F
        ERR' = |ERR / F|

    Nothing becomes NaN that was not, but what the division makes too large (`science.image`).

    Parameters
    ----------
    image : Image
        2-D, or 3-D: the flat applies to every integration. Any unit. Parts of the variance that
        it has are divided by F^2, and both together give ERR' as in `apply_flat`.
    flat : Flat
        Of the shape of one integration. Its error is not used.

    Returns
    -------
    Image
        With new arrays; those of `image` and `flat` stay as they are.

    Raises
    ------
    ValueError
        If the flat has not the shape of one integration.
    """
    _check_shape(image, flat)
    response, flat_dq = _positive_response(flat)
    with np.errstate(all="ignore"):  # what overflows or is not defined is found below
        out = _divide(image, response, flat_err=None)
    out.dq = image.dq | flat_dq
    return without_impossible(out)


def known_response(flat: Flat) -> np.ndarray:
    """Return the response of the pixels, float32, shape (ny, nx); NaN where the flat does not tell it.

    Parameters
    ----------
    flat : Flat
        What is no value, not positive, or flagged DO_NOT_USE or NO_FLAT_FIELD does not.
    """
    return np.where(_knows_response(flat), flat.sci, np.float32(np.nan))


def has_response(flat: Flat) -> bool:
    """Tell whether any pixel of a flat has a positive value, and neither DO_NOT_USE nor NO_FLAT_FIELD.

    Parameters
    ----------
    flat : Flat
        Relative response, its error and flags, shape (ny, nx).
    """
    return bool(np.any(_knows_response(flat)))


def _knows_response(flat: Flat) -> np.ndarray:
    flagged = (flat.dq & (DO_NOT_USE | NO_FLAT_FIELD)) != 0
    return has_value("sci", flat.sci) & (flat.sci > SMALLEST_RESPONSE) & ~flagged


def _check_shape(image: Image, flat: Flat) -> None:
    if flat.sci.shape != image.sci.shape[-2:]:
        raise ValueError(f"the flat has shape {flat.sci.shape}, the exposure {image.sci.shape}")


def _response(flat: Flat) -> tuple[np.ndarray, np.ndarray]:
    """Return a copy of the flat with 1 where it must not be applied, and its complete flags."""
    response, dq = flat.sci.astype(np.float32), flat.dq.astype(np.uint32)
    dq[~(has_value("sci", response) & (np.abs(response) > SMALLEST_RESPONSE))] |= NO_FLAT_FIELD
    dq[(dq & NO_FLAT_FIELD) != 0] |= DO_NOT_USE
    response[(dq & DO_NOT_USE) != 0] = 1
    return response, dq


def _positive_response(flat: Flat) -> tuple[np.ndarray, np.ndarray]:
    """Return a copy of the flat with 1 where it has no response, and its complete flags."""
    response, dq = flat.sci.astype(np.float32), flat.dq.astype(np.uint32)
    dq[~(has_value("sci", response) & (response > SMALLEST_RESPONSE))] |= NO_FLAT_FIELD
    response[(dq & NO_FLAT_FIELD) != 0] = 1
    return response, dq


def _divide(image: Image, response: np.ndarray, flat_err: np.ndarray | None) -> Image:
    """Return the image divided by the response, with the error of the flat in it."""
    squared = response * response
    sci = image.sci / response
    # In this order the float32 roundings are those of jwst, bit for bit.
    var_flat = np.zeros_like(sci) if flat_err is None else np.square(sci) / squared * np.square(flat_err)
    parts = {name: variance / squared for name, variance in _parts(image).items()}
    if len(parts) == 2:
        err = np.sqrt(parts["var_poisson"] + parts["var_rnoise"] + var_flat)
        parts["var_flat"] = var_flat
    else:
        err = np.abs(image.err / response)
        if flat_err is not None:
            err = np.sqrt(np.square(err) + var_flat)
        parts["var_flat"] = None
    return replace(image, sci=sci, err=err, **parts)


def _multiply(image: Image, response: np.ndarray) -> Image:
    """Return the image multiplied by the response."""
    squared = response * response
    parts = {name: variance * squared for name, variance in _parts(image).items()}
    if len(parts) == 2:
        err = np.sqrt(parts["var_poisson"] + parts["var_rnoise"])
        parts["var_flat"] = np.zeros_like(err)
    else:
        err = np.abs(image.err * response)
        parts["var_flat"] = None
    return replace(image, sci=image.sci * response, err=err, **parts)


def _parts(image: Image) -> dict[str, np.ndarray]:
    return {name: plane for name, plane in image.planes().items() if name in ("var_poisson", "var_rnoise")}
