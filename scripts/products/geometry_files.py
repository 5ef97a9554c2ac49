"""Small JSON files between the jobs of stage 3: the geometry of an exposure, and the output grid."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from products.exposure import replacing
from steps.geometry import Geometry
from steps.output_grid import InputPixels, OutputGrid
from steps.smooth_map import SmoothMap
from steps.tan_projection import TanProjection


def write_json(path: Path, tree: dict[str, Any]) -> None:
    """Write a JSON file, complete or not at all. Numbers are read again as they were."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(tree, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())


def write_geometry(path: Path, geometry: Geometry) -> None:
    """Write the uncorrected geometry of an exposure."""
    maps = {name: _map_to_tree(getattr(geometry, name)) for name in ("detector_to_plane", "plane_to_detector")}
    pixels = vars(geometry.pixels)
    write_json(path, {"shape": list(geometry.shape), "centre": list(geometry.centre), "pixels": pixels, **maps})


def read_geometry(path: Path) -> Geometry:
    """Read the uncorrected geometry of an exposure."""
    tree = read_json(path)
    forward, inverse = (_map_from_tree(tree[name]) for name in ("detector_to_plane", "plane_to_detector"))
    return Geometry(tuple(tree["shape"]), tuple(tree["centre"]), forward, inverse, InputPixels(**tree["pixels"]))


def write_grid(path: Path, grid: OutputGrid) -> None:
    """Write an output grid. Of one that is no TAN projection the file that describes it has to be given again."""
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


def read_grid(path: Path, user_wcs: Any = None) -> OutputGrid:
    """Read an output grid.

    Parameters
    ----------
    path : Path
    user_wcs : gwcs.WCS or None
        What describes a grid that is no TAN projection.
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
        user_wcs=None if projection else user_wcs,
    )


def _map_to_tree(mapping: SmoothMap) -> dict[str, Any]:
    return {
        "x_range": list(mapping.x_range),
        "y_range": list(mapping.y_range),
        "coefficients": mapping.coefficients.tolist(),
    }


def _map_from_tree(tree: dict[str, Any]) -> SmoothMap:
    return SmoothMap(tuple(tree["x_range"]), tuple(tree["y_range"]), np.array(tree["coefficients"]))
