"""Resample one calibrated exposure to a rectified grid. Makes the quick-look ``_i2d`` of ``_cal``."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.asdf_files import read_tree
from calflow.files.blended_headers import blend_headers
from calflow.files.exposure import read_exposure, write_product
from calflow.files.geometry_files import read_geometry
from calflow.files.grid_keywords import record_grid
from calflow.files.keywords import exposure_time, record_origin_in
from calflow.files.tan_asdf import grid_to_bytes
from calflow.files.writing import Writing
from calflow.job import UnusableExposure, arguments_of, run
from calflow.science.combination.resample import Resampler
from calflow.science.geometry.footprints import parse_s_region
from calflow.science.geometry.output_grid import (
    check_size,
    grid_footprint,
    grid_from_footprints,
    grid_from_wcs,
)
from calflow.science.geometry.pixel_map import map_to_grid, pixel_range

if TYPE_CHECKING:
    from calflow.jobs.calibration import QuickLook

EXTENSIONS = ("sci", "err", "con", "wht", "var_poisson", "var_rnoise", "var_flat", "dq")


def resample_exposure(input, output, params: "QuickLook"):
    """Drizzle the exposure on the grid that the parameters ask for."""
    settings = params.resample
    exposure = read_exposure(input.cal)
    geometry = read_geometry(input.geometry)
    vertices = parse_s_region(exposure.science["S_REGION"])
    grid = _grid(exposure, geometry, vertices, settings, input.get("output_wcs"))
    check_size(grid.shape, params.max_pixels)
    # The ratio of the grid, which may be that of a pixel_scale or of a file
    resampler = Resampler(
        grid.shape, **arguments_of(Resampler, settings) | {"pixel_scale_ratio": grid.pixel_scale_ratio}
    )
    pixmap = map_to_grid(geometry, grid, settings["pixmap_stepsize"], settings["pixmap_order"])
    bounds = pixel_range(geometry.bounds, geometry.shape)
    resampler.add(exposure.image, pixmap, exposure_time=exposure_time(exposure), bounds=bounds)
    result = resampler.finish()
    if not np.any(result.wht):
        raise UnusableExposure(
            "no pixel of the output grid gets data: it lies elsewhere (crval, crpix, output_shape, output_wcs), "
            "or no pixel has weight (DQ, VAR_RNOISE)"
        )
    _record(exposure, grid, vertices, settings, params.origin)
    _write(exposure, grid, result, Path(output.i2d), Writing(**params.writing))


def _grid(exposure, geometry, vertices, settings, output_wcs):
    if output_wcs:
        area = exposure.science.get("PIXAR_A2") or geometry.pixels.area
        return grid_from_wcs(read_tree(output_wcs), area, output_shape=settings["output_shape"])
    return grid_from_footprints(vertices, geometry.pixels, **arguments_of(grid_from_footprints, settings))


def _record(exposure, grid, vertices, settings, origin):
    """Record the grid, the weights, the times and the parameter references in the headers."""
    blended = blend_headers([(exposure.primary, exposure.science)], [0])
    exposure.headers |= blended
    record_origin_in(exposure.headers["PRIMARY"], origin)
    record_grid(exposure.headers, grid, grid_footprint(vertices, grid), settings["weight_type"], settings["pixfrac"])


def _write(exposure, grid, result, path, writing):
    planes = {name.upper(): getattr(result, name) for name in EXTENSIONS}
    planes = {name: plane for name, plane in planes.items() if plane is not None}
    write_product(path, exposure.primary, planes, exposure.headers, wcs=grid_to_bytes(grid), writing=writing)


if "snakemake" in globals():
    run(resample_exposure, snakemake)
