"""Calibrate an exposure: background, world coordinates, flat field, photometry. Makes ``_cal`` of ``_rate``."""

import logging
from pathlib import Path

from job import UnusableExposure, run
from products.background_files import read_average
from products.exposure import read_exposure, write_exposure
from products.geometry_files import write_geometry, write_json
from products.keywords import (
    pointing,
    record_origin,
    record_photometry,
    record_pixel_area,
    record_status,
    window,
)
from products.reference_files import read_area, read_distortion, read_filter_offsets, read_flat, read_photom
from products.wcs_keywords import record_wcs
from steps.assign_wcs import build_wcs
from steps.background import subtract
from steps.flat_field import Flat, apply_flat
from steps.footprints import footprint
from steps.geometry import geometry_of
from steps.image import usable
from steps.photom import apply_conversion, conversion_factor, time_correction
from steps.table_rows import select_row
from steps.windows import Window

log = logging.getLogger(__name__)


def calibrate(input, output, params):
    """Run the steps that the plan says, and record what became of each."""
    exposure = read_exposure(input.exposure)
    _require_usable(exposure, "before calibration")
    record_origin(exposure, params.origin)
    if input.get("background"):
        background, _ = read_average(input.background)
        exposure.image = subtract(exposure.image, background)
        record_status(exposure, "bkg_subtract", "COMPLETE")
    for step, status in params.status.items():
        record_status(exposure, step, status)
    for step, work in (("assign_wcs", _assign_wcs), ("flat_field", _flat_field), ("photom", _photom)):
        if step not in params.status:
            work(exposure, input, params)
            record_status(exposure, step, "COMPLETE")
            log.info("%s COMPLETE", step)
    if "photom" in params.status and input.get("area"):
        record_pixel_area(exposure, *_attach_area(exposure, input))
    _require_usable(exposure, "after calibration")
    if output.get("geometry"):
        _describe_geometry(exposure, Path(output.geometry))
    write_exposure(exposure, Path(output.cal), params.write_date)


def _describe_geometry(exposure, path):
    """Write where the pixels lie. Without that there is no quick look and no stage 3, but still this product."""
    try:
        write_geometry(path, geometry_of(exposure.wcs, exposure.image.sci.shape[-2:], pointing(exposure)))
    except ValueError as error:
        log.warning("no geometry: %s", error)
        write_json(path, {"none": str(error)})


def _require_usable(exposure, when):
    if not usable(exposure.image):
        raise UnusableExposure(f"no usable pixel {when}: all are NaN or DO_NOT_USE")


def _assign_wcs(exposure, input, params):
    offset = _filter_offset(input, **params.filter_offset)
    full_frame = Window(1, 1, *params.full_frame)
    exposure.wcs = build_wcs(
        read_distortion(input.distortion), pointing(exposure), window(exposure), full_frame, offset
    )
    record_wcs(exposure, footprint(exposure.wcs), params.sip)


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
    return None if "N/A" in offset else offset


def _flat_field(exposure, input, params):
    flat = Flat(*read_flat(input.flat, window(exposure)))
    exposure.image = apply_flat(exposure.image, flat, params.flat_field["inverse"])


def _photom(exposure, input, params):
    settings, table = params.photom, read_photom(input.photom)
    row = select_row(table.rows, **params.photom_row)
    correction = 1.0
    if settings["apply_time_correction"]:
        correction = time_correction(exposure.keyword("EXPMID"), **table.time_coefficients(row))
    factor = conversion_factor(table.rows["photmjsr"][row], correction)
    exposure.image = apply_conversion(exposure.image, factor, settings["inverse"])
    pixel_area = table.pixel_area_sr, table.pixel_area_a2
    if input.get("area"):
        pixel_area = _attach_area(exposure, input)
    if None in pixel_area:
        log.warning("neither the AREA nor the PHOTOM reference has both PIXAR_SR and PIXAR_A2")
    record_photometry(exposure, factor, unit="DN/s" if settings["inverse"] else "MJy/sr")
    record_pixel_area(exposure, *pixel_area)


def _attach_area(exposure, input):
    """Attach the relative pixel area, and return the nominal one: steradian, square arcsec."""
    exposure.area, *pixel_area = read_area(input.area, window(exposure))
    return pixel_area


if "snakemake" in globals():
    run(calibrate, snakemake)
