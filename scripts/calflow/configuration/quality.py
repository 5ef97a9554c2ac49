"""The thresholds of `snakemake quality`, and what it measures on demand."""

from typing import Any

from pydantic import Field, model_validator

from calflow.configuration.declared import section_of
from calflow.configuration.section import Section
from calflow.science.quality.completeness_parameters import Injection
from calflow.science.quality.thresholds import Thresholds

_Thresholds: Any = section_of(Thresholds, Section)


class _OnDemand(Section):
    measure: bool = Field(False, description="put artificial sources into combined images, too")


_Injection: Any = section_of(Injection, _OnDemand)


class Completeness(_Injection):
    """How complete catalogues are, by artificial sources that are put into combined images."""

    @model_validator(mode="after")
    def _check_magnitudes(self) -> "Completeness":
        if self.magnitudes is not None and not self.magnitudes[0] < self.magnitudes[1]:
            raise ValueError("magnitudes are the brightest and the faintest, such as [22.0, 26.0]")
        return self

    def injection_parameters(self) -> dict[str, Any]:
        """Return the parameters of `science.quality.completeness_parameters.Injection`."""
        return self.part(Injection)


class Quality(_Thresholds):
    """From where on a number of a product is worth a look, and from where on it is wrong."""

    completeness: Completeness = Field(
        Completeness(), description="how complete catalogues are, by artificial sources; docs/page.md"
    )

    @model_validator(mode="after")
    def _check_order(self) -> "Quality":
        names = type(self).model_fields
        for name in names:
            wrong = name.replace("_look", "_wrong")
            if name.endswith("_look") and wrong in names and getattr(self, name) > getattr(self, wrong):
                raise ValueError(f"{name} must not be above {wrong}")
        return self

    def thresholds(self) -> dict[str, Any]:
        """Return the parameters of `science.quality.thresholds.Thresholds`."""
        return self.part(Thresholds)
