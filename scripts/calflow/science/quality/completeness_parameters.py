"""How artificial sources are injected into an image, to tell how complete its catalogue is."""

from dataclasses import dataclass
from typing import Annotated

from calflow.science.parameters import Length, Range, check_parameters


@dataclass(frozen=True, kw_only=True)
class Injection:
    """Artificial sources that are injected into a combined image.

    Raises
    ------
    ValueError
        If a value is out of its range, or the magnitudes are not in order.
    """

    number: Annotated[int, Range(ge=50, le=1_000_000), "artificial sources of each kind"] = 2000
    magnitudes: Annotated[
        tuple[float, ...] | None,
        Length(2, 2),
        Range(ge=-50, le=100),
        "AB magnitudes between which they lie, brightest and faintest; null: about the limit of the detection",
    ] = None
    step: Annotated[float, Range(ge=0.01, le=10), "width of a bin of the table and of the figure, magnitudes"] = 0.25
    half_light_radii: Annotated[
        tuple[float, ...],
        Length(0, 5),
        Range(gt=0, le=5),
        "besides point sources, round exponential galaxies of these half-light radii, arcsec",
    ] = ()
    seed: Annotated[int, Range(ge=0), "another one gives other places and magnitudes"] = 1

    def __post_init__(self) -> None:
        check_parameters(self)
        if self.magnitudes is not None and not self.magnitudes[0] < self.magnitudes[1]:
            raise ValueError("magnitudes must be the brightest and the faintest, such as [22.0, 26.0]")
