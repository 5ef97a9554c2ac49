"""The tables of stage 3, as far as they say how a step went: their text, without the start of astropy."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median

COMPLETE, SKIPPED, FAILED = "COMPLETE", "SKIPPED", "FAILED"


def table_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of an ECSV table, as they are written; none of a file that is not there or not whole.

    Parameters
    ----------
    path : Path
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = (line for line in file if not line.startswith("#"))
            return list(csv.DictReader(lines, delimiter=" "))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def joint_status(rows: Iterable[Mapping[str, str]]) -> str:
    """Return what a table says of a step: FAILED if it is so of any exposure, COMPLETE if of any other; "" of none.

    Parameters
    ----------
    rows : iterable of mapping
        With a column ``status``.
    """
    found = Counter(row.get("status") for row in rows)
    return next((status for status in (FAILED, COMPLETE, SKIPPED) if found[status]), "")


def median_of(rows: Iterable[Mapping[str, str]], column: str) -> float | None:
    """Return the median of a column; None if no row has a number there.

    Parameters
    ----------
    rows : iterable of mapping
    column : str
    """
    numbers = []
    for row in rows:
        with suppress(ValueError, TypeError):
            numbers.append(float(row.get(column, "nan")))
    finite = list(filter(math.isfinite, numbers))
    return median(finite) if finite else None


def catalog_status(path: Path) -> tuple[str, int]:
    """Return what a source catalogue says of its step, and how many sources it has; "" and 0 without one.

    Parameters
    ----------
    path : Path
    """
    status, lines = "", 0
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if not line.startswith("#"):
                    lines += 1
                elif line.startswith("# - {status: "):
                    status = line.removeprefix("# - {status: ").strip().rstrip("},")
    except OSError:
        return "", 0
    return status or COMPLETE, max(lines - 1, 0)  # the first is that of the names
