"""The level and the noise of an exposure, block by block: what its sky is like."""

from dataclasses import dataclass

import numpy as np

# Side of a block, pixels: small against the structure of a sky, large enough for a median of 0.04 of a pixel's noise.
BLOCK = 32
# A block counts if this part of its pixels can be used.
USABLE = 0.5
# In a normal distribution this part lies more than a standard deviation below the middle.
BELOW_SIGMA = 0.158655


@dataclass(frozen=True, eq=False)
class ExposureLevels:
    """What the blocks of an exposure are like, NaN where too few pixels can be used.

    Attributes
    ----------
    level : float array, shape (by, bx)
        Median, in the unit of the image.
    noise : float array, shape (by, bx)
        Standard deviation, told by the fainter half: the brighter one has sources in it.
    error : float array, shape (by, bx)
        Median of the errors.
    """

    level: np.ndarray
    noise: np.ndarray
    error: np.ndarray


def exposure_levels(sci: np.ndarray, err: np.ndarray, usable: np.ndarray, block: int = BLOCK) -> ExposureLevels:
    """Measure the blocks of an exposure, the incomplete ones at its upper edges included.

    Parameters
    ----------
    sci, err : float array, shape (ny, nx)
        The image and its 1-sigma error.
    usable : bool array, shape (ny, nx)
        Which pixels count; those with NaN do not.
    block : int
        Side of a block, pixels.
    """
    good = usable & np.isfinite(sci)
    level, below = _ranks(np.where(good, sci, np.nan), block, (0.5, BELOW_SIGMA))
    (error,) = _ranks(np.where(good, err, np.nan), block, (0.5,))
    return ExposureLevels(level, level - below, error)


def block_centres(shape: tuple[int, int], block: int = BLOCK) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the middles of the blocks, pixels from 0, each of shape (by, bx).

    Parameters
    ----------
    shape : (ny, nx)
        Of the image.
    block : int
        Side of a block, pixels.
    """
    y, x = ((np.arange(0, n, block) + np.minimum(np.arange(0, n, block) + block, n) - 1) / 2 for n in shape)
    return tuple(np.meshgrid(x, y))  # type: ignore[return-value]


def median(values: np.ndarray) -> float:
    """Return the median of what is finite; NaN if nothing is.

    Parameters
    ----------
    values : float array
    """
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")


def _ranks(image: np.ndarray, block: int, parts: tuple[float, ...]) -> list[np.ndarray]:
    """Return of each block the values that these parts of its pixels lie below."""
    ny, nx = image.shape
    by, bx = -(-ny // block), -(-nx // block)
    result = [np.full((by, bx), np.nan) for _ in parts]
    for row in range(by):
        strip = np.full((block, bx * block), np.nan, image.dtype)
        rows = image[row * block : (row + 1) * block]
        strip[: len(rows), :nx] = rows
        values = np.sort(strip.reshape(block, bx, block).swapaxes(0, 1).reshape(bx, -1), axis=1)  # NaN last
        number = np.isfinite(values).sum(axis=1)
        widths = np.minimum(block, nx - block * np.arange(bx))
        enough = number >= np.maximum(USABLE * widths * len(rows), 1)
        for found, part in zip(result, parts, strict=True):
            place = part * np.maximum(number - 1, 0)
            low = np.floor(place).astype(int)
            high = np.minimum(low + 1, np.maximum(number - 1, 0))
            each = np.arange(bx)
            value = values[each, low] + (place - low) * (values[each, high] - values[each, low])
            found[row] = np.where(enough, value, np.nan)
    return result
