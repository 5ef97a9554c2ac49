"""The parameters of stage 2, with jwst's names and defaults."""

from typing import Annotated, Any, Literal

from pydantic import Field

from calflow.configuration.section import (
    FillValue,
    Maybe,
    NormalPath,
    OddSize,
    Pair,
    PixmapOrder,
    Section,
    Shape,
    SipDegree,
    SkyPosition,
    WantedFile,
)


class BkgSubtract(Section):
    """Subtract the background: the average of dedicated exposures, or a smooth model of the sky."""

    skip: bool = Field(False, description="do not run; S_BKDSUB is SKIPPED")
    method: Literal["average", "sky_model"] = Field(
        "average",
        description="average: of the raw background exposures, before all other steps; "
        "sky_model: a smooth sky of the calibrated ones, or of the exposure itself, after the flat (Liger/IRIS)",
    )
    subtract_dark: bool = Field(
        False, description="average: subtract the dark from the background exposures first (Liger/IRIS)"
    )
    sigma: float = Field(3.0, gt=0, description="clipping threshold of the average, in sigma")
    maxiters: Maybe[Annotated[int, Field(ge=1)]] = Field(
        None, description="clipping rounds; null: until nothing changes (sky_model: 100)"
    )
    clip: Literal["scatter", "error"] = Field(
        "scatter",
        description="sigma is the scatter of the exposures (as jwst), or their error (works with < 8 of them)",
    )
    save_combined_background: bool = Field(False, description="keep the average as _combinedbackground")
    box_size: int = Field(101, ge=1, description="sky_model: side of the boxes, pixels; much larger than sources")
    filter_size: OddSize = Field(3, description="sky_model: side of the median filter, boxes; odd")
    sigma_low: float = Field(6.0, gt=0, description="sky_model: clipping threshold below the median of a box, sigma")
    sigma_high: float = Field(2.0, gt=0, description="sky_model: the same above it")

    def sky_parameters(self) -> dict[str, Any] | None:
        """Return the parameters of `steps.sky_model.smooth_sky`, or None if no sky is modelled."""
        if self.method != "sky_model":
            return None
        names = {"box_size", "filter_size", "sigma_low", "sigma_high"}
        return self.model_dump(include=names) | {"maxiters": self.maxiters or 100}


class ParseSubarrayMap(Section):
    """List the concurrent subarrays of a full frame, and flag their pixels."""

    skip: bool = Field(False, description="do not run; S_PARSSA is SKIPPED")


class DarkCurrent(Section):
    """Subtract the dark."""

    skip: bool = Field(False, description="do not run; S_DARK is SKIPPED")
    dark_output: WantedFile = Field(False, description="keep the dark as applied, as _applieddark of the exposure")


class AssignWcs(Section):
    """Attach the world coordinate system."""

    skip: bool = Field(False, description="do not run; S_WCS is SKIPPED")
    sip_approx: bool = Field(True, description="write the FITS SIP approximation")
    sip_max_pix_error: float = Field(0.01, gt=0, description="its largest error, pixels; not used with a fixed degree")
    sip_degree: SipDegree = Field(None, description="its degree, 1 to 6; null: the lowest of 1 to 5 that suffices")
    sip_max_inv_pix_error: float = Field(0.01, gt=0, description="largest error of the inverse, pixels")
    sip_inv_degree: SipDegree = Field(None, description="degree of the inverse, 1 to 6; null: the lowest of 1 to 5")
    sip_npoints: int = Field(12, ge=8, le=1024, description="samples per axis of the fit")

    def sip_parameters(self) -> dict[str, Any] | None:
        """Return the parameters of `steps.sip.sip_approximation`, or None if it is not wanted."""
        if not self.sip_approx:
            return None
        return {
            "max_pix_error": self.sip_max_pix_error,
            "degree": self.sip_degree,
            "max_inv_pix_error": self.sip_max_inv_pix_error,
            "inv_degree": self.sip_inv_degree,
            "npoints": self.sip_npoints,
        }


class FlatField(Section):
    """Divide by the flat field."""

    skip: bool = Field(False, description="do not run; S_FLAT is SKIPPED")
    save_interpolated_flat: bool = Field(False, description="keep the flat as applied, as _interpolatedflat")
    user_supplied_flat: Maybe[str] = Field(None, description="a flat file; wins over references.override")
    inverse: bool = Field(False, description="multiply by the flat instead")


class Photom(Section):
    """Convert count rates to surface brightness."""

    skip: bool = Field(False, description="do not run; S_PHOTOM is SKIPPED")
    inverse: bool = Field(False, description="divide by the factor instead: MJy/sr back to DN/s")
    apply_time_correction: bool = Field(True, description="correct for the loss of sensitivity (TIMECOEFF tables)")


class Resample(Section):
    """Resample to a rectified pixel grid."""

    skip: bool = Field(False, description="do not run; S_RESAMP is SKIPPED")
    pixfrac: float = Field(1.0, ge=0, le=1, description="drop size, as a fraction of the input pixel")
    kernel: Literal["square", "gaussian", "point", "turbo", "lanczos2", "lanczos3"] = Field(
        "square", description="drizzle kernel: square, gaussian, point, turbo, lanczos2, lanczos3"
    )
    fillval: FillValue = Field("NAN", description="value of pixels without data: a number, or NAN")
    weight_type: Literal["ivm", "exptime"] = Field(
        "ivm", description="ivm: 1 / VAR_RNOISE, without it 1 / median(ERR)^2; exptime: exposure time"
    )
    output_shape: Maybe[Shape] = Field(None, description="[nx, ny] of the output, pixels")
    crpix: Maybe[Pair] = Field(None, description="[x, y] of the reference pixel, 0-based")
    crval: Maybe[SkyPosition] = Field(None, description="[ra, dec] of the reference pixel, degrees")
    rotation: Maybe[float] = Field(None, description="position angle of +y, degrees east of north; null: as the input")
    pixel_scale_ratio: float = Field(1.0, gt=0, description="output pixel scale / input pixel scale")
    pixel_scale: Maybe[Annotated[float, Field(gt=0)]] = Field(
        None, description="output pixel scale, arcsec; overrides pixel_scale_ratio"
    )
    output_wcs: NormalPath = Field(
        "", description="ASDF file with the output WCS; overrides all of the above but output_shape"
    )
    single: bool = Field(False, description="one output per exposure; a quick look always is")
    blendheaders: bool = Field(True, description="blend the headers of the inputs; a quick look has only one")
    in_memory: bool = Field(True, description="no effect here: one exposure at a time is in memory")
    enable_ctx: bool = Field(True, description="write the context image, CON")
    enable_err: bool = Field(True, description="compute and write ERR and the variances")
    report_var: bool = Field(True, description="write VAR_POISSON, VAR_RNOISE, VAR_FLAT")
    propagate_dq: bool = Field(False, description="write DQ, the union of the flags of the inputs")
    pixmap_stepsize: float = Field(
        1.0, ge=1, description="> 1: pixel map from a grid of this step; 1: as exact as 1e-7 pixel"
    )
    pixmap_order: PixmapOrder = Field(1, description="order of the spline through that grid, 1 or 3")


class Stage2(Section):
    """Stage 2: one exposure at a time, _rate to _cal and its quick-look _i2d."""

    save_bsub: bool = Field(False, description="keep the background-subtracted exposures, _bsub")
    bkg_subtract: BkgSubtract = Field(BkgSubtract(), description="subtract the background")
    assign_wcs: AssignWcs = Field(AssignWcs(), description="attach the world coordinate system")
    parse_subarray_map: ParseSubarrayMap = Field(
        ParseSubarrayMap(), description="flag the pixels of concurrent subarrays (Liger/IRIS)"
    )
    dark_current: DarkCurrent = Field(DarkCurrent(), description="subtract the dark (Liger/IRIS)")
    flat_field: FlatField = Field(FlatField(), description="divide by the flat field")
    photom: Photom = Field(Photom(), description="convert DN/s to MJy/sr")
    resample: Resample = Field(Resample(), description="the quick-look _i2d of each exposure")
