"""How sky levels are measured and matched, and how a smooth sky is found: the parameters of the sky's modules."""

from dataclasses import dataclass
from typing import Annotated, Literal

from calflow.science.parameters import Range


@dataclass(frozen=True, kw_only=True)
class SkyMatching:
    """How the levels of exposures that overlap are found; `skymatch.match_sky` says more.

    Attributes
    ----------
    skymethod : {"match", "local", "global", "global+match", "user"}
        From the overlaps, from each exposure, or as given.
    match_down : bool
        Whether the lowest level becomes 0, or the highest.
    """

    skymethod: Annotated[
        Literal["match", "local", "global", "global+match", "user"],
        "match, local, global, global+match, user (levels from skylist)",
    ] = "match"
    match_down: Annotated[bool, "the lowest level becomes 0; false: the highest"] = True


@dataclass(frozen=True, kw_only=True)
class SkyMeasuring:
    """How the sky of one exposure is measured; `sky_statistics.sky_statistic` says more.

    Attributes
    ----------
    stepsize : int or None
        Pixels between the points that outline the exposure in its overlaps; None: its corners.
    skystat : {"mode", "median", "mean", "midpt"}
        The statistic.
    dqbits : str
        Mask expression: pixels that it calls bad are not used.
    lower, upper : float or None
        Lowest and highest value that is used, in the unit of the pixels; None: no limit.
    nclip : int
        Rounds of clipping.
    lsigma, usigma : float
        Pixels so many standard deviations below and above the mean are clipped.
    binwidth : float
        Width of the bins of the histogram, in standard deviations.
    """

    stepsize: Annotated[int | None, Range(ge=1), "pixels between the vertices of outlines; null: corners"] = None
    skystat: Annotated[
        Literal["mode", "median", "mean", "midpt"],
        "mode (scatters by 0.1 sigma of a pixel), median (by 0.005), mean, midpt",
    ] = "mode"
    dqbits: Annotated[str, "pixels that are used"] = "~DO_NOT_USE+NON_SCIENCE"
    lower: Annotated[float | None, "lowest value used, MJy/sr"] = None
    upper: Annotated[float | None, "highest value used, MJy/sr"] = None
    nclip: Annotated[int, Range(ge=0), "clipping rounds"] = 5
    lsigma: Annotated[float, Range(gt=0), "lower clipping threshold, sigma"] = 4.0
    usigma: Annotated[float, Range(gt=0), "upper clipping threshold, sigma"] = 4.0
    binwidth: Annotated[float, Range(gt=0), "width of the histogram's bins, sigma (mode, midpt)"] = 0.1


@dataclass(frozen=True, kw_only=True)
class SkyBoxes:
    """How a smooth sky is measured in boxes; `sky_model.smooth_sky` says more.

    Attributes
    ----------
    box_size : int
        Side of the boxes, pixels.
    filter_size : int
        Side of the median filter, boxes; odd.
    sigma_low, sigma_high : float
        Pixels so many standard deviations below and above the median of their box are clipped.
    """

    box_size: Annotated[int, Range(ge=1), "sky_model: side of the boxes, pixels; much larger than sources"] = 101
    filter_size: Annotated[int, Range(ge=1, le=10**9), "sky_model: side of the median filter, boxes; odd"] = 3
    sigma_low: Annotated[float, Range(gt=0), "sky_model: clipping threshold below the median of a box, sigma"] = 6.0
    sigma_high: Annotated[float, Range(gt=0), "sky_model: the same above it"] = 2.0
