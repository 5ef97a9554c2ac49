"""Simulated exposures: the pixels of a count-rate image or cube, and its file."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image
from calflow.simulation.artefacts import readout_noise, slope
from calflow.simulation.detector import Detector, background_shape
from calflow.simulation.exposure import Exposure, ExposureTimes
from calflow.simulation.headers import primary_header, science_header
from calflow.simulation.patterns import trails_image, wisp_template
from calflow.simulation.persistence import REACH, released_rate, trapped_charge
from calflow.simulation.photometry import conversion_at
from calflow.simulation.rendering import render_sources
from calflow.simulation.scene import ARTEFACT_STREAM, EXPOSURE_STREAM, Scene

# Flagged by stage 1 as hit by a cosmic ray and repaired from the other groups of the ramp.
JUMP_FRACTION = 0.02
# Pixels in which the ramp fit gave nothing.
NAN_FRACTION = 2e-4
# A cosmic ray's signal in one pixel: least, and scale of the exponential above it, in sigma of the sky noise.
COSMIC_RAY_LEAST, COSMIC_RAY_SCALE = 6.0, 8.0


@dataclass(frozen=True)
class Signal:
    """What is in the pixels of an exposure besides noise.

    Attributes
    ----------
    rate : float32 array, shape (ny, nx)
        Count rate of sky, sources and bad pixels, DN/s.
    cosmic_rays : float32 array, shape of the exposure
        Count rate added by cosmic rays, DN/s; 0 in pixels that none has hit.
    readout : float32 array, shape of the exposure, or None
        Count rate added by 1/f noise and pedestals, DN/s; None: there are none.
    parts : mapping of str to float32 array, shape (ny, nx)
        What `Artefacts` has added to `rate`, DN/s: those of ``gradient``, ``nebula``, ``wisp``, ``trails`` and
        ``persistence`` that there are.
    """

    rate: np.ndarray
    cosmic_rays: np.ndarray
    readout: np.ndarray | None = None
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)


def expose(
    exposure: Exposure, scene: Scene, detector: Detector, sources: Table, earlier: Sequence[Exposure] = ()
) -> tuple[Image, Signal]:
    """Return the pixels of an exposure, and the truth about them.

    The noise is Gaussian with exactly the variances that the VAR planes tell; the photon noise of
    the scenes is of hundreds of electrons and more, where that is no approximation to speak of.
    VAR_POISSON comes from the noise-free signal, not from the measured one. Cosmic rays may raise both
    variances of their pixels, in proportion (`Scene.cosmic_ray_error`).

    Parameters
    ----------
    exposure : Exposure
        One of the scene.
    scene : Scene
        What is simulated.
    detector : Detector
        Of the exposure.
    sources : Table
        The true sources, as by `make_sources`.
    earlier : sequence of Exposure
        Those of the detector before, which persistence is of.

    Returns
    -------
    image : Image
        DN/s, float32, shape (ny, nx), or (nints, ny, nx) for a cube.
    signal : Signal
    """
    instrument = exposure.instrument
    cut = scene.full_frame.slices(exposure.geometry.window)
    rate = noise_free_rate(exposure, scene, detector, sources)
    parts = artefact_rates(exposure, scene, detector, sources)
    if earlier and scene.artefacts.persistence:
        parts["persistence"] = persistence_rate(exposure, scene, detector, sources, earlier)
        rate = rate + parts["persistence"]
    read = detector.read_variance[cut]
    poisson = np.maximum(rate, 0) / (instrument.gain * instrument.integration_time)
    poisson[(detector.dq[cut] & FLAGS["REFERENCE_PIXEL"]) != 0] = 0.0
    err = np.sqrt(poisson + read)
    random = scene.random(EXPOSURE_STREAM, exposure.stream)

    shape = (max(exposure.times.nints, 1), *rate.shape)
    sci = rate + err * random.standard_normal(shape, dtype=np.float32)
    dq = np.broadcast_to(detector.dq[cut], shape).copy()
    readout = _readout(exposure, scene, shape, float(np.median(err)))
    if readout is not None:
        sci = sci + readout
    pixels, strengths = cosmic_rays(shape, float(np.median(err)), scene.cosmic_rays, random)
    added = np.zeros(shape, np.float32)
    for plane in (sci, added):
        np.add.at(plane, pixels, strengths)
    _flag_jumps_and_saturation(sci, dq, instrument.full_well / instrument.integration_time, random)
    raised = 1 + (scene.cosmic_ray_error * added / err) ** 2
    planes = {"err": err * np.sqrt(raised), "var_poisson": poisson * raised, "var_rnoise": read * raised}
    planes = {name: np.broadcast_to(plane, shape).astype(np.float32) for name, plane in planes.items()}
    image = Image(sci=sci.astype(np.float32), dq=dq, **planes)
    _spoil_some_pixels(image, random)
    if exposure.times.nints:
        return image, Signal(rate, added, readout, parts)
    image = replace(image, **{name: plane[0] for name, plane in image.planes().items()})
    return image, Signal(rate, added[0], None if readout is None else readout[0], parts)


def write_exposure(path: Path, exposure: Exposure, scene: Scene, image: Image) -> None:
    """Write an exposure as the archive's `_rate` or `_rateints` file.

    Parameters
    ----------
    path : Path
        Of the new file.
    exposure : Exposure
        One of the scene.
    scene : Scene
        What is simulated.
    image : Image
        Its pixels.
    """
    science = science_header(exposure, scene)
    hdus = [
        fits.PrimaryHDU(header=primary_header(exposure, scene)),
        fits.ImageHDU(image.sci, header=science, name="SCI", ver=1),
        fits.ImageHDU(image.err, header=fits.Header([("BUNIT", "DN/s", "physical units of the array values")])),
        fits.ImageHDU(image.dq),
    ]
    hdus[2].name, hdus[3].name = "ERR", "DQ"
    if exposure.times.nints:
        hdus.append(_integration_times(exposure.times))
    hdus.append(fits.ImageHDU(image.var_poisson, name="VAR_POISSON"))
    hdus.append(fits.ImageHDU(image.var_rnoise, name="VAR_RNOISE"))
    hdus.append(_asdf_extension(exposure))
    for hdu in hdus[1:]:
        hdu.ver = 1
    fits.HDUList(hdus).writeto(path, overwrite=True)


def write_signal(path: Path, signal: Signal) -> None:
    """Write the truth about the pixels of an exposure, DN/s.

    Parameters
    ----------
    path : Path
        Of the new file: extensions RATE, COSMIC_RAYS, and those that there are of READOUT, GRADIENT, NEBULA, WISP,
        TRAILS, PERSISTENCE.
    signal : Signal
        As by `expose`.
    """
    hdus = [
        fits.PrimaryHDU(),
        fits.ImageHDU(signal.rate, name="RATE"),
        fits.ImageHDU(signal.cosmic_rays, name="COSMIC_RAYS"),
    ]
    if signal.readout is not None:
        hdus.append(fits.ImageHDU(signal.readout, name="READOUT"))
    hdus += [fits.ImageHDU(part, name=name.upper()) for name, part in signal.parts.items()]
    fits.HDUList(hdus).writeto(path, overwrite=True)


def write_detector_truth(path: Path, scene: Scene, detector: Detector) -> None:
    """Write the truth about a detector: RESPONSE, UNFLAGGED, and WISP if it has one.

    Parameters
    ----------
    path : Path
        Of the new file. RESPONSE is that of the pixels over what the flat reference tells, 1 where that is 0;
        UNFLAGGED has WARM, OPEN and ADJ_OPEN; WISP is 1 where it is brightest.
    scene : Scene
        What is simulated.
    detector : Detector
    """
    known = detector.known_response
    response = np.divide(detector.response, known, out=np.ones_like(known), where=known != 0)
    hdus = [
        fits.PrimaryHDU(),
        fits.ImageHDU(response, name="RESPONSE"),
        fits.ImageHDU(detector.unflagged, name="UNFLAGGED"),
    ]
    if scene.artefacts.wisp:
        hdus.append(fits.ImageHDU(wisp_of(scene, detector), name="WISP"))
    fits.HDUList(hdus).writeto(path, overwrite=True)


def noise_free_rate(exposure: Exposure, scene: Scene, detector: Detector, sources: Table) -> np.ndarray:
    """Return what the detector would measure without noise, DN/s, float32, shape (ny, nx) of the exposure's window.

    Parameters
    ----------
    exposure : Exposure
        One of the scene.
    scene : Scene
        What is simulated.
    detector : Detector
        Of the exposure.
    sources : Table
        The true sources, as by `make_sources`.
    """
    cut = scene.full_frame.slices(exposure.geometry.window)
    brightness: np.ndarray | float = exposure.sky * _sky_structure(exposure, scene)
    if len(sources) and not exposure.background and not exposure.blank:
        brightness = brightness + render_sources(sources, exposure.geometry)
    if exposure.wisp:
        brightness = brightness + exposure.wisp * wisp_of(scene, detector)[cut]
    if exposure.trails:
        brightness = brightness + trails_image(exposure.trails, detector.response[cut].shape)
    return (_rate_of(brightness, exposure, scene, detector) + detector.dark_rate[cut]).astype(np.float32)


def artefact_rates(exposure: Exposure, scene: Scene, detector: Detector, sources: Table) -> dict[str, np.ndarray]:
    """Return what the artefacts of the sky add to the count rate: gradient, nebula, wisp, trails, those that there are.

    Parameters
    ----------
    exposure : Exposure
        One of the scene.
    scene : Scene
        What is simulated.
    detector : Detector
        Of the exposure.
    sources : Table
        The true sources, as by `make_sources`.

    Returns
    -------
    dict of str to float32 array, shape (ny, nx) of the exposure's window
        DN/s.
    """
    cut = scene.full_frame.slices(exposure.geometry.window)
    parts = {}
    if scene.artefacts.gradient:
        parts["gradient"] = exposure.sky * scene.artefacts.gradient * slope(exposure.instrument.shape)[cut]
    clumps = sources[sources["type"] == "nebula"]
    if len(clumps) and not exposure.background and not exposure.blank:
        parts["nebula"] = render_sources(clumps, exposure.geometry)
    if exposure.wisp:
        parts["wisp"] = exposure.wisp * wisp_of(scene, detector)[cut]
    if exposure.trails:
        parts["trails"] = trails_image(exposure.trails, detector.response[cut].shape)
    return {name: _rate_of(part, exposure, scene, detector).astype(np.float32) for name, part in parts.items()}


def persistence_rate(
    exposure: Exposure, scene: Scene, detector: Detector, sources: Table, earlier: Sequence[Exposure]
) -> np.ndarray:
    """Return the count rate of what earlier exposures have left in the pixels, DN/s, float32, shape (ny, nx).

    Parameters
    ----------
    exposure : Exposure
        One of the scene.
    scene : Scene
        What is simulated.
    detector : Detector
        Of the exposure.
    sources : Table
        The true sources, as by `make_sources`.
    earlier : sequence of Exposure
        Of the same detector.
    """
    instrument, artefacts = exposure.instrument, scene.artefacts
    left = np.zeros(instrument.shape, np.float32)
    for other in earlier:
        seconds = (exposure.times.start - other.times.end).total_seconds()
        if 0 <= seconds < REACH * artefacts.persistence_time:
            rate = noise_free_rate(other, scene, detector, sources)
            trapped = trapped_charge(rate, instrument.integration_time, instrument.full_well, artefacts.persistence)
            released = released_rate(seconds, exposure.times.duration, artefacts.persistence_time)
            left[scene.full_frame.slices(other.geometry.window)] += np.float32(released) * trapped
    return left[scene.full_frame.slices(exposure.geometry.window)]


def wisp_of(scene: Scene, detector: Detector) -> np.ndarray:
    """Return the pattern of the wisp of a detector, float32, shape of the full frame; its maximum is 1.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    detector : Detector
    """
    return wisp_template(detector.instrument.shape, scene.random(ARTEFACT_STREAM, 5, detector.number))


def _sky_structure(exposure: Exposure, scene: Scene) -> np.ndarray | float:
    """Return the brightness of the sky over its level."""
    instrument = exposure.instrument
    cut = scene.full_frame.slices(exposure.geometry.window)
    structure = 1 + instrument.sky_gradient * background_shape(instrument)[cut]
    if scene.artefacts.gradient:
        structure = structure + scene.artefacts.gradient * slope(instrument.shape)[cut]
    return structure


def _rate_of(brightness, exposure: Exposure, scene: Scene, detector: Detector) -> np.ndarray:
    """Return the count rate of light of a brightness in MJy/sr."""
    conversion = conversion_at(exposure.instrument, exposure.times.middle_mjd)
    return brightness / conversion * detector.response[scene.full_frame.slices(exposure.geometry.window)]


def cosmic_rays(
    shape: tuple[int, int, int], noise: float, fraction: float, random: np.random.Generator
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Return cosmic rays: short straight tracks of one to four pixels.

    Parameters
    ----------
    shape : (int, int, int)
        Integrations, rows, columns.
    noise : float
        Noise of a sky pixel, the unit of the signal.
    fraction : float
        Part of the pixels that are hit.
    random : Generator

    Returns
    -------
    pixels : tuple of int arrays
        Indices into `shape`; a pixel may be hit twice.
    signal : float array
        What each of them gets, in the unit of `noise`.
    """
    nints, ny, nx = shape
    length = 4
    hits = random.poisson(fraction * nints * ny * nx * 2 / (1 + length))
    pixels = random.integers(1, length + 1, hits)
    angle = random.uniform(0, 2 * np.pi, hits)
    start = random.uniform(0, 1, (3, hits)) * np.array([[nints], [ny], [nx]])
    signal = noise * (COSMIC_RAY_LEAST + random.exponential(COSMIC_RAY_SCALE, hits))
    steps = []
    for step in range(length):
        row = (start[1] + step * np.sin(angle)).astype(int)
        column = (start[2] + step * np.cos(angle)).astype(int)
        on = (pixels > step) & (row >= 0) & (row < ny) & (column >= 0) & (column < nx)
        steps.append((start[0, on].astype(int), row[on], column[on], signal[on]))
    integration, row, column, strength = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    return (integration, row, column), strength


def _readout(exposure: Exposure, scene: Scene, shape: tuple[int, int, int], noise: float) -> np.ndarray | None:
    """Return the noise of the readout of each integration, if the scene has any."""
    if not scene.artefacts.electronic:
        return None
    amplifiers = scene.artefacts.amplifiers if exposure.geometry.window == scene.full_frame else 1
    random = scene.random(ARTEFACT_STREAM, 1, exposure.stream)
    return np.stack([readout_noise(scene.artefacts, shape[1:], noise, amplifiers, random) for _ in range(shape[0])])


def _asdf_extension(exposure: Exposure) -> fits.BinTableHDU:
    """Return the extension that ends every file of the archive; the metadata proper are the FITS keywords."""
    import asdf

    buffer = io.BytesIO()
    asdf.AsdfFile({"meta": {"filename": exposure.filename, "telescope": "JWST"}}).write_to(buffer)
    content = np.frombuffer(buffer.getvalue(), np.uint8)[None]
    column = fits.Column("ASDF_METADATA", f"{content.size}B", array=content)
    return fits.BinTableHDU.from_columns([column], name="ASDF")


def _flag_jumps_and_saturation(sci, dq, saturation_rate: float, random: np.random.Generator) -> None:
    reference = (dq & FLAGS["REFERENCE_PIXEL"]) != 0
    jumps = random.integers(0, sci.size, int(JUMP_FRACTION * sci.size))
    dq.flat[jumps] |= np.uint32(FLAGS["JUMP_DET"])
    dq[(sci > saturation_rate) & ~reference] |= np.uint32(FLAGS["SATURATED"])
    # Full from the first group on: no slope could be fitted.
    dq[(sci > 4 * saturation_rate) & ~reference] |= np.uint32(FLAGS["DO_NOT_USE"])
    dq[reference] &= np.uint32(0xFFFFFFFF ^ FLAGS["JUMP_DET"])


def _spoil_some_pixels(image: Image, random: np.random.Generator) -> None:
    """Put NaN where files of stage 1 have them: with the flag, without it, and in one plane only."""
    usable = np.flatnonzero((image.dq & FLAGS["DO_NOT_USE"]) == 0)
    chosen = usable[random.integers(0, usable.size, max(6, int(NAN_FRACTION * image.sci.size)))]
    flagged, unflagged, one_plane = np.array_split(chosen, 3)
    full = np.flatnonzero(
        ((image.dq & FLAGS["SATURATED"]) != 0) & ((image.dq & FLAGS["DO_NOT_USE"]) != 0) & (image.sci > 0)
    )
    planes = image.planes()
    for pixels in (flagged, unflagged, full):
        for name in ("sci", "err", "var_poisson", "var_rnoise"):
            planes[name].flat[pixels] = np.nan
    planes["var_rnoise"].flat[one_plane] = np.nan
    image.dq.flat[flagged] |= np.uint32(FLAGS["DO_NOT_USE"])


def _integration_times(times: ExposureTimes) -> fits.BinTableHDU:
    """Return the INT_TIMES table; in so short an exposure the barycentric times differ by a constant."""
    number = np.arange(1, times.nints + 1, dtype=np.int32)
    start = times.start_mjd + (number - 1) * times.integration_time / 86400
    middle, end = start + times.integration_time / 172800, start + times.integration_time / 86400
    columns = [fits.Column("integration_number", "J", array=number)]
    for scale, delay in (("MJD_UTC", 0.0), ("BJD_TDB", times.barycentre_delay / 86400)):
        for name, value in (("start", start), ("mid", middle), ("end", end)):
            columns.append(fits.Column(f"int_{name}_{scale}", "D", array=value + delay))
    return fits.BinTableHDU.from_columns(columns, name="INT_TIMES")
