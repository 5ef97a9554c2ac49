"""How the pixels in regions that somebody has drawn are flagged: the parameters of `mask_regions`."""

from dataclasses import dataclass
from typing import Annotated

from calflow.science.cleaning.flagging import Flagging
from calflow.science.parameters import Range, check_parameters


@dataclass(frozen=True, kw_only=True)
class RegionMask(Flagging):
    """What the pixels in regions get.

    Attributes
    ----------
    flags : str
        Names of flags, with ``+`` between them.
    grow : float
        Pixels by which the regions are grown.
    """

    flags: Annotated[str, "flags of the pixels in regions, with + between their names"] = "DO_NOT_USE"
    grow: Annotated[float, Range(ge=0, le=1000), "pixels by which regions are grown"] = 0.0

    def __post_init__(self):
        check_parameters(self)
        self.bits()
