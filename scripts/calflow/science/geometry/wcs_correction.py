"""The gwcs of an exposure with its pointing corrected, where it is a TAN projection of the header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calflow.science.geometry.footprints import pixel_bounds
from calflow.science.geometry.pointing import Pointing
from calflow.science.geometry.sky_rotation import NO_ROTATION, SkyRotation
from calflow.science.geometry.tan_projection import projection_of
from calflow.science.geometry.tangent_plane import Affine

if TYPE_CHECKING:
    from gwcs import WCS


def correct_wcs(wcs: WCS, pointing: Pointing, correction: Affine, rotation: SkyRotation = NO_ROTATION) -> WCS:
    """Return a WCS with a correction in it; the given one is not changed.

    Parameters
    ----------
    wcs : gwcs.WCS
        A TAN projection, whose reference point is that of `pointing`; corrected it is another one.
    pointing : Pointing
    correction : Affine
        In the plane that touches the sky at (RA_REF, DEC_REF).
    rotation : SkyRotation
        Of a moving target.

    Raises
    ------
    ValueError
        If it is no TAN projection.
    """
    if correction.is_identity and rotation.is_identity:
        return wcs
    projection = projection_of(wcs)
    if projection is None:
        raise ValueError("the world coordinates are no TAN projection: their pointing cannot be corrected")
    bounds = pixel_bounds(wcs)
    shape = round(bounds[1][1] + 0.5), round(bounds[0][1] + 0.5)
    return projection.corrected(correction).turned(rotation).gwcs(shape, bounds)
