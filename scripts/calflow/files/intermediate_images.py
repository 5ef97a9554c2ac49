"""The intermediate images of the outlier search, which are kept on request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calflow.files.exposure import write_product
from calflow.files.tan_asdf import grid_to_bytes
from calflow.science.geometry.output_grid import OutputGrid


def save_on_grid(
    path: Path, grid: OutputGrid, planes: Mapping[str, np.ndarray], origin: tuple[int, int] = (0, 0)
) -> None:
    """Write images that cover a part of a grid, on the whole grid with its WCS.

    Parameters
    ----------
    path : Path
    grid : OutputGrid
    planes : mapping of extension name to float32 array
        Beyond them SCI is NaN, anything else 0.
    origin : (y0, x0)
        Where their first pixel lies on the grid.
    """
    full = {}
    for name, plane in planes.items():
        full[name] = np.full(grid.shape, np.nan if name == "SCI" else 0, np.float32)
        (y0, x0), (ny, nx) = origin, plane.shape
        full[name][y0 : y0 + ny, x0 : x0 + nx] = plane
    if grid.projection is None:
        raise ValueError("the grid of the outlier search is a TAN projection")
    header = fits.Header()
    for keyword, value in grid.projection.keywords().items():
        header[keyword] = value
    save_image(path, full, header, grid_to_bytes(grid))


def save_image(path: Path, planes: Mapping[str, np.ndarray], science: fits.Header, wcs: Any = None) -> None:
    """Write an image with no more than its WCS.

    Parameters
    ----------
    path : Path
    planes : mapping of str to float32 array, shape (ny, nx)
        By the names of their extensions.
    science : astropy Header
        The SCI header that the keywords of the WCS are taken from.
    wcs : gwcs.WCS, bytes or None
        As of `write_product`.
    """
    primary = fits.Header()
    primary["DATAMODL"] = ("ImageModel", "Type of data model")
    write_product(path, primary, planes, {"SCI": science}, wcs=wcs)
