"""Combine the exposures of an association on one grid. Makes ``_i2d`` of ``_crf``, one exposure at a time in memory."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.alignment_tables import find_row, read_alignment, read_corrected_geometry
from calflow.files.blended_headers import blend_headers
from calflow.files.exposure import read_exposure, write_product
from calflow.files.grid_files import read_grid
from calflow.files.grid_keywords import record_grid
from calflow.files.header_table import header_table
from calflow.files.keywords import STATUS, exposure_time, record_origin_in, record_status
from calflow.files.tan_asdf import grid_to_bytes
from calflow.files.writing import Writing
from calflow.job import UnusableExposure, arguments_of, remark, remark_on, run
from calflow.science.combination.resample import Resampler
from calflow.science.geometry.output_grid import grid_footprint
from calflow.science.geometry.pixel_map import map_to_grid, pixel_range

if TYPE_CHECKING:
    from calflow.jobs.combination import Combination

log = logging.getLogger(__name__)
EXTENSIONS = ("sci", "err", "con", "wht", "var_poisson", "var_rnoise", "var_flat", "dq")


def combine(input, output, params: "Combination"):
    """Drizzle the exposures one after the other, and write the image with the headers of all."""
    settings = params.resample
    rows = read_alignment(input.alignment)
    members = [
        (path, geometry, find_row(rows, root))
        for path, geometry, (root, _) in zip(input.exposures, input.geometries, params.members, strict=True)
    ]
    members = [member for member in members if member[-1].used]
    grid = read_grid(input.grid, input.get("output_wcs"))
    if params.common_grid:
        # Associations that share a grid have pixels of their own.
        _, geometry, row = members[0]
        pixels = read_corrected_geometry(geometry, row).input_pixels()
        grid = replace(grid, pixel_scale_ratio=grid.pixel_scale / pixels.area**0.5)
    resampler = Resampler(
        grid.shape,
        pixel_scale_ratio=grid.pixel_scale_ratio,
        n_images=len(members),
        **arguments_of(Resampler, settings),
    )
    headers = []
    for path, geometry_file, row in members:
        geometry = read_corrected_geometry(geometry_file, row)
        exposure = read_exposure(path)
        remark_on(exposure, "resample", str(path))
        pixmap = map_to_grid(geometry, grid, settings["pixmap_stepsize"], settings["pixmap_order"])
        try:
            adds = resampler.add(
                exposure.image,
                pixmap,
                exposure_time=exposure_time(exposure),
                sky=_remaining_sky(exposure),
                bounds=pixel_range(geometry.bounds, geometry.shape),
            )
        except ValueError as error:  # which of them it is, nobody could tell from the reason alone
            raise ValueError(f"{path}: {error}") from error
        if not adds:
            remark("resample", "COMPLETE", str(path), "adds nothing: no pixel has a value and weight (DQ, VAR_RNOISE)")
        _complete_status(exposure, row, params)
        headers.append((exposure.primary, exposure.science))
        log.info("added %s", path)
    result = resampler.finish()
    if not np.any(result.wht):
        raise UnusableExposure("no pixel of the output grid gets data: it lies elsewhere, or no pixel has weight")
    _write(grid, result, headers, [row for *_, row in members], Path(output.i2d), params)


def _complete_status(exposure, row, params: "Combination"):
    """Record what became of the steps before, for a single exposure that comes without a ``_crf``."""
    for step, status in {params.alignment_step: row.status, **params.status}.items():
        if STATUS[step][0] not in exposure.primary:
            record_status(exposure, step, status)


def _remaining_sky(exposure):
    """Return the sky level that was found but not subtracted."""
    level = exposure.keyword("BKGLEVEL")
    return 0.0 if level is None or exposure.keyword("BKGSUB") else level


def _write(grid, result, headers, rows, path, params: "Combination"):
    settings = params.resample
    blended = blend_headers(headers, [row.group for row in rows])
    if not settings["blendheaders"]:
        primary, science = headers[0]
        blended = {"PRIMARY": primary.copy(), "SCI": science.copy()}
    record_origin_in(blended["PRIMARY"], params.origin)
    regions = grid_footprint([row.footprint for row in rows], grid)
    record_grid(blended, grid, regions, settings["weight_type"], settings["pixfrac"])
    planes = {name.upper(): getattr(result, name) for name in EXTENSIONS if getattr(result, name) is not None}
    extensions = blended | ({"ERR": _unit(blended["SCI"])} if "ERR" in planes else {})
    others = [header_table(headers)] if settings["blendheaders"] else []
    write_product(path, blended["PRIMARY"], planes, extensions, others, grid_to_bytes(grid), Writing(**params.writing))


def _unit(science):
    """Return a header with the unit of SCI alone, for the error."""
    header = type(science)()
    if "BUNIT" in science:
        header["BUNIT"] = (science["BUNIT"], science.comments["BUNIT"])
    return header


if "snakemake" in globals():
    run(combine, snakemake)
