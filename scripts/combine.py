"""Combine the exposures of an association on one grid. Makes ``_i2d`` of ``_crf``, an exposure and a band at a time."""

import logging
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import calflow.one_thread  # noqa: F401
from calflow.files.alignment_tables import find_row, read_alignment, read_corrected_geometry
from calflow.files.blended_headers import blend_headers
from calflow.files.combined_image import GrowingImage
from calflow.files.grid_files import read_grid
from calflow.files.grid_keywords import record_grid
from calflow.files.header_table import header_table
from calflow.files.keywords import STATUS, exposure_time, record_origin_in, record_status
from calflow.files.placed_exposure import PlacedExposure
from calflow.files.tan_asdf import grid_to_bytes
from calflow.files.writing import Writing
from calflow.job import UnusableExposure, arguments_of, remark, remark_on, run
from calflow.science.combination.combination_parameters import bands_at_once
from calflow.science.combination.resample import Resampler
from calflow.science.geometry.output_grid import grid_footprint
from calflow.science.threads import in_threads

if TYPE_CHECKING:
    from calflow.jobs.combination import Combination

log = logging.getLogger(__name__)


def combine(input, output, params: "Combination", threads: int = 1):
    """Drizzle the exposures one after the other on bands of the grid, some at once, and write it with all headers."""
    settings = params.resample
    grid = read_grid(input.grid, input.get("output_wcs"))
    rows, members = _members(input, grid, params)
    if params.common_grid:
        # Associations that share a grid have pixels of their own.
        grid = replace(grid, pixel_scale_ratio=grid.pixel_scale / members[0].geometry.input_pixels().area ** 0.5)
    at_once = bands_at_once(grid.shape, threads)
    sizes = {"pixel_scale_ratio": grid.pixel_scale_ratio, "n_images": len(members), "threads": threads // at_once}
    resampler = Resampler(grid.shape, **arguments_of(Resampler, settings) | sizes)
    bands, rows_of_grid = resampler.bands(prod(members[0].geometry.shape)), slice(0, grid.shape[0])
    begin, writing = partial(_headers, grid, members, rows, params), Writing(**params.writing)
    with GrowingImage(Path(output.i2d), grid.shape, begin, grid_to_bytes(grid), writing) as image:
        combine_band = partial(_combine_band, resampler, members, image, {}, in_bands=len(bands) > 1)
        if len(bands) > 1 and at_once > 1:
            in_threads(PlacedExposure.prepare, [m for m in members if m.reaches(rows_of_grid)], at_once)
        adds = in_threads(combine_band, bands, at_once, meanwhile=image.prepare)
        if not image.has_data:
            raise UnusableExposure("no pixel of the output grid gets data: it lies elsewhere, or no pixel has weight")
        empty = [band for band, added in zip(bands, adds, strict=True) if not added]
        in_threads(lambda band: image.write(resampler.band(band).finish(), band), empty, at_once)
    for path in dict.fromkeys(path for added in adds for path in added):
        if not any(added.get(path) for added in adds):
            remark("resample", "COMPLETE", str(path), "adds nothing: no pixel has a value and weight (DQ, VAR_RNOISE)")


def _combine_band(resampler, members, image, seen, band, *, in_bands) -> dict[Path, bool]:
    """Combine and write a band of the grid, if any exposure reaches it; return whether any pixel of each has weight."""
    sums, adds = resampler.band(band), dict[Path, bool]()
    for number, member in enumerate(members):
        if not in_bands or member.reaches(band):
            _add(sums, number, member, band if in_bands else None, adds, seen)
    if adds:
        image.write(sums.finish(), band)
    return adds


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


def _add(sums, number, member, band, adds, seen):
    """Add an exposure, or those of its rows that reach a band; note whether any pixel of it has weight."""
    placed = member.whole() if band is None else member.reaching(band)
    if placed is None:
        return
    exposure, path = placed.exposure, member.path
    if seen.setdefault(path, band) == band:  # of all bands the first
        remark_on(exposure, "resample", str(path))
        log.info("add %s", path)
    options = {"sky": _remaining_sky(exposure), "bounds": placed.bounds, "number": number, "limits": placed.limits}
    try:
        has = sums.add(exposure.image, placed.pixmap, exposure_time=exposure_time(exposure), **options)
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


def _headers(grid, members, rows, params: "Combination"):
    """Return the headers of the image, and the table with those of all exposures, if it is wanted."""
    settings, headers = params.resample, [member.headers() for member in members]
    blended = blend_headers(headers, [row.group for row in rows])
    if not settings["blendheaders"]:
        primary, science = headers[0]
        blended = {"PRIMARY": primary.copy(), "SCI": science.copy()}
    record_origin_in(blended["PRIMARY"], params.origin)
    regions = grid_footprint([row.footprint for row in rows], grid)
    record_grid(blended, grid, regions, settings["weight_type"], settings["pixfrac"])
    return blended, [header_table(headers)] if settings["blendheaders"] else []


if "snakemake" in globals():
    run(partial(combine, threads=snakemake.threads), snakemake)
