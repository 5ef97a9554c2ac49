"""Which pixels of earlier exposures leave an image behind, and for how long: the parameters of `persistence`."""

from dataclasses import dataclass
from typing import Annotated

from calflow.science.cleaning.flagging import Flagging
from calflow.science.parameters import Range, check_parameters


@dataclass(frozen=True, kw_only=True)
class Persistence(Flagging):
    """What counts as bright, and what becomes of its pixels.

    Attributes
    ----------
    time : float
        Seconds after the end of an exposure in which its bright pixels are flagged.
    level : float or None
        Signal from which a pixel is bright, in the unit of the exposure times seconds. None: what is SATURATED.
    grow : float
        Pixels by which bright pixels are grown.
    flags : str
        Names of flags, with ``+`` between them.
    """

    time: Annotated[
        float, Range(gt=0, le=1e7), "seconds after the end of an exposure in which its bright pixels count"
    ] = 2500.0
    level: Annotated[
        float | None,
        Range(gt=0),
        "signal from which a pixel is bright, unit of the exposure x s of an integration; null: if SATURATED",
    ] = None
    grow: Annotated[float, Range(ge=0, le=1000), "pixels by which bright pixels are grown"] = 0.0
    flags: Annotated[str, "flags of those pixels, with + between their names"] = "DO_NOT_USE+PERSISTENCE"

    def __post_init__(self):
        check_parameters(self)
        self.bits()
