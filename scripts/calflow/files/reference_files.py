"""Reference files in CRDS format: flat, dark, photom, area (FITS), distortion, filteroffset (ASDF)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calflow.files.asdf_files import read_tree
from calflow.files.detector_window import detector_window
from calflow.files.exposure import telling_checksums, write_product
from calflow.files.writing import PLAIN, Writing
from calflow.science.dq_flags import remap_flags
from calflow.science.image import discard_impossible
from calflow.science.windows import Window

ROWS_AT_ONCE = 64  # of a plane in which a pixel is looked for
# Coefficients of each kind of change of sensitivity.
TIME_COLUMNS = {
    "linear": ("t0", "lossperyear"),
    "exponential": ("t0", "amplitude", "tau", "const"),
    "powerlaw": ("t0", "year1value", "tsoft", "alpha"),
}


class ReferenceFileError(ValueError):
    """A reference file that does not hold what its type requires."""


@dataclass(frozen=True)
class PhotomTable:
    """The PHOTOM reference.

    Attributes
    ----------
    rows : dict of column name (lower case) to array
        The conversion table: selector columns, ``photmjsr`` in (MJy/sr) / (DN/s).
    time_tables : dict of kind (``linear``, ``exponential``, ``powerlaw``) to such a dict
        Coefficients of the change of sensitivity; their rows are those of `rows`.
    pixel_area_sr, pixel_area_a2 : float or None
        Nominal pixel area, steradian and square arcsec.
    """

    rows: dict[str, np.ndarray]
    time_tables: dict[str, dict[str, np.ndarray]]
    pixel_area_sr: float | None
    pixel_area_a2: float | None

    def time_coefficients(self, row: int) -> dict[str, dict[str, Any]]:
        """Return the coefficients of a row by kind, as `science.calibration.photom.time_correction` takes them.

        Parameters
        ----------
        row : int
            Counted from 0.
        """
        return {kind: {name: column[row] for name, column in table.items()} for kind, table in self.time_tables.items()}


@contextmanager
def opened_reference(path: Path, checksum: bool = True) -> Iterator[fits.HDUList]:
    """Open a FITS reference; log wrong checksums, for which all of it is read, unless `checksum` is False.

    Of a damaged one astropy raises anything, at any access, often without its name: in the block, too, that becomes a
    `ReferenceFileError` with the name.

    Parameters
    ----------
    path : Path
    checksum : bool
        Whether all of it is read and compared with its checksums.
    """
    try:
        with telling_checksums(path), fits.open(path, memmap=False, checksum=checksum) as hdus:
            yield hdus
    except (OSError, MemoryError, ReferenceFileError):
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ReferenceFileError(f"{path}: cannot be read as a FITS reference ({reason})") from error


def read_detector_reference(
    path: Path, window: Window, images: Sequence[str] = ("SCI",), optional: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Read the part of a flat or a dark that covers a detector window.

    Parameters
    ----------
    path : Path
    window : Window
    images : sequence of str
        Names that the extension SCI may have.
    optional : sequence of str
        Those of ERR and DQ that the file need not have.

    Returns
    -------
    sci, err : float32 arrays of the shape of the window
        `err` is None if the file has none. What is no value (`science.image`) is NaN.
    dq : uint32 array, with the standard bits
        0 if the file has none.

    Raises
    ------
    ReferenceFileError
        If an extension is missing or the reference does not cover the window.
    """
    with opened_reference(path) as hdus:
        part = _cut_out(hdus, path, window, images)
        sci = _section(hdus, _image(hdus, images), part, path).astype(np.float32)
        absent = [name for name in optional if name not in hdus]
        err = None if "ERR" in absent else _section(hdus, "ERR", part, path).astype(np.float32)
        dq = np.zeros(sci.shape, np.uint32) if "DQ" in absent else _section(hdus, "DQ", part, path)
        if "DQ_DEF" in hdus:
            rows = hdus["DQ_DEF"].data
            names = {column.upper(): column for column in rows.names}
            bits = {int(row[names["VALUE"]]): str(row[names["NAME"]]) for row in rows}
            dq = remap_flags(dq, bits)
        discard_impossible({"sci": sci} if err is None else {"sci": sci, "err": err})
        return sci, err, dq.astype(np.uint32)


def write_detector_reference(
    path: Path,
    reftype: str,
    planes: Mapping[str, np.ndarray | None],
    keywords: Mapping[str, Any],
    writing: Writing = PLAIN,
) -> None:
    """Write a flat or a dark in CRDS format.

    Parameters
    ----------
    path : Path
    reftype : str
        ``flat`` or ``dark``.
    planes : mapping of ``SCI``, ``DQ``, ``ERR`` to array
        One that is None is left out.
    keywords : mapping
        What the file is for, where it comes from.
    writing : Writing
    """
    primary = fits.Header()
    primary.set("DATAMODL", f"{reftype.capitalize()}Model", "Type of data model")
    primary.set("REFTYPE", reftype.upper(), "Reference file type")
    primary.update(keywords)
    present = {name: plane for name, plane in planes.items() if plane is not None}
    write_product(path, primary, present, writing=writing)


def read_area(path: Path, window: Window) -> tuple[np.ndarray, float | None, float | None]:
    """Read the relative pixel area in a detector window, and the nominal area.

    Parameters
    ----------
    path : Path
    window : Window
        The detector pixels that are wanted.

    Returns
    -------
    area : float32 array of the shape of the window
    pixel_area_sr, pixel_area_a2 : float or None
        Nominal pixel area, steradian and square arcsec; None if the file does not say.
    """
    with opened_reference(path) as hdus:
        area = _section(hdus, "SCI", _cut_out(hdus, path, window), path).astype(np.float32)
        return area, hdus[0].header.get("PIXAR_SR"), hdus[0].header.get("PIXAR_A2")


def covered_window(path: Path, planes: Sequence[str] = (), images: Sequence[str] = ("SCI",)) -> Window:
    """Return the detector pixels that an image reference covers, without reading its pixels.

    Parameters
    ----------
    path : Path
    planes : sequence of str
        Names of further extensions that there must be.
    images : sequence of str
        Names that the extension with the pixels may have.

    Raises
    ------
    ReferenceFileError
        If there is no two-dimensional SCI extension, or one of the other `planes` is missing or of another shape.
    """
    with opened_reference(path, checksum=False) as hdus:  # planning reads no pixels
        window, image = _window(hdus, path, images), _image(hdus, images)
        for name in planes:
            if name not in hdus or not hdus[name].is_image or hdus[name].shape != hdus[image].shape:
                raise ReferenceFileError(f"{path}: has no extension {name} of the shape of {image}")
        return window


def has_positive_value(path: Path, images: Sequence[str] = ("SCI",)) -> bool:
    """Tell whether any pixel of an image reference is positive, reading no more rows than that needs.

    Of a file with holes, which stands in for one that is stored elsewhere, nothing is known: True.

    Parameters
    ----------
    path : Path
    images : sequence of str
        Names that the extension with the pixels may have.
    """
    status = path.stat()
    if getattr(status, "st_blocks", status.st_size) * 512 < status.st_size:
        return True
    with opened_reference(path, checksum=False) as hdus:
        plane = hdus[_image(hdus, images)]
        rows = plane.shape[-2]
        middle_first = sorted(range(0, rows, ROWS_AT_ONCE), key=lambda row: abs(row - rows // 2))
        return any(bool(np.any(plane.section[..., row : row + ROWS_AT_ONCE, :] > 0)) for row in middle_first)


def read_photom(path: Path) -> PhotomTable:
    """Read a PHOTOM reference.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ReferenceFileError
        If the PHOTOM table or its ``photmjsr`` column is missing, or a time table has other rows.
    """
    with opened_reference(path) as hdus:
        if "PHOTOM" not in hdus:
            raise ReferenceFileError(f"{path}: has no PHOTOM table")
        rows = _columns(hdus["PHOTOM"])
        if "photmjsr" not in rows:
            raise ReferenceFileError(f"{path}: table PHOTOM has no column photmjsr; it has {', '.join(rows)}")
        if rows["photmjsr"].ndim != 1 or rows["photmjsr"].dtype.kind not in "fiu":
            raise ReferenceFileError(f"{path}: the column photmjsr of PHOTOM does not hold one number in each row")
        time_tables = {
            kind: _columns(hdus[f"TIMECOEFF_{kind.upper()}"])
            for kind in TIME_COLUMNS
            if f"TIMECOEFF_{kind.upper()}" in hdus
        }
        for kind, table in time_tables.items():
            missing = [name for name in TIME_COLUMNS[kind] if name not in table]
            if missing:
                raise ReferenceFileError(f"{path}: TIMECOEFF_{kind.upper()} has no column {', '.join(missing)}")
            if len(table["t0"]) != len(rows["photmjsr"]):
                raise ReferenceFileError(
                    f"{path}: TIMECOEFF_{kind.upper()} has {len(table['t0'])} rows, "
                    f"PHOTOM has {len(rows['photmjsr'])}; they must be the same"
                )
        header = hdus[0].header
        return PhotomTable(rows, time_tables, header.get("PIXAR_SR"), header.get("PIXAR_A2"))


def read_distortion(path: Path) -> Any:
    """
    Read the distortion model: full-frame pixel (0-based) to V2, V3 (arcsec).

    Parameters
    ----------
    path : Path

    Raises
    ------
    ReferenceFileError
        If there is none, or none of two coordinates to two.
    """
    model = _entry(path, "model")
    numbers = getattr(model, "n_inputs", None), getattr(model, "n_outputs", None)
    if numbers != (2, 2):
        raise ReferenceFileError(f"{path}: its entry 'model' is no transform of x, y to V2, V3")
    return model


def read_filter_offsets(path: Path) -> list[dict[str, Any]]:
    """Read the filter offsets: entries with the filter (and pupil), ``column_offset``, ``row_offset`` in pixels.

    Parameters
    ----------
    path : Path
    """
    return [dict(entry) for entry in _entry(path, "filters")]


def _entry(path: Path, key: str) -> Any:
    tree = read_tree(path)
    if key not in tree:
        raise ReferenceFileError(f"{path}: has no entry {key!r}")
    return tree[key]


def _section(hdus: fits.HDUList, name: str, part: tuple[slice, slice], path: Path) -> np.ndarray:
    """Read a part of a plane, and only that from the disk."""
    if name not in hdus or not hdus[name].is_image or not hdus[name].shape:
        raise ReferenceFileError(f"{path}: has no extension {name}")
    return hdus[name].section[part]


def _cut_out(hdus: fits.HDUList, path: Path, window: Window, images: Sequence[str] = ("SCI",)) -> tuple[slice, slice]:
    """Return the slices of a detector window."""
    own = _window(hdus, path, images)
    try:
        return own.slices(window)
    except ValueError:
        raise ReferenceFileError(f"{path}: covers {own} of the detector, the exposure {window}") from None


def _image(hdus: fits.HDUList, images: Sequence[str]) -> str:
    """Return the name of the extension with the pixels."""
    return next((name for name in images if name in hdus), images[0])


def _window(hdus: fits.HDUList, path: Path, images: Sequence[str]) -> Window:
    """Return the window of an image reference; without keywords it starts at (1, 1)."""
    image = _image(hdus, images)
    if image not in hdus or not hdus[image].is_image or len(hdus[image].shape) != 2:
        raise ReferenceFileError(f"{path}: has no two-dimensional {image} extension")
    # Some references of the full frame say 0 where others say nothing.
    start = {keyword: hdus[0].header.get(keyword) or None for keyword in ("SUBSTRT1", "SUBSTRT2")}
    return detector_window(start, hdus[image].shape)


def _columns(hdu: fits.BinTableHDU) -> dict[str, np.ndarray]:
    return {name.lower(): np.asarray(hdu.data[name]) for name in hdu.data.names}
