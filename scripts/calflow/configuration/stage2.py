"""The parameters of stage 2, with jwst's names and defaults."""

from typing import Any, Literal

from pydantic import Field

from calflow.configuration.declared import section_of
from calflow.configuration.section import FILL_VALUE, ODD, Maybe, Section, Step, UserPath, WantedFile
from calflow.configuration.shared import IN_MEMORY, OutputGrid, SipApproximation
from calflow.science.calibration.calibration_parameters import (
    BackgroundClipping,
    FlatFielding,
    PhotometricCalibration,
)
from calflow.science.combination.combination_parameters import Drizzling, ResampledPlanes
from calflow.science.geometry.grid_parameters import GridLayout, PixelMapping
from calflow.science.sky.sky_parameters import SkyBoxes

SKY_ROUNDS = 100  # of clipping, if no number is given


class _BackgroundMethod(Step):
    method: Literal["average", "sky_model"] = Field(
        "average",
        description="average: of the raw background exposures, before all other steps; "
        "sky_model: a smooth sky of the calibrated ones, or of the exposure itself, after the flat (Liger/IRIS)",
    )
    subtract_dark: bool = Field(
        False, description="average: subtract the dark from the background exposures first (Liger/IRIS)"
    )


_Clipping: Any = section_of(BackgroundClipping, _BackgroundMethod)


class _Average(_Clipping):
    save_combined_background: bool = Field(False, description="keep the average as _combinedbackground")


_SkyBoxes: Any = section_of(SkyBoxes, _Average, read={"filter_size": ODD})


class BkgSubtract(_SkyBoxes):
    """Subtract the background: the average of dedicated exposures, or a smooth model of the sky."""

    skip: bool = Field(False, description="do not run; S_BKDSUB is SKIPPED")

    def average_parameters(self) -> dict[str, Any]:
        """Return the parameters of `science.calibration.background.combine`."""
        return self.part(BackgroundClipping)

    def sky_parameters(self) -> dict[str, Any] | None:
        """Return the parameters of `science.sky.sky_model.smooth_sky`, or None if no sky is modelled."""
        if self.method != "sky_model":
            return None
        return self.part(SkyBoxes) | {"maxiters": self.maxiters or SKY_ROUNDS}


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


class _SuppliedFlat(Step):
    save_interpolated_flat: bool = Field(False, description="keep the flat as applied, as _interpolatedflat")
    user_supplied_flat: Maybe[UserPath] = Field(None, description="a flat file; wins over references.override")


_FlatFielding: Any = section_of(FlatFielding, _SuppliedFlat)


class FlatField(_FlatFielding):
    """Divide by the flat field."""

    skip: bool = Field(False, description="do not run; S_FLAT is SKIPPED")

    def flat_parameters(self) -> dict[str, Any]:
        """Return how the flat is applied."""
        return self.part(FlatFielding)


_PhotometricCalibration: Any = section_of(PhotometricCalibration, Step)


class Photom(_PhotometricCalibration):
    """Convert count rates to surface brightness."""

    skip: bool = Field(False, description="do not run; S_PHOTOM is SKIPPED")

    def photom_parameters(self) -> dict[str, Any]:
        """Return how exposures are calibrated."""
        return self.part(PhotometricCalibration)


_Drizzling: Any = section_of(Drizzling, Step, read={"fillval": FILL_VALUE})


class _QuickLook(OutputGrid, _Drizzling):
    single: bool = Field(False, description="one output per exposure; a quick look always is")
    blendheaders: bool = Field(True, description="blend the headers of the inputs; a quick look has only one")
    in_memory: bool = IN_MEMORY


_ResampledPlanes: Any = section_of(ResampledPlanes, _QuickLook)
_PixelMapping: Any = section_of(PixelMapping, _ResampledPlanes)


class Resample(_PixelMapping):
    """Resample to a rectified pixel grid."""

    skip: bool = Field(False, description="do not run; S_RESAMP is SKIPPED")

    def quick_look_parameters(self) -> dict[str, Any]:
        """Return the parameters of the quick look of one exposure, on a grid of its own."""
        return self.part(Drizzling, GridLayout, ResampledPlanes, PixelMapping)


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
        """Tell whether a step is left out; one that has no section, being of one instrument family alone, never is.

        Parameters
        ----------
        step : str
            Its name, such as ``flat_field``.
        """
        section = getattr(self, step, None)
        return isinstance(section, Step) and section.skip
