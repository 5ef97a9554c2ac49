"""Find and measure the sources of a combined image. Makes ``_cat.ecsv``, ``_segm.fits`` and regions of ``_i2d``."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.aperture_references import read_abvega_offset, read_apertures
from calflow.files.catalogs import write_catalog, write_regions
from calflow.files.combined_image import read_combined
from calflow.files.exposure import write_product
from calflow.files.reference_files import ReferenceFileError
from calflow.files.writing import Writing
from calflow.job import remark, run
from calflow.patches import start_photutils
from calflow.science.sources.source_catalog import CatalogParameters, no_sources, source_catalog

if TYPE_CHECKING:
    from calflow.jobs.combination import Cataloguing

log = logging.getLogger(__name__)


def catalog(input, output, params: "Cataloguing"):
    """Write the catalogue; without aperture corrections an empty one, which says that it FAILED and why."""
    start_photutils()
    image = read_combined(input.i2d)
    settings = CatalogParameters(**params.source_catalog)
    try:
        apertures, offset = _references(input, params)
    except ReferenceFileError as error:
        remark("source_catalog", "FAILED", Path(output.catalog).name, f"it is empty: {error}")
        found = no_sources(settings)
        meta = {"status": "FAILED", "reason": str(error)}
    else:
        found = source_catalog(
            image.sci,
            image.err,
            image.wht,
            pixel_area_sr=image.keyword("PIXAR_SR"),
            to_sky=image.to_sky,
            reference_pixel=image.reference_pixel,
            apertures=apertures,
            abvega_offset=offset,
            pixel_scale_ratio=image.keyword("PXSCLRT", 1.0),
            parameters=settings,
        )
        meta = {"status": "COMPLETE"}
        log.info("%d sources", len(found.table))
    found.table.meta = meta | found.table.meta
    segments = np.zeros(image.sci.shape, np.uint32) if found.segments is None else found.segments
    primary = image.headers["PRIMARY"].copy()
    primary.set("DATAMODL", "SegmentationMapModel", "Type of data model")
    primary.set("SCATFILE", Path(output.catalog).name, "Source catalog file")
    write_product(
        Path(output.segm),
        primary,
        {"SCI": segments},
        {"SCI": image.wcs_header()},
        [image.asdf],
        writing=Writing(**params.writing),
    )
    write_regions(found.table, Path(output.regions), image.keyword("PIXAR_A2") ** 0.5)
    write_catalog(found.table, Path(output.catalog))


def _references(input, params: "Cataloguing"):
    """Return apertures and magnitude offset, or raise the reason why there are none."""
    for kind in ("apcorr", "abvegaoffset"):
        if not input.get(kind):
            raise ReferenceFileError(params.missing.get(kind) or f"there is no {kind} reference")
    ee = [params.source_catalog[f"aperture_ee{number}"] for number in (1, 2, 3)]
    apertures = read_apertures(input.apcorr, params.rows["apcorr"], ee)
    return apertures, read_abvega_offset(input.abvegaoffset, params.rows["abvegaoffset"])


if "snakemake" in globals():
    run(catalog, snakemake)
