"""Find which pixels of each exposure of an association others overlap, for the matching of the sky."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.alignment_tables import find_row, read_alignment, read_corrected_geometry
from calflow.files.geometry_files import write_json
from calflow.job import run
from calflow.science.geometry.geometry import outline
from calflow.science.geometry.sky_fields import circles_around
from calflow.science.sky.sky_overlaps import pixel_overlaps

if TYPE_CHECKING:
    from calflow.jobs.sky import Overlapping


def find_overlaps(input, output, params: "Overlapping"):
    """Write of each exposure its group, whether it is used, and its overlaps with other groups as polygons in pixels.

    What stands there of an exposure is all that its measurement depends on, besides its pixels.
    """
    rows = [replace(row, group=params.groups.get(row.exposure, row.group)) for row in read_alignment(input.alignment)]
    used = [row for row in rows if row.used] if params.skymethod in ("match", "global+match") else []
    circles = circles_around(np.array([row.footprint for row in used])) if used else ()
    tree = {}
    for exposure, path in zip(params.exposures, input.geometries, strict=True):
        own = find_row(rows, exposure)
        overlaps = _overlaps(read_corrected_geometry(path, own), own, used, circles, params.stepsize) if used else {}
        tree[exposure] = {"group": own.group, "used": own.used, "overlaps": overlaps if own.used else {}}
    write_json(Path(output.overlaps), tree)


def _overlaps(geometry, own, used, circles, stepsize):
    """Return the overlaps of an exposure with other groups, as lists of vertices x, y."""
    footprint, (directions, radii) = outline(geometry, stepsize), circles
    (direction,), (radius,) = circles_around(footprint[None])
    # Of hundreds of exposures few are near; one without a position is not far, and is told of.
    far = np.linalg.norm(directions - direction, axis=-1) > radii + radius
    others: dict[str, list] = {}
    for row, is_far in zip(used, far, strict=True):
        if row.group != own.group and not is_far:
            others.setdefault(row.group, []).append(row.footprint)
    overlaps = pixel_overlaps(footprint, others, geometry.pixel)
    return {group: [corners.tolist() for corners in polygons] for group, polygons in overlaps.items()}


if "snakemake" in globals():
    run(find_overlaps, snakemake)
