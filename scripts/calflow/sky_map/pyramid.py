"""An image as a pyramid of tiles, a band of rows at a time, so that an image of any size takes little memory."""

from collections.abc import Callable, Iterable

import numpy as np

from calflow.science.quality.robust import robust_sigma
from calflow.science.square_means import mean_of_squares

TILE = 256  # pixels
SAMPLE = 1_000_000  # pixels by which a scale is chosen
Save = Callable[[int, int, int, np.ndarray], None]


def levels_for(shape: tuple[int, int]) -> int:
    """Return how many levels a pyramid has: the last is a single tile.

    Parameters
    ----------
    shape : (ny, nx)
        Of the image.
    """
    largest, levels = max(shape), 1
    while largest > TILE:
        largest, levels = -(-largest // 2), levels + 1
    return levels


def build_pyramid(
    bands: Iterable[np.ndarray], levels: int, halve: Callable[[np.ndarray], np.ndarray], save: Save
) -> None:
    """Cut an image, and the same at half its size and so on, into tiles.

    Parameters
    ----------
    bands : iterable of array, shape (at most TILE, nx) or the same with planes
        Of the image, in their order; all but the last have TILE rows.
    levels : int
        As of `levels_for`.
    halve : callable
        Returns a band at half its size; odd rows and columns at the end count, too.
    save : callable
        Gets the level, 0 for the image itself, the number of the band, that of the column, and a tile; one at the end
        may be smaller.
    """
    waiting: list[list[np.ndarray]] = [[] for _ in range(levels)]
    counts = [0] * levels

    def add(level: int, band: np.ndarray) -> None:
        for column in range(-(-band.shape[1] // TILE)):
            save(level, counts[level], column, band[:, column * TILE : (column + 1) * TILE])
        counts[level] += 1
        if level + 1 < levels:
            waiting[level + 1].append(halve(band))
            if len(waiting[level + 1]) == 2:
                flush(level + 1)

    def flush(level: int) -> None:
        if waiting[level]:
            band = np.concatenate(waiting[level])
            waiting[level].clear()
            add(level, band)

    for band in bands:
        add(0, band)
    for level in range(1, levels):
        flush(level)


def halved(band: np.ndarray) -> np.ndarray:
    """Return the means of 2 x 2 pixels; of those of them that are no NaN, and NaN where all are.

    Parameters
    ----------
    band : float array, shape (ny, nx) or (ny, nx, planes)
    """
    return mean_of_squares(band, 2)


def any_of_four(band: np.ndarray) -> np.ndarray:
    """Return whether any of 2 x 2 pixels is True.

    Parameters
    ----------
    band : bool array, shape (ny, nx)
    """
    ny, nx = band.shape
    even = np.pad(band, ((0, ny % 2), (0, nx % 2)))
    return even[::2, ::2] | even[::2, 1::2] | even[1::2, ::2] | even[1::2, 1::2]


def sampled(shape: tuple[int, int]) -> slice:
    """Return the rows of an image by which a scale is chosen.

    Parameters
    ----------
    shape : (ny, nx)
        Of the image.
    """
    ny, nx = shape
    return slice(None, None, max(1, ny * nx // SAMPLE))


def stretched(band: np.ndarray, low: float, high: float, softening: float) -> np.ndarray:
    """Return pixels as 1 to 255 by asinh, which shows the noise of the sky and the cores of stars; NaN is 0.

    Parameters
    ----------
    band : float array
    low, high : float
        What is black, and what is white.
    softening : float
        Up to so much above `low` the scale is about linear.
    """
    with np.errstate(invalid="ignore"):
        part = np.arcsinh((band - low) / softening) / np.arcsinh((high - low) / softening)
        levels = 1 + np.clip(part, 0, 1) * 254
    return np.where(np.isfinite(band), levels, 0).round().astype(np.uint8)


def limits(sample: np.ndarray) -> tuple[float, float, float]:
    """Return `low`, `high` and `softening` of `stretched` for pixels like these.

    Parameters
    ----------
    sample : float array
        NaN does not count.
    """
    values = sample[np.isfinite(sample)].astype(float)
    if not values.size:
        return 0.0, 1.0, 1.0
    sky = float(np.median(values))
    noise = robust_sigma(values) or float(np.std(values)) or 1.0
    high = max(float(np.percentile(values, 99.9)), sky + 10 * noise)
    return sky - 2 * noise, high, 2 * noise
