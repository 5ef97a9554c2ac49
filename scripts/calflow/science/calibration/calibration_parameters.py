"""How exposures are calibrated and combined: the parameters of the steps of stage 2, with jwst's defaults."""

from dataclasses import dataclass
from typing import Annotated, Literal

from calflow.science.parameters import Range


@dataclass(frozen=True, kw_only=True)
class BackgroundClipping:
    """How outliers are left out of an average background; `background.combine` says more.

    Attributes
    ----------
    sigma : float
        Threshold, in standard deviations.
    maxiters : int or None
        Highest number of rounds; None: until nothing more is rejected.
    clip : {"scatter", "error"}
        Whether the deviation is the scatter of the samples, or the error of each.
    """

    sigma: Annotated[float, Range(gt=0), "clipping threshold of the average, in sigma"] = 3.0
    maxiters: Annotated[int | None, Range(ge=1), "clipping rounds; null: until nothing changes (sky_model: 100)"] = None
    clip: Annotated[
        Literal["scatter", "error"],
        "sigma is the scatter of the exposures (as jwst), or their error (works with < 8 of them)",
    ] = "scatter"


@dataclass(frozen=True, kw_only=True)
class FlatFielding:
    """How a flat is applied.

    Attributes
    ----------
    inverse : bool
        Whether the exposure is multiplied by it, to undo it.
    """

    inverse: Annotated[bool, "multiply by the flat instead"] = False


@dataclass(frozen=True, kw_only=True)
class PhotometricCalibration:
    """How count rates become surface brightness.

    Attributes
    ----------
    inverse : bool
        Whether the calibration is undone.
    apply_time_correction : bool
        Whether the loss of sensitivity since the reference epoch counts.
    """

    inverse: Annotated[bool, "divide by the factor instead: MJy/sr back to DN/s"] = False
    apply_time_correction: Annotated[bool, "correct for the loss of sensitivity (TIMECOEFF tables)"] = True


@dataclass(frozen=True, kw_only=True)
class FrameCombination:
    """How frames are combined to a reference; `frame_combination.combine_frames` says more.

    Attributes
    ----------
    method : {"mean", "median", "wmean"}
        The estimate; ``wmean`` is weighted with 1 / ERR^2.
    error : {"measure", "propagate"}
        Whether its error comes from the scatter of the samples, or from their errors.
    sigma_clip : bool
        Whether outlying samples are left out.
    sigma_low, sigma_high : float
        Thresholds below and above the biweight location, in standard deviations.
    min_samples : int
        Clipping stops when no more samples than these are left.
    maxiters : int
        Highest number of clipping rounds.
    flags : {"any", "all"}
        Whether the flags of any frame are kept, or only those that all have.
    """

    method: Annotated[Literal["mean", "median", "wmean"], "mean, median or wmean (1 / ERR^2)"] = "mean"
    error: Annotated[Literal["measure", "propagate"], "from the scatter, or from ERR"] = "measure"
    sigma_clip: Annotated[bool, "leave out outlying samples of a pixel"] = True
    sigma_low: Annotated[float, Range(gt=0), "threshold below the biweight location, sigma"] = 4.0
    sigma_high: Annotated[float, Range(gt=0), "threshold above it"] = 4.0
    min_samples: Annotated[int, Range(ge=1), "clipping stops at so many samples"] = 3
    maxiters: Annotated[int, Range(ge=1), "highest number of clipping rounds"] = 50
    flags: Annotated[Literal["any", "all"], "DQ: flags that any exposure has, or that all have"] = "all"


@dataclass(frozen=True, kw_only=True)
class FlatNormalisation:
    """What a flat is divided by.

    Attributes
    ----------
    normalisation : {"median", "mean", "mode", "none"}
        Which level of its good pixels becomes 1; ``none``: it stays as it is.
    """

    normalisation: Annotated[
        Literal["median", "mean", "mode", "none"], "flat: what its level is of the values of the good pixels"
    ] = "median"
