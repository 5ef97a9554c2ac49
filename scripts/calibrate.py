"""Calibrate an exposure: world coordinates, flat field, photometry. Makes ``_cal`` of ``_rate`` or ``_bsub``."""

import logging
from pathlib import Path

from job import UnusableExposure, run
from products.exposure import read_exposure, write_exposure
from products.keywords import pointing, record_origin, record_status, record_unit, replace_wcs, window
from products.reference_files import read_area, read_distortion, read_filter_offsets, read_flat, read_photom
from steps.assign_wcs import build_wcs, footprint, s_region, sip_approximation
from steps.flat_field import Flat, apply_flat
from steps.image import usable
from steps.photom import MJYSR_TO_UJYA2, apply_conversion, conversion_factor, select_row, time_correction
from steps.windows import Window

log = logging.getLogger(__name__)


def calibrate(input, output, params):
    """Run the steps that the plan says, and record what became of each."""
    exposure = read_exposure(input.exposure)
    _require_usable(exposure, "before calibration")
    record_origin(exposure, params.origin)
    for step, status in params.status.items():
        record_status(exposure, step, status)
    for step, work in (("assign_wcs", _assign_wcs), ("flat_field", _flat_field), ("photom", _photom)):
        if step not in params.status:
            work(exposure, input, params)
            record_status(exposure, step, "COMPLETE")
            log.info("%s COMPLETE", step)
    _require_usable(exposure, "after calibration")
    write_exposure(exposure, Path(output.cal), params.write_date)


def _require_usable(exposure, when):
    if not usable(exposure.image):
        raise UnusableExposure(f"no usable pixel {when}: all are NaN or DO_NOT_USE")


def _assign_wcs(exposure, input, params):
    offset = _filter_offset(input, params.filter_offset)
    full_frame = Window(1, 1, *params.full_frame)
    exposure.wcs = build_wcs(
        read_distortion(input.distortion), pointing(exposure), window(exposure), full_frame, offset
    )
    header = exposure.science
    header.set("S_REGION", s_region(footprint(exposure.wcs)), "Spatial footprint of the observation")
    settings = params.assign_wcs
    if settings["sip_approx"]:
        crpix = (header["CRPIX1"], header["CRPIX2"]) if "CRPIX1" in header and "CRPIX2" in header else None
        sip = sip_approximation(
            exposure.wcs,
            crpix,
            max_pix_error=settings["sip_max_pix_error"],
            degree=settings["sip_degree"],
            max_inv_pix_error=settings["sip_max_inv_pix_error"],
            inv_degree=settings["sip_inv_degree"],
            npoints=settings["sip_npoints"],
        )
        for doubt in sip.doubts:
            log.warning("SIP approximation: %s", doubt)
        replace_wcs(header, sip.keywords)


def _filter_offset(input, selectors):
    """Return the (x, y) offset of the exposure's filter in pixels, or None if there is none."""
    if not selectors or not input.get("filteroffset"):
        return None
    entries = read_filter_offsets(input.filteroffset)
    columns = {name: [entry.get(name, "") for entry in entries] for name in selectors[0]}
    try:
        entry = entries[select_row(columns, selectors)]
    except LookupError as error:
        log.warning("no filter offset is applied: %s", error)
        return None
    offset = entry.get("column_offset"), entry.get("row_offset")
    return None if "N/A" in offset else offset


def _flat_field(exposure, input, params):
    flat = Flat(*read_flat(input.flat, window(exposure)))
    exposure.image = apply_flat(exposure.image, flat, params.flat_field["inverse"])


def _photom(exposure, input, params):
    settings, header = params.photom, exposure.science
    table = read_photom(input.photom)
    row = select_row(table.rows, **params.photom_row)
    correction = 1.0
    if settings["apply_time_correction"] and table.time_tables:
        coefficients = {
            kind: {name: column[row] for name, column in columns.items()} for kind, columns in table.time_tables.items()
        }
        correction = time_correction(exposure.keyword("EXPMID"), **coefficients)
    factor = conversion_factor(table.rows["photmjsr"][row], correction)
    exposure.image = apply_conversion(exposure.image, factor, settings["inverse"])
    pixel_area_sr, pixel_area_a2 = table.pixel_area_sr, table.pixel_area_a2
    if input.get("area"):
        exposure.area, pixel_area_sr, pixel_area_a2 = read_area(input.area, window(exposure))
    record_unit(exposure, "DN/s" if settings["inverse"] else "MJy/sr")
    header.set("PHOTMJSR", factor, "Flux density (MJy/steradian) producing 1 cps")
    header.set("PHOTUJA2", factor * MJYSR_TO_UJYA2, "Flux density (uJy/arcsec2) producing 1 cps")
    for keyword, value, unit in (
        ("PIXAR_SR", pixel_area_sr, "steradians"),
        ("PIXAR_A2", pixel_area_a2, "arcsec^2"),
    ):
        if value is None:
            log.warning("%s is in neither the AREA nor the PHOTOM reference", keyword)
        else:
            header.set(keyword, value, f"Nominal pixel area in {unit}")


if "snakemake" in globals():
    run(calibrate, snakemake)
