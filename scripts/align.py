"""Align the exposures of an association by their star lists. Makes the alignment table; no pixels are read."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from job import UnusableExposure, run
from products.alignment_tables import AlignmentRow, write_alignment
from products.geometry_files import read_geometry
from products.star_lists import read_sky_catalog, read_star_list
from steps.alignment import Alignment, align_absolute, align_relative
from steps.moving_target import target_shifts
from steps.star_groups import ExposureStars
from steps.star_matching import Matching

log = logging.getLogger(__name__)
for each in ("tweakwcs.linearfit", "tweakwcs.matchutils"):  # they tell every step of every fit that is tried
    # A filter: they set their own level when they are imported, which is later.
    logging.getLogger(each).addFilter(lambda record: record.levelno >= logging.ERROR)
ABSOLUTE = "minobj fitgeometry nclip sigma searchrad use2dhist separation tolerance".split()
RELATIVE = [*ABSOLUTE, "xoffset", "yoffset"]


def align(input, output, params):
    """Write what is done about the pointing of each exposure."""
    names = dict(params.members)
    geometries = dict(zip(names, map(read_geometry, input.geometries), strict=True))
    step = params.alignment_step
    if step in params.status:
        status = params.status[step]
        rows = [_row(Alignment(name, group, status, ""), geometries[name]) for name, group in names.items()]
    elif params.targets:
        rows = _follow(names, geometries, params.targets)
    else:
        rows = _tweak(names, geometries, input, params.tweakreg)
        rows = _without_failures(rows, params.tweakreg["on_failure"])
    for row in rows:
        log.info("%s %s %s %s", row.exposure, step, row.status, row.reason)
    write_alignment(Path(output.table), rows, {"step": step})


def _tweak(names, geometries, input, settings):
    """Align the exposures with each other, then with the catalogue."""
    lists = [read_star_list(path) for path in input.stars]
    if any(weight is not None for _, weight in lists):  # those of the user may have none
        lists = [(xy, np.ones(len(xy)) if weight is None else weight) for xy, weight in lists]
    exposures = [
        _stars(name, group, geometries[name], *stars) for (name, group), stars in zip(names.items(), lists, strict=True)
    ]
    robust = settings["robust"]
    found = align_relative(
        exposures,
        Matching(**{name: settings[name] for name in RELATIVE}),
        # With a catalogue jwst grows its reference from group to group.
        expand_refcat=settings["expand_refcat"] or bool(settings["abs_refcat"]),
        enforce_user_order=settings["enforce_user_order"],
        robust=robust,
    )
    if input.get("catalog"):
        sky, weight = read_sky_catalog(input.catalog)
        how = Matching(**{name: settings[f"abs_{name}"] for name in ABSOLUTE})
        found = align_absolute(exposures, found, sky, weight, how, robust=robust)
    numbers = {exposure.name: len(exposure.sky) for exposure in exposures}
    return [_row(alignment, geometries[alignment.name], numbers[alignment.name]) for alignment in found]


def _stars(name, group, geometry, xy, weight):
    (xmin, xmax), (ymin, ymax) = geometry.bounds
    inside = (xy > (xmin, ymin)).all(axis=1) & (xy < (xmax, ymax)).all(axis=1)
    return ExposureStars(
        name=name,
        group=group,
        centre=geometry.centre,
        sky=geometry.sky(*xy[inside].T),
        footprint=geometry.footprint(),
        pixel_scale=geometry.pixels.area**0.5,
        weight=None if weight is None else weight[inside],
    )


def _follow(names, geometries, targets):
    """Shift each exposure by what its moving target was away from the mean of all."""
    shifts = target_shifts(list(targets))
    status, reason = ("FAILED", "the position of the target is not known") if shifts is None else ("COMPLETE", "")
    rows = [_row(Alignment(name, group, status, reason), geometries[name]) for name, group in names.items()]
    if shifts is None:
        return rows
    return [
        replace(row, sky_shift=shift, footprint=geometries[row.exposure].corrected(row.correction, shift).footprint())
        for row, shift in zip(rows, shifts, strict=True)
    ]


def _row(alignment, geometry, stars=0):
    return AlignmentRow(
        exposure=alignment.name,
        group=alignment.group,
        status=alignment.status,
        reason=alignment.reason,
        used=True,
        footprint=geometry.corrected(alignment.correction).footprint(),
        reference=alignment.is_reference,
        stars=stars,
        matches=alignment.n_matches,
        rms=float(alignment.rms),
        shift=alignment.shift,
        rotation=alignment.rotation,
        scale=alignment.scale,
        corner_motion=float(alignment.corner_motion),
        correction=alignment.correction,
    )


def _without_failures(rows, on_failure):
    """Do with the exposures that could not be aligned what the user wants."""
    failed = [row for row in rows if row.status == "FAILED"]
    if not failed or on_failure == "keep":
        return rows
    if on_failure == "stop":
        told = "; ".join(f"{row.exposure}: {row.reason}" for row in failed)
        raise UnusableExposure(f"{len(failed)} of {len(rows)} exposures could not be aligned: {told}")
    return [replace(row, used=row.status != "FAILED") for row in rows]


if "snakemake" in globals():
    run(align, snakemake)
