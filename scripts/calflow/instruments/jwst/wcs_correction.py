"""The gwcs of an exposure with its pointing corrected, as tweakreg and assign_mtwcs of the JWST pipeline write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calflow.science.geometry import wcs_correction
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
        With a telescope frame ``v2v3`` or ``v2v3vacorr``. One that was corrected before (frame
        ``v2v3corr``) gets both corrections in one. Or a TAN projection, which
        `science.geometry.wcs_correction.correct_wcs` corrects.
    pointing : Pointing
    correction : Affine
        In the plane that touches the sky at (RA_REF, DEC_REF). It becomes the frame ``v2v3corr``.
    rotation : SkyRotation
        Of a moving target. It becomes the frame ``moving_target``.
    """
    if projection_of(wcs) is not None:
        return wcs_correction.correct_wcs(wcs, pointing, correction, rotation)
    if not correction.is_identity:
        from tweakwcs.correctors import JWSTWCSCorrector

        angles = {"v2_ref": pointing.v2_ref, "v3_ref": pointing.v3_ref, "roll_ref": pointing.roll_ref}
        corrector = JWSTWCSCorrector(wcs, angles)
        corrector.set_correction(matrix=np.array(correction.matrix), shift=np.array(correction.shift))
        wcs = corrector.wcs
    return wcs if rotation.is_identity else _follow_target(wcs, rotation)


def _follow_target(wcs: WCS, rotation: SkyRotation) -> WCS:
    from astropy import coordinates
    from astropy.modeling.models import RotationSequence3D
    from gwcs import WCS
    from gwcs import coordinate_frames as cf
    from gwcs.geometry import CartesianToSpherical, SphericalToCartesian

    steps = [(step.frame, step.transform) for step in wcs.pipeline]
    world, _ = steps[-1]
    target = cf.CelestialFrame(name="moving_target", reference_frame=coordinates.ICRS())
    # astropy turns the axes of coordinates, not the vectors.
    turn = RotationSequence3D([-angle for angle in rotation.axis_angles()], axes_order="xyz")
    follow = SphericalToCartesian(wrap_lon_at=360) | turn | CartesianToSpherical(wrap_lon_at=360)
    moved = WCS([*steps[:-1], (world, follow), (target, None)])
    moved.bounding_box = wcs.bounding_box
    return moved
