"""Astrometric catalogues (Gaia): the web service that has them, and the file they are kept in."""

import csv
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from astropy.table import Column, Table

from calflow.science.geometry.output_grid import fiducial
from calflow.web.client import AttemptsFailed, TemporaryError, WebClient, WebError
from calflow.whole_files import replacing

log = logging.getLogger(__name__)

DEFAULT_URL = "https://gsss.stsci.edu/webservices"
URL_VARIABLE = "ASTROMETRIC_CATALOG_URL"
SERVICE = "vo/CatalogSearch.aspx"
# Names that the service does not know. This one is Gaia DR3 from another server.
SERVICE_NAMES = {"GAIADR3_S3": "GAIADR3"}
TIMEOUT = 30.0  # seconds
PROPER_MOTIONS = ("pmra", "pmdec")
# Tried in turn.
MAGNITUDES = ("mag", "phot_g_mean_mag")
# A line of title may stand before the names of the columns.
HEADER_WITHIN = 2
WHAT_TO_DO = "run again when there is a network, or set stage3.tweakreg.abs_refcat to a catalogue file"


@dataclass(frozen=True)
class Cone:
    """A circle on the sky: right ascension and declination of its centre, and its radius, degrees."""

    ra: float
    dec: float
    radius: float


def cone_around(footprints: np.ndarray) -> Cone:
    """Return the cone about the middle of footprints that reaches their farthest corner.

    Parameters
    ----------
    footprints : float array, shape (..., 2)
        Right ascension and declination of the corners, degrees. They may lie at a pole and on
        both sides of right ascension 0.
    """
    corners = np.asarray(footprints, float).reshape(-1, 2)
    ra, dec = fiducial(corners)
    # The chord: the cosine of a small angle has lost half of its digits.
    chords = np.linalg.norm(_unit_vectors(corners) - _unit_vectors(np.array([ra, dec])), axis=-1)
    return Cone(ra, dec, float(np.degrees(2 * np.arcsin(chords.max() / 2))))


def fetch_catalog(name: str, cone: Cone, epoch: float, url: str | None = None, retries: int = 3) -> Table:
    """Fetch the part of an astrometric catalogue that lies in a cone.

    Parameters
    ----------
    name : str
        Such as ``GAIADR3``, in any case of letters.
    cone : Cone
        The service may also return what lies a little outside.
    epoch : float
        Decimal year for which positions are wanted.
    url : str or None
        The service, with or without ``/vo/CatalogSearch.aspx``. None: that of the environment
        variable ASTROMETRIC_CATALOG_URL or, failing that, that of STScI.
    retries : int
        Number of further attempts if the service cannot be reached or does not work.

    Returns
    -------
    astropy.table.Table
        The columns of the service, of stars that have proper motions (if these are among the
        columns), from faint to bright. `ra` and `dec` are in degrees, at the epoch. It may be
        empty. Metadata: catalog, epoch, centre, radius and source.

    Raises
    ------
    WebError
        If the service does not answer, or not with such a table.
    """
    source = _query(name, cone, epoch, url)
    client = WebClient(retries, TIMEOUT, called="service")
    try:
        table = client.attempt(source, lambda: read_answer(client.read(source), source))
    except AttemptsFailed as error:
        why = f"{error.reason} ({error.attempts}, {source})"
        raise WebError(f"{name.upper()} could not be fetched: {why}; {WHAT_TO_DO}") from None
    table.meta = {
        "catalog": name.upper(),
        "epoch": float(epoch),
        "centre": [cone.ra, cone.dec],
        "radius": cone.radius,
        "source": source,
    }
    return table


def read_answer(text: str, source: str) -> Table:
    """Return the stars in an answer of the service, as `fetch_catalog` does but without metadata.

    Parameters
    ----------
    text : str
        Comma-separated values. Before the names of the columns there may be a line of title and
        comments (``#``).
    source : str
        Whence it is, for messages.

    Raises
    ------
    WebError
        If there are no columns `ra` and `dec` (of any case), or they are not of numbers.
    TemporaryError
        If the answer is incomplete.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    rows = list(csv.reader(lines, skipinitialspace=True))
    header = _header_row(rows)
    if header is None:
        raise WebError(f"{source} did not answer with a table of ra and dec: {_beginning(text)}")
    if any(len(row) != len(rows[header]) for row in rows[header + 1 :]):
        raise TemporaryError("the answer is incomplete: a row has not as many values as there are columns")
    missing = [(word, "0") for word in ("", "null", "NULL")]
    table = Table.read(lines[header:], format="ascii.csv", guess=False, fill_values=missing)
    columns = {column.lower(): column for column in table.colnames}
    keep = np.ones(len(table), bool)
    for axis in ("ra", "dec"):
        values = _numbers(table[columns[axis]], source)
        table.replace_column(columns[axis], Table.Column(values, unit="deg"))
        keep &= np.isfinite(values)
    for motion in PROPER_MOTIONS:
        if motion in columns:
            keep &= np.isfinite(_numbers(table[columns[motion]], source))
    log.info("%d stars, %d without a proper motion left out", keep.sum(), (~keep).sum())
    return _faint_to_bright(table[keep], columns, source)


def write_astrometric_catalog(path: Path, catalog: Table) -> None:
    """Write a catalogue as ECSV, complete or not at all. The same catalogue gives the same bytes.

    Parameters
    ----------
    path : Path
        Of the new file.
    catalog : Table
        As it was fetched.
    """
    with replacing(path) as partial:
        catalog.write(partial, format="ascii.ecsv", overwrite=True)


def _query(name: str, cone: Cone, epoch: float, url: str | None) -> str:
    """Return the URL that asks for a catalogue."""
    base = url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
    if not base.lower().startswith(("http://", "https://")):
        raise WebError(
            f"{base!r} is no address of a catalogue service; "
            f"{URL_VARIABLE} should begin with http:// or https://, as {DEFAULT_URL}"
        )
    base = base.rstrip("/")
    if not base.endswith(SERVICE):
        base = f"{base}/{SERVICE}"
    query = {
        "RA": f"{cone.ra:.9f}",
        "DEC": f"{cone.dec:.9f}",
        "EPOCH": f"{epoch:.4f}",
        "SR": f"{cone.radius:.9f}",
        "FORMAT": "CSV",
        "CAT": SERVICE_NAMES.get(name.upper(), name.upper()),
    }
    return f"{base}?{urlencode(query)}"


def _header_row(rows: Sequence[Sequence[str]]) -> int | None:
    """Return which row has the names of the columns."""
    for i, row in enumerate(rows[:HEADER_WITHIN]):
        if {"ra", "dec"} <= {cell.strip().lower() for cell in row}:
            return i
    return None


def _beginning(text: str) -> str:
    """Return the first line of an answer that has one, for a message."""
    for line in text.splitlines():
        if line.strip():
            return f"its answer begins with {line.strip()[:100]!r}"
    return "its answer is empty"


def _faint_to_bright(table: Table, columns: dict[str, str], source: str) -> Table:
    """Sort by magnitude, if there is one, then by position: the service's own order may change."""
    keys = [np.asarray(table[columns[axis]]) for axis in ("dec", "ra")]
    magnitude = next((columns[name] for name in MAGNITUDES if name in columns), None)
    if magnitude:
        keys.append(-np.nan_to_num(_numbers(table[magnitude], source), nan=np.inf))
    else:
        log.warning("no column %s: the stars are not sorted by magnitude", " or ".join(MAGNITUDES))
    return table[np.lexsort(keys)]


def _numbers(column: Column, source: str) -> np.ndarray:
    """Return a column as float64, NaN where there is no value."""
    try:
        return np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    except ValueError:
        raise WebError(f"the column {column.name} of {source} is not of numbers") from None


def _unit_vectors(sky: np.ndarray) -> np.ndarray:
    ra, dec = np.moveaxis(np.radians(sky), -1, 0)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
