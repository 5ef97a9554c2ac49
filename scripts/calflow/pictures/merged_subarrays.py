"""What concurrent subarrays are for: a star that is saturated in full frames, and whole where a subarray is merged."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calflow.pictures.panels import (
    SKY_AXES,
    Panel,
    brightness_scale,
    draw,
    draw_compass,
    in_plot,
    label_bar,
    limits,
    mark_patch,
    new_figure,
    pixel_panel,
    read_image,
    save_figure,
    tangent_plane,
    zoom,
)

# The flag in the DQ extension.
SATURATED = 1 << 1
# Half the size of the patch about the star, pixels: as far as its light is much brighter than its surroundings.
HALF_PATCH = 30


@dataclass(frozen=True)
class Products:
    """The files that are drawn.

    Attributes
    ----------
    rate : Path
        `_rate` of the full frame that has subarrays.
    cal : Path
        `_cal` of a full frame that has none.
    merged : Path
        `_cal` of the frame of `rate`, its subarrays merged into it.
    i2d : Path
        The combined image.
    """

    rate: Path
    cal: Path
    merged: Path
    i2d: Path


def make_picture(products: Products, out_png: Path) -> None:
    """Draw a full frame with its subarrays missing, then merged, and the combined image; below, the brightest star.

    The star is that with the largest saturated spot in `cal`. It is drawn as each full frame shows it, as the merged
    frame does and as the combined image does, on one logarithmic scale up to its peak.

    Parameters
    ----------
    products : Products
    out_png : Path
        The same files give the same bytes.
    """
    rate, cal, merged = (
        pixel_panel(title, *read_image(path))
        for title, path in (
            ("before: _rate, subarrays missing", products.rate),
            ("a full frame alone: saturated", products.cal),
            ("calibrated and merged: _cal", products.merged),
        )
    )
    data, header = read_image(products.i2d)
    combined = Panel("combined: _i2d, north up", data, header, tangent_plane(header), SKY_AXES)
    star = find_saturated(products.cal)
    patches = {panel.title: _patch(cal, star, panel) for panel in (cal, merged, combined)}

    figure, axes = new_figure(10.4, 7.6, nrows=2, ncols=3)
    scales = {
        "rate": brightness_scale(*limits(rate.data)),
        "field": brightness_scale(*limits(merged.data)),
        "star": _star_scale(merged, patches[merged.title]),
    }
    for column, (panel, scale) in enumerate(((rate, "rate"), (merged, "field"), (combined, "field"))):
        image = draw(axes[0, column], panel, scales[scale])
        axes[0, column].set_title(panel.title, fontsize=11)
        draw_compass(axes[0, column], panel)
        if panel is not rate:
            mark_patch(axes[0, column], patches[panel.title])
        bar = figure.colorbar(image, ax=axes[0, column], orientation="horizontal", shrink=0.9, aspect=32, pad=0.02)
        label_bar(bar, "count rate (DN/s)" if scale == "rate" else "brightness (MJy/sr)", scales[scale])
    titles = (cal.title, "with its subarray merged", "all exposures combined")
    for panel, axis, title in zip((cal, merged, combined), axes[1], titles, strict=True):
        image = draw(axis, panel, scales["star"])
        zoom(axis, patches[panel.title])
        axis.set_title(title, fontsize=9)
    bar = figure.colorbar(image, ax=axes[1], orientation="horizontal", shrink=0.6, aspect=50, pad=0.02)
    bar.set_label("brightness of the star, the same scale in all three (MJy/sr)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    save_figure(figure, out_png)


def find_saturated(path: Path) -> np.ndarray:
    """Return the centre, 0-based pixel (x, y), of the largest saturated spot of an exposure.

    Parameters
    ----------
    path : Path
        Of the exposure.

    Raises
    ------
    ValueError
        If no pixel is flagged SATURATED.
    """
    from astropy.io import fits
    from scipy.ndimage import center_of_mass, label

    with fits.open(path) as hdus:
        spots, n = label((hdus["DQ"].data & SATURATED) != 0, np.ones((3, 3)))
    if not n:
        raise ValueError(f"{path}: no pixel is SATURATED; the picture shows what subarrays do for a saturated star")
    largest = 1 + int(np.argmax(np.bincount(spots.ravel())[1:]))
    return np.array(center_of_mass(spots == largest))[::-1]


def _star_scale(panel: Panel, patch: np.ndarray) -> Any:
    """Return the logarithmic scale from the edge of a star's patch, in pixels of the panel, to its peak."""
    from matplotlib.colors import LogNorm

    (left, bottom), (right, top) = np.round([patch.min(axis=0), patch.max(axis=0)]).astype(int)
    inside = panel.data[max(bottom, 0) : top, max(left, 0) : right]
    return LogNorm(float(np.nanpercentile(inside[inside > 0], 1)), float(np.nanmax(inside)))


def _patch(cal: Panel, star: np.ndarray, panel: Panel) -> np.ndarray:
    """Return the corners (4, 2) of the patch about the star in the plot coordinates of a panel."""
    from astropy.wcs import WCS

    centre = star[None]
    if panel is not cal:
        centre = WCS(panel.header, fix=False).all_world2pix(WCS(cal.header, fix=False).all_pix2world(centre, 0), 0)
    x, y = in_plot(panel, centre)[0]
    half = HALF_PATCH * np.sqrt(abs(np.linalg.det(panel.to_plot[:, :2])))
    return np.array([[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]])
