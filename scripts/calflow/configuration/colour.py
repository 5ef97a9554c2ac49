"""How colour pictures are made."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from calflow.configuration.declared import section_of
from calflow.configuration.section import Names, Section
from calflow.science.colour.colour_parameters import CHANNELS, ColourStretch

_Stretch: Any = section_of(ColourStretch, Section)


class Colour(_Stretch):
    """Colour pictures of the grids that have images in three filters or more."""

    filters: Names = Field(
        [], description="from red to blue, three or more; none: all of a grid, from the longest wavelength on"
    )
    balance: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="by filter, how many times brighter than its noise makes it: {F444W: 1.5}"
    )

    @model_validator(mode="after")
    def _check_filters(self) -> "Colour":
        names = [name.upper() for name in self.filters]
        if names and len(names) < CHANNELS:
            raise ValueError(f"a colour picture takes {CHANNELS} filters or more, from red to blue")
        if len(set(names)) < len(names):
            raise ValueError("name each filter once")
        return self

    def stretch_parameters(self) -> dict[str, Any]:
        """Return the parameters of `science.colour.ColourStretch`."""
        return self.part(ColourStretch)
