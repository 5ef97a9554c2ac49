"""Stripes that the exposures of a combined image have in common, in place of those in which they differ.

What an exposure has beyond the combined image at its pixels is stripes and noise: the light is the same in both, be it
a nebula or a galaxy that fills the field. So all pixels tell of these stripes. But the image has stripes itself: the
mean of those of its n exposures, as dithers move them on the sky, whose rms is smaller by the square root of n. No
difference of exposures shows them. They are measured in the image where it shows no light, as it is deeper than an
exposure:

- The **narrow** ones, of fewer lines than a block has, are what lines have beyond the smooth image.
- The **wide** ones are what all blocks of a row of blocks share. How large they can be is known from those in which the
  exposures differ, and 1/f noise has about the same power in each octave. So light is looked for in what is left by
  rows of blocks that are no further from each other than that. What blocks have from the wings of light that is
  found next to them is fitted together with the rows. Rows without free blocks get what the others make likely.

More in an octave than stripes can be is the profile of a glow or of a nebula along the readout; and where light fills
most rows nothing tells of their stripes. Then the wide stripes that all have in common stay.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from calflow.science.cleaning.line_levels import (
    CLIP_OF_NOISE,
    GROWN,
    Levels,
    clipped_means,
    finite,
    low_quantile,
    rough_levels,
    rows_and_columns,
    spread,
    variance_of_mean,
    weighted_mean,
    wings,
    without_edges,
    without_wide,
)
from calflow.science.cleaning.mesh import Mesh, mesh_of
from calflow.science.cleaning.source_mask import find_light, sky_level

# Small sources are looked for on scales from 1 to 2**2 pixels.
SMALL_SCALES = 3
# Blocks of which less is left than this part do not count.
LEAST_LEFT = 0.25
# The noise is measured in cells of so many squares of so many pixels on each side. This part of them is deeper than
# what has the weight 1.
CELL, SQUARE, DEEP = 16, 4, 0.1
# Light is looked for on scales from 1 to 2**3 blocks, in so many rounds. Of rows and of columns means are taken by
# turns, so many times in each round, and in the end.
SCALES, ROUNDS, MEANS_OF_ROUND, MEANS = 4, 8, 3, 20
# Rows that are free in less than this part of what the freest one is are full: their darkest blocks may have light. If
# more than this part of all are, nothing is measured.
LEAST_FREE, MOST_FULL = 0.1, 0.5
# How far levels can be from their middle, in standard deviations of those to be expected.
FURTHEST = 5.0
# The power of an octave with m modes is at most 1 + SCATTER / sqrt(m) times that to be expected.
SCATTER = 16.0
# Levels of lines are believed up to so many standard deviations of the noise of the line with the most pixels: those
# that come from few pixels count less.
LIKELY = 5.0


class WideStripes(NamedTuple):
    """Wide stripes of a combined image.

    Attributes
    ----------
    levels : Levels
        Of rows of blocks, by channel; 0 where there is nothing to tell them by.
    free : float
        The part of the blocks that they come from.
    left : float
        0 if they are measured; else the rms of what is too much for stripes, or of those that are to be expected where
        most lines are full of light; unit of the image.
    """

    levels: Levels
    free: float
    left: float


def narrow_stripes(image: np.ndarray, known: np.ndarray, block: int, edges: np.ndarray, threshold: float):
    """Return the levels that lines of a combined image have beyond the means of its blocks.

    Parameters
    ----------
    image : float32 array, shape (lines, pixels)
        Finite.
    known : bool array of that shape
        True: the image has a value.
    block : int
        Side of the blocks, pixels.
    edges : int array, shape (channels,)
        First pixel of each amplifier.
    threshold : float
        Of sources, in sigma.

    Returns
    -------
    levels : Levels
    mesh : Mesh
        The image where it shows no small source, without the levels of lines.
    """
    smooth, rough = rough_levels(image, known, 8 * block, edges)
    flat = image - smooth
    flat -= spread(rough, edges, image.shape[1])
    weights = _weights(flat, known)
    _, noise = sky_level((flat * np.sqrt(weights))[known][::16])
    # Levels of lines are taken off before sources are looked for: those of the image would be some.
    small = find_light(
        np.where(known, flat, 0), weights, noise=noise, scales=SMALL_SCALES, threshold=threshold, grow=GROWN
    )
    free = known & ~small
    rough = without_wide(rough, block)
    mesh = mesh_of(image - spread(rough, edges, image.shape[1]), free, (block, block))
    lines = without_edges(free, mesh)
    levels = _believed(clipped_means(image - mesh.image(), lines, rough, noise, edges, CLIP_OF_NOISE))
    enough = mesh.weights >= LEAST_LEFT * mesh.weights.max()
    return levels, replace(mesh, weights=np.where(enough, mesh.weights * mesh_of(weights, free, mesh.box).means, 0.0))


def _weights(image, known):
    """Return 1 over the variance of an image, 1 where it is deep, float32; 0 where it is not known.

    It is deeper where more exposures overlap. The noise is that of small squares beside each other, since single pixels
    are interpolated, some between two and some not.
    """
    from scipy.ndimage import median_filter

    squares = mesh_of(image, known, (SQUARE, SQUARE))
    use = squares.weights > 0
    bend = np.abs(np.diff(squares.means, 2, axis=1)).astype(np.float32)
    cells = mesh_of(bend, use[:, 2:] & use[:, 1:-1] & use[:, :-2], (CELL, CELL))
    noise = median_filter(cells.filled(), 3)
    weights = np.minimum(1, (np.quantile(noise, DEEP) / np.maximum(noise, 1e-30)) ** 2).astype(np.float32)
    size = SQUARE * CELL
    spread_out = np.repeat(np.repeat(weights, size, axis=0), size, axis=1)
    spread_out = np.pad(
        spread_out, [(0, max(0, n - m)) for n, m in zip(image.shape, spread_out.shape, strict=True)], "edge"
    )
    return np.where(known, spread_out[: image.shape[0], : image.shape[1]], np.float32(0))


def wide_stripes(mesh: Mesh, edges: np.ndarray, threshold: float, others: Levels, others_noise: float) -> WideStripes:
    """Return the levels that rows of blocks of a combined image share.

    Parameters
    ----------
    mesh : Mesh
        The image, where it shows no source that is smaller than a block.
    edges : int array, shape (channels,)
        First pixel of each amplifier.
    threshold : float
        That of light, in sigma.
    others : Levels
        Those that an exposure has beyond the image.
    others_noise : float
        That of a pixel in which they were measured.
    """
    noise = noise_of_neighbours(mesh)
    # What is common to n exposures is 1 / (n - 1) of what they differ by, in noise and in stripes.
    likely = _octaves(others.values) * min(1.0, (noise / max(others_noise, 1e-30)) ** 2)
    weights = mesh.weights
    free = _free_blocks(mesh.means, weights, noise, threshold, FURTHEST * np.sqrt(likely.sum()))
    means = mesh.means - wings(mesh.means, mesh.means, (weights > 0) & (free == 0), free)
    _, columns = rows_and_columns(means, free, MEANS)
    first = np.searchsorted((np.arange(means.shape[1]) + 0.5) * mesh.box[1], edges)
    numbers = np.add.reduceat(free, first, axis=1)
    values = np.add.reduceat(free * (means - columns), first, axis=1) / np.maximum(numbers, 1e-30)
    part = float(np.count_nonzero(free) / free.size)
    full = float(np.mean(free.sum(axis=1) < LEAST_FREE * free.sum(axis=1).max()))
    if full > MOST_FULL:
        nothing = np.zeros((2, *values.shape))
        return WideStripes(Levels(*nothing), part, float(np.sqrt(likely.sum())))
    variances = variance_of_mean(noise**2, numbers)
    found = [_likely_levels(*channel, likely) for channel in zip(values.T, variances.T, strict=True)]
    levels, variance, left = (np.stack(part, axis=-1) for part in zip(*found, strict=True))
    return WideStripes(Levels(levels, variance), part, float(np.sqrt(np.mean(left))))


def noise_of_neighbours(mesh: Mesh) -> float:
    """Return the noise of a pixel, from the differences of blocks that lie beside each other in a row.

    Parameters
    ----------
    mesh : Mesh
    """
    weights = np.where(mesh.weights >= LEAST_LEFT**2 * mesh.weights.max(), mesh.weights, 0.0)
    both = (weights[:, 1:] > 0) & (weights[:, :-1] > 0)
    if not both.any():
        return 0.0
    variance = 1 / weights[:, 1:][both] + 1 / weights[:, :-1][both]
    return float(np.median(np.abs(np.diff(mesh.means, axis=1)[both]) / np.sqrt(variance)) / 0.6745)


def _believed(levels: Levels) -> Levels:
    """Return levels of lines, those that come from few pixels multiplied by less than 1."""
    known = np.isfinite(levels.variance)
    likely = LIKELY**2 * float(levels.variance[known].min()) if known.any() else 0.0
    factor = np.where(known, likely / np.maximum(likely + finite(levels.variance), 1e-30), 0.0)
    return Levels(factor * levels.values, factor * finite(levels.variance))


def _free_blocks(means, weights, noise, threshold, furthest):
    """Return the weights of blocks, 0 where light is found."""
    known = np.where(weights > 0, means, np.nan)
    # Sources are looked for before any mean is taken, which would have their light in it, and hide them.
    columns = low_quantile(known, 0)
    rows = _not_further(low_quantile(known - columns, 1), furthest)
    common = noise / np.sqrt(max(float(np.median(weights.sum(axis=1))), 1e-30))
    free = weights
    for _ in range(ROUNDS):
        found = find_light(
            (means - columns - rows).astype(np.float32),
            weights.astype(np.float32),
            noise=noise,
            scales=SCALES,
            threshold=threshold,
            grow=GROWN,
            common=common,
        )
        free = np.where(found, 0.0, weights)
        rows, columns = _rows_and_columns(means, free, furthest, rows)
    return free


def _rows_and_columns(means, free, furthest, otherwise):
    """Return the levels of rows, no further from each other than that, and of columns; and of rows without any."""
    columns = np.zeros((1, means.shape[1]))
    known = free.any(axis=1, keepdims=True)
    for _ in range(MEANS_OF_ROUND):
        rows = np.where(known, _not_further(weighted_mean(means - columns, free, 1), furthest), otherwise)
        columns = weighted_mean(means - rows, free, 0)
    return rows, columns


def _not_further(rows, furthest):
    """Return levels of rows that are no further from their median than that."""
    middle = np.median(rows)
    return np.clip(rows, middle - furthest, middle + furthest)


def _modes(number):
    """Return the modes of levels of rows, shape (number - 1, number), without the mean, and the octave of each."""
    from scipy.fft import dct

    modes = dct(np.eye(number), norm="ortho", axis=0)[1:]
    return modes, np.floor(np.log2(np.arange(1, number))).astype(int)


def _octaves(values):
    """Return the power of levels of rows in each octave, or what all have in the mean if that is more."""
    modes, octave = _modes(len(values))
    squares = np.mean((modes @ values) ** 2, axis=1)
    power = np.bincount(octave, squares) / len(values)
    return np.maximum(power, power.mean())


def _likely_levels(values, variance, likely):
    """Return the most likely levels of rows, their variance, and the mean square of those that can be no stripes."""
    known = np.isfinite(variance)
    if not known.any() or not likely.any():
        return np.zeros_like(values), np.zeros_like(values), 0.0
    modes, octave = _modes(len(values))
    numbers = np.bincount(octave)
    power = len(values) * likely / numbers
    amplitudes, left_over = _posterior(modes, power[octave], values, variance, known)
    found = np.bincount(octave, amplitudes**2) / numbers
    levels = amplitudes @ modes
    if (found > (1 + SCATTER / np.sqrt(numbers)) * power).any():
        return np.zeros_like(values), np.zeros_like(values), float(np.mean(levels**2))
    return levels, left_over, 0.0


def _posterior(modes, prior, values, variance, known):
    """Return the most likely amplitudes of modes by their prior variances, and the variance of the levels of rows."""
    covariance = modes.T @ (prior[:, None] * modes)
    level = 1e3 * max(float(np.trace(covariance)), 1e-30)  # the mean may be anything
    noisy = covariance[np.ix_(known, known)] + np.diag(variance[known]) + level
    gain = np.linalg.solve(noisy, covariance[known])
    middle = np.average(values[known])
    amplitudes = prior * (modes[:, known] @ np.linalg.solve(noisy, values[known] - middle))
    return amplitudes, np.maximum(np.diag(covariance) - np.einsum("ij,ij->j", covariance[known], gain), 0.0)
