"""The simulated detector: response, noise and bad pixels, the same in all exposures of a scene."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from calflow.science.dq_flags import FLAGS
from calflow.simulation.instruments import Instrument
from calflow.simulation.photometry import sky_noise
from calflow.simulation.scene import ARTEFACT_STREAM, DETECTOR_STREAM, Scene

# What a bad pixel is, and how large a part of the bad pixels it makes up.
BAD_PIXEL_KINDS = (
    ("HOT", 0.20),
    ("HOT+DO_NOT_USE", 0.20),
    ("DEAD+DO_NOT_USE", 0.20),
    ("DO_NOT_USE", 0.10),
    ("UNRELIABLE_SLOPE", 0.20),
    ("RC", 0.10),
)
# Light that scatters behind the opaque bars of the focal plane mask.
BAR_TRANSMISSION = 0.03
# Count rate of warm pixels without a flag: least, and scale of the exponential above it, in sigma of the sky noise.
WARM_LEAST, WARM_SCALE = 3.0, 10.0
# What an open pixel keeps of its light; the rest goes to its four neighbours.
OPEN_KEEPS = 0.2
# Standard deviation of the spots in which a flat is wrong, pixels.
SPOT_SIGMA = 4.0


@dataclass(frozen=True)
class Detector:
    """A detector and its full-frame properties, all of shape (ny, nx).

    Attributes
    ----------
    instrument : Instrument
    number : int
        Its number among those that expose together, from 0.
    response : float32 array
        Signal relative to the average pixel: what a perfect flat field would show.
    read_variance : float32 array
        Variance of the count rate of one integration without light, (DN/s)**2.
    dark_rate : float32 array
        Excess count rate of hot and broken pixels, DN/s.
    dq : uint32 array
        Flags of the bad pixels and of the reference pixels.
    unlit : bool array
        True behind the opaque bars of the focal plane mask.
    known_response : float32 array
        What the flat reference knows of the response: not what `Artefacts.flat_error` and open pixels add.
    unflagged : uint32 array
        What is wrong with pixels and not in `dq`: WARM, OPEN, ADJ_OPEN.
    """

    instrument: Instrument
    number: int
    response: np.ndarray
    read_variance: np.ndarray
    dark_rate: np.ndarray
    dq: np.ndarray
    unlit: np.ndarray
    known_response: np.ndarray
    unflagged: np.ndarray


def make_detector(scene: Scene, number: int = 0) -> Detector:
    """Return one of the detectors of a scene.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    number : int, optional
        From 0.
    """
    instrument = scene.preset.beside(number)
    random = scene.random(DETECTOR_STREAM, 2 * number)
    read_variance = (instrument.read_noise / instrument.integration_time) ** 2
    variance = read_variance * np.exp(0.1 * random.standard_normal(instrument.shape, dtype=np.float32))
    unlit = _opaque_bars(instrument)
    response = _response(instrument, random)
    response[unlit] *= BAR_TRANSMISSION
    dq, dark_rate = _bad_pixels(scene, random, np.sqrt(read_variance))
    response[(dq & FLAGS["DEAD"]) != 0] = 0.0
    border = reference_pixels(instrument)
    response[border], dark_rate[border] = 0.0, 0.0
    dq[border] = FLAGS["REFERENCE_PIXEL"] | FLAGS["DO_NOT_USE"]
    known = response
    if scene.artefacts.flat_error:
        response = response * _flat_error(scene, number)
    unflagged = np.zeros_like(dq)
    if scene.artefacts.warm or scene.artefacts.open:
        response, dark_rate = response.copy(), dark_rate.copy()
        noise = sky_noise(scene) / instrument.photmjsr
        unflagged = _unflagged_pixels(scene, number, dq != 0, noise, response, dark_rate)
    return Detector(instrument, number, response, variance.astype(np.float32), dark_rate, dq, unlit, known, unflagged)


def reference_pixels(instrument: Instrument) -> np.ndarray:
    """Return the mask of the reference-pixel border, shape (ny, nx).

    Parameters
    ----------
    instrument : Instrument
        With its telescope and filter.
    """
    columns, rows = instrument.border
    ny, nx = instrument.shape
    border = np.ones((ny, nx), bool)
    border[rows : ny - rows, columns : nx - columns] = False
    return border


def background_shape(instrument: Instrument) -> np.ndarray:
    """Return the sky's structure on the detector: zero mean, peak to peak 1, shape (ny, nx), float32.

    It stands for the thermal glow of the telescope: a slope and a broad bump that stay on the
    detector when the telescope moves.

    Parameters
    ----------
    instrument : Instrument
        With its telescope and filter.
    """
    ny, nx = instrument.shape
    y, x = np.linspace(-1, 1, ny, dtype=np.float32)[:, None], np.linspace(-1, 1, nx, dtype=np.float32)
    glow = 0.6 * x - 0.8 * y + 1.2 * np.exp(-((x - 0.7) ** 2) / 0.3) * np.exp(-((y + 0.8) ** 2) / 0.2)
    glow -= glow.mean()
    return glow / np.ptp(glow)


def _response(instrument: Instrument, random: np.random.Generator) -> np.ndarray:
    """Multiply the illumination by the optics, the grain of the pixels, and the shadows of dust."""
    ny, nx = instrument.shape
    y, x = np.linspace(-1, 1, ny, dtype=np.float32)[:, None], np.linspace(-1, 1, nx, dtype=np.float32)
    response = 1.04 + 0.05 * x - 0.04 * y - 0.07 * (x * x + y * y) + 0.03 * np.sin(4 * x) * np.cos(3 * y)
    response *= 1 + 0.01 * random.standard_normal((ny, nx), dtype=np.float32)
    dust = np.zeros((ny, nx), np.float32)
    n = max(2, nx * ny // 50000)
    dust[random.integers(0, ny, n), random.integers(0, nx, n)] = random.uniform(0.5, 1.0, n)
    radius = 4.0
    response *= 1 - 0.12 * 2 * np.pi * radius**2 * gaussian_filter(dust, radius, truncate=3)
    return response.astype(np.float32)


def _opaque_bars(instrument: Instrument) -> np.ndarray:
    """Return the mask of the bars between the imager's field and the coronagraphs along its left side."""
    ny, nx = instrument.shape
    unlit = np.zeros((ny, nx), bool)
    if not instrument.unlit:
        return unlit
    edge, bar = round(0.33 * nx), max(1, round(0.015 * nx))
    unlit[:, edge : edge + bar] = True
    for height in (0.22, 0.44, 0.66):
        row = round(height * ny)
        unlit[row : row + bar, :edge] = True
    return unlit


def _bad_pixels(scene: Scene, random: np.random.Generator, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the flags and the excess count rates of the bad pixels."""
    shape = scene.preset.shape
    dq, rate = np.zeros(shape, np.uint32), np.zeros(shape, np.float32)
    n = round(scene.bad_pixels * dq.size)
    pixels = random.choice(dq.size, size=n, replace=False)
    kinds = random.choice(len(BAD_PIXEL_KINDS), size=n, p=[part for _, part in BAD_PIXEL_KINDS])
    strength = random.exponential(1.0, n)
    # Excess count rate of each kind, in units of the read noise; the unusable ones may be anything.
    excess = {"HOT": 6.0, "HOT+DO_NOT_USE": 800.0, "DO_NOT_USE": -300.0}
    for k, (names, _) in enumerate(BAD_PIXEL_KINDS):
        chosen = pixels[kinds == k]
        dq.flat[chosen] = sum(FLAGS[name] for name in names.split("+"))
        rate.flat[chosen] = excess.get(names, 0.0) * noise * (1 + strength[kinds == k])
    return dq, rate


def _flat_error(scene: Scene, number: int) -> np.ndarray:
    """Return the response over that which the flat reference tells: from pixel to pixel, and in spots."""
    random = scene.random(ARTEFACT_STREAM, 2, number)
    grain, spots = random.standard_normal((2, *scene.preset.shape), dtype=np.float32)
    spots = gaussian_filter(spots, SPOT_SIGMA, truncate=3, mode="wrap")
    both = (grain / grain.std() + spots / spots.std()) / np.float32(np.sqrt(2))
    return 1 + np.float32(scene.artefacts.flat_error) * both


def _unflagged_pixels(
    scene: Scene, number: int, known: np.ndarray, noise: float, response: np.ndarray, rate: np.ndarray
) -> np.ndarray:
    """Make pixels warm and open, in place, that are not known as bad; return their flags."""
    random = scene.random(ARTEFACT_STREAM, 3, number)
    ny, nx = known.shape
    flags = np.zeros(known.shape, np.uint32)
    border = 1 + max(scene.preset.border)
    inner = np.zeros(known.shape, bool)
    inner[border : ny - border, border : nx - border] = True
    usable = np.flatnonzero(inner & ~known)
    wanted = [round(part * known.size) for part in (scene.artefacts.warm, scene.artefacts.open)]
    warm, unconnected = np.split(random.choice(usable, sum(wanted), replace=False), [wanted[0]])
    flags.flat[warm] = FLAGS["WARM"]
    rate.flat[warm] += noise * (WARM_LEAST + random.exponential(WARM_SCALE, len(warm)))
    for pixel in unconnected:
        # Another bad pixel beside it would not be what it is taken for.
        group = pixel + np.array([0, -1, 1, -nx, nx])
        if known.flat[group].any() or flags.flat[group].any():
            continue
        lost = (1 - OPEN_KEEPS) * response.flat[pixel]
        response.flat[pixel] -= lost
        response.flat[group[1:]] += lost / 4
        flags.flat[group] = FLAGS["OPEN"], *[FLAGS["ADJ_OPEN"]] * 4
    return flags
