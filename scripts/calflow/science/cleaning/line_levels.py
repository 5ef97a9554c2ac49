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
# Blocks that are less whole than this, beside one of which less is left than the second part, both of the median of
# their row, lie at the edge of a source. The smooth image through them is not that of the light beyond the edge. Where
# they are more than the third part of a row, as before a nebula, they stay: what is left would be its darker places.
WHOLE, MASKED, MOST_EDGES = 0.95, 0.25, 0.1
# Rows and columns of which less is free than this part keep the levels they had: those of few blocks are of chance, and
# what is found beside them is, too.
LEAST_FREE = 0.1
# Light is looked for among blocks with their sources, too, which are no brighter than so many sigma of a pixel: a star
# is not to look like a galaxy. Rows of which that leaves less than this part go by what is found without.
MOST_LIGHT, LEAST_DARK = 10.0, 0.25
# Sizes of the wings of light, in blocks: sigma of the Gaussians that it is smoothed by. None is larger than this part
# of the image: what is as wide as that cannot be told from its level.
WINGS, LARGEST_WING = (4.0, 8.0, 16.0), 1 / 8
# Of rows and of columns means are taken by turns, so many times when the wings are fitted.
WING_MEANS = 20


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


def means_of_rows(
    mesh: Mesh, noise, edges, threshold, masked, scales=BLOCK_SCALES, with_sources: Mesh | None = None
) -> tuple[Levels, float, float]:
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
    with_sources : Mesh, optional
        The same with the sources that the mesh leaves out. Then blocks beside them do not count, and their wings are
        taken off: the outskirts of a large galaxy raise whole rows by little, which no search finds.
    """
    centres = (np.arange(mesh.means.shape[1]) + 0.5) * mesh.box[1]
    channel = np.searchsorted(edges, centres, side="right") - 1
    first = np.searchsorted(channel, np.arange(len(edges)))
    weights = np.where(mesh.weights >= 0.25 * mesh.weights.max(), mesh.weights, 0.0)
    how = {"noise": noise, "scales": scales, "threshold": BLOCK_THRESHOLD * threshold, "first": first}
    free = weights if masked else _free_blocks(mesh.means, weights, **how)
    means = mesh.means
    if with_sources is not None and not masked:
        light = np.minimum(with_sources.means, mesh.filled() + MOST_LIGHT * noise)
        found = free == 0
        dark = _free_blocks(light, np.where(mesh.weights > 0, with_sources.weights, 0.0), **how) > 0
        strict = np.where(dark & ~at_edges(mesh), free, 0.0)
        enough = strict.sum(axis=1, keepdims=True) >= LEAST_DARK * free.sum(axis=1, keepdims=True)
        free = np.where(enough, strict, free)
        means = means - wings(means, light, found | ~dark, free)
    rows, columns = rows_and_columns(means, free, ROUNDS * MEANS)
    by_channel = means - columns
    numbers = np.add.reduceat(free, first, axis=1)
    values = np.add.reduceat(free * by_channel, first, axis=1) / np.maximum(numbers, 1e-30)
    left = (by_channel - rows)[free > 0]
    scatter = float(np.var(left) * np.mean(free[free > 0])) if left.size else 0.0
    return (
        Levels(values, variance_of_mean(scatter, numbers)),
        float(np.count_nonzero(free) / free.size),
        _bias(by_channel, rows, free, scatter),
    )


def _free_blocks(means, weights, noise, scales, threshold, first):
    """Return the weights of blocks, 0 where light is found. Channels have rows of their own, from these columns on."""
    known = np.where(weights > 0, means, np.nan)
    # Sources are looked for before any mean is taken, which would have their light in it, and hide them.
    columns = low_quantile(known, 0)
    parts = [slice(*ends) for ends in zip(first, [*first[1:], means.shape[1]], strict=True)]
    rows = np.empty_like(means)
    for part in parts:
        rows[:, part] = low_quantile((known - columns)[:, part], 1)
    free = weights
    number = float(np.median(weights.sum(axis=1))) / len(parts)
    for _ in range(ROUNDS):
        found = find_light(
            (means - columns - rows).astype(np.float32),
            weights.astype(np.float32),
            noise=noise,
            scales=scales,
            threshold=threshold,
            grow=GROWN,
            common=noise / np.sqrt(max(number, 1e-30)),
        )
        free = np.where(found, 0.0, weights)
        for _ in range(MEANS):
            for part in parts:
                each = weighted_mean((means - columns)[:, part], free[:, part], 1)
                rows[:, part] = np.where(_enough(free[:, part], weights[:, part], 1), each, rows[:, part])
            columns = np.where(_enough(free, weights, 0), weighted_mean(means - rows, free, 0), columns)
    return free


def _enough(free, weights, axis):
    total = free.sum(axis=axis, keepdims=True)
    return (total > 0) & (total >= LEAST_FREE * weights.sum(axis=axis, keepdims=True))


def rows_and_columns(means, free, rounds):
    """Return the levels of rows and of columns whose sums the means of free blocks are.

    Rows without any have 0, columns what the others have in the mean.

    Parameters
    ----------
    means, free : float array, shape (my, mx)
        Of blocks, and their weights; 0: not free.
    rounds : int
        Of rows and of columns means are taken by turns.
    """
    columns = np.zeros((1, means.shape[1]))
    for _ in range(rounds):
        rows = weighted_mean(means - columns, free, 1)
        columns = weighted_mean(means - rows, free, 0)
    known = free.any(axis=0)
    if known.any():
        columns = np.where(known, columns, columns[:, known].mean())
    return weighted_mean(means - columns, free, 1), columns


def wings(means, light, found, free):
    """Return what blocks have from the wings of light that is found beside them, shape (my, mx).

    It is the light smoothed by Gaussians, each as strong as the free blocks make it, above 0, together with levels of
    rows and columns.

    Parameters
    ----------
    means, light : float array, shape (my, mx)
        Those that are to be explained; those that show the light.
    found : bool array of that shape
        True: light was found.
    free : float array of that shape
        Weights of blocks; 0: not free.
    """
    from scipy.ndimage import gaussian_filter
    from scipy.optimize import nnls

    sizes = [size for size in WINGS if size <= LARGEST_WING * min(means.shape)]
    if not sizes:
        return np.zeros_like(means)
    rows, columns = rows_and_columns(means, free, WING_MEANS)
    bright = np.where(found & (free == 0) & free.any(axis=1, keepdims=True), np.maximum(light - rows - columns, 0), 0)
    roots = np.sqrt(free)
    smoothed = [gaussian_filter(bright, size, mode="constant") for size in sizes]
    beyond = [((each - sum(rows_and_columns(each, free, WING_MEANS))) * roots).ravel() for each in smoothed]
    factors, _ = nnls(np.stack(beyond, axis=1), ((means - rows - columns) * roots).ravel())
    return sum(factor * each for factor, each in zip(factors, smoothed, strict=True))


def at_edges(mesh: Mesh) -> np.ndarray:
    """Return which blocks lie at the edges of sources that are masked.

    Parameters
    ----------
    mesh : Mesh

    Returns
    -------
    bool array, shape (my, mx)
        False in rows of which more than a tenth of the pixels are in such blocks.
    """
    usual = np.median(mesh.weights, axis=1, keepdims=True)
    edges = (mesh.weights < WHOLE * usual) & grown(mesh.weights < MASKED * usual)
    inside = np.where(edges, mesh.weights, 0.0).sum(axis=1, keepdims=True)
    return edges & (inside <= MOST_EDGES * mesh.weights.sum(axis=1, keepdims=True))


def without_edges(used, mesh: Mesh):
    """Return which pixels are used and do not lie at the edges of sources, shape (lines, pixels).

    Parameters
    ----------
    used : bool array, shape (lines, pixels)
    mesh : Mesh
        Of these pixels.
    """
    inner = np.repeat(~at_edges(mesh), mesh.box[1], axis=1)[:, : used.shape[1]]
    found = used.copy()
    for row, part in enumerate(inner):
        found[row * mesh.box[0] : (row + 1) * mesh.box[0]] &= part
    return found


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
