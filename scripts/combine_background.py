"""Average the background exposures of a set on the window of the exposures that use it."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from job import run
from products.exposure import PLANES, sign, write_hdus
from steps.background import average_integrations, combine, place
from steps.windows import Window

# Pixels of all members together that are in memory at a time.
BAND_PIXELS = 16_000_000


def combine_background(input, output, params):
    """Average the members in bands of rows, so that memory does not grow with their number."""
    target, settings = Window(*params.window), params.bkg_subtract
    rows = max(1, BAND_PIXELS // (len(input.members) * params.depth * target.nx))
    bands = [
        _combine_band(
            input.members,
            Window(target.xstart, y, target.nx, min(rows, target.ystart + target.ny - y)),
            settings,
        )
        for y in range(target.ystart, target.ystart + target.ny, rows)
    ]
    primary = fits.PrimaryHDU()
    primary.header.set("DATAMODL", "ImageModel", "Type of data model")
    primary.header.set("NBKG", len(input.members), "Number of background exposures averaged")
    sign(primary.header)
    planes = {name: np.concatenate([getattr(band, name) for band in bands]) for name in ("sci", "dq", "err")}
    write_hdus(
        [primary, *(fits.ImageHDU(plane, name=PLANES[name]) for name, plane in planes.items())],
        Path(output.background),
    )


def _combine_band(members, band, settings):
    clipping = {"sigma": settings["sigma"], "maxiters": settings["maxiters"]}
    stack = []
    for path in members:
        sci, err, dq, own = _read_band(path, band)
        if sci is None:
            continue
        if sci.ndim == 3:
            sci, err, dq = average_integrations(sci, err, dq, **clipping)
        stack.append([place(sci, own, band, np.nan), place(err, own, band, np.nan), place(dq, own, band, 0)])
    if not stack:
        raise ValueError(f"no background exposure covers {band}")
    sci, err, dq = (np.stack(planes) for planes in zip(*stack, strict=True))
    return combine(sci, err, dq, **clipping, clip=settings["clip"])


def _read_band(path, band):
    """Read the part of a member's SCI, ERR and DQ that lies in the band, and its window."""
    with fits.open(path, memmap=False) as hdus:
        header = hdus[0].header
        ny, nx = hdus["SCI"].shape[-2:]
        own = Window(header.get("SUBSTRT1") or 1, header.get("SUBSTRT2") or 1, nx, ny)
        common = own.overlap(band)
        if common is None:
            return None, None, None, own
        part = (..., *own.slices(common))
        sci, err = (np.asarray(hdus[name].section[part], np.float32) for name in ("SCI", "ERR"))
        return sci, err, np.asarray(hdus["DQ"].section[part], np.uint32), common


if "snakemake" in globals():
    run(combine_background, snakemake)
