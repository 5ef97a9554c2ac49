"""One exposure before and after stage 2: the count rate, the calibrated and the resampled image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

# The patch of sky that is shown enlarged, detector pixels.
PATCH = 130
COLOURS = "inferno"
MARK = "#4fd8ff"
BLANK = "#30343a"
SKY_AXES = ("offset to the east (arcsec)", "offset to the north (arcsec)")


@dataclass(frozen=True)
class Panel:
    """One image with its place on the sky.

    Attributes
    ----------
    title, unit : str
    data : float32 array, shape (ny, nx)
    header : fits.Header
        Of the SCI extension.
    to_plot : float array, shape (2, 3)
        Affine matrix from 0-based pixels (x, y) to the coordinates of the plot.
    axes : (str, str)
        Names of these coordinates.
    """

    title: str
    unit: str
    data: np.ndarray
    header: object
    to_plot: np.ndarray
    axes: tuple[str, str]


def make_picture(rate: Path, cal: Path, i2d: Path, out_png: Path) -> None:
    """Draw `_rate`, `_cal` and `_i2d` of one exposure side by side, each whole and one patch of sky enlarged.

    Parameters
    ----------
    rate, cal, i2d : Path
        Files of the same exposure. `_rate` and `_cal` are drawn in detector pixels, `_i2d` with
        north up and east to the left.
    out_png : Path
        The same files give the same bytes.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels = _read_panels(rate, cal, i2d)
    corners = _find_patch(panels[1])
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.04, wspace=0.02)
    figure = pyplot.figure(figsize=(10.4, 7.1), layout=layout)
    rows = figure.subplots(2, 3, height_ratios=(1.0, 0.86))
    count_rate, brightness = _limits(panels[0].data), _limits(panels[1].data)
    limits = (count_rate, brightness, brightness)
    for column, (panel, (low, high, softening)) in enumerate(zip(panels, limits, strict=True)):
        norm = matplotlib.colors.AsinhNorm(softening, low, high)
        patch = _project(panels[1].header, corners, panel)
        image = _draw(rows[0, column], panel, norm, pyplot)
        rows[0, column].add_patch(matplotlib.patches.Polygon(patch, fill=False, edgecolor=MARK, linewidth=1.4))
        rows[0, column].set_title(panel.title, fontsize=11)
        _draw_compass(rows[0, column], panel)
        _draw(rows[1, column], panel, norm, pyplot)
        rows[1, column].set_title("the marked patch", fontsize=9)
        _zoom(rows[1, column], patch)
        bar = figure.colorbar(image, ax=rows[:, column], orientation="horizontal", shrink=0.9, aspect=32, pad=0.02)
        _label_bar(bar, panel.unit, norm)
    figure.savefig(out_png, dpi=105, metadata={"Software": None, "Creation Time": None})
    pyplot.close(figure)


def _read_panels(rate: Path, cal: Path, i2d: Path) -> list[Panel]:
    from astropy.io import fits

    images = []
    for path in (rate, cal, i2d):
        with fits.open(path) as hdus:
            images.append((np.array(hdus["SCI"].data, np.float32), hdus["SCI"].header))
    pixels, pixel_names = np.array([[1.0, 0, 0], [0, 1.0, 0]]), ("x (pixels)", "y (pixels)")
    return [
        Panel("before: _rate", "count rate (DN/s)", *images[0], pixels, pixel_names),
        Panel("calibrated: _cal (grey: no data)", "brightness (MJy/sr)", *images[1], pixels, pixel_names),
        Panel(
            "resampled: _i2d, north up",
            "brightness (MJy/sr)",
            *images[2],
            _tangent_plane(images[2][1]),
            SKY_AXES,
        ),
    ]


def _tangent_plane(header) -> np.ndarray:
    """Return the affine matrix from 0-based pixels to arcsec east and north of the image's centre."""
    from astropy.wcs import WCS

    matrix = WCS(header, fix=False).pixel_scale_matrix * 3600
    centre = np.array([header["NAXIS1"] - 1, header["NAXIS2"] - 1]) / 2
    return np.column_stack([matrix, -matrix @ centre])


def _find_patch(panel: Panel) -> np.ndarray:
    """Return the corners, pixels (4, 2), of the patch with the most sources and no blank areas."""
    from scipy.ndimage import uniform_filter

    data, finite = panel.data, np.isfinite(panel.data)
    low, high = np.nanpercentile(data, [16, 84])
    noise = (high - low) / 2
    signal = np.where(finite, np.clip((data - (low + high) / 2) / noise, 0, 12), 0)
    size = min(PATCH, *data.shape)
    crowding = uniform_filter(np.where(signal > 2.5, signal, 0), size, mode="constant")
    crowding[uniform_filter(finite.astype(np.float32), size, mode="constant") < 0.97] = -1
    y, x = np.unravel_index(np.argmax(crowding), data.shape)
    half = size / 2
    return np.array([[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]])


def _project(header, corners: np.ndarray, panel: Panel) -> np.ndarray:
    """Return pixels of the calibrated image in the plot coordinates of a panel."""
    from astropy.wcs import WCS

    if panel.axes == SKY_AXES:
        corners = WCS(panel.header, fix=False).all_world2pix(WCS(header, fix=False).all_pix2world(corners, 0), 0)
    return corners @ panel.to_plot[:, :2].T + panel.to_plot[:, 2]


def _limits(data: np.ndarray) -> tuple[float, float, float]:
    """Return the brightness limits, and where the scale turns from linear to logarithmic."""
    sky = np.nanmedian(data)
    below = np.nanpercentile(data, 16)
    noise = sky - below
    return (
        float(sky - 4 * noise),
        float(max(np.nanpercentile(data, 99.7), sky + 12 * noise)),
        float(3 * noise),
    )


def _draw(axes, panel: Panel, norm, pyplot):
    from matplotlib.transforms import Affine2D

    colours = pyplot.get_cmap(COLOURS).with_extremes(bad=BLANK)
    matrix = np.vstack([panel.to_plot, [0, 0, 1]])
    image = axes.imshow(panel.data, origin="lower", norm=norm, cmap=colours, interpolation="nearest")
    image.set_transform(Affine2D(matrix) + axes.transData)
    axes.set_xlabel(panel.axes[0], fontsize=9)
    axes.set_ylabel(panel.axes[1], fontsize=9, labelpad=1)
    axes.tick_params(labelsize=8)
    ny, nx = panel.data.shape
    edges = np.array([[-0.5, -0.5], [nx - 0.5, -0.5], [nx - 0.5, ny - 0.5], [-0.5, ny - 0.5]])
    _zoom(axes, edges @ panel.to_plot[:, :2].T + panel.to_plot[:, 2])
    return image


def _zoom(axes, corners: np.ndarray) -> None:
    """Show the rectangle around some points; east is to the left."""
    (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
    if axes.get_xlabel() == SKY_AXES[0]:
        left, right = right, left
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")


def _draw_compass(axes, panel: Panel) -> None:
    """Draw arrows to the north and the east into the lower left corner."""
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


def _label_bar(bar, unit: str, norm) -> None:
    """Put round numbers on a colour bar, wherever there is room for one."""
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
