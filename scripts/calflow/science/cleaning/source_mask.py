"""Where light of sources is, on all scales from single pixels on.

An image is averaged in blocks of 1, 2, 4, ... pixels. On each scale what stands out from the noise of that scale is
found, and left out on the coarser ones, so that a bright star does not become a large source. The noise is measured
below the level of the sky, where there is no light of sources.
"""

import numpy as np

# Blocks of which less is left than this part are not judged.
LEAST_LEFT = 0.25
# What the noise of a block is multiplied by when it is smoothed over its neighbours.
SMOOTHING = 0.375
# Rounds in which level and noise of the sky are measured anew without what lies above it.
ROUNDS = 8
# Values further above the sky than this many sigma do not count for it.
BRIGHT = 2.0


def find_light(
    values: np.ndarray,
    weights: np.ndarray,
    *,
    noise: float,
    scales: int,
    threshold: float,
    common: float = 0.0,
    grow: int = 1,
) -> np.ndarray:
    """Return where an image is brighter than its sky, on any of some scales.

    Parameters
    ----------
    values : float32 array, shape (ny, nx)
        The image, finite; its sky must be flat.
    weights : float32 array, shape (ny, nx)
        How much a value counts: 0 not at all, otherwise 1 over its variance in any unit.
    noise : float
        Standard deviation of a value of weight 1, if the noise were white. On each scale it is measured, too, and the
        larger one counts.
    scales : int
        How many: blocks of 1, 2, 4, ... values, each smoothed over its neighbours.
    threshold : float
        In standard deviations of the noise of the scale.
    common : float
        Standard deviation of noise that neighbours have in common on all scales.
    grow : int
        By how many blocks of its scale on each side what is found is grown.

    Returns
    -------
    bool array, shape (ny, nx)
    """
    largest = 2 ** (scales - 1)
    padding = [(0, -size % largest) for size in values.shape]
    sums, left = np.pad(values * weights, padding), np.pad(weights, padding)
    full = float(left.max())
    found = []
    for scale in range(scales):
        if scale:
            sums, left = _halved(sums), _halved(left)
        found.append(_stands_out(sums, left, LEAST_LEFT * full * 4**scale, threshold, noise, common))
        sums[found[-1]] = left[found[-1]] = 0
        for _ in range(grow):
            found[-1] = grown(found[-1])
    mask = found.pop()
    while found:
        mask = np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1) | found.pop()
    return mask[: values.shape[0], : values.shape[1]]


def sky_level(values: np.ndarray) -> tuple[float, float]:
    """Return level and noise of a sky that more values belong to than to anything brighter; NaN without values.

    Parameters
    ----------
    values : float array, any shape
        Finite.

    Returns
    -------
    level, noise : float
        The median of what is left when values more than 2 sigma above it are left out, again and again; sigma is that
        of a normal distribution of which the lower half is looked at.
    """
    values = np.ravel(values)
    if not values.size:
        return np.nan, np.nan
    for _ in range(ROUNDS):
        low, level = np.quantile(values, [0.15865, 0.5])
        kept = values[values <= level + BRIGHT * (level - low)]
        if kept.size == values.size:
            break
        values = kept
    return float(level), float(level - low)


def grown(mask: np.ndarray) -> np.ndarray:
    """Return a mask with the neighbours of its pixels, diagonal ones, too.

    Parameters
    ----------
    mask : bool array, shape (ny, nx)

    Returns
    -------
    bool array, shape (ny, nx)
    """
    out = mask.copy()
    out[1:] |= mask[:-1]
    out[:-1] |= mask[1:]
    across = out.copy()
    across[:, 1:] |= out[:, :-1]
    across[:, :-1] |= out[:, 1:]
    return across


def _stands_out(sums, left, least: float, threshold: float, noise: float, common: float) -> np.ndarray:
    """Tell which blocks are brighter than the sky, by the significance of their smoothed values."""
    smooth_left = _smoothed(left)
    judged = (left > 0) & (smooth_left >= least)
    root = np.sqrt(np.maximum(smooth_left, 1e-30))
    mean = _smoothed(sums) / (root * root)
    level, _ = sky_level(_some(mean[judged]))
    mean -= np.float32(level)
    _, measured = sky_level(_some((mean * root)[judged]))
    white = max(np.nan_to_num(measured), SMOOTHING * noise)
    return judged & (mean > threshold * np.sqrt((white / root) ** 2 + common**2))


def _some(values: np.ndarray, number: int = 2**16) -> np.ndarray:
    """Return evenly picked values, which tell level and noise as well as all do."""
    return values[:: len(values) // number | 1]


def _halved(values: np.ndarray) -> np.ndarray:
    """Return the sums of blocks of 2 x 2."""
    rows = values[::2] + values[1::2]
    return rows[:, ::2] + rows[:, 1::2]


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Return means over neighbours with weights 1, 2, 1 along both axes; nothing is beyond the edge."""
    out = values * np.float32(0.5)
    out[1:] += np.float32(0.25) * values[:-1]
    out[:-1] += np.float32(0.25) * values[1:]
    across = out * np.float32(0.5)
    across[:, 1:] += np.float32(0.25) * out[:, :-1]
    across[:, :-1] += np.float32(0.25) * out[:, 1:]
    return across
