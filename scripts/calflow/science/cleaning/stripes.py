"""Stripes along the lines of a readout, told apart from the sky and from sources that are larger than a line is high.

Here an image has its lines along the rows. The smooth image of the means of its blocks is taken off first. It follows
the sky, nebulae and large galaxies, but no stripe that is narrower than a block: what is left in the lines are the
**narrow** stripes, and no light of what is larger than a block. Smaller sources are masked.

**Wide** stripes are in the smooth image, with everything else. They are what all blocks of a row of blocks share, but
for those in which a source is found. A nebula that fills whole lines looks alike. But 1/f noise has in each octave of
frequency about the same power, so the narrow stripes tell how large the wide ones can be: what is larger is not
touched, and none is if all together are too large.

Each level is multiplied by (variance of the stripes) / (that + variance of the measurement), the best estimate if both
are normally distributed. So nothing is taken off where there are no stripes, and an amplifier has levels of its own as
far as they can be told from noise; else it has those of the whole line.

If the light of the image is **known** from a combined image, and was taken off, all pixels tell of the stripes. But the
combined image has levels of lines itself: its exposures were cleaned before it was there, each a little wrongly, and
alike where a source has pulled on the same lines of all. So these levels are measured where it shows no source, and
come to those of the image. They are not multiplied: what is left of them would be light that is taken off.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calflow.science.cleaning.mesh import Mesh, mesh_of, smooth_image
from calflow.science.cleaning.source_mask import find_light, grown, sky_level

# Pixels further from the level of their line, in sigma, do not count for it.
CLIP = 2.5
# The same where no light is left: a cut at 2.5 makes the scatter of levels 5 % larger.
CLIP_OF_NOISE = 4.0
# The same, in parts of the largest level.
SLACK = 0.25
# Sources are found on scales from 1 to 2**4 pixels among the pixels, and from 1 to 2**3 blocks among the blocks.
PIXEL_SCALES, BLOCK_SCALES = 5, 4
# The same among the blocks where light is known: what is left of a glow by dithers is larger, and no light.
SCALES_OF_REST = 2
# Rounds in which the levels of rows of blocks are measured, and sources found in what is left.
ROUNDS = 8
# Of rows and of columns means are taken by turns, so many times in each round.
MEANS = 3
# The threshold among the blocks over that among the pixels: what is found by chance is grown by much, and leaves less
# for the levels.
BLOCK_THRESHOLD = 7 / 6
# By how many blocks of its scale a source is grown among the blocks.
GROWN = 2
# Of the values of a row of blocks, the part below its first level: sources may cover as much of it as is left.
LOWER = 0.25
# Wide stripes further from the others than this, in standard deviations to be expected, are left alone; all are, if
# their own standard deviation is so many.
WIDE_LIMIT, SCATTER_LIMIT = 4.0, 1.5
# Levels of lines that known light has are believed up to so many standard deviations of the noise of the line with the
# most pixels: those that come from few pixels count less.
LIKELY_IN_LIGHT = 5.0
# Wide stripes that it has are left if they are more than this part of those to be expected in one exposure, and more
# than so many errors: they are its sky, or stripes that could not be taken off any exposure.
WIDE_IN_LIGHT, CHANCE = 0.25, 3.0
# What is told of a risk that is larger.
HIGHEST_RISK = 99.0


class Stripes(NamedTuple):
    """The stripes of an image.

    Attributes
    ----------
    levels : float32 array, shape (lines, channels)
        What is to be taken off. The mean of each channel is 0.
    variance : float32 array of that shape
        That of the levels.
    used : bool array, shape (lines, pixels)
        Pixels that the narrow stripes come from.
    figures : dict of str to float
    """

    levels: np.ndarray
    variance: np.ndarray
    used: np.ndarray
    figures: dict[str, float]


@dataclass(frozen=True)
class _Levels:
    """Levels of lines by channel, before they are combined; shape (lines, channels)."""

    values: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class KnownLight:
    """What is known of the light of an image, and was taken off it.

    Attributes
    ----------
    image : float32 array, shape (lines, pixels)
        In the unit of the image; finite.
    free : bool array of that shape
        True: it can be used, and shows no source that is smaller than a block.
    wide : bool array of that shape
        True: it shows light that is larger.
    """

    image: np.ndarray
    free: np.ndarray
    wide: np.ndarray


def measure_stripes(
    image: np.ndarray,
    good: np.ndarray,
    *,
    channels: int,
    block: int,
    threshold: float,
    wide: bool = True,
    masked: bool = False,
    wide_light: np.ndarray | None = None,
    light: KnownLight | None = None,
) -> Stripes:
    """Measure the stripes of an image.

    Parameters
    ----------
    image : float32 array, shape (lines, pixels)
        Finite.
    good : bool array of that shape
        True: the pixel may be used.
    channels : int
        How many amplifiers read a line, each the same number of pixels of it.
    block : int
        Side of the blocks, pixels.
    threshold : float
        That of sources, in sigma.
    wide : bool
        Whether stripes that are wider than a block are looked for, too.
    masked : bool
        Whether `good` leaves out the sources: then none is looked for.
    wide_light : bool array of that shape, optional
        True: light that is wider than narrow stripes. Wide stripes do not come from there, and no other source is
        looked for among the blocks: a mask that shows more leaves them little that a search could go by.
    light : KnownLight, optional
        What was taken off the image, which then has no sources that are smaller than a block. Larger light is looked
        for: patterns of scattered light, that later steps have taken off the combined image.

    Returns
    -------
    Stripes
    """
    edges = np.linspace(0, image.shape[1], channels + 1).astype(int)[:-1]
    smooth, rough = _rough(image, good, 8 * block, edges)
    flat = image - smooth
    flat -= _spread(rough, edges, image.shape[1])
    rough = _without_wide(rough, block)
    _, noise = sky_level(flat[good][::16])
    used = good
    if not masked and light is None:
        weights = good.astype(np.float32)
        sources = find_light(np.where(good, flat, 0), weights, noise=noise, scales=PIXEL_SCALES, threshold=threshold)
        used = good & ~sources
    mesh = mesh_of(image - _spread(rough, edges, image.shape[1]), used, (block, block))
    narrow = _narrow(image - mesh.image(), used, rough, noise, edges, CLIP if light is None else CLIP_OF_NOISE)
    own = None if light is None else _in_light(light, block, edges)
    narrow_levels, narrow_variance, power = _combined(narrow if own is None else _plus(narrow, own.narrow))
    if wide_light is not None:
        mesh = mesh_of(image - _spread(rough, edges, image.shape[1]), used & ~wide_light, (block, block))
    figures = {"noise": noise, "used": float(used.mean()), "free": 1.0, "risk": 0.0}
    wide_levels, wide_variance = np.zeros((2, len(mesh.means), channels))
    if wide:
        likely = power * _octaves_ratio(len(image), block)
        scales = BLOCK_SCALES if light is None else SCALES_OF_REST
        by_blocks = _wide(mesh, noise, edges, threshold, masked or wide_light is not None, scales)
        wide_levels, wide_variance, told = _wide_stripes(*by_blocks, likely, own)
        figures |= told
    levels = narrow_levels + smooth_image(wide_levels, (mesh.box[0], 1), rough.shape)
    variance = narrow_variance + np.repeat(wide_variance, mesh.box[0], axis=0)[: len(image)]
    levels -= levels.mean(axis=0)
    if "shared" in figures:
        figures["shared"] /= max(noise, 1e-30)
    return Stripes(levels.astype(np.float32), variance.astype(np.float32), used, figures)


def _wide_stripes(found: _Levels, free: float, bias: float, likely: float, own: "_OwnLevels | None"):
    """Return the levels of wide stripes and their variance, both 0 if they may be light, and figures."""
    shared = {}
    if own is not None:
        free, left = own.free, _too_wide(own.wide, likely)
        found = found if left else _plus(found, own.wide)
        shared = {"shared": left}
    levels, variance, power = _combined(found)
    scatter = np.sqrt(_ratio(power, likely)) / SCATTER_LIMIT
    levels = _only_likely(levels, likely)
    risk = min(max(_ratio(bias, float(np.std(levels))), scatter), HIGHEST_RISK)
    if risk > 1:
        levels, variance = np.zeros((2, *levels.shape))
    return levels, variance, {"free": free, "risk": risk, **shared}


def _rough(image, good, block, edges):
    """Return medians of blocks as a smooth image, and medians of what lines have beyond it."""
    pixels = image.shape[1]
    some = np.where(good[::2, ::2], image[::2, ::2], np.float32(np.nan))
    half = max(1, block // 2)
    box = min(half, some.shape[0]), min(half, some.shape[1])
    padded = np.pad(some, [(0, -n % b) for n, b in zip(some.shape, box, strict=True)], constant_values=np.nan)
    blocks = padded.reshape(len(padded) // box[0], box[0], -1, box[1]).swapaxes(1, 2)
    medians = _medians(blocks.reshape(*blocks.shape[:2], -1))
    known = np.isfinite(medians)
    mesh = Mesh(np.where(known, medians, 0), known.astype(float), (2 * box[0], 2 * box[1]), image.shape)
    smooth = mesh.image()
    every = max(1, min(pixels // 512, 2))
    rest = np.where(good[:, ::every], image[:, ::every] - smooth[:, ::every], np.float32(np.nan))
    parts = np.split(rest, -(-edges[1:] // every), axis=1)
    levels = np.stack([np.nan_to_num(_medians(part)) for part in parts], axis=1)
    return smooth, levels


def _without_wide(levels, block):
    """Return the levels of lines without what is as wide as blocks."""
    everywhere = np.ones(levels.shape, bool)
    return levels - mesh_of(levels.astype(np.float32), everywhere, (block, 1)).image()


def _medians(values):
    """Return medians along the last axis without NaN, of which are many or none."""
    ordered = np.sort(values, axis=-1)  # NaN are last
    number = np.count_nonzero(np.isfinite(values), axis=-1)[..., None]
    pick = [np.take_along_axis(ordered, np.maximum(place, 0), axis=-1) for place in ((number - 1) // 2, number // 2)]
    return np.where(number > 0, (pick[0] + pick[1]) / 2, np.nan)[..., 0] if values.shape[-1] else np.nan


def _spread(levels, edges, pixels):
    """Return the levels of lines for all their pixels, or as a column if there is one channel."""
    return np.repeat(levels, np.diff([*edges, pixels]), axis=1) if len(edges) > 1 else levels


class _OwnLevels(NamedTuple):
    """The levels of known light: of lines, of rows of blocks, and the part of the blocks that those come from."""

    narrow: _Levels
    wide: _Levels
    free: float


def _in_light(light: KnownLight, block, edges) -> _OwnLevels:
    """Return the levels that known light has where it shows no source."""
    smooth, rough = _rough(light.image, light.free, 8 * block, edges)
    _, noise = sky_level((light.image - smooth)[light.free][::16])
    rough = _without_wide(rough, block)
    rest = light.image - _spread(rough, edges, light.image.shape[1])
    mesh = mesh_of(rest, light.free, (block, block))
    narrow = _narrow(light.image - mesh.image(), light.free, rough, noise, edges, CLIP_OF_NOISE)
    mesh = mesh_of(rest, light.free & ~light.wide, (block, block))
    wide, free, _ = _wide(mesh, noise, edges, 0.0, masked=True)
    return _OwnLevels(_believed(narrow), _centred(wide), free)


def _centred(levels: _Levels) -> _Levels:
    """Return levels less their mean, and 0 without an error where they are not known."""
    known = np.isfinite(levels.variance)
    mean = levels.values[known].mean() if known.any() else 0.0
    return _Levels(np.where(known, levels.values - mean, 0.0), _finite(levels.variance))


def _believed(levels: _Levels) -> _Levels:
    """Return levels of lines, those that come from few pixels multiplied by less than 1."""
    known = np.isfinite(levels.variance)
    likely = LIKELY_IN_LIGHT**2 * float(levels.variance[known].min()) if known.any() else 0.0
    factor = np.where(known, likely / np.maximum(likely + _finite(levels.variance), 1e-30), 0.0)
    return _Levels(factor * levels.values, factor * _finite(levels.variance))


def _plus(levels: _Levels, others: _Levels) -> _Levels:
    return _Levels(levels.values + others.values, levels.variance + others.variance)


def _too_wide(levels: _Levels, likely: float) -> float:
    """Return the rms of levels of known light that cannot be what its exposures were cleaned wrongly by; else 0."""
    power = float(np.mean(levels.values**2))
    most = max(WIDE_IN_LIGHT**2 * likely, CHANCE**2 * float(np.mean(levels.variance)))
    return float(np.sqrt(power)) if power > most else 0.0


def _narrow(rest, used, start, noise, edges, clip) -> _Levels:
    """Return the clipped means of lines."""
    from_start = rest - _spread(start, edges, rest.shape[1])
    # What the start may be wrong by is added: without noise all pixels would be clipped.
    within = used & (np.abs(from_start) <= clip * noise + SLACK * float(np.abs(start).max()))
    numbers = np.add.reduceat(within, edges, axis=1, dtype=np.int64)
    sums = np.add.reduceat(np.where(within, from_start, np.float32(0)), edges, axis=1, dtype=np.float64)
    values = start + sums / np.maximum(numbers, 1)
    return _Levels(values, _over(noise**2, numbers))


def _wide(mesh: Mesh, noise, edges, threshold, masked, scales=BLOCK_SCALES) -> tuple[_Levels, float, float]:
    """Return the levels of rows of blocks, the part of the blocks they come from, and the light that may be in them.

    The last is the scatter of what changes if the sources are grown once more.
    """
    centres = (np.arange(mesh.means.shape[1]) + 0.5) * mesh.box[1]
    channel = np.searchsorted(edges, centres, side="right") - 1
    first = np.searchsorted(channel, np.arange(len(edges)))
    weights = np.where(mesh.weights >= 0.25 * mesh.weights.max(), mesh.weights, 0.0)
    known = np.where(weights > 0, mesh.means, np.nan)
    # Sources are looked for before any mean is taken, which would have their light in it, and hide them.
    columns = _quantile(known, 0)
    rows = _quantile(known - columns, 1)
    free = weights
    common = noise / np.sqrt(max(float(np.median(weights.sum(axis=1))), 1e-30))
    for _ in range(ROUNDS):
        if not masked:
            rest = mesh.means - columns - rows
            found = find_light(
                rest.astype(np.float32),
                weights.astype(np.float32),
                noise=noise,
                scales=scales,
                threshold=BLOCK_THRESHOLD * threshold,
                grow=GROWN,
                common=common,
            )
            free = np.where(found, 0.0, weights)
        for _ in range(MEANS):
            rows = _weighted(mesh.means - columns, free, 1)
            columns = _weighted(mesh.means - rows, free, 0)
    rows = _weighted(mesh.means - columns, free, 1)
    by_channel = mesh.means - columns
    numbers = np.add.reduceat(free, first, axis=1)
    values = np.add.reduceat(free * by_channel, first, axis=1) / np.maximum(numbers, 1e-30)
    left = (by_channel - rows)[free > 0]
    scatter = float(np.var(left) * np.mean(free[free > 0])) if left.size else 0.0
    return (
        _Levels(values, _over(scatter, numbers)),
        float(np.count_nonzero(free) / free.size),
        _bias(by_channel, rows, free, scatter),
    )


def _bias(values, rows, free, scatter):
    """Return how much the levels of rows change when sources are grown, beyond what noise does; its rms."""
    smaller = np.where(grown(free == 0), 0.0, free)
    known = (smaller.sum(axis=1) > 0) & (free.sum(axis=1) > 0)
    if not known.any() or (smaller == free).all():
        return 0.0
    change = (_weighted(values, smaller, 1) - rows)[known, 0]
    chance = scatter * (1 / smaller[known].sum(axis=1) - 1 / free[known].sum(axis=1))
    return float(np.sqrt(max(0.0, np.mean(change**2 - chance))))


def _quantile(values, axis):
    """Return a low quantile along an axis, which is kept; 0 where all are NaN."""
    known = np.isfinite(values)
    ordered = np.sort(np.where(known, values, np.inf), axis=axis)
    place = (LOWER * (np.count_nonzero(known, axis=axis, keepdims=True) - 1)).astype(int)
    picked = np.take_along_axis(ordered, np.maximum(place, 0), axis=axis)
    return np.where(np.isfinite(picked), picked, 0.0)


def _weighted(values, weights, axis):
    """Return weighted means, 0 where nothing has a weight."""
    total = weights.sum(axis=axis, keepdims=True)
    return (values * weights).sum(axis=axis, keepdims=True) / np.maximum(total, 1e-30)


def _combined(levels: _Levels) -> tuple[np.ndarray, np.ndarray, float]:
    """Return levels of channels as far as they can be told from those of the line, their variance, that of stripes."""
    with np.errstate(divide="ignore"):
        weights = 1 / levels.variance
    weights = np.where(np.isinf(weights), 1.0, weights)  # without noise all count the same
    own = levels.values - _weighted(levels.values, weights, 0)
    line, line_noise = _weighted(own, weights, 1), _of_all(levels.variance)
    factor, power = _shrinking(line, line_noise)
    total, variance = factor * line, factor * _finite(line_noise)
    if own.shape[1] > 1:
        # A channel is part of the line that it is compared with.
        noise = np.where(np.isfinite(levels.variance), levels.variance - _finite(line_noise), np.inf)
        factor, _ = _shrinking(own - line, noise)
        total, variance = total + factor * (own - line), variance + factor * _finite(noise)
    return np.broadcast_to(total, own.shape), np.broadcast_to(variance, own.shape), power


def _over(variance, numbers):
    """Return the variance of a mean of so many values; infinite without any."""
    return np.where(numbers > 0, variance / np.maximum(numbers, 1e-30), np.inf)


def _of_all(variance):
    """Return the variance of the weighted mean of channels; infinite without any."""
    with np.errstate(divide="ignore"):
        return 1 / (1 / variance).sum(axis=1, keepdims=True)


def _finite(values):
    return np.where(np.isfinite(values), values, 0.0)


def _shrinking(values, noise):
    """Return what measured levels are multiplied by, and the variance of the true ones."""
    known = np.isfinite(noise)
    power = max(0.0, float(np.mean(values[known] ** 2 - noise[known]))) if known.any() else 0.0
    return np.where(known, power / np.maximum(power + _finite(noise), 1e-30), 0.0), power


def _ratio(above: float, below: float) -> float:
    """Return a ratio; 0 of nothing to anything."""
    return above / max(below, 1e-30) if above > 0 else 0.0


def _octaves_ratio(lines: int, block: int) -> float:
    """Return the power of wide stripes over that of narrow ones, if each octave has the same."""
    return max(0.0, np.log2(lines / (2 * block)) / np.log2(block))


def _only_likely(levels, power):
    """Return levels of rows of blocks that can be stripes, and 0 for those that are too far from the others."""
    centre, _ = sky_level(levels)
    return np.where(np.abs(levels - centre) <= WIDE_LIMIT * np.sqrt(power), levels - centre, 0.0)
