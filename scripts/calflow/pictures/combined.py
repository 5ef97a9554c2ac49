"""What stage 3 does: one exposure, the combination of all, and the sources found in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calflow.files.alignment_tables import AlignmentRow, read_alignment
from calflow.files.catalogs import SIGMAS
from calflow.pictures.panels import (
    BLANK,
    MARK,
    PATCH,
    SKY_AXES,
    Panel,
    brightness_scale,
    draw,
    draw_compass,
    find_patch,
    in_plot,
    label_bar,
    limits,
    mark_patch,
    new_figure,
    outliers_in,
    outline,
    read_image,
    save_figure,
    say_origin,
    tangent_plane,
    zoom,
)

if TYPE_CHECKING:
    from astropy.table import QTable

SKY_COLOUR = (0.0, 0.0, 0.016)
# Hues this part of the colour circle apart (the golden ratio) differ well, however many there are.
HUE_STEP = 0.6180339887


@dataclass(frozen=True)
class Products:
    """The products of stage 3 that are drawn, and one exposure of it.

    Attributes
    ----------
    exposure, crf : Path
        The quick-look `_i2d` of one exposure, and its `_crf`, in which outliers are flagged.
    i2d, segm, catalog : Path
        The combined image, the segmentation map and the source catalogue.
    alignment : Path
        The table of the alignment.
    """

    exposure: Path
    crf: Path
    i2d: Path
    segm: Path
    catalog: Path
    alignment: Path


def make_picture(products: Products, out_png: Path) -> None:
    """Draw one exposure, the combined image and the segmentation map, each whole and one patch of sky enlarged.

    All have north up and east to the left, about the centre of the combined image. Both images have the same
    brightness scale. In the patch, the outliers of the exposure and the sources of the catalogue are marked.

    Parameters
    ----------
    products : Products
    out_png : Path
        The same files give the same bytes.
    """
    from astropy.table import QTable

    sources = QTable.read(products.catalog, format="ascii.ecsv")
    positions = np.column_stack([sources["xcentroid"], sources["ycentroid"]]).astype(float)
    alignment = read_alignment(products.alignment)
    panels = _read_panels(products, sum(row.used for row in alignment))
    exposure, combined, _ = panels
    outliers, n_outlier_pixels = find_outliers(products.crf, combined)
    shape = combined.data.shape
    interest = crowding(positions, shape) * crowding(outliers, shape)
    patch = in_plot(combined, find_patch(interest, np.isfinite(regrid(exposure, combined))))
    patch_titles = (
        f"circles: outliers ({n_outlier_pixels} pixels in all)",
        f"aligned ({residual_rms(alignment):.1f} mas rms), outliers left out",
        f"ellipses: {len(sources)} sources in all (3 sigma)",
    )
    norm = brightness_scale(*limits(exposure.data))
    figure, axes = new_figure(8.6, 6.3, nrows=2, ncols=3)
    for (top, bottom), panel, scale, title in zip(axes.T, panels, (norm, norm, None), patch_titles, strict=True):
        draw(top, panel, scale)
        zoom(top, outline(combined))
        mark_patch(top, patch)
        draw_compass(top, panel)
        top.set_title(panel.title, fontsize=11)
        draw(bottom, panel, scale)
        zoom(bottom, patch)
        bottom.set_title(title, fontsize=9)
    circles = {"markersize": 9, "markerfacecolor": "none", "markeredgecolor": "white", "markeredgewidth": 0.8}
    axes[1, 0].plot(*in_plot(combined, outliers).T, "o", **circles)
    for inner in axes[:, 1:].flat:
        inner.set_ylabel("")
    for marked in axes[1, 1:]:
        _mark_sources(marked, combined, sources)
    bar = figure.colorbar(axes[0, 0].images[0], ax=axes, orientation="horizontal", shrink=0.6, aspect=50, pad=0.02)
    label_bar(bar, "brightness, the same scale in both images (MJy/sr)", norm)
    marks = "Grey: no data. Frame: what is enlarged below. Arrows: north and east."
    say_origin(figure, combined.header, "the combined image", marks)
    save_figure(figure, out_png)


def residual_rms(rows: Sequence[AlignmentRow]) -> float:
    """Return the quadratic mean of the residuals of the exposures that were fitted, milliarcsec; NaN if none was.

    Parameters
    ----------
    rows : sequence of AlignmentRow
        Of the alignment table.
    """
    found = [row.rms for row in rows if np.isfinite(row.rms)]
    return 1000 * float(np.sqrt(np.mean(np.square(found)))) if found else np.nan


def colour_segments(labels: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Return a segmentation map in colours.

    Parameters
    ----------
    labels : int array, shape (ny, nx)
        0: no source. A label always has the same colour.
    covered : bool array, shape (ny, nx)
        Where there is an image.

    Returns
    -------
    float array, shape (ny, nx, 3)
        Red, green and blue, from 0 to 1.
    """
    from matplotlib.colors import hsv_to_rgb, to_rgb

    number = np.arange(int(labels.max()) + 1)
    # Neighbours have numbers near each other: they differ in lightness, too, for those who do not see the hues.
    hue_saturation_value = np.column_stack([number * HUE_STEP % 1, 0.45 + 0.2 * (number % 2), 1 - 0.25 * (number % 3)])
    colours = hsv_to_rgb(hue_saturation_value)
    colours[0] = SKY_COLOUR
    return np.where(covered[..., None] | (labels[..., None] > 0), colours[labels], to_rgb(BLANK))


def find_outliers(crf: Path, combined: Panel) -> tuple[np.ndarray, int]:
    """Return where an exposure has outliers, as pixels (n, 2) of the combined image, and how many pixels they are.

    Neighbouring pixels are one outlier.

    Parameters
    ----------
    crf : Path
        The exposure.
    combined : Panel
        The combined image.
    """
    from astropy.io import fits
    from astropy.wcs import WCS

    centres, sizes = outliers_in(crf)
    wcs = WCS(fits.getheader(crf, "SCI"), fix=False)
    pixels = WCS(combined.header, fix=False).all_world2pix(wcs.all_pix2world(centres, 0), 0)
    return pixels, int(sizes.sum())


def crowding(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a map of how many of some positions lie near each pixel.

    Parameters
    ----------
    pixels : float array, shape (n, 2)
        The positions (x, y).
    shape : (int, int)
        (ny, nx).
    """
    from scipy.ndimage import gaussian_filter

    x, y = pixels.T
    number, _, _ = np.histogram2d(y, x, [np.arange(n + 1) - 0.5 for n in shape])
    return gaussian_filter(number, PATCH / 4, mode="constant")


def regrid(panel: Panel, grid: Panel) -> np.ndarray:
    """Return the pixels of a panel nearest to those of another; NaN outside.

    Parameters
    ----------
    panel : Panel
    grid : Panel
        The other one.
    """
    from scipy.ndimage import affine_transform

    to_pixels = np.linalg.inv(np.vstack([panel.to_plot, [0, 0, 1]])) @ np.vstack([grid.to_plot, [0, 0, 1]])
    swapped = to_pixels[[1, 0, 2]][:, [1, 0, 2]]
    return affine_transform(panel.data, swapped, output_shape=grid.data.shape, order=0, cval=np.nan)


def _read_panels(products: Products, exposures: int) -> list[Panel]:
    exposure, exposure_header = read_image(products.exposure)
    combined, header = read_image(products.i2d)
    labels, _ = read_image(products.segm)
    place = tangent_plane(header), SKY_AXES
    return [
        Panel("one exposure: _i2d", exposure, exposure_header, tangent_plane(exposure_header, header), SKY_AXES),
        Panel(f"{exposures} exposures combined: _i2d", combined, header, *place),
        Panel("segmentation map: _segm", colour_segments(labels, np.isfinite(combined)), header, *place),
    ]


def _mark_sources(axes: Any, combined: Panel, sources: "QTable") -> None:
    """Draw the sources of a catalogue as ellipses; those without a shape are left out."""
    from matplotlib.patches import Ellipse

    pixels = np.column_stack([sources["xcentroid"], sources["ycentroid"]]).astype(float)
    scale = np.sqrt(abs(np.linalg.det(combined.to_plot[:, :2])))
    width, height = (2 * SIGMAS * scale * _numbers(sources[f"semi{axis}_sigma"]) for axis in ("major", "minor"))
    # matplotlib counts from the first axis, east, to the second; the position angle from north to east.
    angle = 90 - _numbers(sources["sky_orientation"])
    for centre, *shape in zip(in_plot(combined, pixels), width, height, angle, strict=True):
        if np.isfinite([*centre, *shape]).all():
            axes.add_patch(Ellipse(centre, shape[0], shape[1], angle=shape[2], fill=False, edgecolor=MARK))


def _numbers(column: Any) -> np.ndarray:
    return np.asarray(getattr(column, "value", column), float)
