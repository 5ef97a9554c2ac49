"""The size and orientation of an exposure's pixels, as an output grid takes them over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calflow.science.geometry.footprints import pixel_bounds
from calflow.science.geometry.pointing import Pointing

if TYPE_CHECKING:
    from gwcs import WCS

ARCSEC_PER_DEG = 3600.0
# Samples per side of an outline whose area is measured; the sides of a detector are curved.
OUTLINE_SAMPLES = 65
# The scale at the reference point and the mean one differ by less than this factor, but if somebody has moved the WCS
# and left the reference point behind: there the distortion is that of no pixel.
SCALES_DIFFER = 1.1


@dataclass(frozen=True)
class InputPixels:
    """What an output grid takes over from the first input.

    Attributes
    ----------
    scale : float
        Pixel scale at the aperture's reference point, arcsec; the mean one if that is no place of the detector.
    area : float
        Mean area of a pixel, arcsec^2.
    position_angle : float
        Of the detector's y axis, degrees east of north; with parity 1 it is too small by twice V3I_YANG, so that
        grids are those of jwst.
    parity : int
        -1 if x runs to the west when y runs to the north, as on the sky seen from inside; else 1.
    """

    scale: float
    area: float
    position_angle: float
    parity: int

    def magnified(self, factor: float) -> InputPixels:
        """Return pixels whose sides are this factor as long.

        Parameters
        ----------
        factor : float
            New over old side.
        """
        return replace(self, scale=self.scale * factor, area=self.area * factor**2)


def input_pixels(wcs: WCS, pointing: Pointing, shape: tuple[int, int] | None = None) -> InputPixels:
    """Return what an output grid takes over from an exposure, whose shape is needed if it has no bounding box.

    Parameters
    ----------
    wcs : gwcs.WCS
        From pixels (0-based) to right ascension and declination, degrees.
    pointing : Pointing
        With the aperture's reference point.
    shape : (ny, nx) or None
        Of the exposure.

    Raises
    ------
    ValueError
        If the WCS does not reach the reference point.
    """
    scale = scale_at_reference(wcs, pointing)
    area = mean_pixel_area(wcs, shape if wcs.bounding_box is None else None)
    mean = float(np.sqrt(area))
    return InputPixels(
        scale=scale if mean / SCALES_DIFFER < scale < mean * SCALES_DIFFER else mean,
        area=area,
        position_angle=pointing.roll_ref - pointing.vparity * pointing.v3_yangle,
        parity=pointing.vparity,
    )


def scale_at_reference(wcs: WCS, pointing: Pointing) -> float:
    """Return the pixel scale (arcsec) of a WCS at the aperture's reference point.

    The geometric mean of the steps to the next pixels in x and y.

    Parameters
    ----------
    wcs : gwcs.WCS
        From pixels (0-based) to right ascension and declination, degrees.
    pointing : Pointing
        With the aperture's reference point.

    Raises
    ------
    ValueError
        If the WCS does not reach the reference point.
    """
    x, y = wcs.invert(pointing.ra_ref, pointing.dec_ref, with_bounding_box=False)
    x, y = x + np.array([0.0, 1.0, 0.0]), y + np.array([0.0, 0.0, 1.0])
    ra, dec = wcs(x, y, with_bounding_box=False)
    to_x, to_y = (separation(ra[0], dec[0], ra[i], dec[i]) for i in (1, 2))
    scale = float(np.sqrt(to_x * to_y)) * ARCSEC_PER_DEG
    if not scale > 0:
        raise ValueError(
            f"the first input gives no pixel scale at RA_REF, DEC_REF = {pointing.ra_ref}, {pointing.dec_ref}"
        )
    return scale


def mean_pixel_area(wcs: WCS, shape: tuple[int, int] | None = None) -> float:
    """Return the mean area (arcsec^2) of the pixels in the bounding box, or in an array's shape.

    The area of the outline in an equal-area projection, over the number of pixels.

    Parameters
    ----------
    wcs : gwcs.WCS
        From pixels (0-based) to right ascension and declination, degrees.
    shape : (ny, nx) or None
        None: the bounding box counts.
    """
    if shape is None:
        (xmin, xmax), (ymin, ymax) = pixel_bounds(wcs)
    else:
        (xmin, xmax), (ymin, ymax) = (-0.5, shape[1] - 0.5), (-0.5, shape[0] - 0.5)
    t = np.linspace(0.0, 1.0, OUTLINE_SAMPLES)[:-1]
    x = xmin + (xmax - xmin) * np.concatenate([t, t**0, 1 - t, 0 * t])
    y = ymin + (ymax - ymin) * np.concatenate([0 * t, t, t**0, 1 - t])
    vertices = np.stack(wcs(x, y, with_bounding_box=False), axis=-1)
    u, v = _equal_area(vertices, fiducial(vertices)).T
    area = abs(np.sum(u * np.roll(v, -1) - v * np.roll(u, -1))) / 2
    return float(area * ARCSEC_PER_DEG**2 / ((xmax - xmin) * (ymax - ymin)))


def fiducial(vertices: np.ndarray) -> tuple[float, float]:
    """Return the middle of sky positions: of the lowest and highest of each Cartesian coordinate.

    Parameters
    ----------
    vertices : float array, shape (n, 2)
        Right ascension and declination, degrees.
    """
    ra, dec = np.radians(vertices).T
    xyz = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    x, y, z = (xyz.min(axis=1) + xyz.max(axis=1)) / 2
    return float(np.degrees(np.arctan2(y, x)) % 360.0), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def separation(ra1, dec1, ra2, dec2) -> float:
    """Return the great-circle distance in degrees (haversine formula, exact for small angles).

    Parameters
    ----------
    ra1, dec1, ra2, dec2 : float or float array
        Right ascension and declination of two positions, degrees.
    """
    half_dec, half_ra = np.radians(dec2 - dec1) / 2, np.radians(ra2 - ra1) / 2
    square = np.sin(half_dec) ** 2 + np.cos(np.radians(dec1)) * np.cos(np.radians(dec2)) * np.sin(half_ra) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(square)))


def _equal_area(vertices: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """Project as Lambert's azimuthal equal-area projection does, degrees, shape (n, 2)."""
    east, north, along = _tangent_components(vertices, centre)
    return np.degrees(np.stack([east, north], axis=-1) * np.sqrt(2 / (1 + along))[:, None])


def _tangent_components(vertices, centre):
    """Return the components of unit vectors to the east, to the north and along the centre."""
    ra, dec = np.radians(vertices).T
    ra0, dec0 = np.radians(centre)
    east = np.cos(dec) * np.sin(ra - ra0)
    north = np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)
    along = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    return east, north, along
