"""How a template is fitted to an exposure: the parameters of `subtract_template`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from calflow.science.cleaning.clean_flicker_noise_parameters import bad_pixels_of_none
from calflow.science.parameters import Range, check_parameters


@dataclass(frozen=True, kw_only=True)
class TemplateFit:
    """How a template is fitted to an exposure.

    Attributes
    ----------
    smooth : float
        Standard deviation of the Gaussian that smooths the template, pixels; 0: not smoothed.
    sky : {"local", "plane", "constant"}
        What is fitted together with the template; local: any light that is smooth on the scale of 32 pixels.
    snr_threshold : float
        Of sources, in standard deviations of the noise on their scale.
    grow : int
        By how many blocks of its scale on each side a source is grown.
    significance : float
        An amplitude of fewer standard deviations is taken for 0.
    dqbits : str
        Mask expression: pixels that it calls bad are not used.
    """

    smooth: Annotated[float, Range(ge=0, le=100), "the template is smoothed by a Gaussian of so many pixels, sigma"] = (
        0.0
    )
    sky: Annotated[
        Literal["local", "plane", "constant"],
        "what is fitted with the template; local: all that is smooth over 32 pixels",
    ] = "local"
    snr_threshold: Annotated[float, Range(gt=0), "of sources that are left out, sigma"] = 3.0
    grow: Annotated[int, Range(ge=0, le=8), "sources are grown by so many blocks of their scale"] = 1
    significance: Annotated[float, Range(ge=0), "a smaller amplitude, in its standard deviations, is taken for 0"] = 3.0
    dqbits: Annotated[str, "pixels that are used"] = "~DO_NOT_USE+SATURATED+NON_SCIENCE+HOT"

    def __post_init__(self):
        check_parameters(self)
        bad_pixels_of_none(self.dqbits)
