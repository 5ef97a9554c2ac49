"""Combine the exposures of an association on one grid. Makes ``_i2d`` of ``_crf``, an exposure and a band at a time.

A large image is put together from pieces, each some of its rows, that ``combine_piece.py`` has made.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import calflow.one_thread  # noqa: F401
from calflow.files.blended_headers import blend_headers
from calflow.files.combined_image import GrowingImage
from calflow.files.combining import begin_combining
from calflow.files.grid_keywords import record_grid
from calflow.files.header_table import header_table
from calflow.files.keywords import record_origin_in
from calflow.files.tan_asdf import grid_to_bytes
from calflow.files.writing import Writing
from calflow.job import UnusableExposure, arguments_of, remark, remark_on, run
from calflow.science.combination.resample import Resampler
from calflow.science.geometry.output_grid import grid_footprint

if TYPE_CHECKING:
    from calflow.jobs.combination import Combination


def combine(input, output, params: "Combination", threads: int = 1):
    """Write the image with all headers: drizzled here, or put together from its pieces."""
    resampling, begin = arguments_of(Resampler, params.resample), partial(remark_on, step="resample")
    combining, grid, rows = begin_combining(input, params, dict(enumerate(input.exposures)), resampling, threads, begin)
    headers, writing = partial(_headers, grid, combining.members, rows, params), Writing(**params.writing)
    with GrowingImage(Path(output.i2d), grid.shape, headers, grid_to_bytes(grid), writing) as image:
        if params.pieces:
            combining.put_together(image, list(map(Path, input.pieces)), list(map(Path, input.facts)))
        else:
            combining.drizzle(image)
        if not image.has_data:
            raise UnusableExposure("no pixel of the output grid gets data: it lies elsewhere, or no pixel has weight")
        combining.fill(image)
    for path, has in combining.adds.items():
        if not has:
            remark("resample", "COMPLETE", path, "adds nothing: no pixel has a value and weight (DQ, VAR_RNOISE)")


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
