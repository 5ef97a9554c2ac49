"""Exposures and images as SWarp and source-extractor read them, for `c_programs.py`."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from truth import MAS, read_wcs

from calflow.science.dq_flags import FLAGS
from calflow.science.geometry.tangent_plane import to_plane

# Powers of x and y of the terms of the TPV projection (Calabretta et al. 2004), by number; those missing are of r.
TERMS = {
    n: powers
    for n, powers in enumerate(
        [(0, 0), (1, 0), (0, 1), None]
        + [(2 - i, i) for i in range(3)]
        + [*((3 - i, i) for i in range(4)), None]
        + [(4 - i, i) for i in range(5)]
        + [*((5 - i, i) for i in range(6)), None]
    )
    if powers
}
STEPS = 33  # along each axis, at which the projection is fitted; others, between, tell its error
NO_NOISE = 1e15  # of pixels without a value: above what source-extractor and sep look at


def write_exposure(cal: Path, path: Path, sky: float, hit: np.ndarray | None = None) -> float:
    """
    Write a calibrated exposure for SWarp: the image, and beside it ``.weight.fits``, 1 / ERR^2 and 0 without a value.

    Parameters
    ----------
    cal : Path
    path : Path
    sky : float
        Level that is taken off, MJy/sr.
    hit : bool array, shape (ny, nx), or None
        Pixels that get no weight.

    Returns
    -------
    float
        Largest error of the WCS, mas.
    """
    with fits.open(cal) as hdus:
        sci, err, dq = (hdus[name].data for name in ("SCI", "ERR", "DQ"))
        usable = ((dq & FLAGS["DO_NOT_USE"]) == 0) & np.isfinite(sci) & (err > 0)
    if hit is not None:
        usable &= ~hit
    header, error = tpv_header(read_wcs(cal), sci.shape)
    weight = np.zeros(sci.shape, np.float32)
    weight[usable] = 1 / np.square(err[usable])
    fits.writeto(path, np.where(usable, sci - sky, 0).astype(np.float32), header)
    fits.writeto(path.with_suffix(".weight.fits"), weight, header)
    return error


def tpv_header(wcs, shape: tuple[int, int]) -> tuple[fits.Header, float]:
    """
    Fit a TPV projection of degree 5 to a WCS.

    Parameters
    ----------
    wcs : gwcs.WCS
    shape : (ny, nx)

    Returns
    -------
    header : Header
    error : float
        Largest distance between the two, at other pixels than the fit has, mas.
    """
    ny, nx = shape
    middle = (nx - 1) / 2, (ny - 1) / 2
    ra, dec = map(float, wcs(*middle))
    crval = ra, dec

    def plane(x, y):  # degrees
        return to_plane(np.stack(wcs(x, y, with_bounding_box=False), axis=-1), crval) / 3600

    steps = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]) + middle
    right, left, up, down = plane(*steps.T)
    cd = np.array([right - left, up - down]).T / 2
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, nx - 1, STEPS), np.linspace(0, ny - 1, STEPS)))
    scale = float(np.hypot(*(cd @ middle)))
    linear = np.stack([x - middle[0], y - middle[1]], axis=-1) @ cd.T / scale
    powers = np.array(list(TERMS.values()))
    wanted = plane(x, y)
    header = fits.Header([("CTYPE1", "RA---TPV"), ("CTYPE2", "DEC--TPV"), ("CUNIT1", "deg"), ("CUNIT2", "deg")])
    for axis in (0, 1):
        header[f"CRPIX{axis + 1}"], header[f"CRVAL{axis + 1}"] = middle[axis] + 1, crval[axis]
        for other in (0, 1):
            header[f"CD{axis + 1}_{other + 1}"] = cd[axis, other]
        # Of the second axis the terms are those of y and x.
        u, v = linear[:, axis], linear[:, 1 - axis]
        matrix = u[:, None] ** powers[:, 0] * v[:, None] ** powers[:, 1]
        found = np.linalg.lstsq(matrix, wanted[:, axis], rcond=None)[0] / scale ** powers.sum(axis=1)
        for number, value in zip(TERMS, found.tolist(), strict=True):
            header[f"PV{axis + 1}_{number}"] = value
    middles = np.linspace(0.5, min(shape) - 1.5, STEPS - 1)
    x, y = (axis.ravel() for axis in np.meshgrid(middles, middles))
    fitted = to_plane(np.stack(WCS(header).all_pix2world(x, y, 0), axis=-1), crval) / 3600
    return header, float(np.hypot(*(fitted - plane(x, y)).T).max() * MAS)


def write_grid(i2d: Path, path: Path) -> None:
    """Write the pixel grid of a combined image as the ``.head`` file that SWarp puts in place of its own."""
    with fits.open(i2d) as hdus:
        header, wcs = hdus["SCI"].header, WCS(hdus["SCI"].header)
    cd = wcs.wcs.get_pc() * wcs.wcs.get_cdelt()[:, None]
    cards = fits.Header([("NAXIS", 2), ("NAXIS1", header["NAXIS1"]), ("NAXIS2", header["NAXIS2"])])
    for axis, kind in ((1, "RA---TAN"), (2, "DEC--TAN")):
        cards[f"CTYPE{axis}"], cards[f"CUNIT{axis}"] = kind, "deg"
        cards[f"CRVAL{axis}"], cards[f"CRPIX{axis}"] = wcs.wcs.crval[axis - 1], wcs.wcs.crpix[axis - 1]
        for other in (1, 2):
            cards[f"CD{axis}_{other}"] = cd[axis - 1, other - 1]
    path.write_text(cards.tostring(sep="\n", padding=False, endcard=True) + "\n")


def write_image(i2d: Path, sci: Path, noise: Path) -> None:
    """Write image and noise of a combined image as files of their own, with `NO_NOISE` where it has no value."""
    with fits.open(i2d) as hdus:
        image, err, header = hdus["SCI"].data, hdus["ERR"].data, WCS(hdus["SCI"].header).to_header()
    empty = ~np.isfinite(image) | ~(err > 0)
    fits.writeto(sci, np.where(empty, 0, image).astype(np.float32), header)
    fits.writeto(noise, np.where(empty, NO_NOISE, err).astype(np.float32), header)
