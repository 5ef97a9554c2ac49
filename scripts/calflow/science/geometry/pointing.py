"""Where an aperture of the telescope looks."""

from dataclasses import dataclass


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
