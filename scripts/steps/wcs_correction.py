"""The gwcs of an exposure with its pointing corrected, as tweakreg and assign_mtwcs of the JWST pipeline write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steps.footprints import pixel_bounds
from steps.pointing import Pointing
from steps.tan_projection import projection_of
from steps.tangent_plane import Affine

if TYPE_CHECKING:
    from gwcs import WCS


def correct_wcs(wcs: WCS, pointing: Pointing, correction: Affine, sky_shift: tuple[float, float] = (0.0, 0.0)) -> WCS:
    """Return a WCS with a correction in it; the given one is not changed.

    Parameters
    ----------
    wcs : gwcs.WCS
        With a telescope frame ``v2v3`` or ``v2v3vacorr``. One that was corrected before (frame
        ``v2v3corr``) gets both corrections in one. Or a TAN projection, whose reference point is that of
        `pointing`; corrected it is another one.
    pointing : Pointing
    correction : Affine
        In the plane that touches the sky at (RA_REF, DEC_REF). It becomes the frame ``v2v3corr``.
    sky_shift : (ra, dec)
        Degrees. It becomes the frame ``moving_target``.
    """
    projection = projection_of(wcs)
    if projection is not None and not correction.is_identity:
        bounds = pixel_bounds(wcs)
        shape = round(bounds[1][1] + 0.5), round(bounds[0][1] + 0.5)
        wcs = projection.corrected(correction).gwcs(shape, bounds)
    elif not correction.is_identity:
        from tweakwcs.correctors import JWSTWCSCorrector

        angles = {"v2_ref": pointing.v2_ref, "v3_ref": pointing.v3_ref, "roll_ref": pointing.roll_ref}
        corrector = JWSTWCSCorrector(wcs, angles)
        corrector.set_correction(matrix=np.array(correction.matrix), shift=np.array(correction.shift))
        wcs = corrector.wcs
    if sky_shift != (0.0, 0.0):
        wcs = _follow_target(wcs, sky_shift)
    return wcs


def _follow_target(wcs: WCS, sky_shift: tuple[float, float]) -> WCS:
    from astropy import coordinates
    from astropy.modeling.models import Shift
    from gwcs import WCS
    from gwcs import coordinate_frames as cf

    steps = [(step.frame, step.transform) for step in wcs.pipeline]
    world, _ = steps[-1]
    target = cf.CelestialFrame(name="moving_target", reference_frame=coordinates.ICRS())
    d_ra, d_dec = sky_shift
    moved = WCS([*steps[:-1], (world, Shift(d_ra) & Shift(d_dec)), (target, None)])
    moved.bounding_box = wcs.bounding_box
    return moved
