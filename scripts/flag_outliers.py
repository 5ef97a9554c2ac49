"""Flag the outliers of an exposure, and record alignment and sky. Makes ``_crf`` of ``_cal``."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.calibration.work import function_named
from calflow.files.alignment_tables import find_row, read_alignment, read_corrected_geometry
from calflow.files.exposure import read_exposure, write_exposure
from calflow.files.geometry_files import write_json
from calflow.files.grid_files import read_grid
from calflow.files.intermediate_images import save_image
from calflow.files.keywords import pointing, record_origin, record_status, record_target, remove_wcs
from calflow.files.sky_tables import record_sky, sky_of
from calflow.files.wcs_keywords import record_wcs
from calflow.files.writing import Writing
from calflow.job import remark_on, run
from calflow.science.combination.outlier_detection import (
    apply_outliers,
    blot,
    error_without_rays,
    flag_outliers,
    flag_outliers_unresampled,
)
from calflow.science.geometry.pixel_map import map_to_grid

if TYPE_CHECKING:
    from calflow.jobs.outliers import Flagging

log = logging.getLogger(__name__)


def flag(input, output, params: "Flagging"):
    """Write the exposure with its outliers flagged, and their number."""
    rows = read_alignment(input.alignment)
    row = find_row(rows, params.exposure)
    moved = not row.correction.is_identity or not row.rotation_of_sky.is_identity
    exposure = read_exposure(input.cal, with_wcs=moved)
    remark_on(exposure, "outlier_detection", str(input.cal))
    record_origin(exposure, params.origin)
    record_status(exposure, params.alignment_step, row.status)
    if (params.alignment_step, row.status) == ("assign_mtwcs", "COMPLETE"):
        record_target(exposure, row.rotation_of_sky)
    if moved:
        _correct(exposure, row, function_named(params.correct_wcs), params.sip)
    sky = sky_of(exposure, params.exposure, input.get("sky"))
    status = params.status.get("outlier_detection") or _status(row, rows)
    total, flagged = exposure.image.sci.size, 0
    if status == "COMPLETE":
        geometry = read_corrected_geometry(input.geometry, row)
        outliers = _find(exposure, geometry, sky, input, output, params.outlier_detection)
        flagged = apply_outliers(exposure.image, outliers)
        log.info("%d of %d pixels are outliers", flagged, total)
    record_sky(exposure, sky, params.subtract)
    record_status(exposure, "outlier_detection", status)
    write_exposure(exposure, Path(output.crf), Writing(**params.writing))
    counts = {"exposure": params.exposure, "group": row.group, "status": status}
    write_json(Path(output.counts), counts | {"flagged": flagged, "pixels": total})


def _status(row, rows):
    """Return the status of the search: SKIPPED if the exposure is left out, FAILED if there is no other group."""
    if not row.used:
        return "SKIPPED"
    return "COMPLETE" if len({other.group for other in rows if other.used}) > 1 else "FAILED"


def _correct(exposure, row, correct_wcs, sip):
    """Put the corrected WCS in place of the nominal one."""
    exposure.wcs = correct_wcs(exposure.wcs, pointing(exposure), row.correction, row.rotation_of_sky)
    record_wcs(exposure, row.footprint, sip)
    remove_wcs(exposure.primary)  # the nominal one, of layouts that have it there


def _find(exposure, geometry, sky, input, output, settings):
    """Return the mask of the outliers."""
    files = {"SCI": input.median, "ERR": input.get("median_error"), "LOWEST": input.get("lowest")}
    planes = {name: np.load(path, mmap_mode="r") for name, path in files.items() if path}
    if settings["resample_data"]:
        grid = read_grid(input.grid)
        pixmap = map_to_grid(geometry, grid, settings["pixmap_stepsize"], settings["pixmap_order"])
        planes = {name: blot(plane, pixmap) for name, plane in planes.items()}
    lowest = planes.pop("LOWEST", None)
    if output.get("blot_image"):
        save_image(Path(output.blot_image), planes, exposure.science)
    image = exposure.image
    if "ERR" in planes:
        image = replace(image, err=error_without_rays(image.err, np.asarray(planes["ERR"])))
    if not settings["resample_data"] and lowest is None:
        return flag_outliers_unresampled(image, np.asarray(planes["SCI"]), settings["snr"][0], sky.remaining)
    level = None if sky.level is None else sky.remaining
    thresholds = {name: tuple(settings[name]) for name in ("snr", "scale")}
    if lowest is not None:
        # Only a search that asks for it waits for this import.
        from calflow.science.combination.cosmic_rays import find_cosmic_rays

        median, lowest = np.asarray(planes["SCI"]), np.asarray(lowest)
        return find_cosmic_rays(image, median, lowest, level, backg=settings["backg"], **thresholds)
    return flag_outliers(image, planes["SCI"], level, backg=settings["backg"], **thresholds)


if "snakemake" in globals():
    run(flag, snakemake)
