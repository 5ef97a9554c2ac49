"""Measure the sky of an exposure, in all of it and where it overlaps with others."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.exposure import read_planes
from calflow.files.geometry_files import read_json, write_json
from calflow.job import arguments_of, run
from calflow.science.dq_flags import bad_pixels
from calflow.science.sky.sky_overlaps import exposure_sky
from calflow.science.sky.sky_statistics import sky_statistic

if TYPE_CHECKING:
    from calflow.jobs.sky import Measuring


def measure_sky(input, output, params: "Measuring"):
    """Write the sky level and the number of pixels, in all and per overlapping group."""
    settings = params.skymatch
    own = read_json(input.overlaps)[params.exposure]  # of the others nothing counts: `jobs.sky` says so
    sci, dq = read_planes(input.cal, "SCI", "DQ")
    usable = ~bad_pixels(dq, settings["dqbits"]) & np.isfinite(sci)
    sky = exposure_sky(
        sci,
        usable,
        {group: [np.array(corners) for corners in polygons] for group, polygons in own["overlaps"].items()},
        partial(sky_statistic, **arguments_of(sky_statistic, settings)),
    )
    write_json(
        Path(output.sky),
        {
            "exposure": params.exposure,
            "group": own["group"],
            "whole": _plain(sky.whole) if own["used"] else None,
            "overlaps": {group: _plain(found) for group, found in sky.overlaps.items()},
        },
    )


def _plain(found):
    return found and {"value": float(found.value), "n": int(found.n)}


if "snakemake" in globals():
    run(measure_sky, snakemake)
