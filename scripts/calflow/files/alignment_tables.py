"""The alignment table of an association: what is done about the pointing of each exposure, and how well it went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from calflow.files.geometry_files import read_geometry
from calflow.files.tables import read_table, write_table
from calflow.science.geometry.geometry import Geometry
from calflow.science.geometry.sky_rotation import NO_ROTATION, SkyRotation
from calflow.science.geometry.tangent_plane import IDENTITY, Affine


@dataclass(frozen=True)
class AlignmentRow:
    """What is done about the pointing of one exposure.

    Attributes
    ----------
    exposure, group : str
    status : {'COMPLETE', 'SKIPPED', 'FAILED'}
    reason : str
        Why it is not COMPLETE.
    used : bool
        Whether the exposure goes into the combination.
    reference : bool
        Whether the others are aligned to it.
    stars, matches : int
        Stars found in the exposure; those the fit used, of all exposures that move together.
    rms : float
        Of the residuals, arcsec; NaN without a fit.
    shift : (east, north)
        Motion of the exposure's centre on the sky, arcsec.
    rotation : float
        From north to east, degrees.
    scale : float
    corner_motion : float
        Largest motion of a corner, arcsec.
    correction : Affine
        The motion, in the tangent plane at (RA_REF, DEC_REF).
    rotation_of_sky : SkyRotation
        For a moving target, after the correction.
    footprint : float array, shape (4, 2)
        The corrected corners, degrees.
    """

    exposure: str
    group: str
    status: str
    reason: str
    used: bool
    footprint: np.ndarray
    reference: bool = False
    stars: int = 0
    matches: int = 0
    rms: float = np.nan
    shift: tuple[float, float] = (0.0, 0.0)
    rotation: float = 0.0
    scale: float = 1.0
    corner_motion: float = 0.0
    correction: Affine = IDENTITY
    rotation_of_sky: SkyRotation = NO_ROTATION


# Column, unit, description; in the order of the table.
_COLUMNS = (
    ("exposure", "", ""),
    ("group", "", "exposures taken at once are moved together"),
    ("status", "", "COMPLETE, SKIPPED or FAILED"),
    ("used", "", "goes into the combination"),
    ("reference", "", "the others are aligned to it"),
    ("stars", "", "stars found in this exposure"),
    ("matches", "", "stars the fit used, of all exposures that move together"),
    ("rms", "arcsec", "of the residuals"),
    ("shift_east", "arcsec", "motion of the centre"),
    ("shift_north", "arcsec", "motion of the centre"),
    ("rotation", "deg", "from north to east"),
    ("scale", "", ""),
    ("corner_motion", "arcsec", "largest motion of a corner"),
    ("m11", "", "matrix in the tangent plane at RA_REF, DEC_REF"),
    ("m12", "", ""),
    ("m21", "", ""),
    ("m22", "", ""),
    ("d_east", "arcsec", "shift in that plane, after the matrix"),
    ("d_north", "arcsec", ""),
    ("turn_x", "deg", "rotation of the sky for a moving target: axis times angle"),
    ("turn_y", "deg", ""),
    ("turn_z", "deg", ""),
    *((f"{axis}{corner}", "deg", "corrected corner") for corner in range(1, 5) for axis in ("ra", "dec")),
    ("reason", "", "why it is not COMPLETE, or how it was aligned"),
)
_TURN = ("turn_x", "turn_y", "turn_z")


def write_alignment(path: Path, rows: Sequence[AlignmentRow], meta: Mapping[str, Any]) -> None:
    """Write an alignment table as ECSV.

    Parameters
    ----------
    path : Path
    rows : sequence of AlignmentRow
        One for each exposure.
    meta : mapping of str to object
        Metadata of the table, such as the name of the step.
    """
    write_table(path, _COLUMNS, [_cells(row) for row in rows], meta)


def read_alignment(path: Path) -> list[AlignmentRow]:
    """Read an alignment table.

    Parameters
    ----------
    path : Path
    """
    return [_row(cells) for cells in read_table(path)]


def find_row(rows: Sequence[AlignmentRow], exposure: str) -> AlignmentRow:
    """Return the row of an exposure.

    Parameters
    ----------
    rows : sequence of AlignmentRow
    exposure : str
        The root of its name.
    """
    return next(row for row in rows if row.exposure == exposure)


def read_corrected_geometry(path: Path, row: AlignmentRow) -> Geometry:
    """Read the geometry of an exposure, with what its alignment did to the pointing.

    Parameters
    ----------
    path : Path
        Of its geometry file, which is uncorrected.
    row : AlignmentRow
        That of the exposure.

    Returns
    -------
    Geometry

    Raises
    ------
    ValueError
        If the file has no geometry, with the reason.
    """
    return read_geometry(path).corrected(row.correction, row.rotation_of_sky)


def _cells(row: AlignmentRow) -> dict[str, Any]:
    (m11, m12), (m21, m22) = row.correction.matrix
    cells = {field.name: getattr(row, field.name) for field in fields(row)}
    cells |= {"shift_east": row.shift[0], "shift_north": row.shift[1]}
    cells |= {"m11": m11, "m12": m12, "m21": m21, "m22": m22}
    cells |= {"d_east": row.correction.shift[0], "d_north": row.correction.shift[1]}
    cells |= dict(zip(_TURN, row.rotation_of_sky.vector, strict=True))
    for corner, (ra, dec) in enumerate(np.asarray(row.footprint).tolist(), start=1):
        cells |= {f"ra{corner}": ra, f"dec{corner}": dec}
    return {name: cells[name] for name, _, _ in _COLUMNS}


def _row(cells: Mapping[str, Any]) -> AlignmentRow:
    plain = ("exposure", "group", "status", "reason", "used", "reference", "stars", "matches", "rms")
    return AlignmentRow(
        **{name: cells[name] for name in (*plain, "rotation", "scale", "corner_motion")},
        shift=(cells["shift_east"], cells["shift_north"]),
        correction=Affine(
            ((cells["m11"], cells["m12"]), (cells["m21"], cells["m22"])), (cells["d_east"], cells["d_north"])
        ),
        rotation_of_sky=SkyRotation((cells["turn_x"], cells["turn_y"], cells["turn_z"])),
        footprint=np.array([[cells[f"ra{corner}"], cells[f"dec{corner}"]] for corner in range(1, 5)]),
    )
