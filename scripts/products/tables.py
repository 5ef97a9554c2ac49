"""Small tables as ECSV files (Enhanced Character-Separated Values), which astropy and people can read."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from products.exposure import replacing


def write_table(
    path: Path,
    columns: Sequence[tuple[str, str, str]],
    rows: Iterable[Mapping[str, Any]],
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Write rows as an ECSV file, complete or not at all.

    Parameters
    ----------
    path : Path
    columns : sequence of (name, unit, description)
        Unit and description may be empty.
    rows : iterable of mapping of column name to value
        At least one.
    meta : mapping
        Plain values.
    """
    rows = list(rows)
    table = Table({name: [row[name] for row in rows] for name, _, _ in columns}, meta=dict(meta or {}))
    for name, unit, description in columns:
        table[name].unit = unit or None
        table[name].description = description or None
    with replacing(path) as partial:
        table.write(partial, format="ascii.ecsv", overwrite=True)


def read_table(path: Path) -> list[dict[str, Any]]:
    """Return the rows of an ECSV file as dicts of plain Python values."""
    table = Table.read(path, format="ascii.ecsv")
    # The reader takes an empty text for a missing one.
    columns = {
        name: (np.ma.filled(column, "") if column.dtype.kind == "U" else column).tolist()
        for name, column in table.columns.items()
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def read_meta(path: Path) -> dict[str, Any]:
    """Return the metadata of an ECSV file."""
    return dict(Table.read(path, format="ascii.ecsv").meta)
