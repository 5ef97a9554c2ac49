"""Geometry files: where the pixels of an exposure lie, as JSON. And JSON files between jobs in general."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from calflow.science.geometry.geometry import Geometry
from calflow.science.geometry.input_pixels import InputPixels
from calflow.science.geometry.smooth_map import SmoothMap
from calflow.whole_files import replacing


def write_json(path: Path, tree: dict[str, Any]) -> None:
    """Write a JSON file, complete or not at all. Numbers are read again as they were.

    Parameters
    ----------
    path : Path
    tree : dict
        Of what JSON can hold.
    """
    with replacing(path) as partial:
        partial.write_text(json.dumps(tree, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file.

    Parameters
    ----------
    path : Path
    """
    return json.loads(Path(path).read_text())


def write_geometry(path: Path, geometry: Geometry) -> None:
    """Write the uncorrected geometry of an exposure.

    Parameters
    ----------
    path : Path
    geometry : Geometry
        Without a correction.
    """
    maps = {name: _map_to_tree(getattr(geometry, name)) for name in ("detector_to_plane", "plane_to_detector")}
    pixels = vars(geometry.pixels)
    write_json(path, {"shape": list(geometry.shape), "centre": list(geometry.centre), "pixels": pixels, **maps})


def read_geometry(path: Path) -> Geometry:
    """Read the uncorrected geometry of an exposure.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        If it has none, with the reason.
    """
    tree = read_json(path)
    if "none" in tree:
        raise ValueError(f"it is not known where the pixels lie on the sky ({path}): {tree['none']}")
    forward, inverse = (_map_from_tree(tree[name]) for name in ("detector_to_plane", "plane_to_detector"))
    return Geometry(tuple(tree["shape"]), tuple(tree["centre"]), forward, inverse, InputPixels(**tree["pixels"]))


def _map_to_tree(mapping: SmoothMap) -> dict[str, Any]:
    return {
        "x_range": list(mapping.x_range),
        "y_range": list(mapping.y_range),
        "coefficients": mapping.coefficients.tolist(),
    }


def _map_from_tree(tree: dict[str, Any]) -> SmoothMap:
    return SmoothMap(tuple(tree["x_range"]), tuple(tree["y_range"]), np.array(tree["coefficients"]))
