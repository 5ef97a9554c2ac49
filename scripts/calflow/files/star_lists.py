"""Star lists: tables of positions in an exposure, made here or by the user, and astrometric catalogues."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.table import Column, Table

from calflow.files.user_tables import DUPLICATES, UserTableError, read_user_tables
from calflow.science.stars.star_finding import StarList
from calflow.whole_files import replacing

# Spellings of the columns, tried in turn, without regard to case.
PIXEL_COLUMNS = (("x", "y"), ("xcentroid", "ycentroid"), ("x_centroid", "y_centroid"), ("x_fit", "y_fit"))
# SExtractor's, whose first pixel is 1.
PIXEL_COLUMNS_FROM_1 = (("x_image", "y_image"), ("xwin_image", "ywin_image"))
SKY_COLUMNS = (
    ("ra", "dec"),
    ("ra_icrs", "de_icrs"),  # VizieR
    ("ra_icrs", "dec_icrs"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("_ra.icrs", "_de.icrs"),  # what VizieR computes, under its names in different formats
    ("_ra_icrs", "_de_icrs"),
    ("_raj2000", "_dej2000"),
    ("_ra", "_de"),
    ("alpha_j2000", "delta_j2000"),  # SExtractor
    ("alphawin_j2000", "deltawin_j2000"),
    ("ramean", "decmean"),  # Pan-STARRS
    ("matchra", "matchdec"),  # Hubble Source Catalog
    ("ra_deg", "dec_deg"),
    ("radeg", "dedeg"),  # CDS
    ("sky_centroid.ra", "sky_centroid.dec"),
)
# What a VOTable calls the positions, whatever the names of their columns (IVOA's UCD 1+, and the older UCD 1).
SKY_UCDS = (("pos.eq.ra;meta.main", "pos.eq.dec;meta.main"), ("pos_eq_ra_main", "pos_eq_dec_main"))
WEIGHT = "weight"
MOTIONS = ("pmra", "pmdec")
EPOCHS = ("ref_epoch", "epoch")
NAMES_IN_A_MESSAGE = 12
_SEXAGESIMAL = re.compile(
    r"""\s*([+-]?)\s*(\d{1,3})\s*[:\shHdD\u00b0]\s*(\d{1,2})\s*[:\smM'\u2032]\s*(\d{1,2}(?:\.\d*)?)\s*[sS"\u2033]?\s*"""
)


@dataclass(frozen=True)
class StarTable:
    """The stars of a user's table.

    Attributes
    ----------
    positions : float64 array, shape (n, 2)
        0-based pixels, or right ascension and declination in degrees; all finite.
    weight : float64 array, shape (n,), or None
        Not negative, not 0 everywhere.
    rows : int
        Of the table: those without a position or a weight are not among the stars.
    epoch : float or None
        Of the positions, decimal year, if the table tells one for all.
    motion : float or None
        Median proper motion, mas per year, if the table has any.
    """

    positions: np.ndarray
    weight: np.ndarray | None
    rows: int
    epoch: float | None = None
    motion: float | None = None


def write_star_list(path: Path, stars: StarList) -> None:
    """Write a star list as ECSV or FITS, as the name of the file ends. Positions are 0-based pixels.

    Parameters
    ----------
    path : Path
        Its ending says the format.
    stars : StarList
    """
    weight = {} if stars.weight is None else {"weight": stars.weight}
    table = Table(
        {"id": np.arange(1, len(stars) + 1), "x": stars.x, "y": stars.y, "flux": stars.flux} | weight,
        units={"x": "pix", "y": "pix"},
        descriptions={"x": "0-based", "y": "0-based"},
    )
    form = "fits" if Path(path).suffix.lower() == ".fits" else "ascii.ecsv"
    with replacing(path) as partial:
        table.write(partial, format=form, overwrite=True)


def read_star_list(path: Path) -> StarTable:
    """Read a star list: positions in 0-based pixels, whatever the first pixel is in the file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    files.user_tables.UserTableError
        If the file is no table, or has no columns that can be used.
    """
    tables = read_user_tables(path)
    for spellings, origin in ((PIXEL_COLUMNS, 0.0), (PIXEL_COLUMNS_FROM_1, 1.0)):
        for table in tables:
            if found := _named(path, table, spellings):
                _, *names = found
                axes = [_pixels(path, _values(path, table, name)) - origin for name in names]
                return _stars(path, table, axes)
    raise _without_columns(path, tables, PIXEL_COLUMNS)


def read_sky_catalog(path: Path) -> StarTable:
    """Read an astrometric catalogue: right ascension and declination, ICRS, as they stand at its epoch.

    Parameters
    ----------
    path : Path

    Raises
    ------
    files.user_tables.UserTableError
        As `read_star_list`.
    """
    tables = read_user_tables(path)
    for table in tables:
        if (coordinates := _coordinates(table)) is not None:
            sky = coordinates.icrs
            axes = [_plain(sky.ra.deg), _plain(sky.dec.deg)]
        elif found := _named(path, table, SKY_COLUMNS) or _by_ucd(table):
            _, *names = found
            ra, dec = (_values(path, table, name) for name in names)
            axes = [_degrees(path, ra, 360.0), _degrees(path, dec, 90.0)]
        else:
            continue
        return _stars(path, table, axes, _epoch(table), _motion(table))
    raise _without_columns(path, tables, SKY_COLUMNS)


# Columns ------------------------------------------------------------------------------------------------


def _named(path: Path, table: Table, spellings: Iterable[Sequence[str]]) -> tuple[Table, str, str] | None:
    """Return a table with the names of its columns of positions, if it has any."""
    for pair in spellings:
        first, second = (_column(path, table, name) for name in pair)
        if first and second:
            return table, first, second
    return None


def _column(path: Path, table: Table, wanted: str) -> str | None:
    """Return the name of a column in any case of letters, or None; refuse to choose between two."""
    names = [name for name in table.colnames if name.lower() == wanted]
    if len(names) > 1 or (names and names[0] in table.meta.get(DUPLICATES, ())):
        raise UserTableError(path, wanted, "stands in more than one column", "leave one, and rename the others")
    return names[0] if names else None


def _values(path: Path, table: Table, name: str) -> Column:
    """Return a column with its unit; one of angles or other quantities as plain numbers."""
    found = table[name]
    if isinstance(found, Column):
        return found
    if isinstance(found, units.Quantity):
        return Column(_plain(found.value), name, unit=found.unit)
    raise UserTableError(path, name, f"is of type {type(found).__name__}", "give a column of numbers")


def _by_ucd(table: Table) -> tuple[Table, str, str] | None:
    """Return a table with the names of the columns that a VOTable marks as its positions, if it has any."""
    ucds = {str(table[name].info.meta.get("ucd", "")).lower(): name for name in table.colnames if table[name].info.meta}
    for ra, dec in SKY_UCDS:
        if ra in ucds and dec in ucds:
            return table, ucds[ra], ucds[dec]
    return None


def _coordinates(table: Table) -> Any:
    """Return the first column of coordinates (SkyCoord), as source catalogues have it, or None."""
    return next((table[name] for name in table.colnames if hasattr(table[name], "icrs")), None)


def _without_columns(path: Path, tables: Sequence[Table], spellings: Sequence[Sequence[str]]) -> UserTableError:
    names = [name if name.isprintable() else repr(name) for table in tables for name in table.colnames]
    shown = ", ".join(names[:NAMES_IN_A_MESSAGE]) + (", ..." if len(names) > NAMES_IN_A_MESSAGE else "")
    some = " or ".join(", ".join(pair) for pair in spellings[:4])
    return UserTableError(path, "", f"has the columns {shown}", f"it needs {some}; see docs/catalogs.md")


# Values -------------------------------------------------------------------------------------------------


def _stars(
    path: Path, table: Table, axes: Sequence[np.ndarray], epoch: float | None = None, motion: float | None = None
) -> StarTable:
    positions = np.stack(axes, axis=-1)
    weight = _weight(path, table)
    good = np.isfinite(positions).all(axis=1)
    if weight is not None:
        good &= ~np.isnan(weight)
    return StarTable(positions[good], None if weight is None else weight[good], len(table), epoch, motion)


def _weight(path: Path, table: Table) -> np.ndarray | None:
    name = _column(path, table, WEIGHT)
    if name is None:
        return None
    right = "give numbers from 0 up, or rename the column"
    weight = _numbers(path, _values(path, table, name), right)
    if (wrong := (weight < 0) | np.isinf(weight)).any():
        raise UserTableError(path, name, _first(weight, wrong), right)
    if len(weight) and not (weight > 0).any():
        raise UserTableError(path, name, "is above 0 in no row, so that no star counts", right)
    return weight


def _pixels(path: Path, column: Column) -> np.ndarray:
    right = "give pixels, 0 in the middle of the first"
    if column.unit is not None and str(column.unit).lower() not in ("", "pix", "pixel", "pixels"):
        raise UserTableError(path, column.name, f"has the unit {column.unit}", right)
    return _numbers(path, column, right)


def _degrees(path: Path, column: Column, limit: float) -> np.ndarray:
    """Return a column of angles in degrees: numbers in its unit, by default degrees; or sexagesimal text."""
    hours = limit == 360.0  # sexagesimal right ascensions
    right = f"give {'right ascensions' if hours else 'declinations'} in degrees"
    texts = _texts(column)
    if texts is not None and any(map(_SEXAGESIMAL.fullmatch, texts)):
        values = _sexagesimal(path, column.name, texts) * (15.0 if hours and column.unit != units.deg else 1.0)
    else:
        values = _numbers(path, column, f"{right}, or as {'10:00:27.96' if hours else '+02:12:02.7'}")
        values = values * _degrees_per_unit(path, column, right)
    if (wrong := np.isfinite(values) & (np.abs(values) > limit)).any():
        raise UserTableError(path, column.name, _first(values, wrong, " degrees"), f"{right}, up to {limit:g}")
    return values


def _degrees_per_unit(path: Path, column: Column, right: str) -> float:
    if column.unit in (None, "", units.dimensionless_unscaled):
        return 1.0
    if column.unit == units.hour:
        return 15.0
    try:
        return float(units.Unit(column.unit).to(units.deg))
    except (ValueError, TypeError):
        raise UserTableError(path, column.name, f"has the unit {column.unit}, which is no angle", right) from None


def _numbers(path: Path, column: Column, right: str) -> np.ndarray:
    """Return a column as float64, shape (n,), NaN where it has no value."""
    if column.ndim != 1:
        raise UserTableError(path, column.name, f"has {column.shape[1:]} values in each row", right)
    texts = _texts(column)
    if texts is None and column.dtype.kind not in "iuf":
        raise UserTableError(path, column.name, f"is of type {column.dtype}", right)
    if texts is None:
        return _plain(column)
    values = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        try:
            values[row] = float(text or "nan")
        except ValueError:
            raise UserTableError(path, column.name, f"is {text!r} in row {row + 1}", right) from None
    return values


def _texts(column: Column) -> list[str] | None:
    """Return the values of a column of text, "" where it has none, or None if it is another column."""
    if column.dtype.kind not in "SUO" or column.ndim != 1:
        return None
    missing = np.ma.getmaskarray(column)
    values = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in column]
    if not all(gone or isinstance(value, str | int | float) for value, gone in zip(values, missing, strict=True)):
        return None
    return ["" if gone else str(value).strip() for value, gone in zip(values, missing, strict=True)]


def _sexagesimal(path: Path, name: str, texts: Sequence[str]) -> np.ndarray:
    """Return the numbers that texts like ``+02:12:02.7`` or ``2 12 02.7`` are, NaN for empty ones."""
    values = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        if not text:
            continue
        found = _SEXAGESIMAL.fullmatch(text)
        if found is None:
            raise UserTableError(path, name, f"is {text!r} in row {row + 1}", "write all rows as 10:00:27.96")
        sign, whole, minutes, seconds = found.groups()
        if int(minutes) >= 60 or float(seconds) > 60:
            wrong = f"is {text!r} in row {row + 1}: minutes and seconds end at 60"
            raise UserTableError(path, name, wrong, "write all rows as 10:00:27.96")
        size = int(whole) + int(minutes) / 60 + float(seconds) / 3600
        values[row] = -size if sign == "-" else size
    return values


def _plain(values: Any) -> np.ndarray:
    """Return values as a float64 array, NaN where they are masked."""
    filled = values.filled(np.nan) if hasattr(values, "filled") and not isinstance(values, Column) else values
    return np.ma.filled(np.ma.asarray(filled, float), np.nan)


def _first(values: np.ndarray, wrong: np.ndarray, unit: str = "") -> str:
    row = int(np.argmax(wrong))
    return f"is {values[row]:g}{unit} in row {row + 1}"


# Epoch and motions ----------------------------------------------------------------------------------------


def _epoch(table: Table) -> float | None:
    """Return the epoch that a column has in all rows, or the metadata: a decimal year."""
    columns = {name.lower(): name for name in table.colnames}
    for name in EPOCHS:
        if name in columns and table[columns[name]].dtype.kind in "iuf":
            values = np.unique(_plain(table[columns[name]]))
            if len(values) == 1 and np.isfinite(values[0]):
                return float(values[0])
    meta = {str(key).lower(): value for key, value in table.meta.items()}
    given = next((meta[name] for name in EPOCHS if isinstance(meta.get(name), int | float)), None)
    return None if given is None else float(given)


def _motion(table: Table) -> float | None:
    """Return the median proper motion, mas per year (the unit of archives, if the columns have none)."""
    columns = {name.lower(): name for name in table.colnames}
    if not set(MOTIONS) <= set(columns):
        return None
    found = [table[columns[name]] for name in MOTIONS]
    if any(column.dtype.kind not in "iuf" or column.ndim != 1 for column in found):
        return None
    size = np.hypot(*map(_plain, found))
    return float(np.median(size[np.isfinite(size)])) if np.isfinite(size).any() else None
