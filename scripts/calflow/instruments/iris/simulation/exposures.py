"""Simulated exposures of the IRIS imager: the pixels of a count-rate image, and its file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy.ndimage import gaussian_filter

from calflow.instruments.iris.simulation.field import IrisExposure, IrisField
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image
from calflow.simulation.detector import Detector, make_detector, reference_pixels
from calflow.simulation.exposures import cosmic_rays, noise_free_rate
from calflow.simulation.headers import isoformat, linear_wcs, window_cards
from calflow.simulation.scene import DARK_STREAM, EXPOSURE_STREAM, Scene

TELESCOPE = "TMT"
# Dark count rate: the level, the glow of the amplifiers at the lower edge, and the grain of the pixels, DN/s.
DARK_LEVEL, DARK_GLOW, DARK_GRAIN = 0.3, 2.5, 0.08
# Pixels in which the ramp fit gave nothing.
NAN_FRACTION = 1e-4


def make_iris_detector(scene: Scene) -> Detector:
    """Return the detector of a field; its dark rate has glow and grain besides the hot pixels.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    """
    detector = make_detector(scene)
    ny, nx = detector.dark_rate.shape
    random = scene.random(DARK_STREAM)
    y, x = np.linspace(0, 1, ny, dtype=np.float32)[:, None], np.linspace(0, 1, nx, dtype=np.float32)
    amplifiers = sum(np.exp(-(((x - centre) / 0.12) ** 2)) for centre in (0.15, 0.5, 0.85))
    grain = gaussian_filter(random.standard_normal((ny, nx), dtype=np.float32), 0.7)
    dark = DARK_LEVEL + DARK_GLOW * amplifiers * np.exp(-y / 0.12) + DARK_GRAIN * grain + detector.dark_rate
    dark[reference_pixels(detector.instrument)] = 0.0
    return replace(detector, dark_rate=dark.astype(np.float32))


def expose_iris(planned: IrisExposure, iris: IrisField, detector: Detector, dark: np.ndarray, sources: Table) -> Image:
    """Return the pixels of an exposure.

    Parameters
    ----------
    planned : IrisExposure
    iris : IrisField
    detector : Detector
    dark : float32 array, shape of the full frame
        The dark reference, DN/s, NaN where it has no value: a background exposure has it subtracted already.
    sources : Table

    Returns
    -------
    Image
        DN/s, shape (ny, nx). NaN in SCI and ERR with DO_NOT_USE where the ramp fit gave nothing, because the pixel was
        full or otherwise; without any flag inside concurrent subarrays.
    """
    scene, exposure, instrument = iris.scene, planned.exposure, iris.scene.preset
    cut = scene.full_frame.slices(planned.window)
    rate = noise_free_rate(exposure, scene, detector, sources)
    dq = detector.dq[cut].copy()
    lit = (dq & FLAGS["REFERENCE_PIXEL"]) == 0
    poisson = np.where(lit, np.maximum(rate, 0), 0) / (instrument.gain * instrument.integration_time)
    # Each of n integrations has 1/n of the time, thus n**2 of the variance of the rate; their average has 1/n of that.
    err = np.sqrt(poisson + detector.read_variance[cut] * planned.integrations)
    random = scene.random(EXPOSURE_STREAM, exposure.stream)
    sci = rate + err * random.standard_normal(rate.shape, dtype=np.float32)
    (_, *pixels), strengths = cosmic_rays((1, *rate.shape), float(np.median(err)), scene.cosmic_rays, random)
    np.add.at(sci, tuple(pixels), strengths)
    if exposure.background:
        sci -= np.nan_to_num(dark[cut], nan=0.0)
    full_well_rate = instrument.full_well * planned.integrations / instrument.integration_time
    saturated = lit & (rate > full_well_rate)
    failed = random.choice(np.flatnonzero(lit), max(2, int(NAN_FRACTION * rate.size)), replace=False)
    dq[saturated] |= np.uint32(FLAGS["SATURATED"] | FLAGS["DO_NOT_USE"])
    dq.flat[failed] |= np.uint32(FLAGS["DO_NOT_USE"])
    for plane in (sci, err):
        plane[saturated] = np.nan
        plane.flat[failed] = np.nan
        plane[subarray_map(planned) > 0] = np.nan
    return Image(sci=sci.astype(np.float32), err=err.astype(np.float32), dq=dq)


def subarray_map(planned: IrisExposure) -> np.ndarray:
    """Return the number of the concurrent subarray of each pixel, 0: none; uint16, shape (ny, nx).

    Parameters
    ----------
    planned : IrisExposure
        One of its exposures.
    """
    ids = np.zeros((planned.window.ny, planned.window.nx), np.uint16)
    for number, window in enumerate(planned.concurrent, start=1):
        ids[planned.window.slices(window)] = number
    return ids


def write_iris_exposure(path: Path, planned: IrisExposure, scene: Scene, image: Image) -> None:
    """Write an exposure as a `_rate` file of the layout that has all keywords in the primary header.

    Parameters
    ----------
    path : Path
        Of the new file.
    planned : IrisExposure
        One of its exposures.
    scene : Scene
        What is simulated.
    image : Image
        Its count rates.
    """
    planes = {"SCI": image.sci, "ERR": image.err, "DQ": image.dq}
    if planned.concurrent:
        planes["SUBARR_MAP"] = subarray_map(planned)
    extensions = [fits.ImageHDU(plane, name=name, ver=1) for name, plane in planes.items()]
    primary = fits.PrimaryHDU(header=fits.Header(_primary_cards(planned, scene)))
    fits.HDUList([primary, *extensions]).writeto(path, overwrite=True)


def _primary_cards(planned: IrisExposure, scene: Scene) -> list[tuple]:
    exposure, times, instrument = planned.exposure, planned.exposure.times, planned.exposure.instrument
    ny, nx = scene.preset.shape
    cards = [
        ("DATE", isoformat(times.end), "UTC date file created"),
        ("FILENAME", exposure.filename, "Name of the file"),
        ("DATAMODL", "LigerIrisImageModel", "Type of data model"),
        ("TELESCOP", TELESCOPE, "Telescope used to acquire the data"),
        ("INSTRUME", instrument.instrument, "Instrument used to acquire the data"),
        ("DETECTOR", instrument.detector, "Name of detector used to acquire the data"),
        ("FILTER", instrument.filter, "Name of the filter element used"),
        ("PUPIL", instrument.pupil, "Name of the pupil element used"),
        ("GRATING", "MIRROR", "Name of the grating element used"),
        ("EXP_TYPE", scene.exposure_type, "Type of data in the exposure"),
        ("DATE-OBS", isoformat(times.start)[:10], "[yyyy-mm-dd] UTC date at start of exposure"),
        ("TIME-OBS", isoformat(times.start)[11:], "[hh:mm:ss.sss] UTC time at start of exposure"),
        ("EXPSTART", times.start_mjd, "[d] exposure start time in MJD"),
        ("EXPMID", times.middle_mjd, "[d] exposure mid time in MJD"),
        ("EXPEND", times.end_mjd, "[d] exposure end time in MJD"),
        ("NINTS", planned.integrations, "Number of integrations in exposure"),
        ("EFFEXPTM", times.duration, "[s] Effective exposure time"),
        ("SUBARRAY", "CUSTOM" if planned.subarray_id else "FULL", "Subarray used"),
        ("SUBARRID", planned.subarray_id, "Number of the subarray, 0: full frame"),
        *window_cards(planned.window),
        ("DETXSIZ", nx, "Columns of the detector"),
        ("DETYSIZ", ny, "Rows of the detector"),
        ("RADECSYS", "ICRS", "Name of the coordinate reference frame"),
        *linear_wcs(exposure),
    ]
    if exposure.background:
        cards.append(("S_DARK", "COMPLETE", "Dark subtraction"))
    return cards
