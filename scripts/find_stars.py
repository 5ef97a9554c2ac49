"""Find the stars of an exposure. Makes the star list of ``_cal``."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.exposure import read_planes
from calflow.files.geometry_files import read_geometry
from calflow.files.star_lists import write_star_list
from calflow.job import run
from calflow.patches import start_photutils
from calflow.science.dq_flags import DO_NOT_USE, NON_SCIENCE
from calflow.science.stars.star_finding import StarList, find_stars

if TYPE_CHECKING:
    from calflow.jobs.alignment import Finding

log = logging.getLogger(__name__)


def find(input, output, params: "Finding"):
    """Write the stars; none if nobody needs them."""
    stars = StarList(*np.empty((3, 0)))
    if params.finder:
        start_photutils()
        sci, dq = read_planes(input.cal, "SCI", "DQ")
        mask = (dq & (DO_NOT_USE | NON_SCIENCE)) != 0
        stars = find_stars(sci, mask, bounds=read_geometry(input.geometry).bounds, **params.finder)
        log.info("%d stars", len(stars))
    write_star_list(Path(output.stars), stars)


if "snakemake" in globals():
    run(find, snakemake)
