"""Take the median of the resampled groups, pixel by pixel. Memory does not depend on their number."""

from functools import partial
from pathlib import Path

import numpy as np

from calflow.files.geometry_files import read_json
from calflow.files.grid_files import read_grid
from calflow.files.intermediate_images import save_on_grid
from calflow.job import run
from calflow.science.combination.median import median_of_groups
from calflow.whole_files import replacing


class LayerFile:
    """A layer in a file that is open only while a part of it is read.

    A process may have no more than 256 (macOS) or 1024 files open at once.
    """

    def __init__(self, path):
        layer = np.load(path, mmap_mode="r")
        self._path, self._dtype, self._offset, self.shape = path, layer.dtype, layer.offset, layer.shape

    def __getitem__(self, part):
        return np.memmap(self._path, self._dtype, "r", self._offset, self.shape)[part]


class MedianFile:
    """A new file with an image, of which rows are written; those that are written take no memory.

    Several threads may write at the same time.
    """

    def __init__(self, path, shape):
        image = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        self._path, self.dtype, self._offset, self.shape = path, image.dtype, image.offset, image.shape

    def __setitem__(self, rows, values):
        np.memmap(self._path, self.dtype, "r+", self._offset, self.shape)[rows] = values


def take_median(input, output, params, threads: int = 1):
    """Write the median on the whole grid, a file that can be mapped into memory."""
    layers = []
    for path, window in zip(input.layers, input.windows, strict=True):
        origin = read_json(window)
        layers.append((LayerFile(path), (origin["y0"], origin["x0"])))
    shape = read_grid(input.grid).shape if input.get("grid") else layers[0][0].shape
    with replacing(Path(output.median)) as incomplete:
        median_of_groups(layers, shape, out=MedianFile(incomplete, shape), threads=threads)
        if output.get("median_image") and input.get("grid"):
            median = np.load(incomplete, mmap_mode="r")
            save_on_grid(Path(output.median_image), read_grid(input.grid), {"SCI": median})


if "snakemake" in globals():
    run(partial(take_median, threads=snakemake.threads), snakemake)
