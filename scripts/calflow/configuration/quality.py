"""The thresholds of `snakemake quality`."""

from typing import Any

from pydantic import model_validator

from calflow.configuration.declared import section_of
from calflow.configuration.section import Section
from calflow.science.quality.thresholds import Thresholds

_Thresholds: Any = section_of(Thresholds, Section)


class Quality(_Thresholds):
    """From where on a number of a product is worth a look, and from where on it is wrong."""

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
