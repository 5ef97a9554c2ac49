"""A rotation of the whole sky: it moves a field anywhere and keeps all distances in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SkyRotation:
    """A rotation of the sphere.

    Attributes
    ----------
    vector : (x, y, z)
        Its axis times its angle, degrees, right-handed. The x axis points to right ascension and
        declination 0, the z axis to the north pole.
    """

    vector: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def is_identity(self) -> bool:
        """Whether it turns nothing."""
        return self == NO_ROTATION

    @property
    def matrix(self) -> np.ndarray:
        """Of Cartesian vectors, shape (3, 3) (Rodrigues 1840)."""
        vector = np.radians(self.vector)
        angle = np.linalg.norm(vector)
        x, y, z = vector
        cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        # sin(a) / a and (1 - cos(a)) / a^2, without a loss of digits; np.sinc(t) is sin(pi t) / (pi t).
        return np.eye(3) + np.sinc(angle / np.pi) * cross + np.sinc(angle / (2 * np.pi)) ** 2 / 2 * cross @ cross

    def __call__(self, sky: np.ndarray) -> np.ndarray:
        """Return where sky positions come to lie.

        Parameters
        ----------
        sky : float array, shape (..., 2)
            Right ascension and declination, degrees.

        Returns
        -------
        float64 array, shape (..., 2)
            The same, right ascension in 0..360. Without a rotation the given ones.
        """
        if self.is_identity:
            return sky
        return to_spherical(to_cartesian(sky) @ self.matrix.T)

    def inverse(self) -> SkyRotation:
        """Return the rotation back."""
        x, y, z = self.vector
        return SkyRotation((-x, -y, -z))

    def axis_angles(self) -> tuple[float, float, float]:
        """Return the angles, degrees, of rotations about the x, then the y, then the z axis that make the same."""
        r = self.matrix
        about_y = np.arctan2(-r[2, 0], np.hypot(r[2, 1], r[2, 2]))
        x, y, z = np.degrees([np.arctan2(r[2, 1], r[2, 2]), about_y, np.arctan2(r[1, 0], r[0, 0])]).tolist()
        return x, y, z


NO_ROTATION = SkyRotation()


def rotation_between(start: np.ndarray, end: np.ndarray) -> SkyRotation:
    """Return the rotation along the great circle from one position to another, shape (2,), degrees.

    Parameters
    ----------
    start, end : float array, shape (2,)
        Right ascension and declination, degrees.
    """
    a, b = to_cartesian(start), to_cartesian(end)
    across = np.cross(a, b)
    sine = np.linalg.norm(across)
    if sine == 0:
        return NO_ROTATION
    x, y, z = (across / sine * np.degrees(np.arctan2(sine, a @ b))).tolist()
    return SkyRotation((x, y, z))


def to_cartesian(sky: np.ndarray) -> np.ndarray:
    """Return the unit vectors, shape (..., 3), of right ascension and declination in degrees, shape (..., 2).

    Parameters
    ----------
    sky : float array, shape (..., 2)
        Right ascension and declination, degrees.
    """
    ra, dec = np.moveaxis(np.radians(sky), -1, 0)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def to_spherical(vectors: np.ndarray) -> np.ndarray:
    """Return right ascension (0..360) and declination in degrees, shape (..., 2), of vectors of shape (..., 3).

    Parameters
    ----------
    vectors : float array, shape (..., 3)
        Of any length.
    """
    x, y, z = np.moveaxis(vectors, -1, 0)
    ra, dec = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
    return np.stack([np.mod(ra, 360.0), dec], axis=-1)
