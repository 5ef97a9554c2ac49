"""Parameters that several sections have in common, each declared once.

A section inherits a group of them. Its keys are in the order of the classes that it is made of, the last one first,
and its own at the end: ``class Tweakreg(Alignment, SourceFinding, StarLists)`` begins with those of StarLists.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from calflow.configuration.section import (
    Connectivity,
    Maybe,
    NormalPath,
    Pair,
    Section,
    Shape,
    SipDegree,
    SkyPosition,
    Step,
)

PositiveInt = Annotated[int, Field(ge=1)]
KronParameters = Annotated[list[float], Field(min_length=2, max_length=3)]
# Of these, sections have defaults of their own.
StarFinder = Annotated[Literal["iraf", "dao", "segmentation"], Field(description="iraf, dao, segmentation")]
SnrThreshold = Annotated[float, Field(gt=0, description="detection threshold, in background rms")]
KernelFwhm = Annotated[float, Field(gt=0, description="FWHM of the stars (segmentation: of the smoothing), pixels")]
BackgroundBox = Annotated[int, Field(ge=1, description="box of the background map, pixels")]
LeastPixels = Annotated[int, Field(ge=1, description="least pixels of a source (segmentation)")]

# Single keys
PIXFRAC = Field(1.0, ge=0, le=1, description="drop size, as a fraction of the input pixel")
FILLVAL: Any = Field("NAN", description="value of pixels without data: a number, or NAN")
IN_MEMORY = Field(True, description="no effect here: one exposure at a time is in memory")
PIXMAP_STEPSIZE = Field(1.0, ge=1, description="> 1: pixel map from a grid of this step; 1: as exact as 1e-7 pixel")
PIXMAP_ORDER: Any = Field(1, description="order of the spline through that grid, 1 or 3")


class SourceFinding(Step):
    """The parameters of finding sources, which alignment and catalogue share."""

    starfinder: StarFinder = "iraf"
    snr_threshold: SnrThreshold = 10.0
    kernel_fwhm: KernelFwhm = 2.5
    bkg_boxsize: BackgroundBox = 400
    minsep_fwhm: float = Field(
        0.0, ge=0, description="least distance of sources, in units of kernel_fwhm; 2 pixels at the least"
    )
    sigma_radius: float = Field(1.5, gt=0, description="radius of the kernel, in its sigmas")
    sharplo: float = Field(0.5, description="lower limit of sharpness (iraf, dao)")
    sharphi: float = Field(2.0, description="upper limit of sharpness (iraf, dao)")
    roundlo: float = Field(0.0, description="lower limit of roundness (iraf, dao)")
    roundhi: float = Field(0.2, description="upper limit of roundness (iraf, dao)")
    brightest: Maybe[PositiveInt] = Field(200, description="how many of the brightest are kept (iraf, dao); null: all")
    peakmax: Maybe[float] = Field(None, description="highest pixel value of a star (iraf, dao), MJy/sr")
    npixels: LeastPixels = 10
    connectivity: Connectivity = Field(8, description="neighbours that belong together (segmentation): 4 or 8")
    nlevels: int = Field(32, ge=1, description="levels of deblending (segmentation)")
    contrast: float = Field(
        0.001, ge=0, le=1, description="least fraction of the flux of a deblended part (segmentation)"
    )
    multithresh_mode: Literal["exponential", "linear", "sinh"] = Field(
        "exponential", description="spacing of those levels: exponential, linear, sinh"
    )
    localbkg_width: int = Field(
        0, ge=0, description="width of the local background annulus (segmentation), pixels; 0: none"
    )
    apermask_method: Literal["correct", "mask", "none"] = Field(
        "correct", description="neighbours within apertures (segmentation): correct, mask, none"
    )
    kron_params: Maybe[KronParameters] = Field(
        None, description="2 or 3 Kron parameters (segmentation); null: [2.5, 1.4, 0.0]"
    )
    deblend: bool = Field(True, description="split blended sources (segmentation)")

    @model_validator(mode="after")
    def _check_limits(self) -> "SourceFinding":
        if self.skip:
            return self  # of what does not run the values need not go together
        for low, high in (("sharplo", "sharphi"), ("roundlo", "roundhi")):
            if not getattr(self, low) < getattr(self, high):
                raise ValueError(f"{low} must be below {high}")
        return self

    def finder_parameters(self) -> dict[str, Any]:
        """Return the parameters of `science.stars.star_finding.find_stars`."""
        return self.part(SourceFinding)


class SipApproximation(Section):
    """How a WCS is written as TAN projection with SIP polynomials."""

    sip_approx: bool = Field(True, description="write the FITS SIP approximation of the (corrected) WCS")
    sip_max_pix_error: float = Field(0.01, gt=0, description="its largest error, pixels; not used with a fixed degree")
    sip_degree: SipDegree = Field(None, description="its degree, 1 to 6; null: the lowest of 1 to 5 that suffices")
    sip_max_inv_pix_error: float = Field(0.01, gt=0, description="largest error of the inverse, pixels")
    sip_inv_degree: SipDegree = Field(None, description="degree of the inverse, 1 to 6; null: the lowest of 1 to 5")
    sip_npoints: int = Field(12, ge=8, le=1024, description="samples per axis of the fit")

    def sip_parameters(self) -> dict[str, Any] | None:
        """Return the parameters of `science.geometry.sip.sip_approximation`, or None if it is not wanted."""
        values = {name.removeprefix("sip_"): value for name, value in self.part(SipApproximation).items()}
        return values if values.pop("approx") else None


class LaidGrid(Section):
    """How a pixel grid is laid over exposures."""

    output_shape: Maybe[Shape] = Field(None, description="[nx, ny] of the output, pixels; null: all exposures fit")
    crpix: Maybe[Pair] = Field(None, description="[x, y] of the reference pixel, 0-based")
    crval: Maybe[SkyPosition] = Field(None, description="[ra, dec] of the reference pixel, degrees")
    rotation: Maybe[float] = Field(None, description="position angle of +y, degrees east of north; null: as the input")
    pixel_scale_ratio: float = Field(1.0, gt=0, description="output pixel scale / input pixel scale")
    pixel_scale: Maybe[Annotated[float, Field(gt=0)]] = Field(
        None, description="output pixel scale, arcsec; overrides pixel_scale_ratio"
    )

    def grid_parameters(self) -> dict[str, Any]:
        """Return the parameters of `science.geometry.output_grid.grid_from_footprints`."""
        return self.part(LaidGrid)


class OutputGrid(LaidGrid):
    """A pixel grid: laid, or that of a file."""

    output_wcs: NormalPath = Field(
        "", description="ASDF file with the output WCS; overrides all of the above but output_shape"
    )
