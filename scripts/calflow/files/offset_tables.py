"""Tables of offsets that users give: for exposures, visits or detectors, how far their pointing is to be moved.

The alignment tables that calflow writes are such tables, too.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.table import Table

from calflow.files.names import product_root
from calflow.files.offset_rows import OffsetRow
from calflow.files.user_tables import UserTableError, read_user_tables
from calflow.science.geometry.offsets import Offset

# Spellings of columns, tried in turn, without regard to case. Of the offsets: whether they are differences of
# right ascension and declination, as teams call dra and ddec, and not distances on the sky.
OFFSETS = (
    ("shift_east", "shift_north", False),
    ("dx", "dy", False),
    ("dra", "ddec", True),
    ("delta_ra", "delta_dec", True),
)
IN_PLANE = ("d_east", "d_north")
MATRIX = ("m11", "m12", "m21", "m22")
ROTATION, SCALE = ("rotation", "rot"), ("scale", "scale_factor")
NAME = ("exposure", "filename", "file", "image")
VISIT, ACTIVITY, NUMBER = ("visit", "visit_id"), ("group", "vgroup"), ("exposure", "expnum")
DETECTOR, FILTER = ("detector", "module"), ("filter",)
# What no pointing is off by, arcsec and as a factor: numbers in other units.
FARTHEST, LARGEST_SCALE = 600.0, 1.1
_IN_UNIT = re.compile(r"(.*?)\s*[\[(](.*)[\])]")


def read_offsets(path: Path) -> list[OffsetRow]:
    """Read a table of offsets.

    Parameters
    ----------
    path : Path
        FITS, VOTable, ECSV, CSV or plain text.

    Raises
    ------
    files.user_tables.UserTableError
        If the file is no table, has not the columns that are needed, or a value is none.
    """
    for table in read_user_tables(path):
        columns = _Columns(path, table)
        found = columns.offsets()
        if found is not None:
            return list(_rows(columns, *found))
    some = " or ".join(f"{first}, {second}" for first, second, _ in OFFSETS[:3])
    raise UserTableError(path, "", "has no offsets", f"it needs the columns {some}; see docs/alignment.md")


def _rows(columns: "_Columns", shifts: tuple[np.ndarray, np.ndarray], of_coordinates: bool) -> Iterator[OffsetRow]:
    table, path = columns.table, columns.path
    kinds = columns.exposures()
    if not kinds:
        right = "give a column exposure with their names, or visit"
        raise UserTableError(path, "", "does not say of which exposures its offsets are", right)
    matrix = [columns.numbers(name, "") for name in MATRIX] if columns.has(*MATRIX) else None
    rotation = columns.first(ROTATION, "deg", 0.0)
    scale = columns.first(SCALE, "", 1.0)
    for row in range(len(table)):
        east, north = (float(values[row]) for values in shifts)
        if abs(east) > FARTHEST or abs(north) > FARTHEST:
            wrong = f"the offset of row {row + 1} is {east:g}, {north:g} arcsec, farther than any pointing is off"
            raise UserTableError(path, "", wrong, "give arcsec, or the unit of the columns")
        if not 1 / LARGEST_SCALE < scale[row] < LARGEST_SCALE:
            wrong = f"the scale of row {row + 1} is {scale[row]:g}"
            raise UserTableError(path, "", wrong, "give a factor, 1 for a scale that stays as it is")
        m11, m12, m21, m22 = [float(values[row]) for values in matrix] if matrix else (1.0, 0.0, 0.0, 1.0)
        offset = Offset(
            east=east,
            north=north,
            rotation=float(rotation[row]),
            scale=float(scale[row]),
            of_coordinates=of_coordinates,
            matrix=((m11, m12), (m21, m22)) if matrix else None,
        )
        yield OffsetRow(row + 1, {kind: texts[row] for kind, texts in kinds.items() if texts[row]}, offset)


class _Columns:
    """The columns of a table, by their names in small letters without the units that may stand in them."""

    def __init__(self, path: Path, table: Table):
        self.path, self.table = path, table
        self._names: dict[str, str] = {}
        self._units: dict[str, str] = {}
        for name in table.colnames:
            found = _IN_UNIT.fullmatch(name)
            plain = (found[1] if found else name).strip().lower()
            # Tables have both "dra (arcsec)" and dra: the one that tells its unit counts.
            if found or plain not in self._names:
                self._names[plain] = name
                self._units[plain] = found[2] if found else ""

    def has(self, *names: str) -> bool:
        """Tell whether there are columns of all these names."""
        return all(name in self._names for name in names)

    def offsets(self) -> tuple[tuple[np.ndarray, np.ndarray], bool] | None:
        """Return the offsets, arcsec, and whether they are of coordinates; None if there are none."""
        pairs: Iterable[tuple[str, str, bool]] = OFFSETS
        if self.has(*MATRIX, *IN_PLANE):
            pairs = ((*IN_PLANE, False),)
        for east, north, of_coordinates in pairs:
            if self.has(east, north):
                return (self.numbers(east, "arcsec"), self.numbers(north, "arcsec")), of_coordinates
        return None

    def first(self, names: Iterable[str], unit: str, otherwise: float) -> np.ndarray:
        """Return the first column that is there of these names, or the same value in all rows."""
        for name in names:
            if self.has(name):
                return self.numbers(name, unit)
        return np.full(len(self.table), otherwise)

    def numbers(self, name: str, unit: str) -> np.ndarray:
        """Return a column in a unit, which it has unless it says another one; every value is finite."""
        column = self.table[self._names[name]]
        right = f"give finite numbers{f' in {unit}' if unit else ''}"
        if getattr(column, "dtype", np.dtype("O")).kind not in "iuf" or column.ndim != 1:
            raise UserTableError(self.path, self._names[name], "has no numbers", right)
        values = _plain(column) * (self._factor(name, unit, right) if unit else 1.0)
        if not np.isfinite(values).all():
            row = int(np.argmax(~np.isfinite(values))) + 1
            raise UserTableError(self.path, self._names[name], f"has no value in row {row}", right)
        return values

    def exposures(self) -> dict[str, list[str]]:
        """Return what rows say of their exposures: texts by kind, "" where they say nothing."""
        named = next((name for name in NAME if self.has(name) and not self._is_number(name)), "")
        kinds = {"name": (named,)} if named else {"visit": VISIT, "activity": ACTIVITY, "number": NUMBER}
        found = {}
        for kind, names in (kinds | {"detector": DETECTOR, "filter": FILTER}).items():
            if there := next(filter(self.has, names), ""):
                found[kind] = self._texts(there)
        if named:
            found["name"] = [product_root(Path(text).name) if text else "" for text in found["name"]]
        return found

    def _factor(self, name: str, unit: str, right: str) -> float:
        column = self.table[self._names[name]]
        given = self._units[name] or column.unit or unit
        try:
            return float(units.Unit(given).to(units.Unit(unit)))
        except (ValueError, TypeError):
            wrong = f"has the unit {given}, which is no angle"
            raise UserTableError(self.path, self._names[name], wrong, right) from None

    def _is_number(self, name: str) -> bool:
        return self.table[self._names[name]].dtype.kind in "iuf"

    def _texts(self, name: str) -> list[str]:
        column = self.table[self._names[name]]
        missing = np.ma.getmaskarray(column)
        return ["" if gone else _text(value) for value, gone in zip(column, missing, strict=True)]


def _plain(column: Any) -> np.ndarray:
    """Return numbers as float64, NaN where they are masked."""
    return np.ma.filled(np.ma.asarray(getattr(column, "value", column), float), np.nan)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, float | np.floating):
        return f"{value:.0f}" if np.isfinite(value) else ""
    return str(value).strip()
