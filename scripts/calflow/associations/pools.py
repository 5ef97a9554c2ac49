"""Pools: tables of the archive that list the exposures of a programme."""

import ast
import re
from collections.abc import Mapping

from calflow.associations.rows import NOT_GIVEN, Candidate, Row

_CANDIDATE = re.compile(r"[a-z][0-9]{3,6}")
COLUMNS_NEEDED = ("filename", "program", "exp_type", "instrume")


class PoolError(Exception):
    """What is wrong with a pool, and what would be right.

    Parameters
    ----------
    wrong : str
        What is wrong.
    right : str
        What would be right, or what to do.
    """

    def __init__(self, wrong: str, right: str):
        super().__init__(wrong)
        self.wrong, self.right = wrong, right


def read_pool(text: str) -> list[Row]:
    """Return the rows of a pool.

    Parameters
    ----------
    text : str
        Lines of cells between ``|``; the first names the columns, those that begin with ``#`` say nothing. Case does
        not count, in names of files neither: the archive's are in lower case.

    Raises
    ------
    PoolError
        If it is no pool.
    """
    lines = [
        (number, [cell.strip().lower() for cell in line.split("|")])
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise PoolError("no lines", "a pool has a line of column names and one for each exposure, cells between '|'")
    (_, columns), *rest = lines
    missing = [column for column in COLUMNS_NEEDED if column not in columns]
    if missing:
        raise PoolError(f"no column {missing[0].upper()}", "the first line names the columns, with '|' between them")
    rows = []
    for number, cells in rest:
        if len(cells) != len(columns):
            raise PoolError(f"line {number} has {len(cells)} cells", f"there are {len(columns)} columns")
        cell = dict(zip(columns, cells, strict=True))
        if cell["exp_type"] == "exp_type":  # the names once more, as where pools were put together
            continue
        rows.append(row_of(cell["filename"], cell, _candidates(cell.get("asn_candidate", ""), number)))
    return rows


def row_of(filename: str, values: Mapping[str, str], candidates: tuple[Candidate, ...]) -> Row:
    """Return a row of a pool.

    Parameters
    ----------
    filename : str
        Of the exposure.
    values : mapping of str to str
        By column.
    candidates : tuple of Candidate
        The associations that the exposure is a candidate of.
    """
    lower = {column: value.strip().lower() for column, value in values.items()}
    if number := lower.get("obs_num"):
        lower["obs_num"] = number.lstrip("0") or "0"  # 1 in a pool, 001 in headers
    return Row(filename, {column: value for column, value in lower.items() if value not in NOT_GIVEN}, candidates)


def _candidates(text: str, line: int) -> tuple[Candidate, ...]:
    """Return the candidates of a cell such as ``[('o001', 'observation')]``."""
    if text in NOT_GIVEN:
        return ()
    try:
        found = tuple(Candidate(str(id_), str(type_)) for id_, type_ in ast.literal_eval(text))
        if not all(_CANDIDATE.fullmatch(candidate.id) for candidate in found):  # it becomes part of file names
            raise ValueError
        return found
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        right = "give a list such as [('o001', 'observation'), ('c1000', 'background')]"
        raise PoolError(f"line {line}: ASN_CANDIDATE {text[:60]!r} is no list of candidates", right) from None
