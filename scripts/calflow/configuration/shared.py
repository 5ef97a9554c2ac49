"""Parameters that several sections have in common, each declared once.

A section inherits a group of them. Its keys are in the order of the classes that it is made of, the last one first,
and its own at the end: ``class Tweakreg(Alignment, SourceFinding, StarLists)`` begins with those of StarLists.
"""

from typing import Any

from pydantic import Field, model_validator

from calflow.configuration.declared import section_of
from calflow.configuration.section import SKY_POSITION, NormalPath, Section, Step
from calflow.science.geometry.grid_parameters import GridLayout, SipFit
from calflow.science.stars.finding_parameters import StarFinding

# A single key
IN_MEMORY = Field(True, description="no effect here: one exposure at a time is in memory")

_StarFinding: Any = section_of(StarFinding, Step)


class SourceFinding(_StarFinding):
    """The parameters of finding sources, which alignment and catalogue share."""

    @model_validator(mode="after")
    def _check_limits(self) -> "SourceFinding":
        if self.skip:
            return self  # of what does not run the values need not go together
        for low, high in (("sharplo", "sharphi"), ("roundlo", "roundhi")):
            if not getattr(self, low) < getattr(self, high):
                raise ValueError(f"{low} must be below {high}")
        return self

    def finder_parameters(self) -> dict[str, Any]:
        """Return the parameters of `science.stars.star_finding.find_stars`."""
        return self.part(SourceFinding)


class _SipWanted(Section):
    sip_approx: bool = Field(True, description="write the FITS SIP approximation of the (corrected) WCS")


_SipFit: Any = section_of(SipFit, _SipWanted, prefix="sip_")


class SipApproximation(_SipFit):
    """How a WCS is written as TAN projection with SIP polynomials."""

    def sip_parameters(self) -> dict[str, Any] | None:
        """Return the parameters of `science.geometry.sip.sip_approximation`, or None if it is not wanted."""
        return self.part(SipFit, prefix="sip_") if self.sip_approx else None


_GridLayout: Any = section_of(GridLayout, Section, read={"crval": SKY_POSITION})


class LaidGrid(_GridLayout):
    """How a pixel grid is laid over exposures."""

    def grid_parameters(self) -> dict[str, Any]:
        """Return the parameters of `science.geometry.output_grid.grid_from_footprints`."""
        return self.part(GridLayout)


class OutputGrid(LaidGrid):
    """A pixel grid: laid, or that of a file."""

    output_wcs: NormalPath = Field(
        "", description="ASDF file with the output WCS; overrides all of the above but output_shape"
    )
