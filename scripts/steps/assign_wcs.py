"""assign_wcs: from the detector pixels to the sky, as a gwcs pipeline, and what FITS can say of it.

The frames are those of the JWST products: ``detector`` (0-based pixel centres), ``v2v3``
and ``v2v3vacorr`` (arcsec, before and after the velocity aberration correction), ``world``
(ICRS, degrees).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steps.windows import Window

if TYPE_CHECKING:
    from astropy.modeling import Model
    from gwcs import WCS

ARCSEC_PER_DEG = 3600.0
S_REGION_PREFIX = "POLYGON ICRS  "
# Degrees that are tried when none is asked for; higher ones exist but are numerically unsound.
SIP_DEGREES = range(1, 6)
SIP_MIN_POINTS = 8
# What belongs into a product's header: neither image sizes nor the errors of the fit.
SIP_KEYWORDS = (
    "WCSAXES",
    "CTYPE",
    "CUNIT",
    "CRPIX",
    "CRVAL",
    "CD1_",
    "CD2_",
    "A_",
    "B_",
    "AP_",
    "BP_",
    "RADESYS",
)


class SipError(ValueError):
    """A WCS has no SIP approximation."""


@dataclass(frozen=True)
class SipApproximation:
    """A TAN projection with SIP polynomials that stands for a WCS.

    Attributes
    ----------
    keywords : dict
        FITS keyword to value, in the order of a header. With degree 1 there are no
        polynomial terms and CTYPE has no ``-SIP``.
    max_error : float
        Largest deviation from the WCS, pixels.
    max_inverse_error : float or None
        Largest error of the inverse polynomial, pixels. None: there is none.
    doubts : tuple of str
        What the fit could not hold, as that no allowed degree is accurate enough. Empty: it
        is as accurate as asked.
    """

    keywords: dict[str, str | int | float]
    max_error: float
    max_inverse_error: float | None
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Pointing:
    """Where an aperture of the telescope looks.

    Attributes
    ----------
    v2_ref, v3_ref : float
        Position of the aperture's reference point in the telescope frame, arcsec.
    roll_ref : float
        Angle of the V3 axis at the reference point, degrees east of north.
    ra_ref, dec_ref : float
        Sky position of the reference point, ICRS, degrees.
    va_scale : float or None
        Scale of the differential velocity aberration; None: not known, no correction.
    vparity : int
        1 or -1: sense of rotation between the detector's x, y and V2, V3.
    v3_yangle : float
        Angle from the V3 axis to the detector's y axis, degrees.
    """

    v2_ref: float
    v3_ref: float
    roll_ref: float
    ra_ref: float
    dec_ref: float
    va_scale: float | None = None
    vparity: int = -1
    v3_yangle: float = 0.0


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


def footprint(wcs: WCS) -> np.ndarray:
    """Return the sky positions of the four corners of the bounding box, the outer pixel edges.

    Returns
    -------
    float64 array, shape (4, 2)
        Right ascension in 0..360 and declination, degrees, of the corners (xmin, ymin),
        (xmin, ymax), (xmax, ymax), (xmax, ymin).

    Raises
    ------
    ValueError
        If the WCS has no bounding box, or gives no position for a corner.
    """
    (xmin, xmax), (ymin, ymax) = pixel_bounds(wcs)
    x = np.array([xmin, xmin, xmax, xmax])
    y = np.array([ymin, ymax, ymax, ymin])
    ra, dec = wcs(x, y, with_bounding_box=False)
    vertices = np.stack([np.mod(ra, 360.0), dec], axis=-1)
    if not np.isfinite(vertices).all():
        raise ValueError(f"the WCS gives no sky position for corners of {pixel_bounds(wcs)}: {vertices.tolist()}")
    return vertices


def pixel_bounds(wcs: WCS) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the bounding box of a two-dimensional WCS as ((xmin, xmax), (ymin, ymax)).

    Raises
    ------
    ValueError
        If it has none.
    """
    if wcs.bounding_box is None:
        raise ValueError("the WCS has no bounding box, so the size of the image is not known")
    return _box_intervals(wcs.bounding_box)


def s_region(*polygons: np.ndarray) -> str:
    """Write sky polygons as the value of the S_REGION keyword.

    Parameters
    ----------
    *polygons : float array, shape (n, 2)
        Right ascension and declination of the vertices, degrees.

    Returns
    -------
    str
        ``POLYGON ICRS  ra dec ra dec ...`` with nine decimals, once per polygon.
    """
    parts = [" ".join(f"{number:.9f}" for number in np.ravel(polygon)) for polygon in polygons]
    return " ".join(S_REGION_PREFIX + part for part in parts)


def parse_s_region(text: str) -> list[np.ndarray]:
    """Read the polygons of an S_REGION keyword.

    Returns
    -------
    list of float64 array, shape (n, 2)
        Right ascension and declination of the vertices, degrees.

    Raises
    ------
    ValueError
        If the text is not made of ICRS polygons.
    """
    try:
        polygons = []
        for part in filter(str.strip, text.upper().split("POLYGON")):
            frame, *numbers = part.split()
            vertices = np.array(numbers, float).reshape(-1, 2)
            if frame != "ICRS" or len(vertices) < 3:
                raise ValueError
            polygons.append(vertices)
        if not polygons:
            raise ValueError
    except ValueError:
        raise ValueError(f"S_REGION {text!r} is not 'POLYGON ICRS ra dec ra dec ra dec ...'") from None
    return polygons


def sip_approximation(
    wcs: WCS,
    crpix: tuple[float, float] | None = None,
    *,
    max_pix_error: float = 0.01,
    degree: int | None = None,
    max_inv_pix_error: float = 0.01,
    inv_degree: int | None = None,
    npoints: int = 12,
) -> SipApproximation:
    """Approximate a WCS by a TAN projection with SIP polynomials (Shupe et al. 2005).

    Parameters
    ----------
    wcs : gwcs.WCS
    crpix : (x, y) or None
        The FITS reference pixel (1-based). None: near the centre of the bounding box.
    max_pix_error, max_inv_pix_error : float
        Largest error of the forward and inverse polynomial, pixels. Not used where the
        degree is given.
    degree, inv_degree : int or None
        None: the lowest of 1..5 that is accurate enough, else the best of them.
    npoints : int
        Samples per axis, at least 8.

    Raises
    ------
    SipError
        If no polynomial could be fitted.
    ValueError
        If `npoints` is too small.
    """
    if npoints < SIP_MIN_POINTS:
        raise ValueError(f"sip_npoints is {npoints}; at least {SIP_MIN_POINTS} samples per axis are needed")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            header = wcs.to_fits_sip(
                max_pix_error=max_pix_error,
                degree=SIP_DEGREES if degree is None else degree,
                max_inv_pix_error=max_inv_pix_error,
                inv_degree=SIP_DEGREES if inv_degree is None else inv_degree,
                npoints=npoints,
                crpix=crpix,
                projection="TAN",
            )
        except (ValueError, RuntimeError) as error:
            raise SipError(f"the WCS could not be fitted by SIP polynomials: {error}") from error
    doubts = [str(warning.message) for warning in caught]
    cards = (card for card in header.cards if card.keyword.startswith(SIP_KEYWORDS))
    return SipApproximation(
        keywords={card.keyword: getattr(card.value, "item", lambda v=card.value: v)() for card in cards},
        max_error=float(header["SIPMXERR"]),
        max_inverse_error=float(header["SIPIVERR"]) if "SIPIVERR" in header else None,
        doubts=tuple(dict.fromkeys(doubts)),
    )


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
        box = _box_intervals(model.bounding_box)
        del model.bounding_box
    if box is None or window != full_frame:
        box = (-0.5, window.nx - 0.5), (-0.5, window.ny - 0.5)

    if filter_offset is not None:
        dx, dy = filter_offset
        model = Shift(dx) & Shift(dy) | model
    if (window.xstart, window.ystart) != (1, 1):
        model = Shift(window.xstart - 1.0) & Shift(window.ystart - 1.0) | model
    return model, box


def _box_intervals(box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return ((xmin, xmax), (ymin, ymax)) of an astropy box, whichever axis order it has."""
    (xmin, xmax), (ymin, ymax) = box.bounding_box(order="F")
    return (float(xmin), float(xmax)), (float(ymin), float(ymax))
