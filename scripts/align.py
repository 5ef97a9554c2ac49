"""Align the exposures of an association by their star lists. Makes the alignment table; no pixels are read."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.files.alignment_tables import write_alignment
from calflow.files.exposure_stars import read_exposure_stars
from calflow.files.geometry_files import read_geometry
from calflow.files.pointings import moved_before, placed_by, pointings_from_outside, row_of
from calflow.files.star_lists import read_sky_catalog
from calflow.job import UnusableExposure, arguments_of, remark, run
from calflow.science.geometry.moving_target import target_rotations
from calflow.science.geometry.tangent_plane import IDENTITY
from calflow.science.stars.alignment import Alignment, align_absolute, align_relative
from calflow.science.stars.matching_parameters import Matching

if TYPE_CHECKING:
    from calflow.jobs.alignment import Aligning

log = logging.getLogger(__name__)
for each in ("tweakwcs.linearfit", "tweakwcs.matchutils"):  # they tell every step of every fit that is tried
    # A filter: they set their own level when they are imported, which is later.
    logging.getLogger(each).addFilter(lambda record: record.levelno >= logging.ERROR)
TOLD = 5  # exposures that could not be aligned, when that ends the job


def align(input, output, params: "Aligning"):
    """Write what is done about the pointing of each exposure."""
    names = dict(params.members)
    geometries = dict(zip(names, map(read_geometry, input.geometries), strict=True))
    given = pointings_from_outside(params.pointings, geometries, input.get("wcs") or ())
    step = params.alignment_step
    if step in params.status:
        found = [Alignment(name, group, params.status[step], "") for name, group in names.items()]
        rows = [row_of(each, geometries[each.name]) for each in moved_before(found, geometries, given)]
    elif params.targets:
        rows = _follow(names, geometries, params.targets)
    else:
        found = _tweak(names | params.groups, geometries, given, input, params.tweakreg)
        rows = _without_failures(found, params.tweakreg["on_failure"])
    for row in rows:
        if row.status == "FAILED":
            left = "" if row.used else "; it is left out of the combination"
            remark(step, row.status, row.exposure, f"{row.reason}{left}")
        else:
            log.info("%s %s %s %s", row.exposure, step, row.status, row.reason)
    if not input.get("catalog"):
        _remark_sets(rows, step)
    rows = [replace(row, group=names[row.exposure]) for row in rows]  # whatever moved together
    write_alignment(Path(output.table), rows, {"step": step})


def _tweak(names, geometries, given, input, settings):
    """Align the exposures with each other, then with the catalogue."""
    exposures = read_exposure_stars(input.stars, names, placed_by(given, geometries))
    found = align_relative(
        exposures,
        Matching(**arguments_of(Matching, settings)),
        # With a catalogue jwst grows its reference from group to group.
        expand_refcat=settings["expand_refcat"] or bool(settings["abs_refcat"]),
        enforce_user_order=settings["enforce_user_order"],
        robust=settings["robust"],
    )
    if input.get("catalog"):
        catalog = read_sky_catalog(input.catalog)
        absolute = {name.removeprefix("abs_"): value for name, value in settings.items() if name.startswith("abs_")}
        how = Matching(**arguments_of(Matching, absolute))
        found = align_absolute(exposures, found, catalog.positions, catalog.weight, how, robust=settings["robust"])
    numbers = {exposure.name: len(exposure.sky) for exposure in exposures}
    return [row_of(each, geometries[each.name], numbers[each.name]) for each in moved_before(found, geometries, given)]


def _follow(names, geometries, targets):
    """Turn the sky of each exposure so that its moving target comes to the mean of all positions."""
    rotations = target_rotations(list(targets))
    status, reason = ("FAILED", "the position of the target is not known") if rotations is None else ("COMPLETE", "")
    rows = [row_of(Alignment(name, group, status, reason), geometries[name]) for name, group in names.items()]
    if rotations is None:
        return rows
    footprints = [
        geometries[name].corrected(IDENTITY, turn).footprint() for name, turn in zip(names, rotations, strict=True)
    ]
    moved = zip(rows, rotations, footprints, strict=True)
    return [replace(row, rotation_of_sky=turn, footprint=footprint) for row, turn, footprint in moved]


def _remark_sets(rows, step):
    """Tell of exposures that are aligned within sets only, which have no star in common."""
    leads = {row.group: row.exposure for row in rows if row.reference and row.status == "COMPLETE"}
    if len(leads) > 1:
        reason = f"{len(leads)} sets of exposures with no star in common are aligned each by itself, with these"
        remark(step, "COMPLETE", ", ".join(leads.values()), reason + "; between the sets the pointing counts")


def _without_failures(rows, on_failure):
    """Do with the exposures that could not be aligned what the user wants."""
    failed = [row for row in rows if row.status == "FAILED"]
    if not failed or on_failure == "keep":
        return rows
    told = "; ".join(f"{row.exposure}: {row.reason}" for row in failed[:TOLD])
    if len(failed) > TOLD:
        told += f"; and {len(failed) - TOLD} more"
    if on_failure == "stop":
        raise UnusableExposure(f"{len(failed)} of {len(rows)} exposures could not be aligned: {told}")
    if len(failed) == len(rows):
        raise UnusableExposure(f"no exposure is left: all {len(rows)} are dropped, not being aligned: {told}")
    return [replace(row, used=row.status != "FAILED") for row in rows]


if "snakemake" in globals():
    run(align, snakemake)
