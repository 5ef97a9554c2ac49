"""Where light of sources is, on all scales from single pixels on.

An image is averaged in blocks of 1, 2, 4, ... pixels. On each scale what stands out from the noise of that scale is
found, and left out on the coarser ones, so that a bright star does not become a large source. The noise is measured
below the level of the sky, where there is no light of sources.
"""

import math

import numpy as np

# What a mask of sources has where light is small, where it is wide alone, and where that is not known.
SMALL, WIDE, UNKNOWN = 1, -1, -2
# Blocks of which less is left than this part are not judged.
LEAST_LEFT = 0.25
# What the noise of a block is multiplied by when it is smoothed over its neighbours, whose weights are WEIGHTS in all.
SMOOTHING, WEIGHTS = 0.375, 16
# Rounds in which level and noise of the sky are measured anew without what lies above it.
ROUNDS = 8
# Values further above the sky than this many sigma do not count for it.
BRIGHT = 2.0
# Values that are worked on at a time.
AT_A_TIME = 2**16
# Part of a limit from which on it is computed in full whether a value is above it.
NEARLY = 0.999
# So many scales, from single values on, tell how much of an image light covers. On the largest a few blocks do, of
# which one more or less, by chance or by the wings of galaxies, is much of the image.
COVERING = 6
# From so many scales on the sums of truth values are too large for bytes.
SMALL_SUMS = 2
# As many values, or twice as many, tell level and noise.
SOME = 2**16
# As many, or twice as many, are put in order to tell where a rank is; and so far from there, in parts of all, it is
# looked for first, and twice as far below it: four times the error of that.
FEW, AROUND = 2**13, 0.02


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
    weights : float32 or bool array, shape (ny, nx)
        How much a value counts: 0 not at all, otherwise 1 over its variance in any unit. True: 1, in less time.
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
    return light_and_part(values, weights, noise=noise, scales=scales, threshold=threshold, common=common, grow=grow)[0]


def light_and_part(
    values: np.ndarray,
    weights: np.ndarray,
    *,
    noise: float,
    scales: int,
    threshold: float,
    common: float = 0.0,
    grow: int = 1,
    first: int = 1,
) -> tuple[np.ndarray, float]:
    """Return where an image is brighter than its sky, and how much of it is on small scales, before it is grown.

    Parameters
    ----------
    values, weights, noise, scales, threshold, common, grow
        Of `find_light`.
    first : int
        The first scale: 2 leaves out that of single values, which takes most of the time.

    Returns
    -------
    light : bool array, shape (ny, nx)
        Of `find_light`.
    part : float
        Of the weights; on scales of up to 32 values.
    """
    largest = 2 ** (scales - 1)
    if weights.dtype == bool:
        weights = weights.view(np.uint8)  # the sums of 64 of which are small enough, on the first scales
    sums = weights.astype(np.float32)
    sums *= values
    sums, left = _padded(sums, largest), _padded(weights, largest)
    left = left.copy() if left is weights else left
    full, total = float(left.max()), max(float(left.sum(dtype=np.float64)), 1e-30)
    found, covered = [], 0.0
    for scale in range(scales):
        if scale:
            sums, left = halved(sums), halved(left if scale < SMALL_SUMS else left.astype(np.float32, copy=False))
        if scale + 1 < min(first, scales):
            continue
        places = _stands_out(sums, left, LEAST_LEFT * full * 4**scale, threshold, noise, common)
        if scale < COVERING:
            covered += float(left.ravel()[places].sum(dtype=np.float64))  # without what is found on smaller scales
        found.append(np.zeros(sums.shape, bool))
        for plane, value in ((found[-1], True), (sums, 0), (left, 0)):
            plane.ravel()[places] = value
        for _ in range(grow):
            found[-1] = grown(found[-1])
    mask = found.pop()
    while found:
        mask = _doubled(mask) | found.pop()
    for _ in range(min(first, scales) - 1):
        mask = _doubled(mask)
    return mask[: values.shape[0], : values.shape[1]], covered / total


def is_light(sources: np.ndarray) -> np.ndarray:
    """Return where a mask of sources has light.

    Parameters
    ----------
    sources : float array, shape (ny, nx)
        Not 0: a source, but where it is `UNKNOWN`; NaN: none.

    Returns
    -------
    bool array, shape (ny, nx)
    """
    return (np.nan_to_num(sources) != 0) & (sources != UNKNOWN)


def some_of(values: np.ndarray, counts: np.ndarray, number: int) -> np.ndarray:
    """Return evenly picked values, which tell what all do.

    Parameters
    ----------
    values : array, any shape
    counts : bool array of that shape
        True: the value counts.
    number : int
        If more count, about so many are picked, or more.

    Returns
    -------
    array, shape (n,)
    """
    step = max(1, int(np.count_nonzero(counts)) // number)
    # An odd number of values lies between them, so that they are of all columns.
    flat = slice(None, None, step if step % 2 else step - 1)
    return np.ravel(values)[flat][np.ravel(counts)[flat]]


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
    ordered = _Ordered(np.ravel(values))
    number = ordered.number
    if not number:
        return np.nan, np.nan
    for _ in range(ROUNDS):
        low, level = (ordered.quantile(part, number) for part in (0.15865, 0.5))
        kept = min(number, ordered.up_to(level + BRIGHT * (level - low)))
        if kept == number:
            break
        number = kept
    return float(level), float(level - low)


class _Ordered:
    """Values in order, as far as they are asked for: those around a rank, where it lies being told by some of them."""

    def __init__(self, values: np.ndarray) -> None:
        self.number = values.size
        self._values = values
        self._some = np.sort(values[:: max(1, values.size // FEW)])
        self._parts: list[tuple[int, np.ndarray]] = []

    def quantile(self, part: float, number: int) -> float:
        """Return a quantile of so many of the lowest values, interpolated as numpy does."""
        place = part * (number - 1)
        before = int(place)
        low, high = self._at(before), self._at(min(before + 1, number - 1))
        weight = place - before
        step = np.float64(high - low)
        return float(high - step * (1 - weight) if weight >= 0.5 else low + step * weight)

    def up_to(self, limit: float) -> int:
        """Return how many values are not above a limit."""
        rounded = self._values.dtype.type(limit)
        if rounded > limit:
            rounded = np.nextafter(rounded, -np.inf, dtype=rounded.dtype)
        return int(np.count_nonzero(self._values <= rounded))

    def _at(self, rank: int):
        """Return the value of a rank, from 0."""
        reach = len(self._some) * AROUND
        while True:
            for first, part in self._parts:
                if first <= rank < first + len(part):
                    return part[rank - first]
            self._parts.append(self._around(rank * len(self._some) // self.number, int(reach)))
            reach *= 4

    def _around(self, place: int, reach: int) -> tuple[int, np.ndarray]:
        """Return the rank of the first of the values around a place in the order of some, and these, in order."""
        first, last = place - 2 * reach, place + reach
        if first <= 0 and last >= len(self._some) - 1:
            return 0, np.sort(self._values)
        inside = self._values <= self._some[min(last, len(self._some) - 1)]
        if last >= len(self._some) - 1:
            inside[:] = True
        before = 0
        if first > 0:
            above = self._values >= self._some[first]
            before = self.number - int(np.count_nonzero(above))
            inside &= above
        return before, np.sort(np.compress(inside, self._values))


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


def _padded(values: np.ndarray, multiple: int) -> np.ndarray:
    """Return an image with zeros at the ends of its axes, so that their sizes are multiples of a number."""
    padding = [(0, -size % multiple) for size in values.shape]
    return np.pad(values, padding) if np.any(padding) else values


def _doubled(mask: np.ndarray) -> np.ndarray:
    """Return a mask with four pixels in place of each."""
    pairs = np.multiply(mask.view(np.uint8), np.uint16(0x0101), dtype=np.uint16)
    return np.repeat(pairs.view(bool), 2, axis=0)


def halved(values: np.ndarray) -> np.ndarray:
    """Return the sums of blocks of 2 x 2.

    Parameters
    ----------
    values : array, shape (2 ny, 2 nx)

    Returns
    -------
    array, shape (ny, nx)
    """
    rows = values[::2] + values[1::2]
    return rows[:, ::2] + rows[:, 1::2]


def _stands_out(sums, left, least: float, threshold: float, noise: float, common: float) -> np.ndarray:
    """Return which blocks, counted row by row, are brighter than the sky, by the significance of their smoothed values.

    Rows are worked on some at a time, which stay in the cache of the processor.
    """
    around, weight = np.empty_like(sums), np.empty_like(left)  # 16 times the means over neighbours
    judged = np.empty(sums.shape, bool)
    bands, numbers = _bands(sums.shape), []
    fewest = WEIGHTS * least if left.dtype != np.uint8 else math.ceil(WEIGHTS * least)
    for rows in bands:
        _sum_around(left, rows, weight[rows])
        _sum_around(sums, rows, around[rows])
        judged[rows] = (left[rows] > 0) & (weight[rows] >= fewest)
        numbers.append(int(np.count_nonzero(judged[rows])))
    means, roots = _means_and_roots(around, weight, _some_places(judged, bands, numbers))
    level = np.float32(sky_level(means)[0])
    _, measured = sky_level((means - level) * roots)
    white = max(np.nan_to_num(measured), SMOOTHING * noise)
    # Only these need be looked at in full: what is common makes the limit higher. For smaller weights it is lowest at
    # one of their ends.
    full = weight.max()
    of_full, of_least = (
        np.float32(level * each + NEARLY * threshold * white * np.sqrt(WEIGHTS * each))
        for each in (float(full), float(fewest))
    )
    places = []
    for rows in bands:
        high = around[rows] >= of_full
        if of_least < of_full:
            high |= (around[rows] >= of_least) & (weight[rows] < full)
        place = np.flatnonzero(high & judged[rows]) + rows.start * sums.shape[1]
        means, roots = _means_and_roots(around, weight, place)
        places.append(place[means - level > threshold * np.sqrt((white / roots) ** 2 + common**2)])
    return np.concatenate(places)


def _means_and_roots(around: np.ndarray, weight: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return smoothed values of some blocks, and what their significance is, over their distance from the sky."""
    part = np.float32(1 / WEIGHTS)
    roots = np.sqrt(part * weight.ravel()[places])
    return part * around.ravel()[places] / (roots * roots), roots


def _bands(shape: tuple[int, ...]) -> list[slice]:
    """Return the rows of an image in parts of about as many values."""
    step = max(1, AT_A_TIME // shape[1])
    return [slice(first, min(first + step, shape[0])) for first in range(0, shape[0], step)]


def _some_places(mask: np.ndarray, bands: list[slice], numbers: list[int]) -> np.ndarray:
    """Return evenly picked places of a mask, counted row by row: their values tell level and noise as all do."""
    step = sum(numbers) // SOME | 1
    places, before = [], 0
    for rows, number in zip(bands, numbers, strict=True):
        first = -before % step
        if first < number:
            places.append(np.flatnonzero(mask[rows])[first::step] + rows.start * mask.shape[1])
        before += number
    return np.concatenate([np.empty(0, int), *places])


def _sum_around(values: np.ndarray, rows: slice, out: np.ndarray) -> None:
    """Sum rows over their neighbours with weights 1, 2, 1 along both axes; nothing is beyond the edge."""
    start, stop = rows.start, rows.stop
    first, last = max(start, 1), min(stop, len(values) - 1)
    columns = values[rows] + values[rows]
    columns[first - start :] += values[first - 1 : stop - 1]
    columns[: last - start] += values[start + 1 : last + 1]
    np.add(columns, columns, out=out)
    out[:, 1:] += columns[:, :-1]
    out[:, :-1] += columns[:, 1:]
