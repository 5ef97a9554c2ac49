"""Lay the output grid over the corrected footprints of one or more associations, or take the user's."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.alignment_tables import read_alignment, read_corrected_geometry
from calflow.files.asdf_files import read_tree
from calflow.files.exposure import keyword
from calflow.files.grid_files import write_grid
from calflow.job import UnusableExposure, run
from calflow.science.geometry.footprints import S_REGION_DECIMALS
from calflow.science.geometry.output_grid import check_size, far_footprints, grid_from_footprints, grid_from_wcs

if TYPE_CHECKING:
    from calflow.jobs.alignment import Grid


def lay_grid(input, output, params: "Grid"):
    """Write the grid; refuse one that is absurdly large, and name the exposure that makes it so."""
    rows = [row for path in input.alignments for row in read_alignment(path)]
    geometry = read_corrected_geometry(input.first, rows[0])
    pixels, used = geometry.input_pixels(), [row for row in rows if row.used]
    if not used:
        raise UnusableExposure("no exposure is left: all were dropped, because they could not be aligned")
    if input.get("output_wcs"):
        area = keyword(input.cal, "PIXAR_A2") or pixels.area
        grid = grid_from_wcs(read_tree(input.output_wcs), area, output_shape=params.grid["output_shape"])
    else:
        # With the decimals of S_REGION, as in jwst: unrounded, the grid would differ by 1e-4 pixel.
        footprints = [np.round(row.footprint, S_REGION_DECIMALS) for row in used]
        grid = grid_from_footprints(footprints, pixels, **params.grid)
    try:
        check_size(grid.shape, params.max_pixels)
    except ValueError as error:
        culprits = far_footprints({row.exposure: row.footprint for row in used})
        far = f"; far from the others: {', '.join(culprits)}" if culprits else ""
        raise UnusableExposure(f"{error}{far}") from None
    write_grid(Path(output.grid), grid)


if "snakemake" in globals():
    run(lay_grid, snakemake)
