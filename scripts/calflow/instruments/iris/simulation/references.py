"""The reference files that belong to a simulated field of the IRIS imager: dark, flat and photom."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image
from calflow.simulation.detector import Detector, reference_pixels
from calflow.simulation.headers import window_cards
from calflow.simulation.references import DATE, FLAT_ERROR, FLAT_FLAGS, USEAFTER, flag_definitions, write_fits
from calflow.simulation.scene import DARK_STREAM, DETECTOR_STREAM, Scene

# References of IRIS and of its sister instrument share this name.
TELESCOPE = "LIGERIRI"
# Noise of the dark in one pixel, DN/s.
DARK_ERROR = 0.01


def make_dark(scene: Scene, detector: Detector) -> Image:
    """Return the dark reference: the true rate with its error, the flags of bad pixels, NaN where nothing is known.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    detector : Detector
        Of the field.
    """
    random = scene.random(DARK_STREAM, 1)
    sci = detector.dark_rate + DARK_ERROR * random.standard_normal(detector.dark_rate.shape, dtype=np.float32)
    err, dq = np.full_like(sci, DARK_ERROR), detector.dq.copy()
    inner = np.flatnonzero(~reference_pixels(detector.instrument))
    unreliable, nan = np.array_split(random.choice(inner, max(4, inner.size // 10000), replace=False), 2)
    dq.flat[unreliable] |= np.uint32(FLAGS["UNRELIABLE_DARK"])
    sci.flat[nan], err.flat[nan] = np.nan, np.nan
    return Image(sci=sci, err=err, dq=dq)


def make_flat(scene: Scene, detector: Detector) -> Image:
    """Return the flat reference: the true response with its error, and odd pixels; flags in the bits of `FLAT_FLAGS`.

    Odd are pixels with each of the flags, and such that are NaN, zero or negative without one.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    detector : Detector
        Of the field.
    """
    random = scene.random(DETECTOR_STREAM, 1)
    bits = {name: np.uint32(value) for value, name, _ in FLAT_FLAGS}
    sci = detector.response * (1 + FLAT_ERROR * random.standard_normal(detector.response.shape, dtype=np.float32))
    err, dq = FLAT_ERROR * np.abs(sci), np.zeros(sci.shape, np.uint32)
    border = reference_pixels(detector.instrument)
    sci[border], err[border], dq[border] = 1.0, 0.0, bits["NON_SCIENCE"]
    inner = np.flatnonzero(~border)
    odd = random.choice(inner, max(6, inner.size // 5000), replace=False)
    unreliable, no_flat, bad, nan, zero, negative = np.array_split(odd, 6)
    for name, pixels in (("UNRELIABLE_FLAT", unreliable), ("NO_FLAT_FIELD", no_flat), ("DO_NOT_USE", bad)):
        dq.flat[pixels] |= bits[name]
    sci.flat[nan], sci.flat[zero], sci.flat[negative] = np.nan, 0.0, -0.02
    return Image(sci=sci, err=err, dq=dq)


def write_iris_references(directory: Path, scene: Scene, dark: Image, flat: Image) -> dict[str, Path]:
    """Write the reference files of a field into `directory`.

    Parameters
    ----------
    directory : Path
        It must be there.
    scene : Scene
        What is simulated.
    dark : Image
        As by `make_dark`.
    flat : Image
        As by `make_flat`.

    Returns
    -------
    dict of str to Path
        The file of each reference type: dark, flat, photom.
    """
    paths = {reftype: directory / f"ligeriri_iris_{reftype}_0001.fits" for reftype in ("dark", "flat", "photom")}
    window = {name: value for name, value, _ in window_cards(scene.full_frame)}
    dark_header = _header(paths["dark"], scene, "dark", "DarkModel") | {"SUBARRAY": "GENERIC", **window}
    flat_header = _header(paths["flat"], scene, "flat", "FlatModel") | {"SUBARRAY": "GENERIC", **window}
    flat_header |= {"FILTER": scene.preset.filter, "PUPIL": scene.preset.pupil}
    write_fits(paths["dark"], dark_header, *_planes(dark))
    write_fits(paths["flat"], flat_header, *_planes(flat), flag_definitions(FLAT_FLAGS))
    _write_photom(paths["photom"], scene)
    return paths


def _planes(image: Image) -> list[fits.ImageHDU]:
    return [fits.ImageHDU(plane, name=name.upper()) for name, plane in image.planes().items()]


def _write_photom(path: Path, scene: Scene) -> None:
    """Write the conversion factors: the row of the field's filter, and of another one that would be plainly wrong."""
    instrument = scene.preset
    factors = np.array([3.7 * instrument.photmjsr, instrument.photmjsr], np.float32)
    columns = [
        fits.Column("filter", "12A", array=["KN3", instrument.filter]),
        fits.Column("pupil", "12A", array=[instrument.pupil] * 2),
        fits.Column("photmjsr", "E", array=factors),
        fits.Column("uncertainty", "E", array=0.02 * factors),
    ]
    area = {"PIXAR_SR": instrument.pixel_area_sr, "PIXAR_A2": instrument.pixel_area_arcsec2}
    header = _header(path, scene, "photom", "PhotomModel") | area
    write_fits(path, header, fits.BinTableHDU.from_columns(columns, name="PHOTOM"))


def _header(path: Path, scene: Scene, reftype: str, model: str) -> dict[str, str | int | float]:
    return {
        "DATE": DATE,
        "FILENAME": path.name,
        "DATAMODL": model,
        "TELESCOP": TELESCOPE,
        "REFTYPE": reftype,
        "PEDIGREE": "DUMMY",
        "DESCRIP": f"Simulated {reftype}",
        "AUTHOR": "calflow simulation",
        "USEAFTER": USEAFTER,
        "INSTRUME": scene.preset.instrument,
        "DETECTOR": scene.preset.detector,
        "EXP_TYPE": scene.preset.exp_type,
    }
