"""Rows of reference tables: which one fits an exposure."""

import difflib
from collections.abc import Collection, Mapping, Sequence

import numpy as np

# How many of a table's rows an error message lists.
ROWS_TO_SHOW = 5


def select_row(
    columns: Mapping[str, np.ndarray], selectors: Sequence[Mapping[str, str]], optional: Collection[str] = ()
) -> int:
    """Find the row of a table that fits an exposure.

    Parameters
    ----------
    columns : mapping of column name to array of str, shape (nrows,)
        The columns of the table that select.
    selectors : sequence of mappings of column name to wanted value
        Alternatives in order of preference; the first that fits a row counts. An empty one
        takes the first row. Examples: MIRI ``[{"filter": "F1130W", "subarray": "SUB256"},
        {"filter": "F1130W", "subarray": "GENERIC"}]``; FGS ``[{}]``.
    optional : collection of str
        Columns that do not have to be in the table; without them they do not select. Example:
        the ``subarray`` of NIRCam.

    Returns
    -------
    int
        Index of the row, from 0. Values are compared in upper case, without trailing blanks.

    Raises
    ------
    ValueError
        If several rows fit an alternative, or a column that is not optional is missing.
    LookupError
        If no row fits; the message has the wanted values and the nearest rows.
    """
    table = {name: [_normal(value) for value in values] for name, values in columns.items()}
    tried = []
    for selector in selectors:
        if not selector:
            return 0
        wanted = _present(selector, table, optional)
        rows = _matching_rows(wanted, table)
        if len(rows) > 1:
            raise ValueError(
                f"rows {', '.join(str(row + 1) for row in rows)} of the table all have {_pairs(wanted)}; "
                "one row must fit"
            )
        if rows:
            return rows[0]
        tried.append(wanted)
    raise LookupError(_no_row(tried, table))


def _normal(value: object) -> str:
    text = value.decode("ascii") if isinstance(value, bytes) else str(value)
    return text.rstrip().upper()


def _present(wanted: Mapping[str, str], table: Mapping[str, list[str]], optional: Collection[str]) -> dict[str, str]:
    present = {name: _normal(value) for name, value in wanted.items() if name in table}
    missing = sorted(name for name in wanted if name not in table and name not in optional)
    if missing or not present:
        raise ValueError(
            f"the table has no column {', '.join(missing or sorted(wanted))} to select by; "
            f"its columns are {', '.join(sorted(table)) or 'none'}"
        )
    return present


def _matching_rows(wanted: Mapping[str, str], table: Mapping[str, list[str]]) -> list[int]:
    rows = zip(*(table[name] for name in wanted), strict=True)
    return [index for index, row in enumerate(rows) if row == tuple(wanted.values())]


def _pairs(wanted: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in wanted.items())


def _no_row(tried: Sequence[Mapping[str, str]], table: Mapping[str, list[str]]) -> str:
    """Return the message for a failed selection: what was wanted, and the rows nearest to it."""
    wanted = tried[0]

    def likeness(row: tuple[str, ...]) -> float:
        pairs = zip(wanted.values(), row, strict=True)
        return sum(difflib.SequenceMatcher(None, want, have).ratio() for want, have in pairs)

    rows = sorted(set(zip(*(table[name] for name in wanted), strict=True)), key=lambda row: (-likeness(row), row))
    shown = ["/".join(row) for row in rows[:ROWS_TO_SHOW]]
    more = f" and {len(rows) - ROWS_TO_SHOW} more" if len(rows) > ROWS_TO_SHOW else ""
    looked_for = " nor ".join(_pairs(alternative) for alternative in tried)
    return f"no row with {looked_for}; nearest rows by {'/'.join(wanted)}: {', '.join(shown) or 'none'}{more}"
