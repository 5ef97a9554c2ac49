"""A combined image as a HiPS (Hierarchical Progressive Survey, IVOA 1.0, 2017), which Aladin shows.

Its tiles are cells of HEALPix, the pixels of a tile cells within that; four tiles of an order are, at half their size,
one of the order above.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

from calflow.files.version import VERSION
from calflow.science.geometry.healpix import (
    cell_size,
    cells_within,
    joined_cells,
    nested_cells,
    nested_number,
)
from calflow.sky_map.coverage import moc_fits
from calflow.sky_map.pyramid import halved, limits, sampled, stretched
from calflow.sky_map.tile_files import grey_alpha_png
from calflow.whole_files import replace_text, replacing_folder

WIDTH, DIGITS = 512, 9  # pixels of a tile, 2**9 of them
MOST_ORDER = 29 - DIGITS
STEP = WIDTH // 8  # image pixels from one to the next of which the tile is asked; a tile has at least half its width
COVER = 3  # orders from a tile to the cells of the coverage
FOLDER = 10_000  # tiles in a folder, as the standard has it


def build_hips(folder: Path, title: str, image: Path, formats: Sequence[str]) -> None:
    """Write an image as a HiPS into a folder, in place of one that is there.

    Parameters
    ----------
    folder : Path
        It gets ``properties``, ``Moc.fits`` and the tiles.
    title : str
        Of the data: a word without spaces.
    image : Path
        ``_i2d``, whose WCS is a TAN projection in ICRS.
    formats : sequence of str
        Of the tiles: ``png``, on the scale of a map, and ``fits``, values. The first is what Aladin shows.
    """
    with replacing_folder(folder) as partial, fits.open(image, memmap=False) as hdus:
        hdu = hdus["SCI"]
        survey = _Survey(partial, hdu, formats)
        for face in sorted(survey.wanted[0]):
            survey.write_tile(0, face)
        cells = joined_cells(np.concatenate([np.zeros(0, np.int64), *survey.covered]), survey.order + COVER)
        (partial / "Moc.fits").write_bytes(moc_fits(survey.order + COVER, cells))
        told = {
            "creator_did": f"ivo://UNK.AUTH/calflow/{title}",
            "obs_title": title,
            "prov_progenitor": image.name,
            "hips_release_date": _date(hdus[0].header, hdu.header),
            "moc_sky_fraction": f"{sum(len(own) / (12 * 4**at) for at, own in cells.items()):.6g}",
            **survey.properties(),
        }
        replace_text(partial / "properties", "".join(f"{key:<20} = {value}\n" for key, value in told.items()))


class _Survey:
    """The tiles of an image: which there are, and what makes them one by one.

    Attributes
    ----------
    order : int
        Of the smallest tiles, whose pixels are as large as those of the image, or smaller by up to a half.
    wanted : list of set of int
        Tiles of each order in which the image has a part.
    covered : list of int array
        Cells within the smallest tiles where the image has values.
    """

    def __init__(self, folder: Path, hdu: Any, formats: Sequence[str]):
        self._folder, self._hdu, self._formats = folder, hdu, formats
        self._wcs = WCS(hdu.header, fix=False).celestial
        self._scale = limits(np.asarray(hdu.section[sampled(hdu.shape), :]))
        self._pixel = float(np.sqrt(abs(np.linalg.det(self._wcs.pixel_scale_matrix))))
        self.order = next((at for at in range(MOST_ORDER) if cell_size(at + DIGITS) <= self._pixel), MOST_ORDER)
        smallest = _tiles_of(self._wcs, hdu.shape, self.order)
        self.wanted = [{int(cell) for cell in smallest >> 2 * (self.order - at)} for at in range(self.order + 1)]
        self.covered: list[np.ndarray] = []

    def properties(self) -> dict[str, Any]:
        """Return what the tiles are, as the standard has it."""
        ny, nx = self._hdu.shape
        ra, dec = self._wcs.wcs_pix2world([((nx - 1) / 2, (ny - 1) / 2)], 0)[0]
        low, high, _ = self._scale
        return {
            "dataproduct_type": "image",
            "hips_version": "1.4",
            "hips_builder": f"calflow {VERSION}",
            "hips_status": "private master clonable",
            "hips_frame": "equatorial",
            "hips_order": self.order,
            "hips_tile_width": WIDTH,
            "hips_tile_format": " ".join(self._formats),
            "hips_pixel_bitpix": -32,
            "hips_pixel_cut": f"{low:.6g} {high:.6g}",
            "hips_pixel_scale": f"{cell_size(self.order + DIGITS):.6g}",
            "s_pixel_scale": f"{self._pixel:.6g}",
            "hips_initial_ra": f"{ra:.7f}",
            "hips_initial_dec": f"{dec:.7f}",
            "hips_initial_fov": f"{max(nx, ny) * self._pixel:.6g}",
        }

    def write_tile(self, order: int, cell: int) -> np.ndarray | None:
        """Write a tile and those within it; return it, by x and y of its pixels, or None where there are no values."""
        tile = self._taken(cell) if order == self.order else self._joined(order, cell)
        if tile is None or not np.isfinite(tile).any():
            return None
        path = self._folder / f"Norder{order}/Dir{cell // FOLDER * FOLDER}/Npix{cell}"
        path.parent.mkdir(parents=True, exist_ok=True)
        # The eastern corner is at the upper left in both; FITS has the lowest row first.
        if "png" in self._formats:
            path.with_suffix(".png").write_bytes(grey_alpha_png(stretched(tile, *self._scale)))
        if "fits" in self._formats:
            path.with_suffix(".fits").write_bytes(_fits(tile[::-1], order, cell))
        return tile

    def _joined(self, order: int, cell: int) -> np.ndarray | None:
        """Return a tile of the four within it."""
        parts = {
            part: self.write_tile(order + 1, part)
            for part in range(4 * cell, 4 * cell + 4)
            if part in self.wanted[order + 1]
        }
        joined = np.full((2 * WIDTH, 2 * WIDTH), np.nan, np.float32)
        for part, tile in parts.items():
            x, y = part % 2 * WIDTH, part // 2 % 2 * WIDTH
            if tile is not None:
                joined[x : x + WIDTH, y : y + WIDTH] = tile
        return halved(joined)

    def _taken(self, cell: int) -> np.ndarray | None:
        """Return a smallest tile of the image, between whose pixels it is linear; NaN beside one without a value."""
        ra, dec = cells_within(cell, self.order, WIDTH)
        x, y = self._wcs.wcs_world2pix(ra.ravel(), dec.ravel(), 0)
        columns, rows = (_around(values, size) for values, size in zip((x, y), self._hdu.shape[::-1], strict=True))
        if columns.start >= columns.stop or rows.start >= rows.stop:
            return None
        part = np.asarray(self._hdu.section[rows, columns], np.float32)
        tile = map_coordinates(part, [y - rows.start, x - columns.start], order=1, cval=np.nan).reshape(WIDTH, WIDTH)
        side = 1 << COVER
        filled = np.isfinite(tile).reshape(side, WIDTH // side, side, WIDTH // side).any(axis=(1, 3))
        self.covered.append(4**COVER * cell + np.sort(nested_number(*np.nonzero(filled))))
        return tile


def _tiles_of(wcs: WCS, shape: tuple[int, int], order: int) -> np.ndarray:
    """Return the tiles in which pixels of an image lie: all along its edges, and inside in steps."""
    x, y = (np.arange(size) for size in shape[::-1])
    axes = [(x, y[[0, -1]]), (x[[0, -1]], y), (x[::STEP], y[::STEP])]
    points = [np.stack(np.meshgrid(*each), axis=-1).reshape(-1, 2) for each in axes]
    ra, dec = wcs.wcs_pix2world(np.concatenate(points), 0).T
    return np.unique(nested_cells(ra, dec, order))


def _around(values: np.ndarray, size: int) -> slice:
    """Return the pixels between which values lie, as far as there are any."""
    return slice(max(0, int(np.floor(values.min()))), min(size, int(np.floor(values.max())) + 2))


def _fits(rows: np.ndarray, order: int, cell: int) -> bytes:
    content = BytesIO()
    hdu = fits.PrimaryHDU(rows)
    hdu.header["ORDER"], hdu.header["NPIX"] = order, cell
    hdu.writeto(content)
    return content.getvalue()


def _date(*headers: Mapping[str, Any]) -> str:
    """Return when an image was written, if it says so, or else observed, to the minute: the same again for the same."""
    named = (str(header[key]) for key in ("DATE", "DATE-END", "DATE-OBS") for header in headers if header.get(key))
    day, _, time = next(named, "1970-01-01").partition("T")
    return f"{day}T{time[:5] or '00:00'}Z"
