"""Average the background exposures of a set on the window of the exposures that use it."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calflow.calibration.work import function_named
from calflow.files.background_files import read_part, write_average
from calflow.files.packed import unpacked
from calflow.job import UnusableExposure, remark, run
from calflow.science.calibration.background import Background, average_integrations, combine, place
from calflow.science.image import Image
from calflow.science.windows import Window

if TYPE_CHECKING:
    from calflow.jobs.backgrounds import Average

log = logging.getLogger(__name__)
# Pixels of all members together that are averaged at a time: memory does not grow with their number.
BAND_PIXELS = 2_000_000


def combine_background(input, output, params: "Average"):
    """Average the members in bands of rows."""
    target = Window(*params.window)
    rows = max(1, BAND_PIXELS // (len(input.members) * params.depth * target.nx))
    end = target.ystart + target.ny
    with_values: set[str] = set()
    with unpacked(input.members, Path(output.background)) as files:
        members = dict(zip(input.members, files, strict=True))
        bands = [
            _average(members, input, Window(target.xstart, y, target.nx, min(rows, end - y)), params, with_values)
            for y in range(target.ystart, end, rows)
        ]
    if not with_values:
        raise UnusableExposure("no background exposure has a value in the window of the science exposures")
    for path in input.members:
        if path not in with_values:
            reason = "is left out of the average: it has no value in the window of the science exposures"
            remark("bkg_subtract", "COMPLETE", path, reason)
    planes = {name: np.concatenate([getattr(band, name) for band in bands]) for name in ("sci", "err", "dq")}
    write_average(Background(**planes), len(with_values), Path(output.background))


def _average(members, input, band, params: "Average", with_values):
    """Return the average in a band of members, whose files are given, and add those with a value there to a set."""
    settings = params.bkg_subtract
    clipping = {"sigma": settings["sigma"], "maxiters": settings["maxiters"]}
    stack = []
    for path, file in members.items():
        part = read_part(file, band, params.images)
        if part is None:
            continue
        sci, err, dq, own = part
        if path in params.undarkened:
            image = function_named(params.without_dark[0])(Image(sci, err, dq), input.dark, own, params.images)
            sci, dq = image.sci, image.dq
        if np.isfinite(sci).any():
            with_values.add(path)
        if sci.ndim == 3:
            sci, err, dq = average_integrations(sci, err, dq, **clipping)
        stack.append([place(sci, own, band, np.nan), place(err, own, band, np.nan), place(dq, own, band, 0)])
    if not stack:
        log.warning("no background exposure covers %s: nothing is subtracted there", band)
        nothing = np.zeros((band.ny, band.nx), np.float32)
        return Background(nothing, nothing, nothing.astype(np.uint32))
    sci, err, dq = (np.stack(planes) for planes in zip(*stack, strict=True))
    return combine(sci, err, dq, **clipping, clip=settings["clip"])


if "snakemake" in globals():
    run(combine_background, snakemake)
