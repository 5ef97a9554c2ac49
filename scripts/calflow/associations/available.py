"""Which of the associations can be used with the files that are there."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from calflow.associations.association import MadeAssociation, MadeMember
from calflow.associations.subarrays import MERGE_RULE
from calflow.files.names import product_root

_COUNT_RATE = re.compile(r"_rate(?=(ints)?\.)")
_OTHER_SUFFIX = {"_rate.": "_rateints.", "_rateints.": "_rate."}


@dataclass(frozen=True)
class Usable:
    """Associations of files that are there or will be made.

    Attributes
    ----------
    associations : tuple of MadeAssociation
    left_out : tuple of (str, str)
        What is not used, and why.
    """

    associations: tuple[MadeAssociation, ...]
    left_out: tuple[tuple[str, str], ...]


def usable(associations: Iterable[MadeAssociation], files: Collection[str]) -> Usable:
    """Return the associations whose exposures are there, with the members that are.

    Parameters
    ----------
    associations : iterable of MadeAssociation
        Level 2 before level 3.
    files : collection of str
        The names of the files that are there.

    Notes
    -----
    Of an exposure with integrations only their average may be there, or the other way round: it is used instead. Of
    one that the archive calibrates both ways, the integrations are.
    """
    kept: list[MadeAssociation] = []
    left_out: list[tuple[str, str]] = []
    made_here: set[str] = set()
    calibrated: dict[str, str] = {}  # by the beginning of its name, what level 2 makes of an exposure
    taken_for: dict[str, str] = {}  # by what is wanted of level 2, what it makes instead
    listed = sorted(associations, key=_order)
    for association in listed:
        found: list[MadeMember] = []
        for member in association.members:
            name = _there(member.name, files) if association.level == 2 else taken_for.get(member.name, member.name)
            if name and (association.level == 2 or name in files or name in made_here):
                found.append(replace(member, name=name))
            elif member.exptype != "target_acquisition":
                left_out.append((f"{member.name} of {association.product}", "no such file"))
        sciences = [member.name for member in found if member.exptype == "science"]
        if not sciences:
            continue
        if association.level == 2:
            wanted, root = association.of_type("science")[0], product_root(sciences[0])
            if root in calibrated:
                left_out.append((f"{sciences[0]} of {association.product}", f"{calibrated[root]} is made"))
                continue
            calibrated[root] = taken_for[_calibrated(wanted)] = _calibrated(sciences[0])
            made_here.add(calibrated[root])
        elif association.rule == MERGE_RULE:
            made_here.add(f"{association.product}_cal.fits")
        kept.append(replace(association, members=tuple(found)))
    return Usable(tuple(kept), tuple(dict.fromkeys(left_out)))


def _order(association: MadeAssociation) -> tuple[int, bool, bool]:
    """Put what others are made of before them, and exposures with integrations before the same without."""
    return association.level, association.rule != MERGE_RULE, "_rateints." not in association.members[0].name


def _calibrated(name: str) -> str:
    return _COUNT_RATE.sub("_cal", name)


def _there(name: str, files: Collection[str]) -> str:
    if name in files:
        return name
    for suffix, other in _OTHER_SUFFIX.items():
        if suffix in name and (found := name.replace(suffix, other)) in files:
            return found
    return ""
