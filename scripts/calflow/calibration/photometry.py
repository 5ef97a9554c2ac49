"""Count rates of an exposure converted to surface brightness, and its pixel area."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from calflow.files.exposure import Exposure
from calflow.files.keywords import record_pixel_area, window
from calflow.files.photometry_keywords import record_photometry
from calflow.files.reference_files import PhotomTable, read_area, read_photom
from calflow.science.calibration.photom import SURFACE_BRIGHTNESS, apply_conversion, conversion_factor, time_correction
from calflow.science.table_rows import select_row

log = logging.getLogger(__name__)


def _convert(exposure: Exposure, input, params, *, matches_nans: bool) -> None:
    settings, table = params.photom, read_photom(input.photom)
    factor = conversion_of(exposure, table, params.photom_row, settings["apply_time_correction"])
    exposure.image = apply_conversion(exposure.image, factor, settings["inverse"], matches_nans=matches_nans)
    record_photometry(exposure, factor, unit=params.count_rate_unit if settings["inverse"] else SURFACE_BRIGHTNESS)
    if input.get("area"):
        attach_area(exposure, input)
    else:
        record_pixel_area(exposure, table.pixel_area_sr, table.pixel_area_a2)
    if not {"PIXAR_SR", "PIXAR_A2"} <= set(exposure.science):
        log.warning("neither the AREA nor the PHOTOM reference has both PIXAR_SR and PIXAR_A2")


convert = partial(_convert, matches_nans=False)
convert_and_match_nans = partial(_convert, matches_nans=True)


def conversion_of(
    exposure: Exposure, table: PhotomTable, photom_row: Mapping[str, Any], apply_time_correction: bool
) -> float:
    """Return the conversion factor of an exposure, (MJy/sr)/(DN/s).

    Parameters
    ----------
    exposure : Exposure
    table : PhotomTable
    photom_row : mapping
        By what its row is chosen: arguments of `select_row`.
    apply_time_correction : bool
        Whether the throughput at the time of the exposure counts.

    Raises
    ------
    ValueError
        If there is no such row, or no factor that can be used.
    """
    row = select_row(table.rows, **photom_row)
    coefficients = table.time_coefficients(row) if apply_time_correction else {}
    correction = time_correction(_middle(exposure), **coefficients) if coefficients else 1.0
    return conversion_factor(table.rows["photmjsr"][row], correction)


def attach_area(exposure: Exposure, input) -> None:
    """Attach the relative pixel area of the AREA reference, and record the nominal one.

    Parameters
    ----------
    exposure : Exposure
        It is changed.
    input : Snakemake's InputFiles
        The files of the job: `area`.
    """
    exposure.area, *pixel_area = read_area(input.area, window(exposure))
    record_pixel_area(exposure, *pixel_area)


def _middle(exposure: Exposure) -> float:
    middle = exposure.keyword("EXPMID")
    if middle is None:
        raise ValueError("the PHOTOM reference has a time correction, and the exposure no EXPMID")
    return middle
