"""How a flat is made of the sky, and when it is used: the parameters of `sky_flat`."""

from dataclasses import dataclass
from typing import Annotated

from calflow.science.parameters import Range, check_parameters


@dataclass(frozen=True, kw_only=True)
class SkyFlat:
    """What counts for a flat of the sky.

    Attributes
    ----------
    snr_threshold : float
        From which significance on a pixel belongs to a source, which does not count.
    exposures : int
        In how many exposures a pixel has to show the sky.
    large_scales : bool
        Whether the flat has structure larger than 64 pixels, which glow that is added to the sky looks like.
    smoothing : float
        Standard deviation of the Gaussian that smooths the flat, pixels.
    least : float
        How many times its error the flat has to differ from 1 on the whole to be used.
    """

    snr_threshold: Annotated[float, Range(gt=0), "significance from which a pixel belongs to a source"] = 3.0
    exposures: Annotated[int, Range(ge=3), "in how many exposures a pixel has to show the sky"] = 5
    large_scales: Annotated[bool, "true: structure above 64 pixels, too, which added glow looks like"] = False
    smoothing: Annotated[float, Range(ge=0, le=100), "Gaussian sigma that smooths the flat, pixels"] = 0.0
    least: Annotated[
        float, Range(ge=0), "rms of what it corrects, in units of its error, below which it is not used"
    ] = 1.0

    def __post_init__(self):
        check_parameters(self)
