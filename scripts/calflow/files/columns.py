"""The columns of ECSV tables as plain numbers and texts, with their units; no coordinates are made of them."""

from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astropy.table import Table


def read_columns(path: Path) -> "Table":
    """Return the columns of a table, without units and metadata.

    Parameters
    ----------
    path : Path
        An ECSV file.
    """
    from astropy.io import ascii

    with path.open(encoding="utf-8") as file:
        lines = file.readlines()
    head = sum(1 for _ in takewhile(lambda line: line.startswith("#"), lines))
    return ascii.read(lines[head:], format="basic", guess=False, delimiter=" ")


def read_header(path: Path) -> dict[str, Any]:
    """Return what the header of a table says: ``datatype``, a mapping for each column, and ``meta``, if it has any.

    Parameters
    ----------
    path : Path
        An ECSV file.
    """
    from astropy.table.meta import get_header_from_yaml

    with path.open(encoding="utf-8") as file:
        lines = [line[2:].rstrip("\n") for line in takewhile(lambda line: line.startswith("# "), file)]
    return dict(get_header_from_yaml(lines[1:]))
