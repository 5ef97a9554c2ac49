"""An association that was made: its members, and its names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from calflow.associations.rows import Row

# The candidate that is the whole pool
WHOLE_POOL = "a3001"


@dataclass(frozen=True, order=True)
class MadeMember:
    """A member of an association.

    Attributes
    ----------
    name : str
        File name.
    exptype : str
    """

    name: str
    exptype: str


@dataclass(frozen=True)
class MadeAssociation:
    """An association with its one product.

    Attributes
    ----------
    asn_type : str
        Such as ``image2``.
    asn_id : str
        The candidate whose exposures it has.
    program, target : str
        The target of level 2 is as the pool has it, that of level 3 as in the name.
    product : str
        The name of what is made of it.
    members : tuple of MadeMember
    rule : str
        The name of the rule by which it was made.
    prefix : str
        What the names of files begin with: ``jw`` for JWST.
    """

    asn_type: str
    asn_id: str
    program: str
    target: str
    product: str
    members: tuple[MadeMember, ...]
    rule: str
    prefix: str = "jw"

    @property
    def level(self) -> int:
        """2: one exposure; 3: what is combined of several."""
        return int(self.asn_type[-1])

    def of_type(self, exptype: str) -> tuple[str, ...]:
        """Return the names of the members of a type.

        Parameters
        ----------
        exptype : str
            Such as ``science``.
        """
        return tuple(member.name for member in self.members if member.exptype == exptype)


def number(text: str, width: int) -> str:
    """Return a number with leading zeros; of what is no number, what file names may hold.

    Parameters
    ----------
    text : str
        Such as a program or an observation.
    width : int
        Digits at least.
    """
    return text.zfill(width) if text.isdigit() else re.sub(r"[^a-z0-9]+", "", text)


def combined_name(asn_id: str, row: Row, target: str, ending: str = "") -> str:
    """Return the name of a combined product.

    Parameters
    ----------
    asn_id : str
    row : Row
        One of its exposures.
    target : str
        Such as ``t001``.
    ending : str
        What comes behind all else.
    """
    elements = sorted(filter(None, (row["filter"], row.pupil))) or ["clear"]
    parts = [*elements, row["fxd_slit"], "" if row.is_whole_detector else row["subarray"]]
    optical = "-".join(filter(None, parts))
    return f"{row.prefix}{number(row['program'], 5)}-{asn_id}_{target}_{row['instrume']}_{optical}{ending}"


def unique(members: Iterable[MadeMember]) -> tuple[MadeMember, ...]:
    """Return members, each once, in their order.

    Parameters
    ----------
    members : iterable of MadeMember
        In any order.
    """
    return tuple(dict.fromkeys(members))
