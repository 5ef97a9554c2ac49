"""Fetch the astrometric catalogue (Gaia) that an association is aligned to. No other job needs a network."""

import logging
from pathlib import Path

import numpy as np

from calflow.files.geometry_files import read_geometry
from calflow.job import run
from calflow.web.astrometric_catalogs import cone_around, fetch_catalog, write_astrometric_catalog

log = logging.getLogger(__name__)


def fetch(input, output, params):
    """Write the stars in the cone around all exposures. That there are too few is for the alignment to say."""
    cone = cone_around(np.array([read_geometry(path).footprint() for path in input.geometries]))
    log.info("%s at %.4f, within %.5f deg of %.6f %+.6f", params.catalog, params.epoch, cone.radius, cone.ra, cone.dec)
    catalog = fetch_catalog(params.catalog, cone, params.epoch, params.url, params.retries)
    write_astrometric_catalog(Path(output.catalog), catalog)


if "snakemake" in globals():
    run(fetch, snakemake)
