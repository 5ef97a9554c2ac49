"""Reference files that are made of calibration exposures."""

from typing import Annotated, Any, Literal

from pydantic import Field

from calflow.configuration.declared import section_of
from calflow.configuration.section import Maybe, Section, SomeFiles, UserPath
from calflow.science.calibration.calibration_parameters import FlatNormalisation, FrameCombination


class _MadeReference(Section):
    type: Literal["dark", "flat"] = Field(description="dark, or flat")
    exposures: SomeFiles = Field(description="files or globs of the raw exposures, 2-D rates")
    dark: Maybe[UserPath] = Field(None, description="flat: the dark to subtract first, a file or the name of a maker")


_FrameCombination: Any = section_of(FrameCombination, section_of(FlatNormalisation, _MadeReference))


class ReferenceMaker(_FrameCombination):
    """A master dark of raw darks, or a normalised flat of raw flats."""

    useafter: Maybe[Annotated[str, Field(min_length=10)]] = Field(
        None, description="from when on it is valid, such as 2024-11-01T00:00:00; null: the first exposure"
    )

    def combination(self) -> dict[str, object]:
        """Return the options of `science.calibration.frame_combination.combine_frames`."""
        return self.part(FrameCombination)
