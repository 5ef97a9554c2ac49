"""Mask the sources that combined images show, in the pixels of an exposure. Makes ``_sources.fits``.

If a step takes the light of the images off, it is there, too, as LIGHT.
"""

import logging
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from calflow.files.alignment_tables import find_row, read_alignment, read_corrected_geometry
from calflow.files.combined_image import planes_at
from calflow.files.exposure import write_product
from calflow.files.geometry_files import read_geometry
from calflow.files.grid_files import read_grid
from calflow.files.photometry_keywords import conversion_in
from calflow.job import run
from calflow.science.cleaning.combined_sources import blotted, combined_sources, completed, nothing
from calflow.science.cleaning.source_mask import is_light
from calflow.science.geometry.pixel_map import map_to_grid

if TYPE_CHECKING:
    from calflow.jobs.extra_steps import Masking

log = logging.getLogger(__name__)


def mask_sources(input, output, params: "Masking"):
    """Write the mask: 1 where a source is, -1 where its light is wide, -2 where no image has a value; and the light."""
    wcs = next(iter(_listed(input.get("output_wcs", []))), None)
    alignments = iter(_listed(input.get("alignments", [])))
    files = zip(_listed(input.images), _listed(input.grids), params.exposures, strict=True)
    images = (
        _read(
            path, read_grid(Path(grid), wcs and Path(wcs)), _geometry(input.geometry, name and next(alignments), name)
        )
        for path, grid, name in files
    )
    image = reduce(completed, images)
    mask = combined_sources(image)
    log.info("sources: %.3f of the pixels; without a value: %.3f", np.mean(is_light(mask)), np.mean(image.weights == 0))
    planes = {"SCI": mask}
    if calibrated := input.get("calibrated"):
        planes["LIGHT"] = image.values / np.float32(conversion_in(Path(calibrated)))  # as before the photometry
    write_product(Path(output.mask), fits.Header(), planes)


def _geometry(path, alignment, name):
    """Return where the pixels of the exposure lie, as it was aligned if an association tells."""
    if not name:
        return read_geometry(Path(path))
    return read_corrected_geometry(Path(path), find_row(read_alignment(Path(alignment)), name))


def _read(path, grid, geometry):
    """Return an image at the pixels of the exposure; no more of it is read than that reaches."""
    pixmap = map_to_grid(geometry, grid)
    with fits.open(path, memmap=False) as hdus:
        found = planes_at(hdus, ["SCI", "WHT"], pixmap)
    if found is None:
        return nothing(pixmap.shape[:2])
    (sci, wht), places = found
    return blotted(sci, wht, places)


def _listed(files):
    """Return the files of a role as a list: Snakemake gives one alone as a text."""
    return [files] if isinstance(files, str) else list(files)


if "snakemake" in globals():
    run(mask_sources, snakemake)
