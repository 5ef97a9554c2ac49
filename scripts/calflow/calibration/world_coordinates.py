"""World coordinates attached to an exposure: from a distortion reference, or from the linear terms in its header."""

import logging
from math import isfinite
from numbers import Real

from calflow.files.exposure import Exposure
from calflow.files.keywords import pointing, record_pixel_area, record_pointing, window
from calflow.files.linear_wcs import read_projection
from calflow.files.reference_files import read_distortion, read_filter_offsets
from calflow.files.wcs_keywords import record_projection, record_wcs
from calflow.science.geometry.assign_wcs import build_wcs
from calflow.science.geometry.footprints import footprint
from calflow.science.table_rows import select_row
from calflow.science.windows import Window

log = logging.getLogger(__name__)


def from_distortion(exposure: Exposure, input, params) -> None:
    """Attach the WCS that the pointing of the telescope and the distortion reference give.

    Parameters
    ----------
    exposure : Exposure
        It is changed.
    input : Snakemake's InputFiles
        The files of the job: `distortion`, and `filteroffset` if there is one.
    params : Snakemake's Params
        Its parameters: `full_frame`, `filter_offset` and `sip`.
    """
    offset = _filter_offset(input, **params.filter_offset)
    full_frame = Window(1, 1, *params.full_frame)
    exposure.wcs = build_wcs(
        read_distortion(input.distortion), pointing(exposure), window(exposure), full_frame, offset
    )
    record_wcs(exposure, footprint(exposure.wcs), params.sip)


def from_header(exposure: Exposure, input, params) -> None:
    """Attach the TAN projection that the header describes, and record the pointing that it amounts to.

    Parameters
    ----------
    exposure : Exposure
        It is changed.
    input : Snakemake's InputFiles
        Not used.
    params : Snakemake's Params
        Not used.
    """
    projection = read_projection({**exposure.science, **exposure.primary})
    ny, nx = exposure.image.sci.shape[-2:]
    exposure.wcs = projection.gwcs((ny, nx), ((-0.5, nx - 0.5), (-0.5, ny - 0.5)))
    record_projection(exposure, footprint(exposure.wcs))
    record_pointing(exposure, projection.pointing())
    record_pixel_area(exposure, *projection.pixel_area())


def _filter_offset(input, selectors, required):
    """Return the (x, y) offset of the exposure's filter in pixels, or None if there is none."""
    if not selectors or not input.get("filteroffset"):
        return None
    entries = read_filter_offsets(input.filteroffset)
    columns = {name: [entry.get(name, "") for entry in entries] for name in selectors[0]}
    try:
        entry = entries[select_row(columns, selectors)]
    except LookupError as error:
        if required:
            raise ValueError(f"{input.filteroffset}: {error}") from None
        log.info("no filter offset: %s", error)
        return None
    offset = entry.get("column_offset"), entry.get("row_offset")
    if "N/A" in offset:
        return None
    if not all(isinstance(each, Real) and isfinite(each) for each in offset):
        raise ValueError(f"{input.filteroffset}: the offset of the filter is {offset}; it is two finite numbers")
    return offset
