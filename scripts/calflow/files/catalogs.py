"""Catalogue files: the table of sources as ECSV, and as regions for SAOImage DS9."""

import io
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.version import VERSION
from calflow.whole_files import replacing

if TYPE_CHECKING:
    from astropy.table import QTable

PACKAGES = ("astropy", "numpy", "photutils", "scipy")
# Half axes of a region's ellipse, in standard deviations of the source.
SIGMAS = 3.0
# Radius of a region whose source has no measured shape, arcsec.
DEFAULT_RADIUS = 0.3
REGION_HEADER = "# Region file format: DS9 version 4.1\nglobal color=green\nicrs\n"


def write_catalog(table: "QTable", path: Path) -> None:
    """Write a catalogue as ECSV, complete or not at all.

    Parameters
    ----------
    table : astropy.table.QTable
        Its `meta` must be of plain numbers, strings, lists and dicts. The versions of calflow and
        of the packages that measured are added to it, no time of writing: the same table gives
        the same bytes.
    path : Path
    """
    table = table.copy(copy_data=False)
    table.meta = {"version": {"calflow": VERSION} | {name: version(name) for name in PACKAGES}} | table.meta
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    with replacing(path) as partial:
        partial.write_text(text.getvalue(), encoding="ascii")


def write_parquet(catalog: Path, path: Path) -> None:
    """Write a catalogue once more, as parquet, complete or not at all.

    Parameters
    ----------
    catalog : Path
        As `write_catalog` has written it.
    path : Path
        It gets the same columns, units, descriptions and metadata, of which coordinates are two columns; astropy makes
        the same table of either.
    """
    import pyarrow
    from astropy.table import QTable

    pyarrow.set_cpu_count(1)  # the job has been given no more
    table = QTable.read(catalog, format="ecsv", engine="pyarrow")
    with replacing(path) as partial:
        table.write(partial, format="parquet")


def write_regions(table: "QTable", path: Path, pixel_scale: float) -> None:
    """Write a catalogue as a DS9 region file, complete or not at all.

    Parameters
    ----------
    table : astropy.table.QTable
        With the columns ``label``, ``sky_centroid``, ``semimajor_sigma`` and ``semiminor_sigma``
        (pixels), ``sky_orientation`` (degrees from north to east).
    path : Path
    pixel_scale : float
        Of the catalogue's image, arcsec.

    Notes
    -----
    A source is an ellipse with half axes of three standard deviations; one without a shape, as
    star finders give, a circle. The label is the text. Without sources there is only a header.
    """
    with replacing(path) as partial:
        partial.write_text(REGION_HEADER + "".join(_regions(table, pixel_scale)), encoding="ascii")


def _regions(table: "QTable", pixel_scale: float) -> list[str]:
    sky = table["sky_centroid"]
    major, minor = (SIGMAS * pixel_scale * _numbers(table[f"semi{axis}_sigma"]) for axis in ("major", "minor"))
    # DS9 counts from the west by way of the north, the position angle from the north by way of the east.
    angle = np.mod(_numbers(table["sky_orientation"]) + 90.0, 180.0)
    lines = []
    for i, label in enumerate(table["label"]):
        ra, dec = sky.ra.deg[i], sky.dec.deg[i]
        if not np.isfinite([ra, dec]).all():
            continue
        if np.isfinite([major[i], minor[i], angle[i]]).all():
            shape = f'ellipse({ra:.8f},{dec:.8f},{major[i]:.4f}",{minor[i]:.4f}",{angle[i]:.3f})'
        else:
            shape = f'circle({ra:.8f},{dec:.8f},{DEFAULT_RADIUS:.4f}")'
        lines.append(f"{shape} # text={{{label}}}\n")
    return lines


def _numbers(column) -> np.ndarray:
    return np.asarray(getattr(column, "value", column), float)
