"""Which exposures a part of the configuration is for."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field, create_model

from calflow.configuration.section import Names, Section


class Selection(Section):
    """Which exposures are meant: those that agree with all that is given, of which each is one name or several."""

    instrument: Names = Field([], description="of these instruments; none: any")
    filter: Names = Field([], description="with these filters or pupils; none: any")
    detector: Names = Field([], description="of these detectors, such as NRCA*; none: any")
    exposures: Names = Field([], description="of these names, without suffix, such as jw01234001*; none: any")

    def selects(self, name: str, values: Mapping[str, Any]) -> bool:
        """Tell whether an exposure is meant; upper and lower case are the same.

        Parameters
        ----------
        name : str
            Root of the names of its products.
        values : mapping of str to object
            Its keywords.
        """
        instrument, detector, band, pupil = (
            str(values.get(keyword, "")) for keyword in ("INSTRUME", "DETECTOR", "FILTER", "PUPIL")
        )
        return (
            _any(self.instrument, instrument)
            and _any(self.filter, band, pupil)
            and _any(self.detector, detector)
            and _any(self.exposures, name)
        )


def _any(patterns: list[str], *values: str) -> bool:
    found = (fnmatchcase(value.strip().upper(), pattern.upper()) for value in values for pattern in patterns)
    return not patterns or any(found)


# A name that Python does not take for an attribute in a class
_FOR: Any = {"for": (Selection, Field(Selection(), description="the exposures that it is for"))}
_For: Any = create_model("_For", __base__=Section, **_FOR)


class ForSome(_For):
    """What is for some exposures alone."""

    optional: bool = Field(False, description="it is no mistake if no exposure is selected")

    @property
    def selection(self) -> Selection:
        """The exposures that it is for."""
        return getattr(self, "for")
