"""How grids are laid, pixels mapped and a WCS approximated: the parameters of geometry, with jwst's defaults."""

from dataclasses import dataclass
from typing import Annotated, Literal

from calflow.science.parameters import Length, Range

SipDegree = Annotated[int | None, Range(ge=1, le=6), "degree"]


@dataclass(frozen=True, kw_only=True)
class GridLayout:
    """How a pixel grid is laid over exposures; `output_grid.grid_from_footprints` says more.

    Attributes
    ----------
    output_shape : (int, int) or None
        Pixels in x and y; None: so that all exposures fit.
    crpix : (float, float) or None
        x and y of the reference pixel, 0-based.
    crval : (float, float) or None
        Right ascension and declination of the reference pixel, degrees.
    rotation : float or None
        Position angle of the y axis, degrees east of north; None: as the input.
    pixel_scale_ratio : float
        Output over input pixel scale.
    pixel_scale : float or None
        Output pixel scale, arcsec; None: by the ratio.
    """

    output_shape: Annotated[
        tuple[int, ...] | None,
        Length(2, 2),
        Range(ge=1, le=10**9),  # more is a slip of the keyboard
        "[nx, ny] of the output, pixels; null: all exposures fit",
    ] = None
    crpix: Annotated[tuple[float, ...] | None, Length(2, 2), "[x, y] of the reference pixel, 0-based"] = None
    crval: Annotated[tuple[float, ...] | None, Length(2, 2), "[ra, dec] of the reference pixel, degrees"] = None
    rotation: Annotated[float | None, "position angle of +y, degrees east of north; null: as the input"] = None
    pixel_scale_ratio: Annotated[float, Range(gt=0), "output pixel scale / input pixel scale"] = 1.0
    pixel_scale: Annotated[float | None, Range(gt=0), "output pixel scale, arcsec; overrides pixel_scale_ratio"] = None


@dataclass(frozen=True, kw_only=True)
class PixelMapping:
    """How exactly the pixels of one image are mapped to another; `pixel_map.pixel_map` says more.

    Attributes
    ----------
    pixmap_stepsize : float
        Pixels between those that are computed; 1: as exact as 1e-7 pixel.
    pixmap_order : {1, 3}
        Degree of the spline between them.
    """

    pixmap_stepsize: Annotated[
        float, Range(ge=1), "> 1: pixel map from a grid of this step; 1: as exact as 1e-7 pixel"
    ] = 1.0
    pixmap_order: Annotated[Literal[1, 3], "order of the spline through that grid, 1 or 3"] = 1


@dataclass(frozen=True, kw_only=True)
class SipFit:
    """How SIP polynomials are fitted to a WCS; `sip.sip_approximation` says more.

    Attributes
    ----------
    max_pix_error, max_inv_pix_error : float
        Largest error of the forward and the inverse polynomial, pixels.
    degree, inv_degree : int or None
        Their degrees; None: the lowest that suffices.
    npoints : int
        Samples per axis.
    """

    max_pix_error: Annotated[float, Range(gt=0), "its largest error, pixels; not used with a fixed degree"] = 0.01
    degree: Annotated[SipDegree, "its degree, 1 to 6; null: the lowest of 1 to 5 that suffices"] = None
    max_inv_pix_error: Annotated[float, Range(gt=0), "largest error of the inverse, pixels"] = 0.01
    inv_degree: Annotated[SipDegree, "degree of the inverse, 1 to 6; null: the lowest of 1 to 5"] = None
    npoints: Annotated[int, Range(ge=8, le=1024), "samples per axis of the fit"] = 12
