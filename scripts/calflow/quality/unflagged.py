"""What part of an exposure's pixels are cosmic rays that no search has flagged, told by a sample of it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from calflow.files.combined_image import planes_at
from calflow.science.combination.outlier_detection import blot
from calflow.science.dq_flags import DO_NOT_USE
from calflow.science.geometry.geometry import Geometry
from calflow.science.quality.rays_left import rays_left

# Windows on each axis, and their side, pixels: 262,000 pixels of a large exposure, of which a dozen rays are seen.
WINDOWS, SIDE = 4, 128
LEAST = 1000  # pixels


def unflagged_fraction(crf: Path, geometry: Geometry, ratio: float | None, i2d: Path, exposures: int) -> float:
    """Return what part of the pixels of an exposure are too bright for the combined image.

    Parameters
    ----------
    crf : Path
        The exposure with its outliers flagged.
    geometry : Geometry
        Its corrected one.
    ratio : float or None
        Its noise over its errors; None: not known, its errors are taken for right.
    i2d : Path
        The combined image.
    exposures : int
        How many are combined.

    Returns
    -------
    float
        NaN if it cannot be told.
    """
    left = looked_at = 0
    with fits.open(i2d, memmap=False) as image, fits.open(crf, memmap=False) as hdus:
        shape = hdus["SCI"].shape
        if len(shape) != 2 or "ERR" not in hdus or exposures < 2:
            return float("nan")
        wcs = WCS(image["SCI"].header)
        for rows, columns in _windows(shape):
            sci, err, dq = (hdus[name].section[rows, columns] for name in ("SCI", "ERR", "DQ"))
            sci = np.where((dq & DO_NOT_USE) == 0, sci, np.nan)
            combined = _combined(image, wcs, geometry, rows, columns)
            found, number = rays_left(sci, err, combined, exposures, ratio or 1.0)
            left, looked_at = left + found, looked_at + number
    return left / looked_at if looked_at >= LEAST else float("nan")


def _windows(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Yield windows spread over an exposure; all of a small one."""
    starts = [
        [slice(start, start + SIDE) for start in np.unique(np.linspace(0, max(n - SIDE, 0), WINDOWS).astype(int))]
        if n > WINDOWS * SIDE
        else [slice(start, min(start + SIDE, n)) for start in range(0, n, SIDE)]
        for n in shape
    ]
    yield from ((rows, columns) for rows in starts[0] for columns in starts[1])


def _combined(hdus: fits.HDUList, wcs: WCS, geometry: Geometry, rows: slice, columns: slice) -> np.ndarray:
    """Return the combined image at the pixels of a window; no more of it is read than that reaches."""
    y, x = np.mgrid[rows, columns]
    ra, dec = geometry.sky(x.ravel(), y.ravel()).T
    pixmap = np.stack(wcs.wcs_world2pix(ra, dec, 0), axis=-1).reshape(*x.shape, 2)
    found = planes_at(hdus, ["SCI"], pixmap)
    if found is None:
        return np.full(x.shape, np.nan, np.float32)
    (part,), places = found
    return blot(part, places)
