"""Large images in pieces, each some of the rows, that jobs of their own combine: which exposures may reach each."""

import math
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from calflow.configuration.stage3 import CombinedResample
from calflow.inputs.exposure_footprints import REACH, UNCERTAINTY, Footprint
from calflow.science.combination.combination_parameters import LEAST_BAND_ROWS, rows_of_piece
from calflow.science.geometry.output_grid import OutputGrid

Pieces = tuple[tuple[int, ...], ...]


def pieces_of(
    resample: CombinedResample,
    shape: tuple[int, int],
    grid: OutputGrid | None,
    footprints: Sequence[Footprint],
) -> Pieces:
    """Return the pieces of an image, each as the numbers of the exposures that may reach it; none if it is made whole.

    Parameters
    ----------
    resample : CombinedResample
    shape : (ny, nx)
        Of the image, as headers tell.
    grid : OutputGrid or None
        Its grid, alike. None: each exposure may reach each piece.
    footprints : sequence of Footprint
        Of the exposures.
    """
    limit, (ny, nx) = resample.piece_pixels, shape
    if limit is None or ny * nx <= limit or not resample.works_in_bands or find_spec("numba") is None:
        return ()
    number = min(math.ceil(ny * nx / limit), ny // LEAST_BAND_ROWS)
    if number < 2:
        return ()
    if grid is None:
        return (tuple(range(len(footprints))),) * number
    lowest, highest = np.array([_rows(grid, footprint) for footprint in footprints]).T
    pieces = [rows_of_piece(ny, piece, number) for piece in range(number)]
    return tuple(tuple(np.flatnonzero((highest >= p.start) & (lowest <= p.stop)).tolist()) for p in pieces)


def _rows(grid: OutputGrid, footprint: Footprint) -> tuple[float, float]:
    """Return between which rows of a grid an exposure may lie, whatever comes of its alignment and that of others."""
    rows = grid.to_pixel(footprint.vertices)[:, 1]
    margin = UNCERTAINTY * float(np.ptp(rows)) + REACH / grid.pixel_scale
    return float(rows.min()) - margin, float(rows.max()) + margin
