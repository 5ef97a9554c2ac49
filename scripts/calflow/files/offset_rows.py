"""Rows of tables of offsets: for which exposures they are."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from calflow.science.geometry.offsets import Offset


class Subject(NamedTuple):
    """What rows of such a table are compared with.

    Attributes
    ----------
    root : str
        The name of an exposure, without suffix.
    detector : str
    filters : tuple of str
        Its filter and pupil.
    """

    root: str
    detector: str
    filters: tuple[str, ...]


@dataclass(frozen=True)
class OffsetRow:
    """A row of a table of offsets.

    Attributes
    ----------
    number : int
        From 1.
    exposures : dict of str to str
        Which exposures it is for: ``name``, ``visit``, ``activity``, ``number``, ``detector``, ``filter``, those
        of them that it has. All must fit.
    offset : Offset
    """

    number: int
    exposures: dict[str, str]
    offset: Offset

    def fits(self, subject: Subject) -> bool:
        """Tell whether it is for an exposure; upper and lower case are the same.

        Parameters
        ----------
        subject : Subject
        """
        visit, activity, number, *_ = [*subject.root.split("_"), "", "", ""]
        parts = {"visit": visit, "activity": activity, "number": number}
        return all(_fits(kind, given, subject, parts) for kind, given in self.exposures.items())

    @property
    def exactness(self) -> tuple[int, int]:
        """What decides between rows for one exposure: in how many ways it says which it is for, and how closely."""
        return len(self.exposures), sum(len(given.replace("*", "")) for given in self.exposures.values())


def _fits(kind: str, given: str, subject: Subject, parts: dict[str, str]) -> bool:
    given = given.upper()
    if kind == "name":
        return fnmatchcase(subject.root.upper(), given)
    if kind == "filter":
        return any(fnmatchcase(each.upper(), given) for each in subject.filters)
    if kind == "detector":
        # A module is what the names of its detectors begin with.
        return fnmatchcase(subject.detector.upper(), f"{given}*")
    # A table read as numbers has lost the zeros in front, and visits may come without what stands before them.
    return _bare(parts[kind]) == _bare(given)


def _bare(text: str) -> str:
    return re.sub(r"^[A-Z]*0*", "", text.upper())
