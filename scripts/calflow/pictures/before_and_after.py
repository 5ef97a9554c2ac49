"""One exposure before and after stage 2: the count rate, the calibrated and the resampled image."""

from pathlib import Path

import numpy as np

from calflow.pictures.panels import (
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
    pixel_panel,
    read_image,
    save_figure,
    say_origin,
    tangent_plane,
    zoom,
)


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
    panels = _read_panels(rate, cal, i2d)
    corners = find_patch(_signal(panels[1].data), np.isfinite(panels[1].data))
    figure, rows = new_figure(10.4, 7.1, nrows=2, ncols=3, height_ratios=(1.0, 0.86))
    count_rate, brightness = (brightness_scale(*limits(panel.data)) for panel in panels[:2])
    scales = (("count rate (DN/s)", count_rate), *[("brightness (MJy/sr)", brightness)] * 2)
    for column, (panel, (unit, norm)) in enumerate(zip(panels, scales, strict=True)):
        patch = _project(panels[1].header, corners, panel)
        image = draw(rows[0, column], panel, norm)
        mark_patch(rows[0, column], patch)
        rows[0, column].set_title(panel.title, fontsize=11)
        draw_compass(rows[0, column], panel)
        draw(rows[1, column], panel, norm)
        rows[1, column].set_title("the marked patch", fontsize=9)
        zoom(rows[1, column], patch)
        bar = figure.colorbar(image, ax=rows[:, column], orientation="horizontal", shrink=0.9, aspect=32, pad=0.02)
        label_bar(bar, unit, norm)
    say_origin(
        figure, panels[2].header, "the resampled image", "Frame: what is enlarged below. Arrows: north and east."
    )
    save_figure(figure, out_png)


def _read_panels(rate: Path, cal: Path, i2d: Path) -> list[Panel]:
    images = [read_image(path) for path in (rate, cal, i2d)]
    return [
        pixel_panel("before: _rate", *images[0]),
        pixel_panel("calibrated: _cal (grey: no data)", *images[1]),
        Panel("resampled: _i2d, north up", *images[2], tangent_plane(images[2][1]), SKY_AXES),
    ]


def _signal(data: np.ndarray) -> np.ndarray:
    """Return what stands out of the noise, in units of the noise; a bright source counts no more than a fair one."""
    low, high = np.nanpercentile(data, [16, 84])
    noise = (high - low) / 2
    signal = np.where(np.isfinite(data), np.clip((data - (low + high) / 2) / noise, 0, 12), 0)
    return np.where(signal > 2.5, signal, 0)


def _project(header, corners: np.ndarray, panel: Panel) -> np.ndarray:
    """Return pixels of the calibrated image in the plot coordinates of a panel."""
    from astropy.wcs import WCS

    if panel.axes == SKY_AXES:
        corners = WCS(panel.header, fix=False).all_world2pix(WCS(header, fix=False).all_pix2world(corners, 0), 0)
    return in_plot(panel, corners)
