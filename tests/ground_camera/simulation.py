"""Simulated frames of the camera, with known truth, and the reference files that belong to them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from scipy.special import erf

from calflow.files.asdf_files import tree_to_bytes

SHAPE = (200, 220)
FILTER = "R"
CENTRE = (150.0, 20.0)  # degrees
SCALE = 0.3  # arcsec
AREA_SR = (SCALE / 3600 * np.pi / 180) ** 2
SIGMA = 1.7  # of the stars, pixels
TIME, GAIN, READ_NOISE, BIAS = 60.0, 1.6, 5.0, 1000.0  # s, electrons per adu, electrons, adu
FACTOR = 0.2  # MJy/sr per adu/s
SKY = 1.0  # MJy/sr
VEGA = 0.2  # m_AB - m_Vega
DITHERS = ((0.0, 0.0), (11.3, -7.6), (-8.4, 9.2), (6.7, 12.1))  # pixels
# By how much the telescope looks elsewhere than its headers say, pixels.
POINTING_ERRORS = ((0.0, 0.0), (0.8, -0.5), (-0.6, 0.9), (0.4, 0.7))
COSMIC_RAYS = 25


@dataclass(frozen=True)
class Truth:
    """What was simulated: associations of stage 2 and stage 3, and the stars with ``ra``, ``dec``, ``flux`` (Jy)."""

    stage2: Path
    stage3: Path
    stars: Table


def simulate(folder: Path, seed: int = 1) -> Truth:
    """Write frames, associations and reference files into a folder; the same seed gives the same bytes."""
    random = np.random.default_rng(seed)
    for name in ("raw", "stage3", "references"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    stars = _stars(random)
    bias = BIAS + 20 * np.sin(np.arange(SHAPE[0]) / 9)[:, None] + random.normal(0, 2, SHAPE)
    flat = 1 + 0.1 * np.cos(np.linspace(-2, 2, SHAPE[1]))[None, :] + random.normal(0, 0.01, SHAPE)
    names = [f"gcam{number:03d}" for number in range(len(DITHERS))]
    for name, dither, error in zip(names, DITHERS, POINTING_ERRORS, strict=True):
        rate = _scene(stars, _projection(dither, error)) / FACTOR * flat
        counts = random.poisson(rate * TIME * GAIN) / GAIN + random.normal(0, READ_NOISE / GAIN, SHAPE) + bias
        rays = random.integers(0, counts.size, COSMIC_RAYS)
        counts.flat[rays] += random.uniform(2000, 20000, COSMIC_RAYS)
        _write_frame(folder / "raw" / f"{name}.fits", counts, _projection(dither))
    _write_references(folder / "references", bias, flat)
    science = [{"name": name, "members": [{"expname": f"{name}.fits", "exptype": "science"}]} for name in names]
    members = [{"expname": f"{name}_cal.fits", "exptype": "science"} for name in names]
    field = [{"name": "hill_field", "members": members}]
    stage2 = _write_association(folder / "raw" / "hill_image2_asn.json", "image2", science)
    return Truth(stage2, _write_association(folder / "stage3" / "hill_image3_asn.json", "image3", field), stars)


def _stars(random: np.random.Generator) -> Table:
    """Return stars on a coarse lattice, so that none is in another's aperture."""
    rows, columns = np.mgrid[-2:3, -2:3].reshape(2, -1) * 38.0 + random.uniform(-8, 8, (2, 25))
    ra, dec = _projection((0.0, 0.0)).wcs_pix2world(columns + SHAPE[1] / 2, rows + SHAPE[0] / 2, 0)
    return Table({"ra": ra, "dec": dec, "flux": 10 ** random.uniform(-3.7, -2.7, 25)})


def _projection(dither: tuple[float, float], error: tuple[float, float] = (0.0, 0.0)) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = CENTRE
    wcs.wcs.crpix = [SHAPE[1] / 2 + 1 + dither[0] + error[0], SHAPE[0] / 2 + 1 + dither[1] + error[1]]
    wcs.wcs.cd = np.array([[-1.0, 0.0], [0.0, 1.0]]) * SCALE / 3600
    return wcs


def _scene(stars: Table, wcs: WCS) -> np.ndarray:
    """Return the sky with its stars, MJy/sr: round Gaussians, integrated over the pixels."""
    image = np.full(SHAPE, SKY)
    for star, x, y in zip(stars, *wcs.wcs_world2pix(stars["ra"], stars["dec"], 0), strict=True):
        across, up = (
            np.diff(erf((np.arange(size + 1) - 0.5 - centre) / (np.sqrt(2) * SIGMA))) / 2
            for size, centre in ((SHAPE[1], x), (SHAPE[0], y))
        )
        image += star["flux"] * 1e-6 / AREA_SR * up[:, None] * across[None, :]
    return image


def _write_frame(path: Path, counts: np.ndarray, wcs: WCS) -> None:
    header = wcs.to_header()
    header.update(
        {
            "TELESCOP": "HILL-1M",
            "INSTRUME": "GCAM",
            "IMAGETYP": "object",
            "FILTER": FILTER,
            "DATE-OBS": "2026-03-01T22:10:05",
            "EXPTIME": TIME,
            "GAIN": GAIN,
            "RDNOISE": READ_NOISE,
            "BUNIT": "adu",
        }
    )
    pixels = np.clip(np.round(counts), 0, 65535).astype(np.uint16)
    fits.PrimaryHDU(pixels, header=header).writeto(path, overwrite=True)


def _write_references(folder: Path, bias: np.ndarray, flat: np.ndarray) -> None:
    header = {
        "TELESCOP": "HILL-1M",
        "INSTRUME": "GCAM",
        "FILTER": FILTER,
        "USEAFTER": "2020-01-01T00:00:00",
    }
    area = {"PIXAR_SR": AREA_SR, "PIXAR_A2": SCALE**2}
    photom = Table({"filter": [FILTER], "photmjsr": np.array([FACTOR], np.float32)})
    energies = np.array([0.3, 0.5, 0.7], np.float32)
    # A star in an aperture of the combined image is broader, by four boxes of a pixel's width: its own pixel, the drop
    # that is drizzled, the output pixel and the edge of the aperture.
    sigma = np.sqrt(SIGMA**2 + 4 / 12)
    apertures = Table(
        {
            "filter": [FILTER] * 3,
            "eefraction": energies,
            "radius": np.sqrt(-2 * np.log(1 - energies)) * sigma,
            "apcorr": 1 / energies,
            "skyin": np.full(3, 12, np.float32),
            "skyout": np.full(3, 16, np.float32),
        }
    )
    extensions = {
        "bias": fits.ImageHDU(bias.astype(np.float32), name="SCI"),
        "flat": fits.ImageHDU(flat.astype(np.float32), name="SCI"),
        "photom": fits.BinTableHDU(photom, name="PHOTOM"),
        "apcorr": fits.BinTableHDU(apertures, name="APCORR"),
    }
    for reftype, extension in extensions.items():
        primary = fits.PrimaryHDU(header=fits.Header(header | area | {"REFTYPE": reftype}))
        fits.HDUList([primary, extension]).writeto(folder / f"hill_{reftype}.fits", overwrite=True)
    meta = {
        "reftype": "abvegaoffset",
        "telescope": "HILL-1M",
        "useafter": header["USEAFTER"],
        "instrument": {"name": "GCAM", "filter": FILTER},
    }
    offsets = Table({"filter": [FILTER], "abvega_offset": [VEGA]})
    (folder / "hill_abvegaoffset.asdf").write_bytes(tree_to_bytes({"meta": meta, "abvega_offset": offsets}))


def _write_association(path: Path, kind: str, products: list[dict]) -> Path:
    path.write_text(json.dumps({"asn_type": kind, "products": products}, indent=1))
    return path
