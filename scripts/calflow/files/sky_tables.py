"""The sky table of an association: the level of each exposure, and what of it is still in the pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calflow.files.exposure import Exposure
from calflow.files.keywords import record_status
from calflow.files.tables import read_meta, read_table, write_table
from calflow.science.sky.skymatch import SkyLevel

_COLUMNS = (
    ("exposure", "", ""),
    ("group", "", "exposures taken at once have one level"),
    ("status", "", "COMPLETE or SKIPPED"),
    ("level", "MJy / sr", "sky level"),
    ("pixels", "", "pixels it was measured in"),
    ("reason", "", "why there is no level, or what to mind"),
)


@dataclass(frozen=True)
class SkyOfExposure:
    """What is to be done about the sky of an exposure.

    Attributes
    ----------
    status : str
        Of the step.
    method : str or None
        How the level was found.
    level : float or None
        All of the level, for the header.
    remaining : float
        What of it is still in the pixels of the calibrated exposure.
    """

    status: str
    method: str | None
    level: float | None
    remaining: float


def write_sky(path: Path, levels: Sequence[SkyLevel], meta: Mapping[str, Any]) -> None:
    """Write a sky table as ECSV; a missing level is NaN.

    Parameters
    ----------
    path : Path
    levels : sequence of SkyLevel
        One for each exposure, in the unit of SCI.
    meta : mapping of str to object
        Metadata of the table.
    """
    rows = [
        {
            "exposure": found.name,
            "group": found.group,
            "status": found.status,
            "level": np.nan if found.level is None else found.level,
            "pixels": found.n_pixels,
            "reason": found.reason,
        }
        for found in levels
    ]
    write_table(path, _COLUMNS, rows, meta)


def sky_of(exposure: Exposure, root: str, table: Path | None) -> SkyOfExposure:
    """Return what is to be done about the sky of a calibrated exposure.

    Parameters
    ----------
    exposure : Exposure
        It may come with a level that was found before (BKGLEVEL), and subtracted (BKGSUB) or not.
    root : str
        Its name in the table.
    table : Path or None
        None: the step is skipped, and a level that it comes with counts.
    """
    before, subtracted = exposure.keyword("BKGLEVEL"), bool(exposure.keyword("BKGSUB"))
    if table is None:
        remaining = before if before is not None and not subtracted else 0.0
        return SkyOfExposure("SKIPPED", exposure.keyword("BKGMETH"), before, float(remaining))
    row = next(row for row in read_table(table) if row["exposure"] == root)
    if row["status"] != "COMPLETE":
        return SkyOfExposure(row["status"], None, None, 0.0)
    total = row["level"] + (before if before is not None and subtracted else 0.0)
    return SkyOfExposure("COMPLETE", read_meta(table)["skymethod"], float(total), float(row["level"]))


def record_sky(exposure: Exposure, sky: SkyOfExposure, subtract: bool) -> None:
    """Record the sky level, and take what remains of it from SCI if it is to be subtracted.

    Parameters
    ----------
    exposure : Exposure
        Its primary header is changed, and SCI if the level is subtracted.
    sky : SkyOfExposure
        In the unit of SCI.
    subtract : bool
    """
    record_status(exposure, "skymatch", sky.status)
    if sky.level is None:
        if not exposure.keyword("BKGSUB"):  # a level from before is not taken off any more
            for keyword in ("BKGMETH", "BKGLEVEL", "BKGSUB"):
                exposure.primary.remove(keyword, ignore_missing=True)
        return
    if subtract and sky.status == "COMPLETE":
        exposure.image.sci = exposure.image.sci - np.float32(sky.remaining)
    subtracted = bool(exposure.keyword("BKGSUB")) if sky.status != "COMPLETE" else subtract
    if sky.method:
        exposure.primary.set("BKGMETH", sky.method, "Sky background matching method")
    exposure.primary.set("BKGLEVEL", sky.level, "Computed sky background level")
    exposure.primary.set("BKGSUB", subtracted, "Sky background subtracted?")
