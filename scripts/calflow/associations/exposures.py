"""The rows of a pool, from the headers of exposures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

from calflow.associations.pools import row_of
from calflow.associations.rows import Candidate, Row
from calflow.configuration.association_making import AssociationMaking
from calflow.instruments.exposure_kinds import ACQUISITIONS
from calflow.instruments.pool_columns import IMAGE_TYPES, KEYWORDS

UNKNOWN_PROGRAM = "0"
# Of exposures that do not say to which observation they belong
UNKNOWN_OBSERVATION = "0"


def number_targets(
    targets: Iterable[tuple[str, str]], known: Mapping[tuple[str, str], str]
) -> dict[tuple[str, str], str]:
    """Return the numbers of targets, which stand for them in names of products and must not change.

    Parameters
    ----------
    targets : iterable of (program, target)
        Numbered in the order of their first appearance in a programme.
    known : mapping of (program, target) to number
        Those that targets have from earlier runs.
    """
    numbers = dict(known)
    for program, target in targets:
        if (program, target) not in numbers:
            taken = {int(number) for (other, _), number in numbers.items() if other == program}
            numbers[program, target] = str(next(n for n in range(1, len(taken) + 2) if n not in taken))
    return numbers


def rows_of(
    headers: Mapping[str, Mapping[str, Any]], making: AssociationMaking, known: Mapping[tuple[str, str], str]
) -> list[Row]:
    """Return the rows of exposures.

    Parameters
    ----------
    headers : mapping of file name to keywords
    making : AssociationMaking
        Says what no header says.
    known : mapping of (program, target) to number
        The numbers that targets have from earlier runs.
    """
    values = {name: _values(header) for name, header in sorted(headers.items())}
    order = sorted(values, key=lambda name: (int(values[name]["obs_num"]), name))
    numbers = number_targets([(values[name]["program"], values[name]["target"]) for name in order], known)
    rows = []
    for name, found in values.items():
        found["targetid"] = numbers[found["program"], found["target"]]
        if making.backgrounds is not None:
            found["bkgdtarg"] = "t" if _matches((name, found["target"]), making.backgrounds) else "f"
        observation = Candidate(f"o{int(found['obs_num']):03d}", "observation")
        rows.append(row_of(name, found, (observation,)))
    return linked(rows, making)


def linked(rows: Sequence[Row], making: AssociationMaking, without_links: bool = True) -> list[Row]:
    """Return rows with the candidates of the links.

    Parameters
    ----------
    rows : sequence of Row
    making : AssociationMaking
    without_links : bool
        Whether each observation has all backgrounds of its programme where no link says which.
    """
    links = {
        Candidate(id_.lower(), link.type): {str(number) for number in link.observations}
        for id_, link in making.links.items()
    }
    programs = {row["program"] for row in rows}

    def own(row: Row) -> list[Candidate]:
        return [candidate for candidate, observations in links.items() if row["obs_num"] in observations]

    found = [replace(row, candidates=(*row.candidates, *own(row))) for row in rows]
    if not without_links or any(link.type == "background" for link in making.links.values()):
        return found
    for program in programs:
        found = _with_backgrounds(found, program)
    return found


def _with_backgrounds(rows: Sequence[Row], program: str) -> list[Row]:
    def is_background(row: Row) -> bool:
        return row["program"] == program and row.exptype == "background"

    backgrounds = {row["obs_num"] for row in rows if is_background(row)}
    # Within one observation there is nothing to link.
    sciences = {row["obs_num"] for row in rows if row["program"] == program and not is_background(row)}
    if not backgrounds:
        return list(rows)
    links = {number: Candidate(f"c{1000 + int(number)}", "background") for number in sorted(sciences)}

    def own(row: Row) -> tuple[Candidate, ...]:
        if row["program"] != program:
            return ()
        return tuple(links.values()) if is_background(row) else (links[row["obs_num"]],)

    return [replace(row, candidates=(*row.candidates, *own(row))) for row in rows]


def _matches(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatch(name.lower(), pattern.lower()) for name in names for pattern in patterns)


def _values(header: Mapping[str, Any]) -> dict[str, str]:
    """Return the row that a pool would have for an exposure."""
    values = {column: _text(header, keywords) for column, keywords in KEYWORDS.items()}
    values["program"] = values["program"].lower() or UNKNOWN_PROGRAM
    digits = "".join(character for character in values["obs_num"] if character.isdigit())
    values["obs_num"] = str(int(digits or UNKNOWN_OBSERVATION))
    values["pntgtype"] = "target_acquisition" if values["exp_type"].lower() in ACQUISITIONS else "science"
    kind = IMAGE_TYPES.get(values["image_type"].lower(), "")
    if kind == "background":
        values["bkgdtarg"] = "t"
    elif kind:
        values["pntgtype"] = kind
    if not values["subarray"]:  # as files of Liger and IRIS
        number = values["subarray_id"]
        values["subarray"] = f"sub{number}" if number not in ("", "0") else "full"
    return values


def _text(header: Mapping[str, Any], keywords: Iterable[str]) -> str:
    for keyword in keywords:
        value = header.get(keyword)
        text = ("t" if value else "f") if isinstance(value, bool) else str(value if value is not None else "").strip()
        if text:
            return text
    return ""
