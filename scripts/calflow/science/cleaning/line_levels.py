"""Levels of the lines of an image, and of rows of its blocks, as means of what belongs to no source."""

from dataclasses import dataclass

import numpy as np

from calflow.science.cleaning.mesh import Mesh, mesh_of
from calflow.science.cleaning.source_mask import find_light, grown

# Pixels further from the level of their line, in sigma, do not count for it where no light is left: a cut at 2.5 makes
# the scatter of levels 5 % larger.
CLIP_OF_NOISE = 4.0
# The same, in parts of the largest level.
SLACK = 0.25
# Sources are found on scales from 1 to 2**3 blocks among the blocks.
BLOCK_SCALES = 4
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


@dataclass(frozen=True)
class Levels:
    """Levels of lines by channel, before they are combined; shape (lines, channels)."""

    values: np.ndarray
    variance: np.ndarray


def rough_levels(image, good, block, edges):
    """Return medians of blocks as a smooth image, and medians of what lines have beyond it.

    Parameters
    ----------
    image : float32 array, shape (lines, pixels)
        Finite.
    good : bool array of that shape
        True: the pixel counts.
    block : int
        Side of the blocks, pixels.
    edges : int array, shape (channels,)
        First pixel of each amplifier.

    Returns
    -------
    smooth : float32 array, shape (lines, pixels)
    levels : float array, shape (lines, channels)
    """
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


def without_wide(levels, block):
    """Return the levels of lines without what is as wide as blocks.

    Parameters
    ----------
    levels : float array, shape (lines, channels)
    block : int
        How many lines a block has.
    """
    everywhere = np.ones(levels.shape, bool)
    return levels - mesh_of(levels.astype(np.float32), everywhere, (block, 1)).image()


def _medians(values):
    """Return medians along the last axis without NaN, of which are many or none."""
    ordered = np.sort(values, axis=-1)  # NaN are last
    number = np.count_nonzero(np.isfinite(values), axis=-1)[..., None]
    pick = [np.take_along_axis(ordered, np.maximum(place, 0), axis=-1) for place in ((number - 1) // 2, number // 2)]
    return np.where(number > 0, (pick[0] + pick[1]) / 2, np.nan)[..., 0] if values.shape[-1] else np.nan


def spread(levels, edges, pixels):
    """Return the levels of lines for all their pixels, or as a column if there is one channel.

    Parameters
    ----------
    levels : float array, shape (lines, channels)
    edges : int array, shape (channels,)
        First pixel of each amplifier.
    pixels : int
        Of a line.
    """
    return np.repeat(levels, np.diff([*edges, pixels]), axis=1) if len(edges) > 1 else levels


def clipped_means(rest, used, start, noise, edges, clip) -> Levels:
    """Return the clipped means of lines.

    Parameters
    ----------
    rest : float32 array, shape (lines, pixels)
        The image without what is smooth.
    used : bool array of that shape
        True: the pixel counts.
    start : float array, shape (lines, channels)
        About the levels.
    noise : float
        That of a pixel.
    edges : int array, shape (channels,)
        First pixel of each amplifier.
    clip : float
        Pixels further from the start, in sigma, do not count.
    """
    from_start = rest - spread(start, edges, rest.shape[1])
    # What the start may be wrong by is added: without noise all pixels would be clipped.
    within = used & (np.abs(from_start) <= clip * noise + SLACK * float(np.abs(start).max()))
    numbers = np.add.reduceat(within, edges, axis=1, dtype=np.int64)
    sums = np.add.reduceat(np.where(within, from_start, np.float32(0)), edges, axis=1, dtype=np.float64)
    values = start + sums / np.maximum(numbers, 1)
    return Levels(values, variance_of_mean(noise**2, numbers))


def means_of_rows(mesh: Mesh, noise, edges, threshold, masked, scales=BLOCK_SCALES) -> tuple[Levels, float, float]:
    """Return the levels of rows of blocks, the part of the blocks they come from, and the light that may be in them.

    The last is the scatter of what changes if the sources are grown once more.

    Parameters
    ----------
    mesh : Mesh
    noise : float
        That of a pixel.
    edges : int array, shape (channels,)
        First pixel of each amplifier.
    threshold : float
        Of sources, in sigma.
    masked : bool
        Whether the mesh leaves sources out: then none is looked for.
    scales : int
        On how many scales they are: from 1 block on.
    """
    centres = (np.arange(mesh.means.shape[1]) + 0.5) * mesh.box[1]
    channel = np.searchsorted(edges, centres, side="right") - 1
    first = np.searchsorted(channel, np.arange(len(edges)))
    weights = np.where(mesh.weights >= 0.25 * mesh.weights.max(), mesh.weights, 0.0)
    known = np.where(weights > 0, mesh.means, np.nan)
    # Sources are looked for before any mean is taken, which would have their light in it, and hide them.
    columns = low_quantile(known, 0)
    rows = low_quantile(known - columns, 1)
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
            rows = weighted_mean(mesh.means - columns, free, 1)
            columns = weighted_mean(mesh.means - rows, free, 0)
    rows = weighted_mean(mesh.means - columns, free, 1)
    by_channel = mesh.means - columns
    numbers = np.add.reduceat(free, first, axis=1)
    values = np.add.reduceat(free * by_channel, first, axis=1) / np.maximum(numbers, 1e-30)
    left = (by_channel - rows)[free > 0]
    scatter = float(np.var(left) * np.mean(free[free > 0])) if left.size else 0.0
    return (
        Levels(values, variance_of_mean(scatter, numbers)),
        float(np.count_nonzero(free) / free.size),
        _bias(by_channel, rows, free, scatter),
    )


def _bias(values, rows, free, scatter):
    """Return how much the levels of rows change when sources are grown, beyond what noise does; its rms."""
    smaller = np.where(grown(free == 0), 0.0, free)
    known = (smaller.sum(axis=1) > 0) & (free.sum(axis=1) > 0)
    if not known.any() or (smaller == free).all():
        return 0.0
    change = (weighted_mean(values, smaller, 1) - rows)[known, 0]
    chance = scatter * (1 / smaller[known].sum(axis=1) - 1 / free[known].sum(axis=1))
    return float(np.sqrt(max(0.0, np.mean(change**2 - chance))))


def low_quantile(values, axis):
    """Return a low quantile along an axis, which is kept; 0 where all are NaN.

    Parameters
    ----------
    values : float array, shape (ny, nx)
        NaN do not count.
    axis : int
    """
    known = np.isfinite(values)
    ordered = np.sort(np.where(known, values, np.inf), axis=axis)
    place = (LOWER * (np.count_nonzero(known, axis=axis, keepdims=True) - 1)).astype(int)
    picked = np.take_along_axis(ordered, np.maximum(place, 0), axis=axis)
    return np.where(np.isfinite(picked), picked, 0.0)


def weighted_mean(values, weights, axis):
    """Return weighted means, 0 where nothing has a weight.

    Parameters
    ----------
    values, weights : float array, shape (ny, nx)
    axis : int
        Which is kept, with the length 1.
    """
    total = weights.sum(axis=axis, keepdims=True)
    return (values * weights).sum(axis=axis, keepdims=True) / np.maximum(total, 1e-30)


def variance_of_mean(variance, numbers):
    """Return the variance of a mean of so many values; infinite without any.

    Parameters
    ----------
    variance : float
        Of one.
    numbers : array, any shape
    """
    return np.where(numbers > 0, variance / np.maximum(numbers, 1e-30), np.inf)


def finite(values):
    """Return values, 0 for those that are not finite.

    Parameters
    ----------
    values : float array, any shape
    """
    return np.where(np.isfinite(values), values, 0.0)
