"""Where a pixel looks at on the sky, and the way back.

Written with plain numpy and closed formulas, apart from the workflow's own world coordinate code,
so that the simulated positions are an independent check of it. The chain is: pixel, shift of the
subarray, shift of the filter, distortion polynomial, (V2, V3), velocity aberration, attitude, sky.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import polynomial

from calflow.science.windows import Window
from calflow.simulation.instruments import Instrument

ARCSEC = np.pi / 180 / 3600


@dataclass(frozen=True)
class Pointing:
    """Attitude of the telescope: where the aperture's reference point looks at.

    Attributes
    ----------
    ra, dec, roll : float
        RA_REF, DEC_REF, ROLL_REF in degrees.
    """

    ra: float
    dec: float
    roll: float

    def offset(self, east: float, north: float, roll: float = 0.0) -> "Pointing":
        """Return the attitude moved on the sky.

        Parameters
        ----------
        east : float
            Arcsec.
        north : float
            Arcsec.
        roll : float, optional
            Degrees.
        """
        dec = self.dec + north / 3600
        return Pointing((self.ra + east / 3600 / np.cos(np.radians(dec))) % 360, dec, self.roll + roll)


class Optics:
    """Distortion of a detector: full-frame 0-based pixel to (V2, V3) in arcsec.

    Parameters
    ----------
    instrument : Instrument
        With its telescope and filter.
    """

    def __init__(self, instrument: Instrument):
        self.instrument = instrument
        self.x_coefficients = _coefficients(instrument.distortion_x, linear_index=(1, 0)) * instrument.x_scale
        self.y_coefficients = _coefficients(instrument.distortion_y, linear_index=(0, 1)) * instrument.y_scale
        self.rotation = np.array(instrument.to_v2v3)

    def from_reference_point(self, x, y):
        """Return the distances in pixels, with the filter's offset, from the aperture's reference point.

        Parameters
        ----------
        x : float array
            Full-frame pixels from 0.
        y : float array
            Alike.
        """
        column_offset, row_offset = self.instrument.filter_offset
        return x + column_offset - (self.instrument.x_reference - 1), y + row_offset - (self.instrument.y_reference - 1)

    def to_v2v3(self, x, y):
        """Return V2, V3 in arcsec of full-frame 0-based pixels.

        Parameters
        ----------
        x : float array
            Full-frame pixels from 0.
        y : float array
            Alike.
        """
        dx, dy = self.from_reference_point(np.asarray(x, float), np.asarray(y, float))
        ideal = (
            polynomial.polyval2d(dx, dy, self.x_coefficients),
            polynomial.polyval2d(dx, dy, self.y_coefficients),
        )
        return (
            self.instrument.v2_ref + self.rotation[0, 0] * ideal[0] + self.rotation[0, 1] * ideal[1],
            self.instrument.v3_ref + self.rotation[1, 0] * ideal[0] + self.rotation[1, 1] * ideal[1],
        )

    def from_v2v3(self, v2, v3):
        """Return the full-frame 0-based pixels of V2, V3 in arcsec, by iteration to 1e-9 pixel.

        Parameters
        ----------
        v2 : float array
            Arcsec.
        v3 : float array
            Alike.
        """
        v2, v3 = (
            np.asarray(v2, float) - self.instrument.v2_ref,
            np.asarray(v3, float) - self.instrument.v3_ref,
        )
        inverse = np.linalg.inv(self.rotation)
        ideal_x, ideal_y = inverse[0, 0] * v2 + inverse[0, 1] * v3, inverse[1, 0] * v2 + inverse[1, 1] * v3
        dx, dy = ideal_x / self.instrument.x_scale, ideal_y / self.instrument.y_scale
        for _ in range(60):
            step_x = (ideal_x - polynomial.polyval2d(dx, dy, self.x_coefficients)) / self.instrument.x_scale
            step_y = (ideal_y - polynomial.polyval2d(dx, dy, self.y_coefficients)) / self.instrument.y_scale
            dx, dy = dx + step_x, dy + step_y
            if max(np.abs(step_x).max(initial=0), np.abs(step_y).max(initial=0)) < 1e-9:
                break
        column_offset, row_offset = self.instrument.filter_offset
        return (
            dx - column_offset + self.instrument.x_reference - 1,
            dy - row_offset + self.instrument.y_reference - 1,
        )

    def relative_area(self, window: Window) -> np.ndarray:
        """Return the pixel areas of a window relative to that at the reference point, shape (ny, nx).

        Parameters
        ----------
        window : Window
            Pixels of the detector.
        """
        x = np.arange(window.nx) + window.xstart - 1.0
        y = np.arange(window.ny) + window.ystart - 1.0
        dx, dy = self.from_reference_point(x, y)

        def slope(coefficients, axis):
            return polynomial.polygrid2d(dx, dy, polynomial.polyder(coefficients, axis=axis)).T

        a, b = self.x_coefficients, self.y_coefficients
        determinant = slope(a, 0) * slope(b, 1) - slope(a, 1) * slope(b, 0)
        return determinant / self.instrument.pixel_area_arcsec2


@dataclass(frozen=True)
class Geometry:
    """World coordinates of one exposure; pixels are 0-based within `window`.

    Attributes
    ----------
    optics : Optics
    window : Window
    pointing : Pointing
    velocity_scale : float
        VA_SCALE.
    """

    optics: Optics
    window: Window
    pointing: Pointing
    velocity_scale: float = 1.0

    def to_sky(self, x, y):
        """Return RA and Dec in degrees of 0-based pixels.

        Parameters
        ----------
        x : float array
            Pixels of the exposure, from 0.
        y : float array
            Alike.
        """
        instrument, scale = self.optics.instrument, self.velocity_scale
        v2, v3 = self.optics.to_v2v3(np.asarray(x) + self.window.xstart - 1, np.asarray(y) + self.window.ystart - 1)
        v2 = scale * v2 + (1 - scale) * instrument.v2_ref
        v3 = scale * v3 + (1 - scale) * instrument.v3_ref
        vector = np.einsum("ij,j...->i...", self.attitude(), _unit_vector(v2 * ARCSEC, v3 * ARCSEC))
        return np.degrees(np.arctan2(vector[1], vector[0])) % 360, np.degrees(np.arcsin(vector[2]))

    def to_pixel(self, ra, dec):
        """Return the 0-based pixels that look at RA and Dec in degrees.

        Parameters
        ----------
        ra : float array
            Degrees.
        dec : float array
            Alike.
        """
        instrument, scale = self.optics.instrument, self.velocity_scale
        vector = np.einsum("ji,j...->i...", self.attitude(), _unit_vector(np.radians(ra), np.radians(dec)))
        v2 = np.arctan2(vector[1], vector[0]) / ARCSEC
        v3 = np.arcsin(vector[2]) / ARCSEC
        v2 = (v2 - (1 - scale) * instrument.v2_ref) / scale
        v3 = (v3 - (1 - scale) * instrument.v3_ref) / scale
        x, y = self.optics.from_v2v3(v2, v3)
        return x - (self.window.xstart - 1), y - (self.window.ystart - 1)

    def attitude(self) -> np.ndarray:
        """Return the matrix that turns a unit vector of the telescope's frame into one of the sky."""
        instrument, pointing = self.optics.instrument, self.pointing
        return (
            _rotation_z(np.radians(pointing.ra))
            @ _rotation_y(-np.radians(pointing.dec))
            @ _rotation_x(-np.radians(pointing.roll))
            @ _rotation_y(instrument.v3_ref * ARCSEC)
            @ _rotation_z(-instrument.v2_ref * ARCSEC)
        )

    def pointing_of(self, other: Instrument) -> Pointing:
        """Return where the reference point of another detector looks while this one has its pointing.

        Parameters
        ----------
        other : Instrument
            The other detector.
        """
        v2, v3 = other.v2_ref * ARCSEC, other.v3_ref * ARCSEC
        attitude = self.attitude()
        place = attitude @ _unit_vector(v2, v3)
        up = attitude @ np.array([-np.cos(v2) * np.sin(v3), -np.sin(v2) * np.sin(v3), np.cos(v3)])
        return Pointing(*_direction(place, up))

    def corners(self):
        """Return RA and Dec of the outer corners: lower left, upper left, upper right, lower right."""
        nx, ny = self.window.nx, self.window.ny
        return self.to_sky(np.array([-0.5, -0.5, nx - 0.5, nx - 0.5]), np.array([-0.5, ny - 0.5, ny - 0.5, -0.5]))


def telescope_axis(attitude: np.ndarray) -> tuple[float, float, float]:
    """Return RA and Dec of the V1 axis and the position angle of V3 there, in degrees.

    Parameters
    ----------
    attitude : float array, shape (3, 3)
        From the axes of the telescope to those of the sky.
    """
    return _direction(attitude[:, 0], attitude[:, 2])


def _direction(place: np.ndarray, up: np.ndarray) -> tuple[float, float, float]:
    """Return RA and Dec of a unit vector, and the position angle of another one there, in degrees."""
    ra, dec = np.arctan2(place[1], place[0]), np.arcsin(place[2])
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    return tuple(np.degrees([ra % (2 * np.pi), dec, np.arctan2(up @ east, up @ north) % (2 * np.pi)]).tolist())


def _coefficients(orders: tuple[tuple[float, ...], ...], linear_index: tuple[int, int]) -> np.ndarray:
    """Return the polynomial's coefficients c[i, j] of x**i * y**j, in pixels."""
    degree = len(orders) + 1
    coefficients = np.zeros((degree + 1, degree + 1))
    coefficients[linear_index] = 1.0
    for n, terms in enumerate(orders, start=2):
        for j, displacement in enumerate(terms):
            coefficients[n - j, j] = displacement / 1000.0**n
    return coefficients


def _unit_vector(longitude, latitude) -> np.ndarray:
    return np.array([np.cos(longitude) * np.cos(latitude), np.sin(longitude) * np.cos(latitude), np.sin(latitude)])


def _rotation_x(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _rotation_y(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _rotation_z(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
