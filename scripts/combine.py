"""Combine the exposures of an association on one grid. Makes ``_i2d`` of ``_crf``, an exposure and a band at a time."""

import logging
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.alignment_tables import find_row, read_alignment, read_corrected_geometry
from calflow.files.blended_headers import blend_headers
from calflow.files.combined_image import writing_combined
from calflow.files.grid_files import read_grid
from calflow.files.grid_keywords import record_grid
from calflow.files.header_table import header_table
from calflow.files.keywords import STATUS, exposure_time, record_origin_in, record_status
from calflow.files.placed_exposure import PlacedExposure
from calflow.files.tan_asdf import grid_to_bytes
from calflow.files.writing import Writing
from calflow.job import UnusableExposure, arguments_of, remark, remark_on, run
from calflow.science.combination.resample import Resampler
from calflow.science.geometry.output_grid import grid_footprint

if TYPE_CHECKING:
    from calflow.jobs.combination import Combination

log = logging.getLogger(__name__)


def combine(input, output, params: "Combination"):
    """Drizzle the exposures one after the other, band after band of the grid, and write it with the headers of all."""
    settings = params.resample
    grid = read_grid(input.grid, input.get("output_wcs"))
    rows, members = _members(input, grid, params)
    if params.common_grid:
        # Associations that share a grid have pixels of their own.
        grid = replace(grid, pixel_scale_ratio=grid.pixel_scale / members[0].geometry.input_pixels().area ** 0.5)
    options = {"pixel_scale_ratio": grid.pixel_scale_ratio, "n_images": len(members)}
    resampler = Resampler(grid.shape, **arguments_of(Resampler, settings) | options)
    bands = resampler.bands(prod(members[0].geometry.shape))
    adds: dict[Path, bool] = {}  # whether any pixel has weight, of those that reach the grid
    has_data, write, empty = False, None, list[slice]()
    with ExitStack() as stack:
        for band in chain(bands, empty):
            resampler.start(band)
            for number, member in enumerate(members):
                if len(bands) == 1 or member.reaches(band):
                    _add(resampler, number, member, None if len(bands) == 1 else band, adds)
            if not adds:  # which planes there are, the first exposure tells
                if band in empty:
                    break
                empty.append(band)
                continue
            result = resampler.finish()
            has_data = has_data or bool(np.any(result.wht))
            write = write or stack.enter_context(_written(grid, result, members, rows, Path(output.i2d), params))
            write(result, band)
            del result  # the next band has no room for it
        if not has_data:
            raise UnusableExposure("no pixel of the output grid gets data: it lies elsewhere, or no pixel has weight")
    for path in [path for path, has_weight in adds.items() if not has_weight]:
        remark("resample", "COMPLETE", str(path), "adds nothing: no pixel has a value and weight (DQ, VAR_RNOISE)")


def _members(input, grid, params: "Combination"):
    """Return the rows of the alignment table of the exposures that are used, and these on the grid."""
    table = read_alignment(input.alignment)
    mapping = params.resample["pixmap_stepsize"], params.resample["pixmap_order"]
    rows, members = [], []
    for path, geometry, (root, _) in zip(input.exposures, input.geometries, params.members, strict=True):
        row = find_row(table, root)
        if row.used:
            rows.append(row)
            geometry = read_corrected_geometry(geometry, row)
            prepare = partial(_complete_status, row=row, params=params)
            members.append(PlacedExposure(path, geometry, grid, *mapping, prepare))
    return rows, members


def _add(resampler, number, member, band, adds):
    """Add an exposure, or those of its rows that reach a band; note whether any pixel of it has weight."""
    placed = member.whole() if band is None else member.reaching(band)
    if placed is None:
        return
    exposure, path = placed.exposure, member.path
    if path not in adds:
        remark_on(exposure, "resample", str(path))
        log.info("add %s", path)
    options = {"sky": _remaining_sky(exposure), "bounds": placed.bounds, "number": number, "limits": placed.limits}
    try:
        has = resampler.add(exposure.image, placed.pixmap, exposure_time=exposure_time(exposure), **options)
    except ValueError as error:  # which of them it is, nobody could tell from the reason alone
        raise ValueError(f"{path}: {error}") from error
    adds[path] = has or adds.get(path, False)


def _complete_status(exposure, row, params: "Combination"):
    """Record what became of the steps before, for a single exposure that comes without a ``_crf``."""
    for step, status in {params.alignment_step: row.status, **params.status}.items():
        if STATUS[step][0] not in exposure.primary:
            record_status(exposure, step, status)


def _remaining_sky(exposure):
    """Return the sky level that was found but not subtracted."""
    level = exposure.keyword("BKGLEVEL")
    return 0.0 if level is None or exposure.keyword("BKGSUB") else level


def _written(grid, result, members, rows, path, params: "Combination"):
    """Begin to write an image whose planes are those of a first band."""
    settings, headers = params.resample, [member.headers() for member in members]
    blended = blend_headers(headers, [row.group for row in rows])
    if not settings["blendheaders"]:
        primary, science = headers[0]
        blended = {"PRIMARY": primary.copy(), "SCI": science.copy()}
    record_origin_in(blended["PRIMARY"], params.origin)
    regions = grid_footprint([row.footprint for row in rows], grid)
    record_grid(blended, grid, regions, settings["weight_type"], settings["pixfrac"])
    others = [header_table(headers)] if settings["blendheaders"] else []
    wcs, writing = grid_to_bytes(grid), Writing(**params.writing)
    return writing_combined(path, result, grid.shape, blended, others, wcs, writing)


if "snakemake" in globals():
    run(combine, snakemake)
