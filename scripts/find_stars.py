"""Describe where an exposure's pixels lie on the sky, and find its stars. Reads ``_cal``."""

import logging
from pathlib import Path

import numpy as np

from job import run
from products.exposure import read_exposure
from products.geometry_files import write_geometry
from products.keywords import pointing
from products.star_lists import write_star_list
from steps.dq_flags import DO_NOT_USE, NON_SCIENCE
from steps.geometry import geometry_of
from steps.star_finding import StarList, find_stars

log = logging.getLogger(__name__)


def measure(input, output, params):
    """Write the geometry, and the stars if they are wanted."""
    exposure = read_exposure(input.cal, with_wcs=True)
    looks_at = pointing(exposure)
    geometry = geometry_of(exposure.wcs, exposure.image.sci.shape, (looks_at.ra_ref, looks_at.dec_ref))
    stars = StarList(*np.empty((3, 0)))
    if params.finder:
        mask = (exposure.image.dq & (DO_NOT_USE | NON_SCIENCE)) != 0
        stars = find_stars(exposure.image.sci, mask, bounds=geometry.bounds, **params.finder)
        log.info("%d stars", len(stars))
    write_star_list(Path(output.stars), stars)
    write_geometry(Path(output.geometry), geometry)


if "snakemake" in globals():
    run(measure, snakemake)
