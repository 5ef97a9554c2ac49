"""Stripes along the lines of a readout, told apart from the sky and from sources that are larger than a line is high.

Here an image has its lines along the rows. The smooth image of the means of its blocks is taken off first. It follows
the sky, nebulae and large galaxies, but no stripe that is narrower than a block: what is left in the lines are the
**narrow** stripes, and no light of what is larger than a block. Smaller sources are masked.

**Wide** stripes are in the smooth image, with everything else. They are what all blocks of a row of blocks share, but
for those in which a source is found, without the wings of its light: the outskirts of a large galaxy raise whole lines
by a hundredth of the noise, and all that is faint in them would lose it. A nebula that fills whole lines looks alike.
But 1/f noise has in each octave of frequency about the same power, so the narrow stripes tell how large the wide ones
can be: what is larger is not touched, and none is if all together are too large.

Each level is multiplied by (variance of the stripes) / (that + variance of the measurement), the best estimate if both
are normally distributed. So nothing is taken off where there are no stripes, and an amplifier has levels of its own as
far as they can be told from noise; else it has those of the whole line.

If the light of the image is **known** from a combined image, and was taken off, all pixels tell of the stripes. But the
combined image has levels of lines itself: its exposures were cleaned before it was there, each a little wrongly, and
alike where a source has pulled on the same lines of all. So these levels are measured where it shows no source, and
come to those of the image. They are not multiplied: what is left of them would be light that is taken off.
"""

from typing import NamedTuple

import numpy as np

from calflow.science.cleaning.common_stripes import narrow_stripes, noise_of_neighbours, wide_stripes
from calflow.science.cleaning.line_levels import (
    CLIP_OF_NOISE,
    Levels,
    clipped_means,
    finite,
    means_of_rows,
    rough_levels,
    spread,
    weighted_mean,
    without_edges,
    without_wide,
)
from calflow.science.cleaning.mesh import mesh_of, smooth_image
from calflow.science.cleaning.source_mask import find_light, sky_level

# Pixels further from the level of their line, in sigma, do not count for it.
CLIP = 2.5
# Sources are found on scales from 1 to 2**4 pixels among the pixels.
PIXEL_SCALES = 5
# The same among the blocks where light is known: what is left of a glow by dithers is larger, and no light.
SCALES_OF_REST = 2
# Wide stripes further from the others than this, in standard deviations to be expected, are left alone; all are, if
# their own standard deviation is so many.
WIDE_LIMIT, SCATTER_LIMIT = 4.0, 1.5
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
    light: tuple[np.ndarray, np.ndarray] | None = None,
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
    light : (float32 array, bool array) of that shape, optional
        A combined image that was taken off the image, and where it has a value. Then no sources are looked for that are
        smaller than a block. Larger light is: patterns of scattered light, that later steps have taken off the
        combined image.

    Returns
    -------
    Stripes
    """
    edges = np.linspace(0, image.shape[1], channels + 1).astype(int)[:-1]
    smooth, rough = rough_levels(image, good, 8 * block, edges)
    flat = image - smooth
    flat -= spread(rough, edges, image.shape[1])
    rough = without_wide(rough, block)
    _, noise = sky_level(flat[good][::16])
    used = good
    if not masked and light is None:
        weights = good.astype(np.float32)
        sources = find_light(np.where(good, flat, 0), weights, noise=noise, scales=PIXEL_SCALES, threshold=threshold)
        used = good & ~sources
    rest = image - spread(rough, edges, image.shape[1])
    mesh = mesh_of(rest, used, (block, block))
    lines = without_edges(used, mesh)
    narrow = clipped_means(image - mesh.image(), lines, rough, noise, edges, CLIP if light is None else CLIP_OF_NOISE)
    common = None
    if light is not None:
        in_common, common = narrow_stripes(*light, block, edges, threshold)
        narrow = _plus(narrow, in_common)
    narrow_levels, narrow_variance, power = _combined(narrow)
    if wide_light is not None:
        mesh = mesh_of(rest, used & ~wide_light, (block, block))
    figures = {"noise": noise, "used": float(used.mean()), "free": 1.0, "risk": 0.0}
    wide_levels, wide_variance = np.zeros((2, len(mesh.means), channels))
    if wide and common is None:
        likely = power * _octaves_ratio(len(image), block)
        masked = masked or wide_light is not None
        # Wings are told apart from levels of whole lines, which parts of them by channel are not.
        with_sources = None if masked or channels > 1 else mesh_of(rest, good, (block, block))
        found = means_of_rows(mesh, noise, edges, threshold, masked, with_sources=with_sources)
        wide_levels, wide_variance, told = _wide_stripes(*found, likely)
        figures |= told
    elif wide and len(mesh.means) > 1:
        wide_levels, wide_variance, told = _wide_of_both(mesh, common, noise, edges, threshold)
        figures |= told
    levels = narrow_levels + smooth_image(wide_levels, (mesh.box[0], 1), rough.shape)
    variance = narrow_variance + np.repeat(wide_variance, mesh.box[0], axis=0)[: len(image)]
    levels -= levels.mean(axis=0)
    return Stripes(levels.astype(np.float32), variance.astype(np.float32), used, figures)


def _wide_stripes(found: Levels, free: float, bias: float, likely: float):
    """Return the levels of wide stripes and their variance, both 0 if they may be light, and figures."""
    levels, variance, power = _combined(found)
    scatter = np.sqrt(_ratio(power, likely)) / SCATTER_LIMIT
    levels = _only_likely(levels, likely)
    risk = min(max(_ratio(bias, float(np.std(levels))), scatter), HIGHEST_RISK)
    if risk > 1:
        levels, variance = np.zeros((2, *levels.shape))
    return levels, variance, {"free": free, "risk": risk}


def _wide_of_both(mesh, combined, noise, edges, threshold):
    """Return the levels of wide stripes that an image has beyond the combined one and with it, and so on."""
    found, _, bias = means_of_rows(mesh, noise, edges, threshold, False, SCALES_OF_REST)
    risk = min(_ratio(bias, float(np.std(found.values))), HIGHEST_RISK)
    if risk > 1:
        return *np.zeros((2, *found.values.shape)), {"risk": risk}
    common = wide_stripes(combined, edges, threshold, found, noise_of_neighbours(mesh))
    levels, variance, _ = _combined(_plus(found, common.levels))
    return levels, variance, {"free": common.free, "risk": risk, "shared": common.left / max(noise, 1e-30)}


def _plus(levels: Levels, others: Levels) -> Levels:
    return Levels(levels.values + others.values, levels.variance + others.variance)


def _combined(levels: Levels) -> tuple[np.ndarray, np.ndarray, float]:
    """Return levels of channels as far as they can be told from those of the line, their variance, that of stripes."""
    with np.errstate(divide="ignore"):
        weights = 1 / levels.variance
    weights = np.where(np.isinf(weights), 1.0, weights)  # without noise all count the same
    own = levels.values - weighted_mean(levels.values, weights, 0)
    line, line_noise = weighted_mean(own, weights, 1), _of_all(levels.variance)
    factor, power = _shrinking(line, line_noise)
    total, variance = factor * line, factor * finite(line_noise)
    if own.shape[1] > 1:
        # A channel is part of the line that it is compared with.
        noise = np.where(np.isfinite(levels.variance), levels.variance - finite(line_noise), np.inf)
        factor, _ = _shrinking(own - line, noise)
        total, variance = total + factor * (own - line), variance + factor * finite(noise)
    return np.broadcast_to(total, own.shape), np.broadcast_to(variance, own.shape), power


def _of_all(variance):
    """Return the variance of the weighted mean of channels; infinite without any."""
    with np.errstate(divide="ignore"):
        return 1 / (1 / variance).sum(axis=1, keepdims=True)


def _shrinking(values, noise):
    """Return what measured levels are multiplied by, and the variance of the true ones."""
    known = np.isfinite(noise)
    power = max(0.0, float(np.mean(values[known] ** 2 - noise[known]))) if known.any() else 0.0
    return np.where(known, power / np.maximum(power + finite(noise), 1e-30), 0.0), power


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
