"""Combine the exposures of an association on some rows of its grid. Makes a piece of ``_i2d`` of ``_crf``."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import calflow.one_thread  # noqa: F401
from calflow.files.combined_image import GrowingImage, write_no_planes
from calflow.files.combining import begin_combining
from calflow.job import UnusableExposure, arguments_of, remark_on, run
from calflow.science.combination.combination_parameters import rows_of_piece
from calflow.science.combination.resample import Resampler

if TYPE_CHECKING:
    from calflow.jobs.combination import Piece


def combine_piece(input, output, params: "Piece", threads: int = 1):
    """Drizzle the rows, and write what has to be known of them; where nothing has weight, the file has no planes."""
    exposures = dict(zip(params.numbers, input.exposures, strict=True))
    resampling, begin = arguments_of(Resampler, params.resample), partial(remark_on, step="resample")
    combining, grid, rows = begin_combining(input, params, exposures, resampling, threads, begin)
    (ny, nx), path = grid.shape, Path(output.piece)
    piece = rows_of_piece(ny, params.piece, params.pieces)
    for row, member in zip(rows, combining.members, strict=True):
        if member.path is None and member.reaches(piece):
            reached = f"reaches rows {piece.start} to {piece.stop} of the image, far from where its header says it lies"
            raise UnusableExposure(f"{row.exposure} {reached}; set stage3.resample.piece_pixels to null")
    with GrowingImage.piece(path, (piece.stop - piece.start, nx)) as image:
        combining.drizzle(image, piece)
        if image.has_data:
            combining.fill(image, piece.start)
    if not image.has_data:
        write_no_planes(path)
    combining.write_facts(Path(output.facts), image.has_data)


if "snakemake" in globals():
    run(partial(combine_piece, threads=snakemake.threads), snakemake)
