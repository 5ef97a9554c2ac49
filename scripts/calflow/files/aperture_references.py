"""Reference files of the source catalogue: APCORR (aperture corrections, FITS) and ABVEGAOFFSET (ASDF)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from calflow.files.asdf_files import read_tree
from calflow.files.reference_files import ReferenceFileError, opened_reference
from calflow.science.sources.aperture_photometry import Apertures, check_encircled_energies
from calflow.science.table_rows import select_row

APERTURE_COLUMNS = ("eefraction", "radius", "apcorr", "skyin", "skyout")


def read_apertures(path: Path, wanted: Sequence[Mapping[str, str]], ee: Sequence[int]) -> Apertures:
    """Read the apertures of three encircled energies.

    Parameters
    ----------
    path : Path
        An APCORR reference.
    wanted : sequence of mappings of column to value
        Which rows are those of the exposures, as `science.table_rows.select_row` takes it; one
        empty mapping means all rows.
    ee : sequence of three int
        Encircled energies, per cent.

    Returns
    -------
    Apertures
        Radii in pixels of the detector.

    Raises
    ------
    ReferenceFileError
        If a column is missing, no row fits the exposures, several rows fit an encircled energy or
        none does, or the rows have different annuli.
    ValueError
        If the encircled energies are not three increasing percentages.
    """
    ee = tuple(ee)
    check_encircled_energies(ee)
    table = _read_table(path)
    rows = _rows_of_exposures(path, table, wanted)
    chosen = [_row_of(path, table["eefraction"], rows, value) for value in ee]
    annuli = {(float(table["skyin"][row]), float(table["skyout"][row])) for row in chosen}
    if len(annuli) > 1:
        listed = ", ".join(f"{inner:g} to {outer:g}" for inner, outer in sorted(annuli))
        raise ReferenceFileError(f"{path}: the rows of {_percentages(ee)} have different annuli: {listed} pixels")
    ((sky_inner, sky_outer),) = annuli
    radii, corrections = (tuple(float(table[name][row]) for row in chosen) for name in ("radius", "apcorr"))
    try:
        return Apertures(ee, radii, corrections, sky_inner, sky_outer)
    except ValueError as error:
        raise ReferenceFileError(f"{path}: {error}") from None


def read_abvega_offset(path: Path, wanted: Sequence[Mapping[str, str]]) -> float:
    """Read the difference of AB and Vega magnitudes, m_AB - m_Vega.

    Parameters
    ----------
    path : Path
        An ABVEGAOFFSET reference.
    wanted : sequence of mappings of column to value
        Which row is that of the exposures, as `science.table_rows.select_row` takes it.

    Raises
    ------
    ReferenceFileError
        If the table or its column ``abvega_offset`` is missing, or not exactly one row fits.
    """
    tree = read_tree(path)
    if "abvega_offset" not in tree:
        raise ReferenceFileError(f"{path}: has no entry 'abvega_offset'")
    table = tree["abvega_offset"]
    columns = {name.lower(): np.asarray(table[name]) for name in table.colnames}
    if "abvega_offset" not in columns:
        raise ReferenceFileError(f"{path}: its table has no column abvega_offset; it has {', '.join(columns)}")
    selecting = {name: values for name, values in columns.items() if name != "abvega_offset"}
    try:
        row = select_row(selecting, wanted)
    except (LookupError, ValueError) as error:
        raise ReferenceFileError(f"{path}: {error}") from None
    return float(columns["abvega_offset"][row])


def _read_table(path: Path) -> dict[str, np.ndarray]:
    with opened_reference(path) as hdus:
        if "APCORR" not in hdus:
            raise ReferenceFileError(f"{path}: has no APCORR table")
        data = hdus["APCORR"].data
        table = {name.lower(): np.array(data[name]) for name in data.names}
    missing = [name for name in APERTURE_COLUMNS if name not in table]
    if missing:
        raise ReferenceFileError(f"{path}: table APCORR has no column {', '.join(missing)}; it has {', '.join(table)}")
    return table


def _rows_of_exposures(
    path: Path, table: Mapping[str, np.ndarray], wanted: Sequence[Mapping[str, str]]
) -> Sequence[int]:
    """Return the rows of the first alternative that any row fits."""
    names = [name for name in table if any(name in alternative for alternative in wanted)]
    rows_by_key: dict[tuple[str, ...], list[int]] = {}
    for row in range(len(table["eefraction"])):
        rows_by_key.setdefault(tuple(str(table[name][row]).rstrip().upper() for name in names), []).append(row)
    columns = {name: np.array([key[i] for key in rows_by_key]) for i, name in enumerate(names)}
    try:
        return [*rows_by_key.values(), []][select_row(columns, wanted)]
    except (LookupError, ValueError) as error:
        raise ReferenceFileError(f"{path}: {error}") from None


def _row_of(path: Path, fractions: np.ndarray, rows: Sequence[int], ee: int) -> int:
    found = [row for row in rows if round(100 * float(fractions[row])) == ee]
    if len(found) != 1:
        available = sorted({round(100 * float(fractions[row])) for row in rows})
        raise ReferenceFileError(
            f"{path}: {len(found) or 'no'} rows of the exposures are for {ee}% encircled energy, one must be; "
            f"it has {_percentages(available)}"
        )
    return found[0]


def _percentages(values: Sequence[int]) -> str:
    return ", ".join(f"{value}%" for value in values) or "none"
