"""assign_wcs: from the detector pixels to the sky, as a gwcs pipeline.

The frames are those of the JWST products: ``detector`` (0-based pixel centres), ``v2v3``
and ``v2v3vacorr`` (arcsec, before and after the velocity aberration correction), ``world``
(ICRS, degrees).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calflow.science.geometry.footprints import box_intervals
from calflow.science.geometry.pointing import Pointing
from calflow.science.windows import Window

if TYPE_CHECKING:
    from astropy.modeling import Model
    from gwcs import WCS

ARCSEC_PER_DEG = 3600.0


def build_wcs(
    distortion: Model,
    pointing: Pointing,
    window: Window,
    full_frame: Window,
    filter_offset: tuple[float, float] | None = None,
) -> WCS:
    """Build the gwcs of an exposure.

    Parameters
    ----------
    distortion : astropy model
        From full-frame detector pixels (0-based) to V2, V3 in arcsec, with an inverse. It is
        not changed.
    pointing : Pointing
    window : Window
        The pixels the exposure has.
    full_frame : Window
        The pixels the detector has. An exposure with fewer is a subarray: its bounding box
        is its own size. Otherwise the box that comes with `distortion` is used, if it has one.
    filter_offset : (dx, dy) or None
        Pixels to add to detector x and y before the distortion.

    Returns
    -------
    gwcs.WCS

    Raises
    ------
    ValueError
        If `va_scale` is not positive, a number of `pointing` is not finite, or `distortion`
        has no inverse.
    """
    from astropy import coordinates, units
    from gwcs import WCS
    from gwcs import coordinate_frames as cf

    _check_pointing(pointing)
    _check_inverse(distortion)
    detector = cf.Frame2D(name="detector", axes_order=(0, 1), unit=(units.pix, units.pix))
    v2v3 = _telescope_frame("v2v3")
    v2v3vacorr = _telescope_frame("v2v3vacorr")
    world = cf.CelestialFrame(name="world", reference_frame=coordinates.ICRS())

    detector_to_v2v3, box = _detector_to_v2v3(distortion, window, full_frame, filter_offset)
    wcs = WCS(
        [
            (detector, detector_to_v2v3),
            (v2v3, velocity_aberration(pointing)),
            (v2v3vacorr, v2v3_to_sky(pointing)),
            (world, None),
        ]
    )
    wcs.bounding_box = box
    return wcs


def velocity_aberration(pointing: Pointing) -> Model:
    """Return the model that scales V2, V3 (arcsec) about the aperture's reference point.

    Parameters
    ----------
    pointing : Pointing
        With the reference point in V2, V3 (arcsec) and the scale.

    Raises
    ------
    ValueError
        If the scale is not positive.
    """
    from astropy.modeling.models import Identity, Scale, Shift

    scale = pointing.va_scale
    if scale is None or scale == 1:
        return Identity(2, name="DVA_Correction")
    if not scale > 0:
        raise ValueError(f"VA_SCALE is {scale}; the scale of the velocity aberration must be positive")
    model = (Scale(scale, name="dva_scale_v2") & Scale(scale, name="dva_scale_v3")) | (
        Shift((1 - scale) * pointing.v2_ref, name="dva_v2_shift")
        & Shift((1 - scale) * pointing.v3_ref, name="dva_v3_shift")
    )
    model.name = "DVA_Correction"
    return model


def v2v3_to_sky(pointing: Pointing) -> Model:
    """Return the model from V2, V3 (arcsec) to right ascension and declination (degrees).

    A sequence of rotations about the axes z, y, x, y, z turns the reference point to the x
    axis, then by the roll angle, then to its place on the sky.

    Parameters
    ----------
    pointing : Pointing
        With the reference point in V2, V3 (arcsec) and on the sky (degrees), and the roll angle (degrees).
    """
    from astropy.modeling.models import RotationSequence3D, Scale
    from gwcs.geometry import CartesianToSpherical, SphericalToCartesian

    angles = [
        pointing.v2_ref / ARCSEC_PER_DEG,
        -pointing.v3_ref / ARCSEC_PER_DEG,
        pointing.roll_ref,
        pointing.dec_ref,
        -pointing.ra_ref,
    ]
    to_degrees = Scale(1 / ARCSEC_PER_DEG) & Scale(1 / ARCSEC_PER_DEG)
    model = (
        to_degrees
        | SphericalToCartesian(wrap_lon_at=180)
        | RotationSequence3D(angles, axes_order="zyxyz")
        | CartesianToSpherical(wrap_lon_at=360)
    )
    model.name = "v23tosky"
    return model


def _check_pointing(pointing: Pointing) -> None:
    for name in ("v2_ref", "v3_ref", "roll_ref", "ra_ref", "dec_ref"):
        value = getattr(pointing, name)
        if value is None or not np.isfinite(value):
            raise ValueError(f"{name.upper()} is {value}; without a finite number there is no pointing")


def _check_inverse(distortion: Model) -> None:
    try:
        _ = distortion.inverse
    except NotImplementedError:
        raise ValueError(
            "the distortion model has no inverse, so no sky position could be found in the image"
        ) from None


def _telescope_frame(name: str):
    from astropy import units
    from gwcs import coordinate_frames as cf

    return cf.Frame2D(name=name, axes_order=(0, 1), axes_names=("v2", "v3"), unit=(units.arcsec, units.arcsec))


def _detector_to_v2v3(distortion, window, full_frame, filter_offset):
    """Return the model from pixels of the window to V2, V3, and its bounding box."""
    from astropy.modeling.models import Shift

    # A box left on a part of a compound model would be written to the product as well.
    model = distortion.copy()
    box = None
    if model.get_bounding_box() is not None:
        box = box_intervals(model.bounding_box)
        del model.bounding_box
    if box is None or window != full_frame:
        box = (-0.5, window.nx - 0.5), (-0.5, window.ny - 0.5)

    if filter_offset is not None:
        dx, dy = filter_offset
        model = Shift(dx) & Shift(dy) | model
    if (window.xstart, window.ystart) != (1, 1):
        model = Shift(window.xstart - 1.0) & Shift(window.ystart - 1.0) | model
    return model, box
