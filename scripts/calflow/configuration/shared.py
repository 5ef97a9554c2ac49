"""Parameters that several sections have in common, each declared once.

A section inherits a group of them. Its keys are in the order of the classes that it is made of, the last one first,
and its own at the end: ``class Tweakreg(Alignment, SourceFinding, StarLists)`` begins with those of StarLists.
"""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from calflow.configuration.declared import section_of
from calflow.configuration.section import (
    Maybe,
    NormalPath,
    Pair,
    Section,
    Shape,
    SipDegree,
    SkyPosition,
    Step,
)
from calflow.science.stars.finding_parameters import StarFinding

# Single keys
PIXFRAC = Field(1.0, ge=0, le=1, description="drop size, as a fraction of the input pixel")
FILLVAL: Any = Field("NAN", description="value of pixels without data: a number, or NAN")
IN_MEMORY = Field(True, description="no effect here: one exposure at a time is in memory")
PIXMAP_STEPSIZE = Field(1.0, ge=1, description="> 1: pixel map from a grid of this step; 1: as exact as 1e-7 pixel")
PIXMAP_ORDER: Any = Field(1, description="order of the spline through that grid, 1 or 3")


if TYPE_CHECKING:  # mypy cannot see what is made while running

    class _StarFinding(StarFinding, Step): ...

else:
    _StarFinding = section_of(StarFinding, Step)


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


class SipApproximation(Section):
    """How a WCS is written as TAN projection with SIP polynomials."""

    sip_approx: bool = Field(True, description="write the FITS SIP approximation of the (corrected) WCS")
    sip_max_pix_error: float = Field(0.01, gt=0, description="its largest error, pixels; not used with a fixed degree")
    sip_degree: SipDegree = Field(None, description="its degree, 1 to 6; null: the lowest of 1 to 5 that suffices")
    sip_max_inv_pix_error: float = Field(0.01, gt=0, description="largest error of the inverse, pixels")
    sip_inv_degree: SipDegree = Field(None, description="degree of the inverse, 1 to 6; null: the lowest of 1 to 5")
    sip_npoints: int = Field(12, ge=8, le=1024, description="samples per axis of the fit")

    def sip_parameters(self) -> dict[str, Any] | None:
        """Return the parameters of `science.geometry.sip.sip_approximation`, or None if it is not wanted."""
        values = {name.removeprefix("sip_"): value for name, value in self.part(SipApproximation).items()}
        return values if values.pop("approx") else None


class LaidGrid(Section):
    """How a pixel grid is laid over exposures."""

    output_shape: Maybe[Shape] = Field(None, description="[nx, ny] of the output, pixels; null: all exposures fit")
    crpix: Maybe[Pair] = Field(None, description="[x, y] of the reference pixel, 0-based")
    crval: Maybe[SkyPosition] = Field(None, description="[ra, dec] of the reference pixel, degrees")
    rotation: Maybe[float] = Field(None, description="position angle of +y, degrees east of north; null: as the input")
    pixel_scale_ratio: float = Field(1.0, gt=0, description="output pixel scale / input pixel scale")
    pixel_scale: Maybe[Annotated[float, Field(gt=0)]] = Field(
        None, description="output pixel scale, arcsec; overrides pixel_scale_ratio"
    )

    def grid_parameters(self) -> dict[str, Any]:
        """Return the parameters of `science.geometry.output_grid.grid_from_footprints`."""
        return self.part(LaidGrid)


class OutputGrid(LaidGrid):
    """A pixel grid: laid, or that of a file."""

    output_wcs: NormalPath = Field(
        "", description="ASDF file with the output WCS; overrides all of the above but output_shape"
    )
