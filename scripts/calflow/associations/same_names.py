"""Products of one name: the archive makes several of them, and one would overwrite the other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from calflow.associations.association import MadeAssociation, unique

# What is put behind the name of a product that another product has too
_ENDINGS = {"tso3": "-tso3", "Asn_Lv3ImageBackground": "-background"}


@dataclass(frozen=True)
class Settled:
    """Associations, no two of which make the same product, and what was changed to achieve that.

    Attributes
    ----------
    associations : tuple of MadeAssociation
    notes : tuple of str
    """

    associations: tuple[MadeAssociation, ...]
    notes: tuple[str, ...]


def settle(associations: Iterable[MadeAssociation]) -> Settled:
    """Unite associations that make the same product of the same kind of exposures, and name the others apart.

    An exposure with backgrounds of two candidates gets all of them; exposures of one target and filter that only
    differ in the type of their visit are combined; a time series, or a background, that is called like an image gets
    an ending.

    Parameters
    ----------
    associations : iterable of MadeAssociation
        All that were made.
    """
    by_name: dict[tuple[int, str], list[MadeAssociation]] = {}
    for association in associations:
        by_name.setdefault((association.level, association.product), []).append(association)
    settled: list[MadeAssociation] = []
    notes: list[str] = []
    for (_, name), found in by_name.items():
        made = _united(found)
        if len(made) < len(found):
            ids = ", ".join(sorted({association.asn_id for association in found}))
            notes.append(f"{name}: united of the members of {len(found)} associations ({ids})")
        for association in made:
            ending = _ENDINGS.get(association.asn_type) or _ENDINGS.get(association.rule)
            if len(made) > 1 and ending:
                notes.append(f"{name}: {association.asn_type} {name + ending}, since another has this name")
                association = replace(association, product=name + ending)
            settled.append(association)
    return Settled(tuple(settled), tuple(notes))


def _united(associations: Sequence[MadeAssociation]) -> list[MadeAssociation]:
    groups: dict[tuple, list[MadeAssociation]] = {}
    for each in associations:
        # Level 2: of one exposure, which a coronagraphic one is twice, with and without its integrations.
        same = each.of_type("science") if each.level == 2 else (each.rule,)
        # The archive has pairs of wavefront sensing apart by visit, though not by name.
        apart = each.members if each.asn_type == "wfs-image3" else ()
        groups.setdefault((each.asn_type, same, apart), []).append(each)
    return [_union(group) for group in groups.values()]


def _union(group: Sequence[MadeAssociation]) -> MadeAssociation:
    first = min(group, key=lambda association: association.asn_id)
    members = unique(member for association in (first, *group) for member in association.members)
    return replace(first, members=members)
