"""What a detector and the sky put into exposures that cleaning takes out again, each switched on by itself.

The 1/f noise follows the readout: an amplifier reads its columns of a line pixel by pixel, then waits, then reads
those of the next line. Noise that is slow against a line is the same along it, so lines become stripes.
"""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

# Times of a pixel that pass between two lines.
LINE_OVERHEAD = 12
# Of a nebula: how many clumps, and the part of the field's height that they fill.
CLUMPS, NEBULA_HEIGHT = 60, 0.5
# Of parts of pixels and of charge: of more the rest would not be what it is taken for.
MOST = 0.1


@dataclass(frozen=True)
class Artefacts:
    """What is added to the exposures of a scene; nothing by default.

    Attributes
    ----------
    flicker : float
        1/f noise that all amplifiers have in common: standard deviation of the means of lines, in units of the noise
        of a sky pixel.
    channel_flicker : float
        The same of what each amplifier has of its own.
    amplifiers : int
        How many read a full frame, each a block of every line. A subarray is read by one.
    pedestal : float
        Standard deviation of the levels of the amplifiers, in units of the noise of a sky pixel.
    gradient : float
        Brightness of the sky from corner to corner, in units of its level, on the detector.
    nebula : float
        Typical brightness of a nebula that fills half of the field, in units of the noise of a sky pixel.
    slow_axis : {1, 2, -1, -2}
        Along which axis lines follow each other when the detector is read, 1 for x and 2 for y; negative: backwards.
    wisp : float
        Brightness of scattered light in filaments at its brightest, in units of the noise of a sky pixel; each detector
        has a pattern of its own.
    wisp_scatter : float
        By how much it differs from exposure to exposure: standard deviation of its natural logarithm.
    flat_error : float
        Standard deviation of the response of the pixels over what the flat reference tells; half of its variance is
        from pixel to pixel, half in spots.
    warm, open : float
        Parts of the pixels that are warm, and open, without a flag.
    persistence : float
        Part of the charge of a full pixel that is trapped and comes out in the exposures that follow.
    persistence_time : float
        In which that falls to 1/e, seconds.
    trails : int
        How many satellites cross each science exposure.
    trail_brightness : float
        Of a trail in its middle, in units of the noise of a sky pixel.
    trail_width : float
        Full width at half maximum of a trail, pixels.
    """

    flicker: float = 0.0
    channel_flicker: float = 0.0
    amplifiers: int = 4
    pedestal: float = 0.0
    gradient: float = 0.0
    nebula: float = 0.0
    slow_axis: int = 2
    wisp: float = 0.0
    wisp_scatter: float = 0.5
    flat_error: float = 0.0
    warm: float = 0.0
    open: float = 0.0
    persistence: float = 0.0
    persistence_time: float = 1000.0
    trails: int = 0
    trail_brightness: float = 10.0
    trail_width: float = 6.0

    def __post_init__(self):
        if abs(self.slow_axis) not in (1, 2):
            raise ValueError(f"slow_axis: {self.slow_axis}, but there are axes 1 and 2")
        for name in ("warm", "open", "persistence"):
            if not 0 <= getattr(self, name) <= MOST:
                raise ValueError(f"{name}: {getattr(self, name)} is no part from 0 to {MOST}")
        if self.trails < 0 or self.trail_width <= 0 or self.persistence_time <= 0:
            raise ValueError("trails are not negative; trail_width and persistence_time are more than 0")

    @property
    def electronic(self) -> bool:
        """Whether there is noise of the readout among them."""
        return bool(self.flicker or self.channel_flicker or self.pedestal)


def readout_noise(
    artefacts: Artefacts, shape: tuple[int, int], noise: float, amplifiers: int, random: np.random.Generator
) -> np.ndarray:
    """Return the noise of one readout; float32, shape (ny, nx), unit of `noise`.

    Parameters
    ----------
    artefacts : Artefacts
        How much there is of it.
    shape : (int, int)
        Rows, columns.
    noise : float
        That of a sky pixel.
    amplifiers : int
        How many blocks of a line are read at the same time.
    random : Generator
    """
    ny, nx = shape if abs(artefacts.slow_axis) == 2 else shape[::-1]
    width = -(-nx // amplifiers)
    common = flicker_noise(ny, width, random)
    image = np.empty((ny, amplifiers * width), np.float32)
    for number in range(amplifiers):
        own = flicker_noise(ny, width, random)
        block = artefacts.flicker * common + artefacts.channel_flicker * own + artefacts.pedestal * random.normal()
        # Neighbouring amplifiers read towards each other.
        image[:, number * width : (number + 1) * width] = block[:, :: -1 if number % 2 else 1]
    image = np.float32(noise) * image[:: -1 if artefacts.slow_axis < 0 else 1, :nx]
    return image if abs(artefacts.slow_axis) == 2 else np.ascontiguousarray(image.T)


def flicker_noise(lines: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Return 1/f noise in the order of reading; the means of lines have mean 0 and standard deviation 1.

    Parameters
    ----------
    lines, width : int
        What one amplifier reads.
    random : Generator

    Returns
    -------
    float64 array, shape (lines, width)
    """
    number = lines * (width + LINE_OVERHEAD)
    frequency = np.fft.rfftfreq(number)
    spectrum = random.standard_normal((2, frequency.size)) * np.where(frequency > 0, frequency, np.inf) ** -0.5
    noise = np.fft.irfft(spectrum[0] + 1j * spectrum[1], number).reshape(lines, -1)[:, :width]
    means = noise.mean(axis=1)
    return (noise - means.mean()) / means.std()


def slope(shape: tuple[int, int]) -> np.ndarray:
    """Return a plane that rises from 0 at the first to 1 at the last pixel, float32, shape (ny, nx).

    Parameters
    ----------
    shape : (int, int)
        Rows, columns.
    """
    y, x = (np.linspace(0, 0.5, number, dtype=np.float32) for number in shape)
    return y[:, None] + x


def nebula(brightness: float, width: float, height: float, random: np.random.Generator) -> Table:
    """Return a nebula as clumps, Gaussians of many sizes.

    Parameters
    ----------
    brightness : float
        Typical surface brightness, any unit.
    width, height : float
        Of the field, arcsec. Its lower half is filled.
    random : Generator

    Returns
    -------
    Table
        Columns `x`, `y` (arcsec from the lower left corner of the field), `flux` (unit of `brightness` times
        arcsec**2), `radius` (half-light, arcsec), `axis_ratio`, `position_angle` (deg).
    """
    # Clumps of every size cover the same area, so that there is structure on all scales.
    radius = np.geomspace(0.01, 0.25, CLUMPS) * width
    axis_ratio = random.uniform(0.3, 1.0, CLUMPS)
    peak = brightness * random.uniform(0.2, 1.0, CLUMPS)
    sigma = radius / np.sqrt(2 * np.log(2))
    return Table(
        {
            "x": random.uniform(0, width, CLUMPS),
            "y": random.uniform(0, NEBULA_HEIGHT * height, CLUMPS),
            "flux": peak * 2 * np.pi * sigma**2 * axis_ratio,
            "radius": radius,
            "axis_ratio": axis_ratio,
            "position_angle": random.uniform(0, 180, CLUMPS),
        }
    )
