"""Measure the sky of an exposure, in all of it and where it overlaps with others."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.alignment_tables import find_row, read_alignment, read_corrected_geometry
from calflow.files.exposure import read_planes
from calflow.files.geometry_files import write_json
from calflow.job import arguments_of, run
from calflow.science.dq_flags import bad_pixels
from calflow.science.geometry.geometry import outline
from calflow.science.sky.sky_overlaps import exposure_sky
from calflow.science.sky.sky_statistics import sky_statistic

if TYPE_CHECKING:
    from calflow.jobs.sky import Measuring


def measure_sky(input, output, params: "Measuring"):
    """Write the sky level and the number of pixels, in all and per overlapping group."""
    settings = params.skymatch
    rows = read_alignment(input.alignment)
    own = find_row(rows, params.exposure)
    others: dict[str, list] = {}
    if settings["skymethod"] in ("match", "global+match") and own.used:
        for row in rows:
            if row.group != own.group and row.used:
                others.setdefault(row.group, []).append(row.footprint)
    sci, dq = read_planes(input.cal, "SCI", "DQ")
    usable = ~bad_pixels(dq, settings["dqbits"]) & np.isfinite(sci)
    geometry = read_corrected_geometry(input.geometry, own)
    sky = exposure_sky(
        sci,
        usable,
        outline(geometry, settings["stepsize"]),
        others,
        geometry.pixel,
        partial(sky_statistic, **arguments_of(sky_statistic, settings)),
    )
    write_json(
        Path(output.sky),
        {
            "exposure": own.exposure,
            "group": own.group,
            "whole": _plain(sky.whole) if own.used else None,
            "overlaps": {group: _plain(found) for group, found in sky.overlaps.items()},
        },
    )


def _plain(found):
    return found and {"value": float(found.value), "n": int(found.n)}


if "snakemake" in globals():
    run(measure_sky, snakemake)
