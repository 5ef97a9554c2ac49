"""A rectified pixel grid on the sky: the TAN projection of FITS, with its linear terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calflow.science.geometry.pointing import Pointing
from calflow.science.geometry.sky_rotation import SkyRotation, to_cartesian
from calflow.science.geometry.tangent_plane import Affine, to_plane, to_sky

if TYPE_CHECKING:
    from gwcs import WCS

ARCSEC_PER_DEG = 3600.0


@dataclass(frozen=True)
class TanProjection:
    """From pixels to the sky by the gnomonic projection (Calabretta and Greisen 2002).

    Attributes
    ----------
    crpix : (x, y)
        Pixel of the reference point, 0-based.
    crval : (ra, dec)
        The reference point, degrees.
    cdelt : float
        Degrees per pixel.
    pc : ((pc11, pc12), (pc21, pc22))
    """

    crpix: tuple[float, float]
    crval: tuple[float, float]
    cdelt: float
    pc: tuple[tuple[float, float], tuple[float, float]]

    def to_pixel(self, sky: np.ndarray) -> np.ndarray:
        """Return the pixels (0-based) of sky positions in degrees, both shape (..., 2).

        Parameters
        ----------
        sky : float array, shape (..., 2)
            Right ascension and declination, degrees.
        """
        scale = self.cdelt * ARCSEC_PER_DEG
        return to_plane(sky, self.crval) @ np.linalg.inv(np.array(self.pc)).T / scale + np.array(self.crpix)

    def to_sky(self, pixels: np.ndarray) -> np.ndarray:
        """Return the sky positions (degrees) of pixels, both shape (..., 2).

        Parameters
        ----------
        pixels : float array, shape (..., 2)
            x and y, 0-based.
        """
        offsets = np.asarray(pixels, float) - np.array(self.crpix)
        return to_sky(offsets @ np.array(self.pc).T * (self.cdelt * ARCSEC_PER_DEG), self.crval)

    @property
    def matrix(self) -> np.ndarray:
        """From pixels to the tangent plane, degrees, shape (2, 2)."""
        return self.cdelt * np.array(self.pc)

    def pixel_area(self) -> tuple[float, float]:
        """Return the area of a pixel at the reference point: steradian, square arcsec."""
        area = abs(np.linalg.det(self.matrix))
        return float(np.radians(np.radians(area))), float(area * ARCSEC_PER_DEG**2)

    def pointing(self) -> Pointing:
        """Return where it looks: the reference point is the aperture's, and its y axis that of the telescope."""
        (_, east), (_, north) = self.matrix
        ra, dec = self.crval
        roll = float(np.degrees(np.arctan2(east, north)) % 360.0)
        return Pointing(0.0, 0.0, roll, ra, dec, vparity=int(np.sign(np.linalg.det(self.matrix))), v3_yangle=0.0)

    def corrected(self, correction: Affine) -> TanProjection:
        """Return the projection with a correction, in arcsec, that follows it in the tangent plane.

        Parameters
        ----------
        correction : Affine
            In the tangent plane, arcsec.
        """
        linear, shift = np.array(correction.matrix), np.array(correction.shift) / ARCSEC_PER_DEG
        matrix = linear @ self.matrix
        crpix = np.array(self.crpix) - np.linalg.solve(matrix, shift)
        return tan_projection((float(crpix[0]), float(crpix[1])), self.crval, matrix)

    def turned(self, rotation: SkyRotation) -> TanProjection:
        """Return the projection of a sky that is turned.

        Parameters
        ----------
        rotation : SkyRotation
            Of the sky.
        """
        if rotation.is_identity:
            return self
        crval = rotation(np.array(self.crval))
        before, after = _east_and_north(*self.crval), _east_and_north(*crval)
        matrix = after @ rotation.matrix @ before.T @ self.matrix
        return tan_projection(self.crpix, (float(crval[0]), float(crval[1])), matrix)

    def keywords(self) -> dict[str, str | int | float]:
        """Return the FITS keywords."""
        cards: dict[str, str | int | float] = {"WCSAXES": 2}
        cards |= {f"CRPIX{i}": self.crpix[i - 1] + 1.0 for i in (1, 2)}
        cards |= {f"CRVAL{i}": self.crval[i - 1] for i in (1, 2)}
        cards |= {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg"}
        cards |= {f"CDELT{i}": self.cdelt for i in (1, 2)}
        cards |= {f"PC{i}_{j}": self.pc[i - 1][j - 1] for i in (1, 2) for j in (1, 2)}
        if self.crval[1] == 90.0:  # exactly at the pole FITS would take 0 if nothing is said
            cards["LONPOLE"] = 180.0
        return cards | {"RADESYS": "ICRS"}

    def gwcs(self, shape: tuple[int, int], box: tuple[tuple[float, float], tuple[float, float]]) -> WCS:
        """Return the projection as a gwcs with an array's shape (ny, nx) and bounding box.

        Parameters
        ----------
        shape : (ny, nx)
            Of the image.
        box : ((xmin, xmax), (ymin, ymax))
            Its bounding box, pixels.
        """
        from astropy import coordinates, units
        from astropy.modeling.models import Pix2Sky_TAN
        from gwcs import WCS
        from gwcs import coordinate_frames as cf
        from gwcs.fitswcs import FITSImagingWCSTransform

        transform = FITSImagingWCSTransform(
            Pix2Sky_TAN(),
            crpix=list(self.crpix),
            crval=list(self.crval),
            cdelt=[self.cdelt, self.cdelt],
            pc=np.array(self.pc),
        )
        detector = cf.Frame2D(name="detector", axes_order=(0, 1), unit=(units.pix, units.pix))
        world = cf.CelestialFrame(name="world", reference_frame=coordinates.ICRS())
        wcs = WCS([(detector, transform), (world, None)])
        wcs.array_shape = shape
        wcs.bounding_box = box
        return wcs


def tan_projection(crpix: tuple[float, float], crval: tuple[float, float], matrix: np.ndarray) -> TanProjection:
    """Return a projection whose pixels need not be square.

    Parameters
    ----------
    crpix : (x, y)
        Pixel of the reference point, 0-based.
    crval : (ra, dec)
        The reference point, degrees.
    matrix : float array, shape (2, 2)
        From pixels to the tangent plane, degrees; it has an inverse.
    """
    cdelt = float(np.sqrt(abs(np.linalg.det(matrix))))
    (a, b), (c, d) = (np.asarray(matrix) / cdelt).tolist()
    return TanProjection(crpix, crval, cdelt, ((a, b), (c, d)))


def _east_and_north(ra: float, dec: float) -> np.ndarray:
    """Return the unit vectors to the east and to the north at a position (degrees), shape (2, 3)."""
    east = to_cartesian(np.array([ra + 90.0, 0.0]))
    return np.stack([east, np.cross(to_cartesian(np.array([ra, dec])), east)])


def fk5_projection(projection: TanProjection) -> TanProjection:
    """Return a projection whose sky is that of FK5, equinox 2000, as one to ICRS.

    Between the two frames lies a rotation of the sphere, which turns the reference point and the north there.

    Parameters
    ----------
    projection : TanProjection
        To FK5, equinox 2000.
    """
    from astropy import units
    from astropy.coordinates import ICRS, SkyCoord

    ra, dec = projection.crval
    north = 1e-3 if dec < 0 else -1e-3  # degrees, never across a pole
    points = SkyCoord([ra, ra], [dec, dec + north], unit=units.deg, frame="fk5").transform_to(ICRS())
    turn = points[0].position_angle(points[1]).radian + (0 if north > 0 else np.pi)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    crval = float(points[0].ra.deg), float(points[0].dec.deg)
    return tan_projection(projection.crpix, crval, rotation @ projection.matrix)


def projection_of(wcs: WCS) -> TanProjection | None:
    """Return the TAN projection that a gwcs is, or None if it is something else.

    Parameters
    ----------
    wcs : gwcs.WCS
        From pixels (0-based) to the sky.
    """
    from gwcs.fitswcs import FITSImagingWCSTransform

    transform = wcs.forward_transform
    if not isinstance(transform, FITSImagingWCSTransform) or transform.projection.prjprm.code != "TAN":
        return None
    crpix, crval, cdelt, pc = (np.asarray(getattr(transform, n).value) for n in ("crpix", "crval", "cdelt", "pc"))
    if cdelt[0] != cdelt[1]:
        return None
    (a, b), (c, d) = pc.tolist()
    return TanProjection((*crpix.tolist(),), (*crval.tolist(),), float(cdelt[0]), ((a, b), (c, d)))  # type: ignore[arg-type]
