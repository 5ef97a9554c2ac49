"""The files of a map: tiles of a combined image and its segments, sources, footprints, and what shows them."""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from calflow.files.columns import read_columns, read_header
from calflow.science.geometry.footprints import parse_s_region
from calflow.sky_map.png import grey_png, one_colour_png
from calflow.sky_map.pyramid import (
    TILE,
    any_of_four,
    build_pyramid,
    levels_for,
    limits,
    mean_of_four,
    stretched,
)
from calflow.whole_files import replace_text

VIEWER = Path(__file__).with_name("viewer.html")
SAMPLE = 1_000_000  # pixels by which the scale is chosen
PART = 1000  # rows of a catalogue in one file, which is read when one of them is asked for
ORANGE = (255, 150, 40)


def build_map(
    folder: Path,
    image: Path,
    catalog: Path | None,
    segments: Path | None,
    regions: Mapping[str, str],
    title: str,
) -> None:
    """Write a map into a folder, in place of one that is there.

    Parameters
    ----------
    folder : Path
        It gets ``index.html``, which a browser opens from disk, and what that reads.
    image : Path
        ``_i2d``, whose WCS is a TAN projection.
    catalog, segments : Path or None
        ``_cat.ecsv`` and ``_segm.fits``.
    regions : mapping of str to str
        Values of S_REGION by the names of exposures; what is no polygon is left out.
    title : str
        What it is a map of.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    _write_map(partial, image, catalog, segments, list(_polygons(regions)), title)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def region_text(polygons: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return polygons on the sky as a region file of DS9.

    Parameters
    ----------
    polygons : iterable of (str, float array)
        Names, and right ascension and declination of the corners, degrees, shape (n, 2).
    """
    head = "# Region file format: DS9 version 4.1\nglobal color=yellow\nicrs\n"
    lines = [
        f"polygon({','.join(f'{value:.8f}' for value in np.ravel(polygon))}) # text={{{name}}}\n"
        for name, polygon in polygons
    ]
    return head + "".join(lines)


def _polygons(regions: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the polygons of regions, each with the name of the exposure."""
    for name, region in regions.items():
        with suppress(ValueError):
            yield from ((name, polygon) for polygon in parse_s_region(region))


def _write_map(folder, image, catalog, segments, polygons, title) -> None:
    """Write all files of a map into a new folder."""
    with fits.open(image, memmap=False) as hdus:
        hdu = hdus["SCI"]
        wcs, ny, nx = WCS(hdu.header, fix=False).celestial, *map(int, hdu.shape)
        low, high, softening = limits(hdu.section[:: max(1, ny * nx // SAMPLE), :])
        levels = levels_for((ny, nx))

        def save(level: int, row: int, column: int, tile: np.ndarray) -> None:
            _write(folder / f"image/{level}/{row}_{column}.png", grey_png(stretched(tile, low, high, softening)))

        build_pyramid(_bands(hdu.section, ny), levels, mean_of_four, save)
        unit = str(hdu.header.get("BUNIT", ""))
    if segments:
        _cut_segments(folder, segments, levels)
    found: dict[str, Any] = {"shape": [ny, nx], "tile": TILE, "levels": levels, "segments": segments is not None}
    found |= {"wcs": _tan(wcs), "part": PART, "stretch": _told(low, high, unit)}
    found["footprints"] = [
        {"name": name, "pixels": np.round(wcs.all_world2pix(corners, 0), 2).tolist()} for name, corners in polygons
    ]
    found |= _sources(folder, catalog)
    replace_text(folder / "map.js", f"const MAP = {json.dumps(found)};\n")
    replace_text(folder / "footprints.reg", region_text(polygons))
    replace_text(folder / "index.html", VIEWER.read_text(encoding="utf-8").replace("TITLE", _escaped(title)))


def _bands(rows: Any, ny: int) -> Iterator[np.ndarray]:
    """Yield the rows of an image from the upper end, as pictures have them: y of FITS goes up."""
    for stop in range(ny, 0, -TILE):
        yield np.asarray(rows[max(0, stop - TILE) : stop, :])[::-1]


def _cut_segments(folder: Path, path: Path, levels: int) -> None:
    def save(level: int, row: int, column: int, tile: np.ndarray) -> None:
        if tile.any():
            _write(folder / f"segments/{level}/{row}_{column}.png", one_colour_png(tile, ORANGE))

    with fits.open(path, memmap=False) as hdus:
        hdu = next(hdu for hdu in hdus if hdu.header.get("NAXIS") == 2 and hdu.is_image)
        edges = (_edges(band) for band in _bands(hdu.section, int(hdu.shape[0])))
        build_pyramid(edges, levels, any_of_four, save)


def _edges(labels: np.ndarray) -> np.ndarray:
    """Return the pixels of segments that lie beside others; what lies beyond the band counts as the same."""
    around = np.pad(labels, 1, mode="edge")
    inner = [around[1:-1, :-2], around[1:-1, 2:], around[:-2, 1:-1], around[2:, 1:-1]]
    return (labels > 0) & np.any([other != labels for other in inner], axis=0)


def _sources(folder: Path, catalog: Path | None) -> dict[str, Any]:
    """Write the rows of a catalogue, and return where its sources are and what its columns are called."""
    if catalog is None:
        return {"x": [], "y": [], "columns": []}
    table = read_columns(catalog)
    units = {column["name"]: str(column.get("unit", "")) for column in read_header(catalog)["datatype"]}
    columns = [(name, table[name].tolist()) for name in table.colnames]
    for start in range(0, len(table), PART):
        rows = [
            [_shown(values[number]) for _, values in columns] for number in range(start, min(start + PART, len(table)))
        ]
        text = f"ROWS({start // PART}, {json.dumps(rows)});\n"
        replace_text(folder / f"rows/{start // PART}.js", text)
    places = {axis: np.round(np.asarray(table[f"{axis}centroid"], float), 2) for axis in ("x", "y")}
    return {axis: np.nan_to_num(values, nan=-1e6).tolist() for axis, values in places.items()} | {
        "columns": [[name, units.get(name, "")] for name, _ in columns]
    }


def _shown(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _tan(wcs: WCS) -> dict[str, Any]:
    """Return a TAN projection as the viewer takes it: pixels from 1, degrees."""
    return {"crpix": wcs.wcs.crpix.tolist(), "crval": wcs.wcs.crval.tolist(), "cd": wcs.pixel_scale_matrix.tolist()}


def _told(low: float, high: float, unit: str) -> str:
    return f"asinh from {low:.3g} to {high:.3g} {unit}; blue-grey: no data"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
