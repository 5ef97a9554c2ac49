"""How brightness becomes colour: the parameters of colour pictures."""

from dataclasses import dataclass
from typing import Annotated

from calflow.science.parameters import Range, check_parameters

CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class ColourStretch:
    """How brightness becomes colour, after Lupton et al. (2004, PASP 116, 133), in noise of a pixel.

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    stretch: Annotated[
        float | None,
        Range(gt=0),
        "noise of a pixel that the scale is linear to; null: by the brighter half percent of the image, at least 10",
    ] = None
    Q: Annotated[float, Range(gt=0, le=1000), "how strongly what is brighter is compressed"] = 8.0

    def __post_init__(self) -> None:
        check_parameters(self)
