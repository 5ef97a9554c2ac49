"""The parameters of stage 2, with jwst's names and defaults."""

from typing import Annotated, Any, Literal

from pydantic import Field

from calflow.configuration.section import FillValue, Maybe, OddSize, PixmapOrder, Section, Step, WantedFile
from calflow.configuration.shared import (
    FILLVAL,
    IN_MEMORY,
    PIXFRAC,
    PIXMAP_ORDER,
    PIXMAP_STEPSIZE,
    OutputGrid,
    SipApproximation,
)


class BkgSubtract(Step):
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
        """Return the parameters of `science.sky.sky_model.smooth_sky`, or None if no sky is modelled."""
        if self.method != "sky_model":
            return None
        names = {"box_size", "filter_size", "sigma_low", "sigma_high"}
        return self.model_dump(include=names) | {"maxiters": self.maxiters or 100}


class ParseSubarrayMap(Step):
    """List the concurrent subarrays of a full frame, and flag their pixels."""

    skip: bool = Field(False, description="do not run; S_PARSSA is SKIPPED")


class DarkCurrent(Step):
    """Subtract the dark."""

    skip: bool = Field(False, description="do not run; S_DARK is SKIPPED")
    dark_output: WantedFile = Field(False, description="keep the dark as applied, as _applieddark of the exposure")


class AssignWcs(SipApproximation, Step):
    """Attach the world coordinate system."""

    skip: bool = Field(False, description="do not run; S_WCS is SKIPPED")


class FlatField(Step):
    """Divide by the flat field."""

    skip: bool = Field(False, description="do not run; S_FLAT is SKIPPED")
    save_interpolated_flat: bool = Field(False, description="keep the flat as applied, as _interpolatedflat")
    user_supplied_flat: Maybe[str] = Field(None, description="a flat file; wins over references.override")
    inverse: bool = Field(False, description="multiply by the flat instead")


class Photom(Step):
    """Convert count rates to surface brightness."""

    skip: bool = Field(False, description="do not run; S_PHOTOM is SKIPPED")
    inverse: bool = Field(False, description="divide by the factor instead: MJy/sr back to DN/s")
    apply_time_correction: bool = Field(True, description="correct for the loss of sensitivity (TIMECOEFF tables)")


class Drizzling(Step):
    """How pixels are spread on the grid, and weighed."""

    pixfrac: float = PIXFRAC
    kernel: Literal["square", "gaussian", "point", "turbo", "lanczos2", "lanczos3"] = Field(
        "square", description="drizzle kernel: square, gaussian, point, turbo, lanczos2, lanczos3"
    )
    fillval: FillValue = FILLVAL
    weight_type: Literal["ivm", "exptime"] = Field(
        "ivm", description="ivm: 1 / VAR_RNOISE, without it 1 / median(ERR)^2; exptime: exposure time"
    )


class Resample(OutputGrid, Drizzling):
    """Resample to a rectified pixel grid."""

    skip: bool = Field(False, description="do not run; S_RESAMP is SKIPPED")
    single: bool = Field(False, description="one output per exposure; a quick look always is")
    blendheaders: bool = Field(True, description="blend the headers of the inputs; a quick look has only one")
    in_memory: bool = IN_MEMORY
    enable_ctx: bool = Field(True, description="write the context image, CON")
    enable_err: bool = Field(True, description="compute and write ERR and the variances")
    report_var: bool = Field(True, description="write VAR_POISSON, VAR_RNOISE, VAR_FLAT")
    propagate_dq: bool = Field(False, description="write DQ, the union of the flags of the inputs")
    pixmap_stepsize: float = PIXMAP_STEPSIZE
    pixmap_order: PixmapOrder = PIXMAP_ORDER


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

    def skips(self, step: str) -> bool:
        """Tell whether a step is left out; one that has no section, being of one instrument family alone, never is."""
        section = getattr(self, step, None)
        return isinstance(section, Step) and section.skip
