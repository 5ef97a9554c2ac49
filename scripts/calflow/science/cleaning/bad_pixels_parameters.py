"""Which pixels deviate in too many exposures of a detector: the parameters of `bad_pixels`."""

from dataclasses import dataclass
from typing import Annotated

from calflow.science.parameters import Range, check_parameters


@dataclass(frozen=True, kw_only=True)
class BadPixels:
    """When a pixel deviates from those around it, and in how many exposures it may.

    Attributes
    ----------
    sigma : float
        Deviation from the median of the pixels around, in standard deviations of all pixels.
    fraction : float
        Part of the exposures in which it has to deviate, in one direction.
    exposures : int
        How many exposures have to tell of a pixel.
    hot : float
        Deviation, in standard deviations, from which a pixel is called hot, and not warm.
    """

    sigma: Annotated[float, Range(gt=0), "deviation from the median of the pixels around, in sigma of the image"] = 4.0
    fraction: Annotated[float, Range(gt=0, le=1), "part of the exposures in which a bad pixel deviates"] = 0.6
    exposures: Annotated[int, Range(ge=2), "how many exposures it takes to judge a pixel"] = 4
    hot: Annotated[float, Range(gt=0), "deviation from which a pixel is HOT, not WARM, in sigma of the image"] = 20.0

    def __post_init__(self):
        check_parameters(self)
