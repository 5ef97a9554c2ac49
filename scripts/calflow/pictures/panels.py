"""What the pictures have in common: images on the sky, their scales, axes and marks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# The flag in the DQ extension.
OUTLIER = 1 << 4
# The patch of sky that is shown enlarged, pixels.
PATCH = 130
COLOURS = "inferno"
MARK = "#4fd8ff"
BLANK = "#30343a"
PIXEL_AXES = ("x (pixels)", "y (pixels)")
SKY_AXES = ("offset to the east (arcsec)", "offset to the north (arcsec)")
# Neither the program's name nor the time: the same picture has the same bytes.
DPI = 190  # with which a full frame has about half of its pixels on each side
METADATA = {"Software": None, "Creation Time": None}


@dataclass(frozen=True)
class Panel:
    """One image with its place on the sky.

    Attributes
    ----------
    title : str
    data : array, shape (ny, nx) or (ny, nx, 3)
        Brightness, NaN where there is none; or colours from 0 to 1.
    header : fits.Header
        Of the SCI extension.
    to_plot : float array, shape (2, 3)
        Affine matrix from 0-based pixels (x, y) to the coordinates of the plot.
    axes : (str, str)
        Names of these coordinates.
    """

    title: str
    data: np.ndarray
    header: Any
    to_plot: np.ndarray
    axes: tuple[str, str]


def new_figure(width: float, height: float, **subplots: Any) -> tuple[Any, Any]:
    """Return a figure of some inches, and its axes.

    Parameters
    ----------
    width : float
        Inches.
    height : float
        Alike.
    **subplots : object
        What matplotlib's ``subplots`` takes.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.04, wspace=0.02)
    figure = pyplot.figure(figsize=(width, height), layout=layout)
    return figure, figure.subplots(**subplots)


def save_figure(figure: Any, out_png: Path, dpi: int = DPI) -> None:
    """Write a figure; the same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib Figure
    out_png : Path
        Its file.
    dpi : int
        Pixels of the picture for each inch of the figure.
    """
    from matplotlib import pyplot

    figure.savefig(out_png, dpi=dpi, metadata=METADATA)
    pyplot.close(figure)


def read_image(path: Path) -> tuple[np.ndarray, Any]:
    """Return the pixels, in the byte order of the machine, and the header of the SCI extension.

    World coordinates that stand in the primary header are added to it.

    Parameters
    ----------
    path : Path
        Of a product.
    """
    from astropy.io import fits

    with fits.open(path) as hdus:
        data, header = hdus["SCI"].data, hdus["SCI"].header
        if "CRVAL1" not in header and "CRVAL1" in hdus[0].header:
            header.extend(hdus[0].header, strip=True, unique=True)
            if "RADECSYS" in header:  # the name that the FITS standard has replaced
                header.rename_keyword("RADECSYS", "RADESYS")
        return data.astype(data.dtype.newbyteorder("=")), header


def outliers_in(crf: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return where an exposure has outliers, as its pixels (n, 2), and of how many pixels each is.

    Neighbouring pixels are one outlier.

    Parameters
    ----------
    crf : Path
        The exposure.
    """
    from astropy.io import fits
    from scipy.ndimage import center_of_mass, label

    with fits.open(crf) as hdus:
        flagged = (hdus["DQ"].data & OUTLIER) > 0
    labels, n = label(flagged, np.ones((3, 3)))
    centres = np.reshape(center_of_mass(flagged, labels, np.arange(1, n + 1)), (-1, 2))[:, ::-1]
    return centres, np.bincount(labels.ravel(), minlength=n + 1)[1:]


def pixel_panel(title: str, data: np.ndarray, header: Any) -> Panel:
    """Return an image in the pixels of its detector.

    Parameters
    ----------
    title : str
        What stands above it.
    data : float array, shape (ny, nx)
        Brightness.
    header : fits.Header
        Of the SCI extension.
    """
    return Panel(title, data, header, np.array([[1.0, 0, 0], [0, 1.0, 0]]), PIXEL_AXES)


def tangent_plane(header: Mapping[str, Any], centre: Mapping[str, Any] | None = None) -> np.ndarray:
    """Return the affine matrix from 0-based pixels to arcsec east and north of an image's centre.

    Parameters
    ----------
    header : fits.Header
        Of a resampled image: without distortion.
    centre : fits.Header, optional
        Of the image whose centre is the origin; if left out, the same image.
    """
    from astropy.wcs import WCS

    wcs = WCS(header, fix=False)
    matrix = wcs.pixel_scale_matrix * 3600
    middle = header if centre is None else centre
    pixel = np.array([[middle["NAXIS1"] - 1, middle["NAXIS2"] - 1]]) / 2
    if centre is not None:
        pixel = wcs.all_world2pix(WCS(centre, fix=False).all_pix2world(pixel, 0), 0)
    return np.column_stack([matrix, -matrix @ pixel[0]])


def say_origin(figure: Any, header: Any, of: str, also: str) -> None:
    """Write below a figure where its offsets are counted from, and what else has to be known.

    Parameters
    ----------
    figure : matplotlib Figure
    header : fits.Header
        Of the image whose centre is the origin.
    of : str
        What that image is.
    also : str
        What its marks mean.
    """
    from astropy.wcs import WCS

    middle = (header["NAXIS1"] - 1) / 2, (header["NAXIS2"] - 1) / 2
    ra, dec = map(float, WCS(header, fix=False).all_pix2world(*middle, 0))
    figure.supxlabel(f"Offsets are from the centre of {of}, RA {ra:.5f}, Dec {dec:.5f} deg (ICRS).\n{also}", fontsize=8)


def find_patch(interest: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Return the corners, pixels (4, 2), of the patch with the largest sum of interest and no blank areas.

    Parameters
    ----------
    interest : float array, shape (ny, nx)
    covered : bool array, shape (ny, nx)
        Where there is something to show.
    """
    from scipy.ndimage import uniform_filter

    size = min(PATCH, *covered.shape)
    mean = uniform_filter(interest, size, mode="constant")
    mean[uniform_filter(covered.astype(np.float32), size, mode="constant") < 0.97] = -1
    y, x = np.unravel_index(np.argmax(mean), covered.shape)
    half = size / 2
    return np.array([[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]])


def in_plot(panel: Panel, pixels: np.ndarray) -> np.ndarray:
    """Return pixels (n, 2) of a panel in the coordinates of the plot.

    Parameters
    ----------
    panel : Panel
    pixels : float array, shape (n, 2)
        Pixels (x, y) from 0.
    """
    return pixels @ panel.to_plot[:, :2].T + panel.to_plot[:, 2]


def limits(data: np.ndarray) -> tuple[float, float, float]:
    """Return the brightness limits, and where the scale turns from linear to logarithmic.

    Parameters
    ----------
    data : float array, shape (ny, nx)
        Brightness; NaN does not count.
    """
    sky = np.nanmedian(data)
    below = np.nanpercentile(data, 16)
    noise = sky - below
    return (
        float(sky - 4 * noise),
        float(max(np.nanpercentile(data, 99.7), sky + 12 * noise)),
        float(3 * noise),
    )


def brightness_scale(low: float, high: float, softening: float) -> Any:
    """Return the scale that is linear about zero and logarithmic far from it.

    Parameters
    ----------
    low : float
        Brightness that is black.
    high : float
        Brightness that is white.
    softening : float
        Brightness at which it turns from linear to logarithmic.
    """
    from matplotlib.colors import AsinhNorm

    return AsinhNorm(softening, low, high)


def draw(axes: Any, panel: Panel, norm: Any = None) -> Any:
    """Draw the whole of a panel; return the image, for a colour bar.

    Parameters
    ----------
    axes : matplotlib Axes
    panel : Panel
    norm : matplotlib Normalize, optional
        The brightness scale; a panel in colours needs none.
    """
    import matplotlib
    from matplotlib.transforms import Affine2D

    colours = matplotlib.colormaps[COLOURS].with_extremes(bad=BLANK)
    matrix = np.vstack([panel.to_plot, [0, 0, 1]])
    # More pixels than the picture has are averaged, and do not vanish between those that are drawn.
    image = axes.imshow(panel.data, origin="lower", norm=norm, cmap=colours, interpolation="auto")
    image.set_transform(Affine2D(matrix) + axes.transData)
    axes.set_xlabel(panel.axes[0], fontsize=9)
    axes.set_ylabel(panel.axes[1], fontsize=9, labelpad=1)
    axes.tick_params(labelsize=8)
    axes.set_facecolor(BLANK)
    zoom(axes, outline(panel))
    return image


def outline(panel: Panel) -> np.ndarray:
    """Return the corners (4, 2) of a panel in the coordinates of the plot.

    Parameters
    ----------
    panel : Panel
    """
    ny, nx = panel.data.shape[:2]
    return in_plot(panel, np.array([[-0.5, -0.5], [nx - 0.5, -0.5], [nx - 0.5, ny - 0.5], [-0.5, ny - 0.5]]))


def zoom(axes: Any, corners: np.ndarray) -> None:
    """Show the rectangle around some points; east is to the left.

    Parameters
    ----------
    axes : matplotlib Axes
    corners : float array, shape (n, 2)
        In the coordinates of the plot.
    """
    (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
    if axes.get_xlabel() == SKY_AXES[0]:
        left, right = right, left
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")


def mark_patch(axes: Any, patch: np.ndarray) -> None:
    """Draw the outline of the patch that is shown enlarged.

    Parameters
    ----------
    axes : matplotlib Axes
    patch : float array, shape (4, 2)
        Its corners, in the coordinates of the plot.
    """
    from matplotlib.patches import Polygon

    axes.add_patch(Polygon(patch, fill=False, edgecolor=MARK, linewidth=1.4))


def draw_compass(axes: Any, panel: Panel) -> None:
    """Draw arrows to the north and the east into the lower left corner.

    Parameters
    ----------
    axes : matplotlib Axes
    panel : Panel
    """
    from astropy.wcs import WCS

    # From arcsec east and north to pixels, to plot coordinates, to the direction on the page.
    sky_to_plot = panel.to_plot[:, :2] @ np.linalg.inv(WCS(panel.header, fix=False).celestial.pixel_scale_matrix)
    page = np.diag([-1.0 if panel.axes == SKY_AXES else 1.0, 1.0])
    start = np.array([0.20, 0.19])
    for name, direction in (("E", sky_to_plot[:, 0]), ("N", sky_to_plot[:, 1])):
        tip = start + 0.10 * (page @ direction) / np.hypot(*direction)
        axes.annotate(
            "",
            tip,
            start,
            xycoords="axes fraction",
            arrowprops={"arrowstyle": "->", "color": "white", "lw": 1.4},
        )
        axes.text(
            *(start + 1.35 * (tip - start)),
            name,
            color="white",
            transform=axes.transAxes,
            ha="center",
            va="center",
        )


def label_bar(bar: Any, unit: str, norm: Any) -> None:
    """Put round numbers on a colour bar, wherever there is room for one.

    Parameters
    ----------
    bar : matplotlib Colorbar
    unit : str
        What stands below it.
    norm : matplotlib Normalize
        Its brightness scale.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    wanted = MaxNLocator(nbins=60, steps=[1, 2, 5, 10]).tick_values(norm.vmin, norm.vmax)
    wanted = [value for value in wanted if norm.vmin <= value <= norm.vmax]
    ticks: list[float] = []
    # Zero and the coarse values first, then what fits between them.
    for value in sorted(wanted, key=_roundness):
        if all(abs(float(norm(value)) - float(norm(other))) > 0.13 for other in ticks):
            ticks.append(value)
    bar.ax.xaxis.set_major_locator(FixedLocator(ticks))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.set_label(unit, fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _roundness(value: float) -> tuple[float, float]:
    """Sort key: numbers with fewer digits first, the larger ones first among them."""
    digits = len(f"{abs(value):g}".replace(".", "").strip("0"))
    return digits if value else 0, -abs(value)
