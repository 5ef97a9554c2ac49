"""Corrections of a pointing that come from outside, as affine maps of the exposure's tangent plane.

They come as offsets, or as a whole WCS that differs from the nominal one by such a map: that is all that
JWST's tweakreg changes, and what other programs that align exposures usually do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calflow.science.geometry.tangent_plane import Affine, affine, to_plane


@dataclass(frozen=True, kw_only=True)
class Offset:
    """What is to be added to the pointing of an exposure.

    Attributes
    ----------
    east, north : float
        Motion of the reference point of the exposure on the sky, arcsec.
    rotation : float
        About the reference point, from north to east, degrees.
    scale : float
        A factor: 1 leaves the scale as it is.
    of_coordinates : bool
        Whether `east` and `north` are added to right ascension and declination, in arcsec of these angles: then
        `east` is 1 / cos(declination) times the motion on the sky.
    matrix : ((m11, m12), (m21, m22)) or None
        In place of rotation and scale, if it is known.
    """

    east: float
    north: float
    rotation: float = 0.0
    scale: float = 1.0
    of_coordinates: bool = False
    matrix: tuple[tuple[float, float], tuple[float, float]] | None = None


def correction_of(offset: Offset, centre: tuple[float, float]) -> Affine:
    """Return an offset as a map of the tangent plane.

    Parameters
    ----------
    offset : Offset
    centre : (ra, dec)
        The reference point of the exposure, where the plane touches the sky, degrees.
    """
    shift = np.array([offset.east, offset.north])
    if offset.of_coordinates:
        shift = to_plane(np.array(centre) + shift / 3600.0, centre)
    if offset.matrix is not None:
        return affine(np.array(offset.matrix), shift)
    angle = np.radians(offset.rotation)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return affine(offset.scale * turn, shift)


def correction_between(nominal: np.ndarray, given: np.ndarray, centre: tuple[float, float]) -> tuple[Affine, float]:
    """Return the map of the tangent plane that brings positions of pixels to those that another WCS gives them.

    Parameters
    ----------
    nominal, given : float array, shape (n, 2)
        Right ascension and declination of the same pixels by the one and the other, degrees; all finite.
    centre : (ra, dec)
        Where the plane touches the sky, degrees.

    Returns
    -------
    correction : Affine
        The best one by least squares.
    residual : float
        The largest distance that it leaves, arcsec; infinite if a given position is 90 degrees away.
    """
    before, after = to_plane(nominal, centre), to_plane(given, centre)
    if not np.isfinite(after).all():
        return Affine(), np.inf
    terms = np.concatenate([before, np.ones((len(before), 1))], axis=1)
    # The motion of the points, not the points: the small numbers keep their digits.
    *columns, shift = np.linalg.lstsq(terms, after - before, rcond=None)[0]
    correction = affine(np.eye(2) + np.transpose(columns), shift)
    return correction, float(np.hypot(*(correction(before) - after).T).max())
