"""The strongest outliers of an association, flagged and not, against the combined image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calflow.files.alignment_tables import find_row, read_alignment, read_corrected_geometry
from calflow.files.combined_image import planes_at
from calflow.files.exposure import read_planes
from calflow.files.linear_wcs import read_projection
from calflow.science.combination.outlier_detection import blot
from calflow.science.dq_flags import DO_NOT_USE, FLAGS
from calflow.science.geometry.geometry import Geometry
from calflow.science.geometry.output_grid import OutputGrid
from calflow.science.geometry.pixel_map import map_to_grid
from calflow.science.quality.suspects import Suspect, strongest_suspects


def find_suspects(
    alignment: Path,
    i2d: Path,
    members: Sequence[tuple[str, Path, Path, Path]],
    snr: float,
    scale: float,
    number: int,
) -> tuple[list[Suspect], list[dict[str, Any]]]:
    """Return the strongest of all exposures, and what is told of each.

    Parameters
    ----------
    alignment, i2d : Path
        The table of the alignment, and the combined image.
    members : sequence of (root, cal, crf, geometry)
        In a ``_crf`` what is flagged has no value any more.
    snr, scale : float
        Thresholds of the outlier search.
    number : int
        How many of each kind.

    Returns
    -------
    suspects : list of Suspect
        The flagged ones first, of each kind the strongest first.
    told : list of dict
        Of each, as JSON can hold it; pixels are those of FITS, from 1.
    """
    rows = read_alignment(alignment)
    found: list[Suspect] = []
    geometries = {}
    for root, cal, crf, path in members:
        row = find_row(rows, root)
        if not row.used:
            continue
        geometry = geometries[root] = read_corrected_geometry(path, row)
        sci, err = read_planes(cal, "SCI", "ERR")
        (dq,) = read_planes(crf, "DQ")
        flagged, good = (dq & FLAGS["OUTLIER"]) != 0, (dq & DO_NOT_USE) == 0
        combined = _at_pixels(i2d, geometry)
        found += strongest_suspects(
            root, sci, err, combined, good & np.isfinite(sci), flagged, snr=snr, scale=scale, number=number
        )
    chosen = [
        suspect
        for kind in (True, False)
        for suspect in sorted((each for each in found if each.flagged is kind), key=lambda each: -abs(each.strength))[
            :number
        ]
    ]
    return chosen, [_told(each, geometries[each.exposure]) for each in chosen]


def _at_pixels(i2d: Path, geometry: Geometry) -> np.ndarray:
    """Return the combined image at the pixels of an exposure; no more of it is read than they reach."""
    with fits.open(i2d, memmap=False) as hdus:
        hdu = hdus["SCI"]
        ny, nx = map(int, hdu.shape)
        box = ((-0.5, nx - 0.5), (-0.5, ny - 0.5))
        pixmap = map_to_grid(geometry, OutputGrid((ny, nx), np.nan, np.nan, box, read_projection(hdu.header)))
        found = planes_at(hdus, ["SCI"], pixmap)
    if found is None:
        return np.full(pixmap.shape[:2], np.nan, np.float32)
    (image,), places = found
    return blot(image, places)


def _told(suspect: Suspect, geometry: Geometry) -> dict[str, Any]:
    ra, dec = geometry.sky(np.array([float(suspect.x)]), np.array([float(suspect.y)]))[0]
    return {
        "exposure": suspect.exposure,
        "x": suspect.x + 1,
        "y": suspect.y + 1,
        "ra_deg": float(ra),
        "dec_deg": float(dec),
        "flagged": suspect.flagged,
        "strength": suspect.strength,
        "difference": suspect.difference,
        "error": suspect.error if np.isfinite(suspect.error) else None,
    }
