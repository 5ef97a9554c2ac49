"""From where on a number of a product is worth a look, and from where on it is wrong."""

from dataclasses import dataclass
from typing import Annotated

from calflow.science.parameters import Range, check_parameters

Positive = Range(gt=0)
Fraction = Range(gt=0, le=1)
Factor = Range(gt=1)


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Limits of what is fine: beyond ``look`` a person should look, beyond ``wrong`` something is not as it should be.

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    rms_look: Annotated[float, Positive, "rms of the residuals of the alignment, pixels of the detector: a look"] = 0.2
    rms_wrong: Annotated[float, Positive, "the same: wrong"] = 0.5
    matches_look: Annotated[int, Range(ge=0), "fewer stars that an exposure is aligned by: a look"] = 10
    offset_look: Annotated[
        float, Positive, "median displacement of an exposure's stars from where others have them, pixels: a look"
    ] = 0.1
    offset_wrong: Annotated[float, Positive, "the same: wrong"] = 0.5
    seam_look: Annotated[
        float, Positive, "step in sky level between exposures, in noise of a pixel of an exposure: a look"
    ] = 0.25
    seam_wrong: Annotated[float, Positive, "the same: wrong"] = 0.5
    outliers_look: Annotated[float, Fraction, "part of an exposure's pixels flagged as outliers: a look"] = 0.02
    outliers_wrong: Annotated[float, Fraction, "the same: wrong"] = 0.1
    on_sources_look: Annotated[
        float, Fraction, "part of the pixels of sources flagged as outliers, above that of all pixels: a look"
    ] = 0.03
    on_sources_wrong: Annotated[float, Fraction, "the same: wrong"] = 0.1
    rays_look: Annotated[
        float, Fraction, "part of an exposure's pixels that are brighter than in the others and not flagged: a look"
    ] = 2e-4
    rays_wrong: Annotated[float, Fraction, "the same: wrong"] = 2e-3
    unusable_look: Annotated[float, Fraction, "part of an exposure's pixels that cannot be used: a look"] = 0.2
    unusable_wrong: Annotated[float, Fraction, "the same: wrong"] = 0.8
    noise_look: Annotated[
        float, Factor, "factor between the scatter of empty sky and ERR, whichever is larger: a look"
    ] = 1.4
    noise_wrong: Annotated[float, Factor, "the same: wrong"] = 2.0
    completeness_look: Annotated[
        float | None,
        Positive,
        "magnitudes by which 80 % completeness is brighter than the 5-sigma depth: a look; null: not judged",
    ] = None
    apertures: Annotated[int, Range(ge=0, le=1_000_000), "empty apertures that tell the depth, at the most"] = 2000

    def __post_init__(self) -> None:
        check_parameters(self)
