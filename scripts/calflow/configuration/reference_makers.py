"""Reference files that are made of calibration exposures."""

from typing import Annotated, Any, Literal

from pydantic import Field

from calflow.configuration.declared import section_of
from calflow.configuration.section import Maybe, Section, SomeFiles, UserPath
from calflow.science.calibration.calibration_parameters import FlatNormalisation, FrameCombination
from calflow.science.cleaning.sky_flat_parameters import SkyFlat

_Time = Annotated[str, Field(min_length=10)]


class _MadeReference(Section):
    type: Literal["dark", "flat", "sky_flat"] = Field(
        description="dark; flat, of even light; sky_flat, of what science exposures show of the sky"
    )
    exposures: SomeFiles = Field(description="files or globs of the raw exposures, 2-D rates")
    after: Maybe[_Time] = Field(None, description="exposures that began earlier are left out, 2024-11-01T00:00:00")
    before: Maybe[_Time] = Field(None, description="exposures that began then or later are left out")
    dark: Maybe[UserPath] = Field(None, description="flats: the dark to subtract first, a file or the name of a maker")
    known_flat: Maybe[UserPath] = Field(
        None, description="sky_flat: the flat that it corrects; null: it is made from nothing"
    )


# How many times its error a flat has to differ from 1 is asked where it is used.
_SkyFlat: Any = section_of(SkyFlat, _MadeReference, prefix="sky_", without=("least",))
_FrameCombination: Any = section_of(FrameCombination, section_of(FlatNormalisation, _SkyFlat))


class ReferenceMaker(_FrameCombination):
    """A master dark of raw darks, a normalised flat of raw flats, or a flat of the sky in science exposures."""

    useafter: Maybe[_Time] = Field(
        None, description="from when on it is valid, such as 2024-11-01T00:00:00; null: the first exposure"
    )

    @property
    def reftype(self) -> str:
        """The type of the reference that is made."""
        return "dark" if self.type == "dark" else "flat"

    def options(self) -> dict[str, Any]:
        """Return what is given of `SkyFlat`, or else of `combine_frames` and of the level of a flat."""
        if self.type == "sky_flat":
            values = self.part(SkyFlat, prefix="sky_")
            return {name: value for name, value in values.items() if name != "least"}
        level = {"normalisation": self.normalisation} if self.type == "flat" else {}
        return {**self.part(FrameCombination), **level}
