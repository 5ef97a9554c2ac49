"""Making all associations of some exposures: every candidate by every rule, each result once."""

import re
from collections.abc import Iterable, Sequence

from calflow.associations.association import WHOLE_POOL, MadeAssociation
from calflow.associations.level2 import calibrations
from calflow.associations.level3 import combinations
from calflow.associations.rows import Candidate, Row
from calflow.associations.subarrays import merges

_DISCOVERED = Candidate(WHOLE_POOL, "discovered")
_ORDER = {"o": 0, "c": 1, "a": 2}


def generate(rows: Sequence[Row]) -> list[MadeAssociation]:
    """Make the associations of exposures by the archive's rules.

    Parameters
    ----------
    rows : sequence of Row
        In any order; members follow it.

    Returns
    -------
    list of MadeAssociation
        Level 2 before level 3, by candidate; each once.
    """
    combined, merged = merges(rows)
    level2: list[MadeAssociation] = []
    level3: list[MadeAssociation] = []
    for candidate, found in _by_candidate(rows):
        level2 += calibrations(found, candidate)
    for candidate, found in _by_candidate(combined):
        level3 += combinations(found, candidate)
    level3 += combinations(combined, _DISCOVERED)
    return _largest(_distinct(level2)) + merged + _largest(_distinct(level3))


def _by_candidate(rows: Iterable[Row]) -> list[tuple[Candidate, list[Row]]]:
    found: dict[Candidate, list[Row]] = {}
    for row in rows:
        for candidate in dict.fromkeys(row.candidates):
            found.setdefault(candidate, []).append(row)
    return sorted(found.items(), key=lambda item: _rank(item[0]))


def _rank(candidate: Candidate) -> tuple[int, int]:
    """Order candidates: observations, then those of several, the newest first, then the whole pool."""
    number = int(re.sub(r"\D", "", candidate.id) or 0)
    kind = _ORDER.get(candidate.id[:1], len(_ORDER))
    return kind, -number if kind else number


def _distinct(associations: Iterable[MadeAssociation]) -> list[MadeAssociation]:
    """Keep, of associations with the same members, that of the first candidate; of two in it the last."""
    kept: dict[frozenset, MadeAssociation] = {}
    for association in associations:
        members = frozenset(association.members)
        if members not in kept or kept[members].asn_id == association.asn_id:
            kept[members] = association
    return list(kept.values())


def _largest(associations: Sequence[MadeAssociation]) -> list[MadeAssociation]:
    """Drop associations all of whose members, and more, are in another one of the same name."""
    by_name: dict[str, list[MadeAssociation]] = {}
    for association in associations:
        by_name.setdefault(association.product, []).append(association)
    return [
        association
        for association in associations
        if not any(set(association.members) < set(other.members) for other in by_name[association.product])
    ]
