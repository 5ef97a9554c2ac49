"""Lines that are told by their kind: of many that are alike a terminal gets some."""

import re
from collections.abc import Iterable

MOST_KINDS = 10
MOST_ALIKE = 5
LIKE_THAT = "like that"
Kind = tuple[str, str]  # it begins with what is said of the others: "and 4 more ..."


def by_kind(lines: Iterable[tuple[Kind, str]], all_of_it: bool = False) -> list[str]:
    """
    Return lines, the kind of most lines first; a terminal gets some of each kind.

    Parameters
    ----------
    lines : iterable of (Kind, str)
        Each after its kind.
    all_of_it : bool
        However many there are.
    """
    kinds: dict[Kind, list[str]] = {}
    for kind, line in lines:
        kinds.setdefault(kind, []).append(line)
    ordered = sorted(kinds.items(), key=lambda item: len(item[1]), reverse=True)
    shown = []
    for (alike, _), group in ordered if all_of_it else ordered[:MOST_KINDS]:
        first = group if all_of_it else group[:MOST_ALIKE]
        shown += first
        if len(group) > len(first):
            shown.append(f"  and {len(group) - len(first)} more {alike}")
    left = sum(len(group) for _, group in ordered[MOST_KINDS:])
    if left and not all_of_it:
        shown.append(f"and {left} more for other reasons")
    return shown


def of_notices(notices: Iterable[str]) -> list[tuple[Kind, str]]:
    """
    Return what a plan has to tell, each after its kind.

    Parameters
    ----------
    notices : iterable of str
    """
    return [((LIKE_THAT, without_numbers(notice)), notice) for notice in notices]


def without_numbers(text: str) -> str:
    """
    Return a text that is the same whatever numbers are in it.

    Parameters
    ----------
    text : str
    """
    return re.sub(r"[0-9][0-9.]*", "#", text)
