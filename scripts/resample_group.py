"""Resample the exposures of one group, or their errors, on the grid of the outlier search, over their own footprint."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.alignment_tables import find_row, read_alignment, read_corrected_geometry
from calflow.files.exposure import read_exposure
from calflow.files.geometry_files import read_geometry, write_json
from calflow.files.grid_files import read_grid
from calflow.files.intermediate_images import save_on_grid
from calflow.files.keywords import exposure_time
from calflow.files.sky_tables import sky_of
from calflow.job import UnusableExposure, arguments_of, run
from calflow.science.combination.outlier_detection import weight_cut
from calflow.science.combination.resample import Resampler, pixel_weights
from calflow.science.geometry.geometry import outline
from calflow.science.geometry.pixel_map import covered_window, map_to_grid, pixel_range
from calflow.whole_files import replacing

if TYPE_CHECKING:
    from calflow.jobs.outliers import Group

# Pixels between the points of an outline: the edges of a detector are curved, but not on this scale.
OUTLINE_STEP = 64


def resample_group(input, output, params: "Group"):
    """Write the part of the grid that the group covers, NaN where it has little weight, and where that part is.

    ``params.plane`` says of what: ``sci``, or ``err``, which is averaged as if it were an image.
    """
    settings = params.outlier_detection
    rows = read_alignment(input.alignment)
    files = zip(input.cals, input.geometries, params.exposures, strict=True)
    members = [(cal, path, find_row(rows, root)) for cal, path, root in files]
    members = [member for member in members if member[-1].used]
    if settings["resample_data"]:
        layer, weight, origin = _resampled(members, read_grid(input.grid), input, params)
    else:
        shape = read_geometry(input.geometries[0]).shape
        layer, weight, origin = _as_it_is(members, shape, input, params)
    if output.get("outlier_i2d_image") and settings["resample_data"]:
        save_on_grid(Path(output.outlier_i2d_image), read_grid(input.grid), {"SCI": layer, "WHT": weight}, origin)
    with replacing(Path(output.layer)) as partial, open(partial, "wb") as file:
        np.save(file, weight_cut(layer, weight, settings["maskpt"]))
    write_json(Path(output.window), {"y0": origin[0], "x0": origin[1]})


def _resampled(members, grid, input, params: "Group"):
    """Drizzle the members on the part of the grid that they cover; return image, weights and where that part is."""
    settings = params.outlier_detection
    outlines = [grid.to_pixel(outline(read_corrected_geometry(path, row), OUTLINE_STEP)) for _, path, row in members]
    (y0, y1), (x0, x1) = covered_window(outlines, grid.shape)
    if y0 == y1 or x0 == x1:
        (y0, y1), (x0, x1) = (0, 1), (0, 1)
    resampler = Resampler(
        (y1 - y0, x1 - x0),
        enable_ctx=False,
        enable_err=False,
        error_weights=False,
        n_images=max(len(members), 1),
        **arguments_of(Resampler, settings),
    )
    for member in members:
        _add(resampler, member, grid, (x0, y0), input, params)
    result = resampler.finish()
    return result.sci, result.wht, (y0, x0)


def _add(resampler, member, grid, corner, input, params: "Group"):
    """Add a member to a window of the grid that begins at a corner (x0, y0)."""
    cal, path, row = member
    settings = params.outlier_detection
    geometry, exposure = read_corrected_geometry(path, row), read_exposure(cal)
    image, sky = _image(exposure, row, input, params.plane)
    pixmap = map_to_grid(geometry, grid, settings["pixmap_stepsize"], settings["pixmap_order"])
    pixmap -= corner
    resampler.add(
        image,
        pixmap,
        exposure_time=exposure_time(exposure),
        sky=sky,
        bounds=pixel_range(geometry.bounds, geometry.shape),
    )


def _as_it_is(members, shape, input, params: "Group"):
    """Return the image of the one member on its own pixels, without its sky, and its weights; NaN without members."""
    if not members:
        return np.full(shape, np.nan, np.float32), np.zeros(shape, np.float32), (0, 0)
    if len(members) > 1:
        raise UnusableExposure("resample_data: false needs groups of one exposure, with the same pixels")
    ((cal, _, row),) = members
    settings, exposure = params.outlier_detection, read_exposure(cal)
    image, sky = _image(exposure, row, input, params.plane)
    options = settings["weight_type"], settings["good_bits"], exposure_time(exposure)
    weight = pixel_weights(image, *options, error_weights=False)
    return image.sci - np.float32(sky), weight, (0, 0)


def _image(exposure, row, input, plane):
    """Return an image with the wanted plane in SCI, and the sky level to subtract."""
    if plane == "err":
        return replace(exposure.image, sci=exposure.image.err), 0.0
    return exposure.image, sky_of(exposure, row.exposure, input.get("sky")).remaining


if "snakemake" in globals():
    run(resample_group, snakemake)
