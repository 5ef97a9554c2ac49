"""Where exposures lie on the sky, as their headers tell before any pixel is calibrated."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calflow.files.linear_wcs import NoProjection, check_pixels, pixel_matrix, read_projection
from calflow.inputs.headers import ExposureHeader
from calflow.instruments import family_of
from calflow.science.geometry.footprints import parse_s_region
from calflow.science.geometry.input_pixels import InputPixels, fiducial
from calflow.science.geometry.polygons import signed_area
from calflow.science.geometry.tan_projection import ARCSEC_PER_DEG, TanProjection, tan_projection
from calflow.science.geometry.tangent_plane import to_plane, to_sky

# The pointings are going to be corrected, and the headers tell no distortion: what is nearer (arcsec) may still reach.
REACH = 10.0
# Headers tell where exposures lie within this part of their size.
UNCERTAINTY = 0.02
_POINTING = "RA_REF DEC_REF CRPIX1 CRPIX2 CDELT1 CDELT2".split()


@dataclass(frozen=True)
class Footprint:
    """Where the pixels of an exposure lie, without its distortion: within 2 % of its size.

    Attributes
    ----------
    vertices : float64 array, shape (n, 2)
        Right ascension and declination of its corners, degrees.
    pixels : InputPixels
    """

    vertices: np.ndarray
    pixels: InputPixels

    def moved(self, target: tuple[float, float], to: tuple[float, float]) -> "Footprint":
        """Return the footprint as it would be if the target were elsewhere on the sky.

        Parameters
        ----------
        target : (float, float)
            Where the target was, (right ascension, declination) in degrees.
        to : (float, float)
            Where it should be, alike.
        """
        return replace(self, vertices=to_sky(to_plane(self.vertices, target), to))


def footprint_of(header: ExposureHeader) -> Footprint | None:
    """Return where an exposure lies, or None if its header does not tell.

    Of a calibrated one S_REGION counts. Before that it may be of an older pointing: of RA_REF, DEC_REF and ROLL_REF the
    world coordinates are going to be made (here, with CRPIX and CDELT); or of the linear WCS, if the family takes that.

    Parameters
    ----------
    header : ExposureHeader
        Keywords of the exposure.
    """
    ways = [_from_projection, _from_region]
    for way in reversed(ways) if header.values.get("S_WCS") == "COMPLETE" else ways:
        try:
            return way(header)
        except (ValueError, TypeError, KeyError, ArithmeticError):  # a keyword is missing, or no number
            continue
    return None


def with_targets_together(
    footprints: Mapping[str, Footprint], targets: Mapping[str, tuple[float, float] | None]
) -> dict[str, Footprint]:
    """Return footprints moved so that their moving target stands still, in the middle of where it was.

    Parameters
    ----------
    footprints : mapping of str to Footprint
        By the root of the exposure.
    targets : mapping of str to (float, float) or None
        (right ascension, declination) in degrees, alike; None: not known.
    """
    known = {name: target for name, target in targets.items() if target is not None and np.isfinite(target).all()}
    if set(known) < set(footprints):
        return dict(footprints)
    middle = fiducial(np.array(list(known.values())))
    return {name: footprint.moved(known[name], middle) for name, footprint in footprints.items()}


def extent(polygons: Sequence[np.ndarray]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the middle of sky polygons (right ascension and declination, degrees), their width and height, arcsec.

    The sizes are NaN if something is 90 degrees or more from the middle.

    Parameters
    ----------
    polygons : sequence of float array, shape (n, 2)
        Right ascension and declination of the corners, degrees.
    """
    vertices = np.concatenate(polygons)
    middle = fiducial(vertices)
    width, height = np.ptp(to_plane(vertices, middle), axis=0).tolist()
    return middle, (width, height)


def outer_corners(shape: Sequence[int]) -> np.ndarray:
    """Return the outer corners of an image, pixels (x, y) counted from 0, shape (4, 2).

    Parameters
    ----------
    shape : sequence of int
        (ny, nx).
    """
    ny, nx = shape
    return np.array([(-0.5, -0.5), (-0.5, ny - 0.5), (nx - 0.5, ny - 0.5), (nx - 0.5, -0.5)])


def _from_projection(header: ExposureHeader) -> Footprint:
    family = family_of(header.values)
    by_header = family is not None and "header" in family.rules_of("assign_wcs")
    projection = read_projection(header.values) if by_header else _pointing_projection(header.values)
    vertices = projection.to_sky(outer_corners(header.shape[-2:]))
    return Footprint(vertices, _input_pixels(projection.matrix, abs(np.linalg.det(projection.matrix))))


def _pointing_projection(values: Mapping[str, Any]) -> TanProjection:
    ra, dec, x, y, dx, dy = (_number(values[keyword]) for keyword in _POINTING)
    with np.errstate(all="ignore"):
        matrix = _orientation(values) * np.array([dx, dy])
    check_pixels(matrix)
    return tan_projection((x - 1, y - 1), (ra, dec), matrix)


def _orientation(values: Mapping[str, Any]) -> np.ndarray:
    """Return the matrix from square pixels of size 1 to the tangent plane."""
    roll, parity, angle = (_number(values[keyword]) for keyword in ("ROLL_REF", "VPARITY", "V3I_YANG"))
    turn = math.radians(roll - parity * angle)
    return np.array([[parity * math.cos(turn), math.sin(turn)], [-parity * math.sin(turn), math.cos(turn)]])


def _from_region(header: ExposureHeader) -> Footprint:
    values = header.values
    vertices = np.concatenate(parse_s_region(str(values["S_REGION"])))
    ny, nx = header.shape[-2:]
    area = abs(signed_area(to_plane(vertices, fiducial(vertices)))) / (nx * ny * ARCSEC_PER_DEG**2)
    try:
        matrix = pixel_matrix(values)
    except NoProjection:
        matrix = math.sqrt(area) * _orientation(values)
    if not (area > 0 and abs(np.linalg.det(matrix)) > 0):
        raise ValueError("no area")
    return Footprint(vertices, _input_pixels(matrix, area))


def _input_pixels(matrix: np.ndarray, area: float) -> InputPixels:
    """Return pixels by the matrix from them to the tangent plane, degrees, and their mean area, square degrees."""
    determinant = float(np.linalg.det(matrix))
    return InputPixels(
        scale=math.sqrt(abs(determinant)) * ARCSEC_PER_DEG,
        area=float(area) * ARCSEC_PER_DEG**2,
        position_angle=math.degrees(math.atan2(matrix[0, 1], matrix[1, 1])),
        parity=1 if determinant > 0 else -1,
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)
