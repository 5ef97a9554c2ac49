"""The files of a map: tiles of images that share a grid and of their segments, sources, footprints, what shows them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from calflow.files.columns import read_columns, read_header
from calflow.science.geometry.footprints import parse_s_region
from calflow.sky_map.colour_tiles import ColourLayer, cut_colours
from calflow.sky_map.coverage import coverage, moc_fits
from calflow.sky_map.pyramid import (
    TILE,
    any_of_four,
    build_pyramid,
    halved,
    levels_for,
    limits,
    sampled,
    stretched,
)
from calflow.sky_map.tile_files import grey_png, one_colour_png
from calflow.sky_map.viewer import viewer_page
from calflow.whole_files import replace_text, replacing_folder

PART = 1000  # rows of a catalogue in one file, which is read when one of them is asked for
ORANGE = (255, 150, 40)
NOWHERE = -1e6  # pixel of a source without a place


class DifferentGrids(ValueError):
    """Images that do not have the same pixels."""


@dataclass(frozen=True)
class Layer:
    """One image of a map.

    Attributes
    ----------
    name : str
    image : Path
        ``_i2d``, whose WCS is a TAN projection.
    catalog, segments : Path or None
        ``_cat.ecsv`` and ``_segm.fits``.
    """

    name: str
    image: Path
    catalog: Path | None = None
    segments: Path | None = None


def build_map(folder: Path, title: str, layers: Sequence[Layer], colour: ColourLayer | None = None) -> None:
    """Write a map into a folder, in place of one that is there.

    Parameters
    ----------
    folder : Path
        It gets ``index.html``, which a browser opens from disk, and what that reads.
    title : str
        What it is a map of.
    layers : sequence of Layer
        At least one; all on the same pixels.
    colour : ColourLayer or None
        A picture of several of them in one.

    Raises
    ------
    DifferentGrids
        If images do not have the same shape.
    """
    with replacing_folder(folder) as partial:
        _write_map(partial, title, layers, colour)


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


def footprints(images: Iterable[Path]) -> list[tuple[str, np.ndarray]]:
    """Return the outlines of the exposures that are in images, as their tables tell, aligned where they are.

    Parameters
    ----------
    images : iterable of Path
        ``_i2d``.

    Returns
    -------
    list of (str, float array)
        The name of an exposure, and right ascension and declination of the corners, degrees, shape (n, 2). What has no
        polygon is left out.
    """
    found = []
    for image in images:
        with fits.open(image, memmap=False) as hdus:
            table = hdus["HDRTAB"].data if "HDRTAB" in hdus else None
            if table is None or not {"FILENAME", "S_REGION"} <= set(table.names):
                continue
            for name, region in zip(table["FILENAME"], table["S_REGION"], strict=True):
                with suppress(ValueError):
                    found += [(Path(name).stem, polygon) for polygon in parse_s_region(str(region))]
    return found


def _write_map(folder: Path, title: str, layers: Sequence[Layer], colour: ColourLayer | None) -> None:
    """Write all files of a map into a new folder."""
    wcs, shape = _grid(layers)
    levels = levels_for(shape)
    pictures: list[dict[str, Any]] = []
    if colour:
        told = cut_colours(colour, levels, _writing(folder / "colour", "webp"))
        pictures.append({"name": "colour", "folder": "colour", "kind": "webp", "stretch": told, "of": None})
    found = []
    for number, layer in enumerate(layers):
        place = f"layers/{number}"
        told = _cut_image(folder / place / "image", layer.image, levels)
        pictures.append({"name": layer.name, "folder": f"{place}/image", "kind": "png", "stretch": told, "of": number})
        if layer.segments:
            _cut_segments(folder / place / "segments", layer.segments, levels)
        sources = _write_sources(folder / place, number, layer.catalog)
        found.append({"name": layer.name, "folder": place, "segments": layer.segments is not None, **sources})
    polygons = footprints(layer.image for layer in layers)
    outlines = [wcs.all_world2pix(corners, 0) for _, corners in polygons]
    data = {
        "shape": shape,
        "tile": TILE,
        "levels": levels,
        "wcs": _tan(wcs),
        "part": PART,
        "pictures": pictures,
        "layers": found,
        "footprints": [
            {"name": name, "pixels": np.round(outline, 2).tolist()}
            for (name, _), outline in zip(polygons, outlines, strict=True)
        ],
    }
    replace_text(folder / "map.js", f"const MAP = {json.dumps(data)};\n")
    replace_text(folder / "footprints.reg", region_text(polygons))
    (folder / "coverage.fits").write_bytes(moc_fits(*coverage(outlines, wcs)))
    replace_text(folder / "index.html", viewer_page(title))


def _grid(layers: Sequence[Layer]) -> tuple[WCS, tuple[int, int]]:
    """Return the projection and the shape that images have in common."""
    headers = [fits.getheader(layer.image, "SCI") for layer in layers]
    shapes = [(int(header["NAXIS2"]), int(header["NAXIS1"])) for header in headers]
    for layer, shape in zip(layers, shapes, strict=True):
        if shape != shapes[0]:
            raise DifferentGrids(f"{layer.image} has another shape than {layers[0].image}: they share no grid")
    return WCS(headers[0], fix=False).celestial, shapes[0]


def _cut_image(folder: Path, path: Path, levels: int) -> str:
    """Cut an image into tiles, and return how it is stretched, for people."""
    with fits.open(path, memmap=False) as hdus:
        hdu = hdus["SCI"]
        ny, nx = map(int, hdu.shape)
        low, high, softening = limits(np.asarray(hdu.section[sampled((ny, nx)), :]))
        write = _writing(folder, "png")

        def save(level: int, row: int, column: int, tile: np.ndarray) -> None:
            shown = stretched(tile, low, high, softening)
            if shown.any():
                write(level, row, column, grey_png(shown))

        build_pyramid(_bands(hdu.section, ny), levels, halved, save)
        unit = str(hdu.header.get("BUNIT", ""))
    return f"asinh from {low:.3g} to {high:.3g} {unit}"


def _bands(rows: Any, ny: int) -> Iterator[np.ndarray]:
    """Yield the rows of an image from the upper end, as pictures have them: y of FITS goes up."""
    for stop in range(ny, 0, -TILE):
        yield np.asarray(rows[max(0, stop - TILE) : stop, :])[::-1]


def _cut_segments(folder: Path, path: Path, levels: int) -> None:
    write = _writing(folder, "png")

    def save(level: int, row: int, column: int, tile: np.ndarray) -> None:
        if tile.any():
            write(level, row, column, one_colour_png(tile, ORANGE))

    with fits.open(path, memmap=False) as hdus:
        hdu = next(hdu for hdu in hdus if hdu.header.get("NAXIS") == 2 and hdu.is_image)
        edges = (_edges(band) for band in _bands(hdu.section, int(hdu.shape[0])))
        build_pyramid(edges, levels, any_of_four, save)


def _edges(labels: np.ndarray) -> np.ndarray:
    """Return the pixels of segments that lie beside others; what lies beyond the band counts as the same."""
    around = np.pad(labels, 1, mode="edge")
    inner = [around[1:-1, :-2], around[1:-1, 2:], around[:-2, 1:-1], around[2:, 1:-1]]
    return (labels > 0) & np.any([other != labels for other in inner], axis=0)


def _write_sources(folder: Path, number: int, catalog: Path | None) -> dict[str, Any]:
    """Write where the sources of a layer are and the rows of its catalogue; return how many and the columns."""
    if catalog is None:
        return {"sources": 0, "columns": []}
    table = read_columns(catalog)
    units = {column["name"]: str(column.get("unit", "")) for column in read_header(catalog)["datatype"]}
    columns = [(name, table[name].tolist()) for name in table.colnames]
    for start in range(0, len(table), PART):
        stop = min(start + PART, len(table))
        rows = [[_shown(values[row]) for _, values in columns] for row in range(start, stop)]
        replace_text(folder / f"rows/{start // PART}.js", f"ROWS({number}, {start // PART}, {json.dumps(rows)});\n")
    places = [np.round(np.asarray(table[f"{axis}centroid"], float), 2) for axis in ("x", "y")]
    texts = (json.dumps(np.nan_to_num(values, nan=NOWHERE).tolist()) for values in places)
    replace_text(folder / "places.js", f"PLACES({number}, {', '.join(texts)});\n")
    return {"sources": len(table), "columns": [[name, units.get(name, "")] for name, _ in columns]}


def _shown(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _tan(wcs: WCS) -> dict[str, Any]:
    """Return a TAN projection as the viewer takes it: pixels from 1, degrees."""
    return {"crpix": wcs.wcs.crpix.tolist(), "crval": wcs.wcs.crval.tolist(), "cd": wcs.pixel_scale_matrix.tolist()}


def _writing(folder: Path, kind: str) -> Any:
    """Return a function that writes a tile: level, row, column, content."""

    def write(level: int, row: int, column: int, content: bytes) -> None:
        path = folder / f"{level}/{row}_{column}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return write
