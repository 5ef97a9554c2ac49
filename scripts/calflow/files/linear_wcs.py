"""The linear WCS of an image's header: a TAN projection, as FITS describes it (Calabretta and Greisen 2002)."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from calflow.science.geometry.tan_projection import TanProjection, fk5_projection, tan_projection

AXES = (1, 2)
_MATRICES = {kind: tuple(f"{kind}{i}_{j}" for i in AXES for j in AXES) for kind in ("CD", "PC")}
_PER_AXIS = tuple(f"{name}{axis}" for name in ("CRPIX", "CRVAL", "CTYPE", "CUNIT", "CDELT") for axis in AXES)
_FRAME = ("RADESYS", "RADECSYS", "EQUINOX", "LONPOLE", "LATPOLE")
KEYWORDS = (*_PER_AXIS, *_MATRICES["CD"], *_MATRICES["PC"], *_FRAME)
# Degrees in a pixel: of no image there are fewer or more.
SMALLEST_PIXEL, LARGEST_PIXEL = 1e-9, 1.0
FRAMES = {"ICRS": lambda projection: projection, "FK5": fk5_projection}


class NoProjection(ValueError):
    """A header that describes no TAN projection, or not all of it."""


def read_projection(header: Mapping[str, Any]) -> TanProjection:
    """Return the TAN projection that a header describes, in ICRS.

    Parameters
    ----------
    header : mapping of keyword to value
        CTYPE, CRPIX (1-based), CRVAL and CDELT with PC, or CD. The frame is RADESYS, failing that RADECSYS, failing
        that ICRS.

    Raises
    ------
    NoProjection
        If a keyword is missing or no number, or the header describes something else. The message says which.
    """
    _check_axes(header)
    x, y, ra, dec = (_number(header, f"{name}{axis}") for name in ("CRPIX", "CRVAL") for axis in AXES)
    for keyword, value, most in (("CRVAL1", ra, 360), ("CRVAL2", dec, 90)):
        if abs(value) > most:
            raise NoProjection(f"{keyword} is {value}, not between {-most} and {most}")
    if dec == 90 and header.get("LONPOLE") is None:  # the default is 0 there, and 180 elsewhere
        raise NoProjection("CRVAL2 is 90, where LONPOLE must be given, as 180")
    matrix = pixel_matrix(header)
    frame = str(header.get("RADESYS") or header.get("RADECSYS") or "ICRS").strip().upper()
    if frame not in FRAMES:
        raise NoProjection(f"its frame is {frame!r}; known are {', '.join(FRAMES)}")
    return FRAMES[frame](tan_projection((x - 1, y - 1), (ra, dec), matrix))


def _check_axes(header: Mapping[str, Any]) -> None:
    for axis, wanted in zip(AXES, ("RA---TAN", "DEC--TAN"), strict=True):
        kind, unit = header.get(f"CTYPE{axis}"), header.get(f"CUNIT{axis}")
        if kind is None:
            raise NoProjection(f"CTYPE{axis} is missing")
        if str(kind).strip().upper() != wanted:
            raise NoProjection(f"CTYPE{axis} is {kind!r}, not {wanted!r}")
        if unit is not None and str(unit).strip().lower() not in ("deg", ""):
            raise NoProjection(f"CUNIT{axis} is {unit!r}, not 'deg'")
    if header.get("LONPOLE") not in (None, 180):
        raise NoProjection(f"LONPOLE is {header['LONPOLE']!r}, not 180")
    if header.get("EQUINOX") not in (None, 2000):
        raise NoProjection(f"EQUINOX is {header['EQUINOX']!r}, not 2000")


def pixel_matrix(header: Mapping[str, Any]) -> np.ndarray:
    """Return the matrix from pixels to degrees, shape (2, 2).

    Parameters
    ----------
    header : mapping
        With CDi_j, or with CDELTi and what turns them.

    Raises
    ------
    NoProjection
        If it is not there, or no matrix of pixels.
    """
    matrix = _matrix(header)
    check_pixels(matrix)
    return matrix


def check_pixels(matrix: np.ndarray) -> None:
    """Raise NoProjection if a matrix from pixels to degrees has no inverse, or pixels of impossible sizes.

    Parameters
    ----------
    matrix : float array, shape (2, 2)
    """
    with np.errstate(all="ignore"):
        if not abs(np.linalg.det(matrix)) > 0:
            raise NoProjection(f"its matrix {matrix.tolist()} has no inverse")
    sizes = np.linalg.svd(matrix, compute_uv=False) if np.isfinite(matrix).all() else np.array([np.inf])
    if not (sizes.min() > SMALLEST_PIXEL and sizes.max() < LARGEST_PIXEL):
        raise NoProjection(f"its matrix {matrix.tolist()} does not lead from pixels to degrees")


def _matrix(header: Mapping[str, Any]) -> np.ndarray:
    given = {kind: [header.get(name) is not None for name in names] for kind, names in _MATRICES.items()}
    if any(given["CD"]):
        return np.array([_number(header, name, 0.0) for name in _MATRICES["CD"]]).reshape(2, 2)
    scale = [_number(header, f"CDELT{axis}") for axis in AXES]
    unit = np.eye(2).ravel()
    values = [_number(header, name, default) for name, default in zip(_MATRICES["PC"], unit, strict=True)]
    with np.errstate(all="ignore"):
        return np.array(scale)[:, None] * np.array(values).reshape(2, 2) + 0.0  # no -0.0


def _number(header: Mapping[str, Any], keyword: str, default: float | None = None) -> float:
    value = header.get(keyword, default)
    if value is None:
        raise NoProjection(f"{keyword} is missing")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NoProjection(f"{keyword} is {value!r}, not a number")
    return float(value)
