"""Grid files: the pixels of a combined image, as JSON."""

from pathlib import Path
from typing import Any

from calflow.files.asdf_files import read_tree
from calflow.files.geometry_files import read_json, write_json
from calflow.science.geometry.output_grid import OutputGrid
from calflow.science.geometry.tan_projection import TanProjection


def write_grid(path: Path, grid: OutputGrid) -> None:
    """Write an output grid. Of one that is no TAN projection the file that describes it has to be given again.

    Parameters
    ----------
    path : Path
    grid : OutputGrid
    """
    projection = grid.projection
    write_json(
        path,
        {
            "shape": list(grid.shape),
            "pixel_scale": grid.pixel_scale,
            "pixel_scale_ratio": grid.pixel_scale_ratio,
            "box": [list(interval) for interval in grid.box],
            "projection": projection and {"type": "TAN", **vars(projection)},
        },
    )


def read_grid(path: Path, user_file: Path | None = None) -> OutputGrid:
    """Read an output grid.

    Parameters
    ----------
    path : Path
    user_file : Path or None
        The user's ASDF file, which describes a grid that is no TAN projection.
    """
    tree = read_json(path)
    found = tree["projection"]
    projection = found and TanProjection(
        crpix=tuple(found["crpix"]),
        crval=tuple(found["crval"]),
        cdelt=found["cdelt"],
        pc=tuple(map(tuple, found["pc"])),  # type: ignore[arg-type]
    )
    return OutputGrid(
        shape=tuple(tree["shape"]),
        pixel_scale=tree["pixel_scale"],
        pixel_scale_ratio=tree["pixel_scale_ratio"],
        box=tuple(map(tuple, tree["box"])),  # type: ignore[arg-type]
        projection=projection,
        user_wcs=None if projection or user_file is None else _user_wcs(user_file, tree),
    )


def _user_wcs(path: Path, grid: dict[str, Any]) -> Any:
    """Return the user's gwcs with the shape and the bounding box that were found for it."""
    wcs = read_tree(path)["wcs"]
    wcs.array_shape = tuple(grid["shape"])
    wcs.bounding_box = tuple(map(tuple, grid["box"]))
    return wcs
