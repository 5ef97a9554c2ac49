"""Pictures of products: each at its own resolution with sky coordinates, and sheets of exposures and associations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calflow.pictures.combined import colour_segments
from calflow.pictures.panels import COLOURS, MARK, label_bar, limits, outliers_in, save_figure
from calflow.science.square_means import mean_of_squares

DPI = 100
# Larger images are averaged to this, pixels; smaller ones enlarged, by whole numbers.
MOST, LEAST = 4096, 480
SHEET = 560  # side of an image on a sheet, pixels
GREY = "#8c9097"
# What has no value is seen through: grey alone is like the middle of a scale, or of an image in shades of grey.
HATCH, HATCH_LINES, NOTHING = "////", "#5f646b", (0.0, 0.0, 0.0, 0.0)
INK = "#ffffff"
DO_NOT_USE = 1
MOST_MARKS = 400
LEFT, RIGHT, BOTTOM, TOP = 1.25, 0.25, 1.3, 0.42  # inches around an image
NO_DATA = "hatched: no data"
NO_VALUE = "hatched: no value"
FLAGGED = f"{NO_VALUE} or DO_NOT_USE"
BARS = (1, 2, 5)


@dataclass
class Shown:
    """An image as it is drawn.

    Attributes
    ----------
    data : float array, shape (ny, nx) or (ny, nx, 3)
        NaN: not drawn.
    header : fits.Header
        With the world coordinates of the image before it was averaged.
    binned : int
        So many pixels on a side are averaged in one.
    title : str
    unit : str
        Of the colour bar.
    norm : object
        Scale of brightness of matplotlib; None for colours.
    note : str
        What is hatched, and what is marked.
    marks : float array, shape (n, 2)
        Pixels that are circled.
    colours : str
        Name of the colour map.
    ticks : sequence of float
        Of the colour bar; none: chosen.
    """

    data: np.ndarray
    header: Any
    binned: int
    title: str
    unit: str = ""
    norm: Any = None
    note: str = NO_DATA
    marks: np.ndarray | None = None
    colours: str = COLOURS
    ticks: Sequence[float] = ()


def draw_preview(
    kind: str, name: str, optics: str, files: Mapping[str, Path], scale: Mapping[str, Any], out_png: Path
) -> None:
    """Draw a product, or a sheet. The same files give the same bytes.

    Parameters
    ----------
    kind : str
        ``rate``, ``cal``, ``crf``, ``i2d``, ``segm``, or ``exposure`` or ``association`` for a sheet.
    name : str
        What stands above it.
    optics : str
        Instrument and filter.
    files : mapping of role to Path
        The products.
    scale : mapping
        Of `quality.brightness.brightness_of`.
    out_png : Path
    """
    if kind == "exposure":
        roles = [role for role in ("rate", "background", "cal", "crf", "i2d") if role in files]
        titles = {"background": "the background that was subtracted"}
        shown = [_product(role, titles.get(role, f"_{role}"), files[role], scale, SHEET) for role in roles]
        _sheet(shown, f"exposure {name}, {optics}", out_png)
    elif kind == "association":
        _sheet(_association(files, scale), f"{name}, {optics}", out_png)
    else:
        draw_image(_product(kind, name, files[kind], scale, MOST), out_png)


def _product(kind: str, title: str, path: Path, scale: Mapping[str, Any], most: int) -> Shown:
    if kind == "segm":
        labels, header, binned = read_binned(path, most, labels=True)
        colours = colour_segments(labels.astype(np.int64), np.ones(labels.shape, bool))
        return Shown(colours, header, binned, title, note="each source has a colour; black: sky")
    data, header, binned = read_binned(path, most, flagged=kind != "i2d")
    unit = str(header.get("BUNIT", ""))
    if kind in ("rate", "background"):  # whose unit is another one, or is not told
        data_limits = limits(data) if np.isfinite(data).any() else (0.0, 1.0, 0.1)
        norm, unit = _asinh(*data_limits), ", ".join(filter(None, (unit, "scale of this image")))
    else:
        norm, unit = _asinh(scale["low"] - scale["sky"], scale["high"] - scale["sky"], scale["linear"]), unit
        data = data - np.float32(scale["sky"])
        which = "one scale for the filter" if scale["of_filter"] else "scale of these exposures"
        unit = f"{unit} above {scale['sky']:.4g}, {which}"
    note, marks = (NO_DATA if kind == "i2d" else FLAGGED), None
    if kind == "crf":
        marks, sizes = outliers_in(path)
        marks = marks[np.argsort(-sizes, kind="stable")]
        which = f"the {MOST_MARKS} largest of {len(marks)}" if len(marks) > MOST_MARKS else f"{len(marks)}"
        note += f"; circles: {which} places flagged as outliers"
        marks = marks[:MOST_MARKS]
    return Shown(data, header, binned, title, unit, norm, note, marks)


def _association(files: Mapping[str, Path], scale: Mapping[str, Any]) -> list[Shown]:
    """Return the image, its errors, how many exposures each pixel has, and the sources."""
    from matplotlib.colors import BoundaryNorm, LogNorm

    image = _product("i2d", "combined image, _i2d", files["i2d"], scale, SHEET)
    shown = [image]
    counts = read_counts(files["i2d"], SHEET)
    if counts is not None:
        most = max(int(np.nanmax(counts, initial=1)), 1)
        # At the most twelve bands of whole numbers, each with its largest below it.
        largest = np.unique(np.ceil(np.linspace(0, most, min(most, 12) + 1)))
        covered = np.where(counts > 0, counts, np.nan)
        norm = BoundaryNorm(largest + 0.5, 256) if most > 1 else None
        ticks = largest[1:].astype(int).tolist()
        shown.append(
            Shown(
                *(covered, image.header, image.binned, "exposures in each pixel", "exposures", norm),
                colours="cividis",
                ticks=ticks,
            )
        )
    errors, header, binned = read_binned(files["i2d"], SHEET, extension="ERR")
    if errors is not None and np.nanmax(errors, initial=0) > 0:
        positive = errors[errors > 0]
        low, high = np.percentile(positive, [0.5, 99.5])
        unit, logarithmic = str(header.get("BUNIT", "")), LogNorm(low, max(high, low * 1.1), clip=True)
        shown.append(Shown(errors, header, binned, "error, ERR", unit, logarithmic, colours="cividis"))
    if "segm" in files:
        labels, _, _ = read_binned(files["segm"], SHEET, labels=True)
        outlined = outline_segments(image.norm(image.data), labels)
        note = f"{NO_DATA}; outlines: sources"
        shown.append(Shown(outlined, header, binned, "sources: outlines of _segm over _i2d", note=note))
    return shown


def outline_segments(brightness: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return an image in shades, with the pixels at the edges of sources in the colour of marks.

    Parameters
    ----------
    brightness : masked float array, shape (ny, nx)
        From 0 to 1; masked or NaN: nothing is drawn.
    labels : int array, shape (ny, nx)
        0: no source.

    Returns
    -------
    float array, shape (ny, nx, 4)
        Red, green, blue and opacity, from 0 to 1.
    """
    import matplotlib
    from matplotlib.colors import to_rgba

    shades = matplotlib.colormaps["gray"].with_extremes(bad=NOTHING)(np.ma.masked_invalid(brightness))
    edge = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        for step in (1, -1):
            edge |= labels != np.roll(labels, step, axis)
    shades[edge & (labels > 0)] = to_rgba(MARK)
    return shades


def hatch(axes: Any) -> None:
    """Hatch axes where nothing is drawn on them.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    """
    axes.patch.set(facecolor=GREY, edgecolor=HATCH_LINES, hatch=HATCH, linewidth=0)


def read_binned(
    path: Path, most: int, *, extension: str = "SCI", flagged: bool = False, labels: bool = False
) -> tuple[Any, Any, int]:
    """Return an image, of a size that can be drawn, a band of rows in memory at a time.

    Parameters
    ----------
    path : Path
        Of a product. Of integrations the first is taken.
    most : int
        Pixels of the longer side, at the most: more are averaged by whole numbers.
    extension : str
        With the pixels; of a file without SCI those in the primary HDU are taken.
    flagged : bool
        Make pixels with DO_NOT_USE NaN.
    labels : bool
        Take one pixel of each square, in place of their mean.

    Returns
    -------
    data : array, shape (ny, nx), or None
        None if there is no such extension.
    header : fits.Header
        With the world coordinates of the whole image.
    binned : int
        The side of the squares that are averaged.
    """
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        if extension not in hdus and extension != "SCI":
            return None, hdus[0].header, 1
        hdu = hdus[extension] if extension in hdus else hdus[0]
        header = hdus["SCI"].header.copy() if "SCI" in hdus else hdus[0].header.copy()
        if "CRVAL1" not in header and "CRVAL1" in hdus[0].header:
            header.extend(hdus[0].header, strip=True, unique=True)
        ny, nx = hdu.shape[-2:]
        side = max(1, -(-max(ny, nx) // most))
        bands = []
        for start in range(0, ny, 256 * side):
            rows = slice(start, min(start + 256 * side, ny))
            first = (0,) * (len(hdu.shape) - 2)
            data = np.asarray(hdu.section[(*first, rows)])
            if labels:
                bands.append(one_of_squares(data, side))
                continue
            data = data.astype(np.float32)
            if flagged and "DQ" in hdus:
                dq = hdus["DQ"].section[(*(0,) * (len(hdus["DQ"].shape) - 2), rows)]
                data[(dq & DO_NOT_USE) != 0] = np.nan
            bands.append(mean_of_squares(data, side))
    return np.concatenate(bands), header, side


def read_counts(path: Path, most: int) -> np.ndarray | None:
    """Return how many exposures each pixel of a combined image has, averaged as `read_binned` does.

    Parameters
    ----------
    path : Path
        ``_i2d``.
    most : int
        Pixels of the longer side, at the most.
    """
    from astropy.io import fits

    from calflow.files.combined_image import counts_of_exposures

    with fits.open(path, memmap=False) as hdus:
        if "CON" not in hdus:
            return None
        _, ny, nx = hdus["CON"].shape
        side = max(1, -(-max(ny, nx) // most))
        bands = []
        for start in range(0, ny, 256 * side):
            rows = slice(start, min(start + 256 * side, ny))
            bands.append(one_of_squares(counts_of_exposures(hdus, rows), side))
    return np.concatenate(bands).astype(np.float32)


def one_of_squares(data: np.ndarray, side: int) -> np.ndarray:
    """Return the pixel in the middle of each square, of those that the edges cut the last one if that is further out.

    Parameters
    ----------
    data : array, shape (ny, nx)
    side : int
        Of the squares, pixels.
    """
    rows, columns = (np.minimum(np.arange(0, size, side) + side // 2, size - 1) for size in data.shape)
    return data[np.ix_(rows, columns)]


def _asinh(low: float, high: float, linear: float) -> Any:
    from matplotlib.colors import AsinhNorm

    return AsinhNorm(linear, low, high)


def _figure(width: float, height: float) -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, facecolor="white")


def draw_image(shown: Shown, out_png: Path) -> None:
    """Draw one image, of whose pixels each is one or several of the picture.

    Parameters
    ----------
    shown : Shown
    out_png : Path
    """
    ny, nx = shown.data.shape[:2]
    zoom = max(1, -(-LEAST // max(ny, nx)))
    width, height = nx * zoom / DPI, ny * zoom / DPI
    figure = _figure(max(width, 4.4) + LEFT + RIGHT, height + BOTTOM + TOP)
    _show(figure, shown, LEFT, BOTTOM, width, height, size=11)
    save_figure(figure, out_png, DPI)


def _sheet(all_shown: Sequence[Shown], title: str, out_png: Path) -> None:
    """Draw images side by side, each whole."""
    columns = 2 if len(all_shown) != 3 else 3
    side = SHEET / DPI
    rows = [all_shown[start : start + columns] for start in range(0, len(all_shown), columns)]
    heights = [max(side * _stretch(shown)[1] for shown in row) for row in rows]
    cell = side + LEFT + RIGHT
    figure = _figure(cell * min(columns, len(all_shown)), sum(heights) + len(rows) * (BOTTOM + TOP) + 0.35)
    _, total = figure.get_size_inches()
    figure.text(LEFT / (cell * columns), 1 - 0.24 / total, title, fontsize=12, weight="bold", va="center")
    top = total - 0.35
    for row, height in zip(rows, heights, strict=True):
        for column, shown in enumerate(row):
            width, own = (side * part for part in _stretch(shown))
            _show(figure, shown, column * cell + LEFT, top - TOP - own, width, own, size=9.5)
        top -= height + BOTTOM + TOP
    save_figure(figure, out_png, DPI)


def _stretch(shown: Shown) -> tuple[float, float]:
    """Return width and height in those of a square around the image."""
    ny, nx = shown.data.shape[:2]
    return nx / max(nx, ny), ny / max(nx, ny)


def _show(figure: Any, shown: Shown, left: float, bottom: float, width: float, height: float, size: float) -> None:
    """Draw an image with its sky coordinates at a place, inches; below it the colour bar and what is hatched."""
    import matplotlib
    from matplotlib.cm import ScalarMappable

    across, up = figure.get_size_inches()
    place = (left / across, bottom / up, width / across, height / up)
    wcs = _world(shown)
    axes = figure.add_axes(place, projection=wcs) if wcs is not None else figure.add_axes(place)
    colours = matplotlib.colormaps[shown.colours].with_extremes(bad=NOTHING)
    hatch(axes)
    shape = tuple(n * shown.binned for n in shown.data.shape[:2])
    # Coordinates are those of the whole image, whatever is averaged.
    drawn = {"extent": (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5), "aspect": "auto", "interpolation": "nearest"}
    axes.imshow(shown.data, origin="lower", norm=shown.norm, cmap=colours, **drawn)
    axes.set_title(shown.title, fontsize=size, loc="left")
    _label_axes(axes, wcs, size - 1.5)
    if wcs is not None:
        _compass_and_bar(axes, wcs, shape, size)
    if shown.marks is not None and len(shown.marks):
        axes.plot(*shown.marks.T, "o", markersize=6, markerfacecolor="none", markeredgecolor=MARK, markeredgewidth=0.7)
    axes.set(xlim=(-0.5, shape[1] - 0.5), ylim=(-0.5, shape[0] - 0.5))
    note = shown.note + (f"; {shown.binned} x {shown.binned} pixels averaged" if shown.binned > 1 else "")
    figure.text(left / across, (bottom - 1.2) / up, note, fontsize=size - 2.5, color="#333333")
    if shown.norm is not None:
        room = figure.add_axes((left / across, (bottom - 0.66) / up, width / across, 0.09 / up))
        bar = figure.colorbar(ScalarMappable(shown.norm, colours), cax=room, orientation="horizontal")
        if len(shown.ticks):
            bar.set_ticks(list(shown.ticks))
            bar.set_label(shown.unit)
        elif type(shown.norm).__name__ == "AsinhNorm":
            label_bar(bar, shown.unit, shown.norm)
        else:
            bar.set_label(shown.unit)
            for formatter in (bar.ax.xaxis.set_major_formatter, bar.ax.xaxis.set_minor_formatter):
                formatter("{x:.3g}")
        bar.ax.xaxis.label.set_fontsize(size - 2.5)
        bar.ax.tick_params(labelsize=size - 3, which="both")


def _world(shown: Shown) -> Any:
    """Return the world coordinates of an image; None if its header has none on the sky."""
    import warnings

    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(shown.header, fix=False, naxis=2)
        except Exception:  # whatever a stranger's header holds, its pixels can be drawn
            return None
    if not wcs.has_celestial:
        return None
    return wcs


def _label_axes(axes: Any, wcs: Any, size: float) -> None:
    if wcs is None:
        axes.set_xlabel("x (pixels)", fontsize=size)
        axes.set_ylabel("y (pixels)", fontsize=size)
        axes.tick_params(labelsize=size)
        return
    for number, name in enumerate(("RA", "Dec")):
        world = axes.coords[number]
        world.set_axislabel(name, fontsize=size, minpad=0.4)
        world.set_ticklabel(size=size, exclude_overlapping=True)
        world.set_ticks(number=5, color=INK)


def _compass_and_bar(axes: Any, wcs: Any, shape: tuple[int, int], size: float) -> None:
    """Draw arrows to the north and the east, and a bar of a round length, into the lower corners."""
    ny, nx = shape
    from matplotlib.patheffects import withStroke

    matrix = wcs.pixel_scale_matrix * 3600  # arcsec to the east and north for each pixel
    pixel = float(np.sqrt(abs(np.linalg.det(matrix))))
    if not pixel > 0:
        return
    seen = [withStroke(linewidth=2.6, foreground="black")]  # on bright images, too
    text = {"color": INK, "fontsize": size, "ha": "center", "va": "center"}
    box = {"boxstyle": "round,pad=0.1", "facecolor": "black", "alpha": 0.5, "linewidth": 0}
    length, start = 0.09 * min(nx, ny), np.array([0.17 * min(nx, ny)] * 2)
    for name, direction in zip("EN", np.linalg.inv(matrix).T, strict=True):
        step = direction / np.hypot(*direction)
        arrow = {"arrowstyle": "->", "color": INK, "lw": 1.4, "path_effects": seen}
        axes.annotate("", start + length * step, start, arrowprops=arrow)
        axes.text(*(start + 1.3 * length * step), name, bbox=box, **text)
    wanted = 0.25 * nx * pixel
    power = 10.0 ** np.floor(np.log10(wanted))
    arcsec = max(part * power for part in BARS if part * power <= wanted)
    long = arcsec / pixel
    right, low = nx * 0.96, ny * 0.05
    axes.plot([right - long, right], [low, low], color=INK, linewidth=2.2, path_effects=seen)
    told = f"{arcsec / 60:g}'" if arcsec >= 60 else f'{arcsec:g}"'
    axes.text(right - long / 2, low + 0.035 * ny, told, bbox=box, **text)
