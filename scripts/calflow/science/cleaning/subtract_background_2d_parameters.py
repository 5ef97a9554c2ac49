"""How a smooth background is measured apart from sources: the parameters of `subtract_background_2d`."""

from dataclasses import dataclass
from typing import Annotated

from calflow.science.cleaning.clean_flicker_noise_parameters import bad_pixels_of_none
from calflow.science.parameters import Range, check_parameters


@dataclass(frozen=True, kw_only=True)
class BackgroundRemoval:
    """How a smooth background is measured apart from sources.

    Attributes
    ----------
    box_size : float
        Side of the boxes, arcsec.
    filter_size : float
        Full width at half maximum of the Gaussian that smooths the boxes, arcsec; 0: not smoothed.
    snr_threshold : float
        Of sources, in standard deviations of the noise on their scale.
    grow : int
        By how many blocks of its scale on each side a source is grown.
    sigma : float
        Pixels so many standard deviations from the background are not used.
    amplifiers : int
        How many blocks of columns (along the quick axis of the readout) have a level of their own; 1: none has.
    protect : bool
        Whether exposures stay as they are in which the background cannot be told from light.
    dqbits : str
        Mask expression: pixels that it calls bad are not used.
    """

    box_size: Annotated[float, Range(gt=0), "side of the boxes, arcsec"] = 4.0
    filter_size: Annotated[float, Range(ge=0), "boxes are smoothed by a Gaussian of this FWHM, arcsec"] = 12.0
    snr_threshold: Annotated[float, Range(gt=0), "of sources, on scales from a pixel to the filter, sigma"] = 3.0
    grow: Annotated[int, Range(ge=0, le=8), "sources are grown by so many blocks of their scale"] = 1
    sigma: Annotated[float, Range(gt=0), "pixels further from the background are not used, sigma"] = 3.0
    amplifiers: Annotated[int, Range(ge=1, le=64), "blocks of columns with levels of their own; 1: none"] = 1
    protect: Annotated[bool, "leave exposures whose background cannot be told from light, as in a nebula"] = True
    dqbits: Annotated[str, "pixels that are used"] = "~DO_NOT_USE+SATURATED+NON_SCIENCE+HOT"

    def __post_init__(self):
        check_parameters(self)
        bad_pixels_of_none(self.dqbits)
