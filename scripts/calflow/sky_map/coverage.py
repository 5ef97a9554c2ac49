"""What exposures cover of the sky as a MOC (Multi-Order Coverage map), which Aladin, TOPCAT and archives read."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from calflow.science.geometry.healpix import cell_size, joined_cells, nested_cells
from calflow.science.geometry.polygons import contains

CELLS = 64  # across what is covered
MOST_ORDER = 20  # cells of 0.2 arcsec
STEPS = 4  # points across a cell, which find out whether it is covered


def coverage(outlines: Sequence[np.ndarray], wcs: WCS) -> tuple[int, dict[int, np.ndarray]]:
    """Return the cells of which exposures cover a part, as large as a 64th of all that is covered or smaller.

    Parameters
    ----------
    outlines : sequence of float array, shape (n, 2)
        Of the exposures, pixels (0-based).
    wcs : WCS
        From these pixels to the sky, ICRS.

    Returns
    -------
    order : int
        Of the smallest cells.
    cells : dict of int to int64 array
        The numbers of cells by their order, nested. A cell of which less than a corner of a quarter of its side is
        covered may be left out.
    """
    if not outlines:
        return 0, {}
    pixel = float(np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix))))
    corners = np.concatenate(outlines)
    extent = float(np.ptp(corners, axis=0).max()) * pixel
    order = next((order for order in range(MOST_ORDER) if cell_size(order) * CELLS <= extent), MOST_ORDER)
    step = cell_size(order) / STEPS / pixel
    found = []
    for outline in outlines:
        low, high = outline.min(axis=0), outline.max(axis=0)
        axes = (np.arange(first, last + step, step) for first, last in zip(low, high, strict=True))
        points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
        points = np.concatenate([points[contains(outline, points)], _along(outline, step)])
        ra, dec = wcs.all_pix2world(points, 0).T
        found.append(np.unique(nested_cells(ra, dec, order)))
    return order, joined_cells(np.concatenate(found), order)


def _along(outline: np.ndarray, step: float) -> np.ndarray:
    """Return points on the sides of a polygon, no farther from each other than a step."""
    sides = np.roll(outline, -1, axis=0) - outline
    numbers = np.ceil(np.hypot(*sides.T) / step).astype(int) + 1
    of_each = zip(outline, sides, numbers, strict=True)
    return np.concatenate([start + side * np.linspace(0, 1, number)[:, None] for start, side, number in of_each])


def moc_fits(order: int, cells: dict[int, np.ndarray]) -> bytes:
    """Return a coverage as a FITS file, as the standard has it (IVOA, MOC 2.0, 2022).

    Parameters
    ----------
    order : int
        Of the smallest cells.
    cells : dict of int to int64 array
        As `coverage` returns them.
    """
    numbers = [4 * (1 << 2 * at) + own for at, own in cells.items()]  # NUNIQ: order and number in one
    column = fits.Column("UNIQ", "K", array=np.concatenate(numbers) if numbers else np.zeros(0, np.int64))
    table = fits.BinTableHDU.from_columns([column])
    told = {"MOCVERS": "2.0", "MOCDIM": "SPACE", "ORDERING": "NUNIQ", "COORDSYS": "C", "MOCORD_S": order}
    for keyword, value in (told | {"MOCORDER": order, "PIXTYPE": "HEALPIX", "MOCTOOL": "calflow"}).items():
        table.header[keyword] = value
    content = BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(content)
    return content.getvalue()
