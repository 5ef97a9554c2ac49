"""Light that is no source: wisps, which lie on the detector, and the trails of satellites."""

from dataclasses import dataclass

import numpy as np

# Of a wisp: how many filaments, and how thick they are in parts of the detector's height.
FILAMENTS = 5
THICKNESS = (0.008, 0.03)
# The profile of a trail, a Gaussian: exp(-4 ln 2 (distance / width)**2).
STEEPNESS = 4 * np.log(2)


@dataclass(frozen=True)
class Trail:
    """A straight trail across an exposure.

    Attributes
    ----------
    x, y : float
        A point that it goes through, pixels of the exposure counted from 0.
    angle : float
        Its direction, degrees from the x to the y axis.
    width : float
        Full width at half maximum across it, pixels.
    brightness : float
        In its middle, MJy/sr.
    """

    x: float
    y: float
    angle: float
    width: float
    brightness: float

    def distance(self, shape: tuple[int, int]) -> np.ndarray:
        """Return how far pixels are from its middle, float32, shape (ny, nx), pixels.

        Parameters
        ----------
        shape : (int, int)
            Rows, columns.
        """
        angle = np.radians(self.angle)
        y, x = (np.arange(number, dtype=np.float32) for number in shape)
        across = np.float32(np.cos(angle)) * (y - np.float32(self.y))
        return np.abs(across[:, None] - np.float32(np.sin(angle)) * (x - np.float32(self.x)))


def make_trails(
    number: int, shape: tuple[int, int], width: float, brightness: float, random: np.random.Generator
) -> tuple[Trail, ...]:
    """Return trails in any direction through the middle half of an exposure.

    Parameters
    ----------
    number : int
    shape : (int, int)
        Rows, columns.
    width : float
        Full width at half maximum, pixels.
    brightness : float
        Of each, MJy/sr.
    random : Generator
    """
    ny, nx = shape
    points = random.uniform(0.25, 0.75, (number, 2)) * (nx, ny)
    angles = random.uniform(0, 180, number)
    return tuple(
        Trail(float(x), float(y), float(angle), width, brightness) for (x, y), angle in zip(points, angles, strict=True)
    )


def trails_image(trails: tuple[Trail, ...], shape: tuple[int, int]) -> np.ndarray:
    """Return the brightness of trails, float32, shape (ny, nx), MJy/sr.

    Parameters
    ----------
    trails : tuple of Trail
    shape : (int, int)
        Rows, columns.
    """
    image = np.zeros(shape, np.float32)
    for trail in trails:
        profile = np.exp(np.float32(-STEEPNESS / trail.width**2) * np.square(trail.distance(shape)))
        image += np.float32(trail.brightness) * profile
    return image


def wisp_template(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Return a pattern of filaments that fade towards their ends, float32, shape (ny, nx); its maximum is 1.

    Parameters
    ----------
    shape : (int, int)
        Rows, columns.
    random : Generator
        The same gives the same pattern.
    """
    y, x = (np.linspace(0, 1, number, dtype=np.float32) for number in shape)
    y = y[:, None]
    middle = random.uniform(0.3, 0.7, 2)
    image = np.zeros(shape, np.float32)
    for _ in range(FILAMENTS):
        # Arcs of large circles, side by side.
        (dx, dy), radius = random.normal(0, 0.06, 2), random.uniform(0.5, 1.5)
        direction, thickness = random.uniform(0, 2 * np.pi), random.uniform(*THICKNESS)
        along, strength = random.uniform(0.1, 0.25), random.uniform(0.4, 1.0)
        x0, y0 = middle[0] + dx, middle[1] + dy
        ring = np.hypot(x - x0 - radius * np.cos(direction), y - y0 - radius * np.sin(direction)) - radius
        fading = np.square(x - x0) + np.square(y - y0)
        image += strength * np.exp(-0.5 * np.square(ring / thickness) - 0.5 * fading / along**2).astype(np.float32)
    return image / image.max()
