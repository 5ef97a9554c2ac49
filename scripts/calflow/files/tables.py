"""Small tables as ECSV files (Enhanced Character-Separated Values), which astropy and people can read.

Every job of an exposure reads one or two. astropy.table takes longer to start than some of them work, so that the
tables written here are read without it.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from calflow.whole_files import replacing


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
    from astropy.table import Table

    rows = list(rows)
    table = Table({name: [row[name] for row in rows] for name, _, _ in columns}, meta=dict(meta or {}))
    for name, unit, description in columns:
        table[name].unit = unit or None
        table[name].description = description or None
    with replacing(path) as partial:
        table.write(partial, format="ascii.ecsv", overwrite=True)


def read_table(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a table that `write_table` has written, as dicts of plain Python values.

    Parameters
    ----------
    path : Path
    """
    header, names, *lines = _parse(path)
    kinds = [column["datatype"] for column in header["datatype"]]
    return [{name: _value(text, kind) for name, text, kind in zip(names, line, kinds, strict=True)} for line in lines]


def read_meta(path: Path) -> dict[str, Any]:
    """Return the metadata of a table that `write_table` has written.

    Parameters
    ----------
    path : Path
    """
    header, *_ = _parse(path)
    # They are written as an ordered mapping, a list of mappings of one key.
    meta = header.get("meta", {})
    return {key: value for item in meta for key, value in item.items()} if isinstance(meta, list) else dict(meta)


def _parse(path: Path) -> list[Any]:
    """Return the header of an ECSV file, its line of names, and its lines of values."""
    with open(path, encoding="utf-8", newline="") as file:
        lines = file.read().splitlines(keepends=True)
    comments = list(takewhile(lambda line: line.startswith("# "), lines))
    header = "".join(line[2:] for line in comments[1:]).replace("!!omap", "")
    rows = csv.reader(lines[len(comments) :], delimiter=" ")
    return [yaml.load(header, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), *rows]  # noqa: S506


def _value(text: str, kind: str) -> Any:
    if kind == "bool":
        return text == "True"
    if kind.startswith(("int", "uint")):
        return int(text)
    return float(text) if kind.startswith("float") else text
