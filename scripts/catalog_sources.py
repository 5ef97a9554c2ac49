"""Find and measure the sources of a combined image. Makes ``_cat.ecsv``, ``_segm.fits`` and regions of ``_i2d``."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.files.aperture_references import read_abvega_offset, read_apertures
from calflow.files.catalogs import write_catalog, write_regions
from calflow.files.combined_image import read_combined
from calflow.files.exposure import growing_product
from calflow.files.growing_files import Later
from calflow.files.reference_files import ReferenceFileError
from calflow.files.writing import Writing
from calflow.job import remark, run
from calflow.patches import start_photutils
from calflow.science.bands import bands
from calflow.science.sources.segments import Segments
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
    segments = found.segments or Segments(image.sci.shape)
    primary = image.headers["PRIMARY"].copy()
    primary.set("DATAMODL", "SegmentationMapModel", "Type of data model")
    primary.set("SCATFILE", Path(output.catalog).name, "Source catalog file")
    later = {"SCI": Later(segments.shape, np.dtype(np.uint32))}
    headers, writing = {"SCI": image.wcs_header()}, Writing(**params.writing)
    with growing_product(Path(output.segm), primary, later, headers, [image.asdf], writing=writing) as sections:
        for rows in bands(segments.shape[0]):
            sections["SCI"].write(segments[rows], rows.start)
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
