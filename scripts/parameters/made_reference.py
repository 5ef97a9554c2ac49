"""The parameters of reference files that are made from calibration exposures."""

from typing import Any, Literal

from pydantic import Field

from parameters.section import Files, Maybe, NormalPath, Section


class MadeReference(Section):
    """A reference file made from raw exposures."""

    type: Literal["dark", "flat"] = Field(description="dark, or flat")
    exposures: Files = Field(min_length=1, description="raw darks, or raw flats of one light: files or globs")
    dark: NormalPath = Field("", description="what is subtracted from the flats: a file, or a dark made here, by name")
    method: Literal["mean", "median", "wmean"] = Field("mean", description="mean, median, wmean (1 / ERR^2)")
    sigma_clip: bool = Field(True, description="leave out what deviates from the other exposures")
    sigma_low: float = Field(4.0, gt=0, description="clipping threshold below, in sigma of the scatter")
    sigma_high: float = Field(4.0, gt=0, description="the same above")
    min_samples: int = Field(3, ge=1, description="no clipping when no more are left")
    maxiters: int = Field(50, ge=1, description="clipping rounds")
    error: Literal["measure", "propagate"] = Field("measure", description="ERR from the scatter, or from the ERR given")
    flags: Literal["any", "all"] = Field("all", description="DQ: flags of any exposure, or those that all have")
    normalisation: Maybe[Literal["median", "mean", "mode"]] = Field(
        "median", description="what becomes 1 in a flat; null: nothing"
    )

    def combination(self) -> dict[str, Any]:
        """Return the parameters of `steps.frame_combination.combine_frames`."""
        return self.model_dump(exclude={"type", "exposures", "dark", "normalisation"})
