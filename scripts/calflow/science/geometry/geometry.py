"""Where the pixels of an exposure lie on the sky, as some hundred numbers, and the correction of its pointing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calflow.science.geometry.footprints import pixel_bounds
from calflow.science.geometry.input_pixels import InputPixels, input_pixels
from calflow.science.geometry.pointing import Pointing
from calflow.science.geometry.sky_rotation import NO_ROTATION, SkyRotation
from calflow.science.geometry.smooth_map import SmoothMap, smooth_map
from calflow.science.geometry.tangent_plane import IDENTITY, Affine, to_plane, to_sky

if TYPE_CHECKING:
    from gwcs import WCS

# Largest error of the approximation, arcsec: 1e-7 of the finest pixels.
MAX_ERROR = 2e-9
# The same of the inverse, pixels.
MAX_INVERSE_ERROR = 1e-7


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of an exposure lie.

    The same as its gwcs within 2e-9 arcsec, but quick to load and to evaluate. It ends in the
    plane that touches the sky at a point of the exposure, where a correction of the pointing is
    an affine map.

    Attributes
    ----------
    shape : (ny, nx)
    centre : (ra, dec)
        Where the tangent plane touches, degrees.
    detector_to_plane : SmoothMap
        From pixels (0-based) of the bounding box to the tangent plane, arcsec, uncorrected.
    plane_to_detector : SmoothMap
        The inverse that comes with the WCS, from the tangent plane around the footprint.
    pixels : InputPixels
        Their size and orientation, uncorrected.
    correction : Affine
        What is to be done in the tangent plane after that.
    rotation : SkyRotation
        Of the sky in the end: what brings a moving target to its mean position.
    """

    shape: tuple[int, int]
    centre: tuple[float, float]
    detector_to_plane: SmoothMap
    plane_to_detector: SmoothMap
    pixels: InputPixels
    correction: Affine = IDENTITY
    rotation: SkyRotation = NO_ROTATION

    @property
    def bounds(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The bounding box as ((xmin, xmax), (ymin, ymax)), outer pixel edges."""
        return self.detector_to_plane.x_range, self.detector_to_plane.y_range

    def corrected(self, correction: Affine, rotation: SkyRotation = NO_ROTATION) -> Geometry:
        """Return the geometry with another correction.

        Parameters
        ----------
        correction : Affine
            Of the pointing, in the tangent plane, arcsec.
        rotation : SkyRotation
            Of the sky, such as that which follows a moving target.
        """
        return replace(self, correction=correction, rotation=rotation)

    def plane(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the corrected positions of pixels in the tangent plane, arcsec, shape (..., 2).

        Parameters
        ----------
        x, y : float array, shape (...)
            Pixels, 0-based.
        """
        return self.correction(self.detector_to_plane(x, y))

    def sky(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return right ascension (0..360) and declination of pixels, degrees, shape (..., 2).

        Parameters
        ----------
        x, y : float array, shape (...)
            Pixels, 0-based.
        """
        return self.rotation(to_sky(self.plane(x, y), self.centre))

    def pixel(self, sky: np.ndarray) -> np.ndarray:
        """Return the pixels, shape (..., 2), of sky positions, shape (..., 2), in and around the bounding box.

        By the inverse that comes with the WCS: for JWST a polynomial of its own, which is off by up
        to 0.1 pixel. That is enough to tell which pixels lie in an overlap, and the same ones as in
        jwst.

        Parameters
        ----------
        sky : float array, shape (..., 2)
            Right ascension and declination, degrees.

        Returns
        -------
        float64 array, shape (..., 2)
            x and y, 0-based.
        """
        plane = to_plane(self.rotation.inverse()(np.asarray(sky)), self.centre)
        return self.plane_to_detector(*np.moveaxis(self.correction.inverse()(plane), -1, 0))

    def input_pixels(self) -> InputPixels:
        """Return what an output grid takes over from the corrected exposure."""
        return self.pixels.magnified(np.sqrt(abs(np.linalg.det(np.array(self.correction.matrix)))))

    def footprint(self) -> np.ndarray:
        """Return the sky positions of the corners as `science.geometry.footprints.footprint` does, shape (4, 2)."""
        (xmin, xmax), (ymin, ymax) = self.bounds
        return self.sky(np.array([xmin, xmin, xmax, xmax]), np.array([ymin, ymax, ymax, ymin]))


def outline(geometry: Geometry, stepsize: int | None = None) -> np.ndarray:
    """Return the sky positions of points along the edges, about `stepsize` pixels apart, shape (n, 2).

    In the order of `Geometry.footprint`, which it is without a step size.

    Parameters
    ----------
    geometry : Geometry
    stepsize : int or None
        Pixels between two points, about. None: the corners alone.
    """
    if stepsize is None:
        return geometry.footprint()
    (xmin, xmax), (ymin, ymax) = geometry.bounds
    along_x, along_y = (
        np.linspace(low, high, max(1, round((high - low) / stepsize)) + 1)[:-1]
        for low, high in ((xmin, xmax), (ymin, ymax))
    )
    x = [np.full(len(along_y), xmin), along_x, np.full(len(along_y), xmax), xmin + xmax - along_x]
    y = [along_y, np.full(len(along_x), ymax), ymin + ymax - along_y, np.full(len(along_x), ymin)]
    return geometry.sky(np.concatenate(x), np.concatenate(y))


def geometry_of(wcs: WCS, shape: tuple[int, int], pointing: Pointing) -> Geometry:
    """Return the geometry that a gwcs describes.

    Parameters
    ----------
    wcs : gwcs.WCS
        From pixels to right ascension and declination, degrees.
    shape : (ny, nx)
    pointing : Pointing
        The tangent plane touches the sky at its reference point (RA_REF, DEC_REF): that is where
        jwst's corrections are applied.

    Raises
    ------
    steps.smooth_map.NotSmooth
        If polynomials do not describe the WCS accurately enough.
    """
    centre = pointing.ra_ref, pointing.dec_ref
    bounds = pixel_bounds(wcs) if wcs.bounding_box is not None else ((-0.5, shape[1] - 0.5), (-0.5, shape[0] - 0.5))

    def plane(x, y):
        return to_plane(np.stack(wcs(x, y, with_bounding_box=False), axis=-1), centre)

    def detector(xi, eta):
        ra, dec = np.moveaxis(to_sky(np.stack([xi, eta], axis=-1), centre), -1, 0)
        return np.stack(wcs.invert(ra, dec, with_bounding_box=False), axis=-1)

    forward = smooth_map(plane, *bounds, MAX_ERROR)
    (xmin, xmax), (ymin, ymax) = bounds
    corners = forward(np.array([xmin, xmin, xmax, xmax]), np.array([ymin, ymax, ymax, ymin]))
    xi_range, eta_range = ((float(values.min()), float(values.max())) for values in corners.T)
    inverse = smooth_map(detector, xi_range, eta_range, MAX_INVERSE_ERROR)
    return Geometry(shape, centre, forward, inverse, input_pixels(wcs, pointing, shape))
