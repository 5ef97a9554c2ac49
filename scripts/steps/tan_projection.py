"""A rectified pixel grid on the sky: the TAN projection of FITS, with its linear terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steps.tangent_plane import to_plane, to_sky

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
        """Return the pixels (0-based) of sky positions in degrees, both shape (..., 2)."""
        scale = self.cdelt * ARCSEC_PER_DEG
        return to_plane(sky, self.crval) @ np.linalg.inv(np.array(self.pc)).T / scale + np.array(self.crpix)

    def to_sky(self, pixels: np.ndarray) -> np.ndarray:
        """Return the sky positions (degrees) of pixels, both shape (..., 2)."""
        offsets = np.asarray(pixels, float) - np.array(self.crpix)
        return to_sky(offsets @ np.array(self.pc).T * (self.cdelt * ARCSEC_PER_DEG), self.crval)

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
        """Return the projection as a gwcs with an array's shape (ny, nx) and bounding box."""
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


def projection_of(wcs: WCS) -> TanProjection | None:
    """Return the TAN projection that a gwcs is, or None if it is something else."""
    from gwcs.fitswcs import FITSImagingWCSTransform

    transform = wcs.forward_transform
    if not isinstance(transform, FITSImagingWCSTransform) or transform.projection.prjprm.code != "TAN":
        return None
    crpix, crval, cdelt, pc = (np.asarray(getattr(transform, n).value) for n in ("crpix", "crval", "cdelt", "pc"))
    if cdelt[0] != cdelt[1]:
        return None
    (a, b), (c, d) = pc.tolist()
    return TanProjection((*crpix.tolist(),), (*crval.tolist(),), float(cdelt[0]), ((a, b), (c, d)))  # type: ignore[arg-type]
