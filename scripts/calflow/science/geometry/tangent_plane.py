"""The plane that touches the sky at a point (gnomonic projection), and affine maps of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ARCSEC_PER_RADIAN = np.degrees(1.0) * 3600.0


@dataclass(frozen=True)
class Affine:
    """An affine map of a tangent plane: ``matrix @ (xi, eta) + shift``.

    Attributes
    ----------
    matrix : ((m11, m12), (m21, m22))
        Without unit.
    shift : (dxi, deta)
        Arcsec.
    """

    matrix: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def is_identity(self) -> bool:
        """Whether the map moves nothing."""
        return self == IDENTITY

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the images of points, shape (..., 2), arcsec."""
        return np.asarray(points) @ np.array(self.matrix).T + np.array(self.shift)

    def inverse(self) -> Affine:
        """Return the map back."""
        matrix = np.linalg.inv(np.array(self.matrix))
        return affine(matrix, -matrix @ np.array(self.shift))

    def after(self, first: Affine) -> Affine:
        """Return the map that does `first`, then this one.

        Parameters
        ----------
        first : Affine
            What is applied before this one.
        """
        return affine(np.array(self.matrix) @ np.array(first.matrix), self(np.array(first.shift)))


IDENTITY = Affine()


def affine(matrix: np.ndarray, shift: np.ndarray) -> Affine:
    """Return an `Affine` of arrays of shape (2, 2) and (2,).

    Parameters
    ----------
    matrix : float array, shape (2, 2)
    shift : float array, shape (2,)
        In the unit of the plane, arcsec.
    """
    (a, b), (c, d) = np.asarray(matrix, float).tolist()
    x, y = np.asarray(shift, float).tolist()
    return Affine(((a, b), (c, d)), (x, y))


def to_plane(sky: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """Project sky positions to the tangent plane.

    Parameters
    ----------
    sky : float array, shape (..., 2)
        Right ascension and declination, degrees.
    centre : (ra, dec)
        Where the plane touches, degrees.

    Returns
    -------
    float64 array, shape (..., 2)
        Standard coordinates, arcsec: xi to the east, eta to the north. NaN for what is 90
        degrees or more from the centre.
    """
    sky = np.asarray(sky, float)
    ra, dec = np.radians(sky[..., 0] - centre[0]), np.radians(sky[..., 1])
    dec0 = np.radians(centre[1])
    sin_half, cos_ra = np.sin(ra / 2) ** 2, np.cos(ra)
    east = np.cos(dec) * np.sin(ra)
    # sin(dec - dec0) + ...: the difference of the two products loses digits near the centre.
    north = np.sin(dec - dec0) + 2 * np.sin(dec0) * np.cos(dec) * sin_half
    along = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * cos_ra
    with np.errstate(divide="ignore", invalid="ignore"):
        plane = np.stack([east / along, north / along], axis=-1)
    plane[along <= 0] = np.nan
    return plane * ARCSEC_PER_RADIAN


def to_sky(plane: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """Return the sky positions of points of a tangent plane; the inverse of `to_plane`.

    Parameters
    ----------
    plane : float array, shape (..., 2)
        xi to the east and eta to the north, arcsec.
    centre : (ra, dec)
        Where the plane touches the sky, degrees.

    Returns
    -------
    float64 array, shape (..., 2)
        Right ascension in 0..360 and declination, degrees.
    """
    xi, eta = np.moveaxis(np.asarray(plane, float), -1, 0) / ARCSEC_PER_RADIAN
    dec0 = np.radians(centre[1])
    across = np.cos(dec0) - eta * np.sin(dec0)
    ra = np.degrees(np.arctan2(xi, across)) + centre[0]
    dec = np.degrees(np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(xi, across)))
    return np.stack([np.mod(ra, 360.0), dec], axis=-1)
