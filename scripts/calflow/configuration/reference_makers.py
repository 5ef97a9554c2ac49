"""Reference files that are made of calibration exposures."""

from typing import Annotated, Literal

from pydantic import Field

from calflow.configuration.section import Maybe, Section, SomeFiles


class ReferenceMaker(Section):
    """A master dark of raw darks, or a normalised flat of raw flats."""

    type: Literal["dark", "flat"] = Field(description="dark, or flat")
    exposures: SomeFiles = Field(description="files or globs of the raw exposures, 2-D rates")
    dark: Maybe[str] = Field(None, description="flat: the dark to subtract first, a file or the name of a maker")
    normalisation: Literal["median", "mean", "mode", "none"] = Field(
        "median", description="flat: what its level is of the values of the good pixels"
    )
    method: Literal["mean", "median", "wmean"] = Field("mean", description="mean, median or wmean (1 / ERR^2)")
    error: Literal["measure", "propagate"] = Field("measure", description="from the scatter, or from ERR")
    sigma_clip: bool = Field(True, description="leave out outlying samples of a pixel")
    sigma_low: float = Field(4.0, gt=0, description="threshold below the biweight location, sigma")
    sigma_high: float = Field(4.0, gt=0, description="threshold above it")
    min_samples: int = Field(3, ge=1, description="clipping stops at so many samples")
    maxiters: int = Field(50, ge=1, description="highest number of clipping rounds")
    flags: Literal["any", "all"] = Field("all", description="DQ: flags that any exposure has, or that all have")
    useafter: Maybe[Annotated[str, Field(min_length=10)]] = Field(
        None, description="from when on it is valid, such as 2024-11-01T00:00:00; null: the first exposure"
    )

    def combination(self) -> dict[str, object]:
        """Return the options of `science.calibration.frame_combination.combine_frames`."""
        return self.model_dump(
            include={"method", "error", "sigma_clip", "sigma_low", "sigma_high", "min_samples", "maxiters", "flags"}
        )
