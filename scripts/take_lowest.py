"""Take the lowest of the resampled groups, of four and more the second lowest, pixel by pixel."""

from pathlib import Path

import numpy as np

from calflow.files.geometry_files import read_json
from calflow.files.grid_files import read_grid
from calflow.job import run
from calflow.science.combination.cosmic_rays import lowest_of_groups
from calflow.whole_files import replacing

# Of the grid and of one group in memory.
ROWS_AT_A_TIME = 256


def take_lowest(input, output, params):
    """Write the lowest on the whole grid, some rows after the others, a file that can be mapped into memory."""
    origins = [read_json(window) for window in input.windows]
    corners = [(origin["y0"], origin["x0"]) for origin in origins]
    shape = read_grid(input.grid).shape if input.get("grid") else np.load(input.layers[0], mmap_mode="r").shape
    with replacing(Path(output.lowest)) as partial, open(partial, "wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for row in range(0, shape[0], ROWS_AT_A_TIME):
            rows = min(ROWS_AT_A_TIME, shape[0] - row)
            file.write(lowest_of_groups(_read(input.layers, corners, row, rows), (rows, shape[1])).tobytes())


def _read(paths, corners, row, rows):
    """Read what each group has of some rows of the grid; one file is open at a time."""
    for path, (y0, x0) in zip(paths, corners, strict=True):
        first = max(0, row - y0)
        yield np.array(np.load(path, mmap_mode="r")[first : max(0, row + rows - y0)]), (max(y0 - row, 0), x0)


if "snakemake" in globals():
    run(take_lowest, snakemake)
