"""How strong patterns of known shapes are in an exposure.

The strength is that of the least squares of the exposure less patterns and sky, in blocks of 4 x 4 pixels, without
sources. Those are looked for in what the fit leaves: at first small ones alone, since the pattern itself is large. The
sky is local: what is smooth over 32 pixels counts neither in the exposure nor in the patterns, since wings of galaxies,
nebulae and glow would be taken for a part of them.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from calflow.science.cleaning.mesh import Mesh, mesh_of
from calflow.science.cleaning.source_mask import SOME, find_light, halved, sky_level
from calflow.science.cleaning.subtract_template_parameters import TemplateFit

BLOCK = 4  # pixels: patterns are smooth
# In each round of fit and search sources are looked for on so many scales, from a block on.
SCALES_OF_ROUNDS = (2, 3, 5, 5)
# Beside a local sky, which takes what is larger, on so many at most: 16 pixels.
LOCAL_SCALES = 3
CLIP = 4.0  # sigma of a block: what is fainter than the fit by more is no noise
MISMATCH = 0.1  # how far the shape of a pattern may be off, in parts of it
TILES = 8  # on each axis, from which the error is found
LEAST_LEFT = 0.02  # of the blocks
# A local sky is the mean of what is around in two boxes of so many times 2 x 2 blocks, about a Gaussian with a sigma of
# 30 pixels; where less than this part of it counts there is none.
SMOOTH, LEAST_AROUND = 9, 1e-3
LEAST_OWN = 1e-8  # of the power of a pattern, that is not smooth
NO_VALUE = "the template has no value where the exposure has pixels that can be used"
NO_SHAPE = "the template has no shape of its own beside the sky where there are pixels"


class Fit(NamedTuple):
    """Patterns fitted to an exposure.

    Attributes
    ----------
    amplitudes, errors : float64 array, shape (n,)
        Of each pattern, 0 or more, and the standard deviations. These are found by leaving out parts of the exposure in
        turn, so what sources and other patterns do to the amplitudes is in them.
    sky : float64 array, shape (my, mx)
        What is fitted beside them, in blocks.
    free : bool array, shape (my, mx)
        The blocks that were used.
    noise : float
        Standard deviation of a pixel, if the noise is white.
    """

    amplitudes: np.ndarray
    errors: np.ndarray
    sky: np.ndarray
    free: np.ndarray
    noise: float


def fit_patterns(image: Mesh, patterns: np.ndarray, parameters: TemplateFit, start: Fit | None = None) -> Fit:
    """Fit patterns, and a sky beside them, to an exposure.

    Parameters
    ----------
    image : Mesh
        The exposure in blocks of `BLOCK` pixels.
    patterns : float array, shape (n, my, mx)
        In the same blocks.
    parameters : TemplateFit
    start : Fit, optional
        Of nearly the same patterns to the same exposure: sources are looked for in what it leaves, once.

    Raises
    ------
    ValueError
        If the patterns have no shape of their own where there are values, or too few blocks are left.
    """
    weights = (image.weights / BLOCK**2).astype(np.float32)
    there = weights > 0
    free = there if start is None else start.free
    most = 1 + int(np.log2(max(2, min(there.shape) // 8)))
    if parameters.sky == "local":
        most = min(most, LOCAL_SCALES)
    terms = _terms(patterns, parameters.sky)
    faintest = np.float32(-CLIP) / np.sqrt(np.maximum(weights, np.float32(1e-6)))
    for scales in SCALES_OF_ROUNDS if start is None else SCALES_OF_ROUNDS[-1:]:
        fitted = _fitted(image.means, terms, len(patterns), weights * free, parameters.sky)
        rest = fitted.rest.astype(np.float32)
        level, noise = sky_level(np.compress(free.ravel(), rest.ravel())[:: np.count_nonzero(free) // SOME | 1])
        rest -= np.float32(level)
        if len(patterns) and noise > 0:
            # Where a pattern is bright what it leaves is no source, unless it is brighter still.
            mismatch = np.tensordot(MISMATCH / noise * fitted.amplitudes, patterns, axes=1).astype(np.float32)
            rest /= np.sqrt(1 + np.square(mismatch))
        light = find_light(
            rest,
            weights,
            noise=noise,
            scales=min(scales, most),
            threshold=parameters.snr_threshold,
            grow=parameters.grow,
        )
        free = there & ~light & (rest > np.float32(noise) * faintest)
        if free.sum() < max(LEAST_LEFT * there.sum(), 4 * (len(patterns) + 3)):
            raise ValueError(f"only {free.sum()} of {there.size} blocks of pixels are left without sources")
    fitted = _fitted(image.means, terms, len(patterns), weights * free, parameters.sky)
    errors = _jackknifed(*_normal_equations(fitted.terms, fitted.values, weights * free), len(patterns))
    sky = image.means - fitted.rest - np.tensordot(fitted.amplitudes, patterns, axes=1)
    return Fit(fitted.amplitudes, errors, sky, free, noise * BLOCK)


class _Fitted(NamedTuple):
    """Amplitudes, what is left of the image, and the terms and values that they come from."""

    amplitudes: np.ndarray
    rest: np.ndarray
    terms: np.ndarray
    values: np.ndarray


def _terms(patterns: np.ndarray, sky: str) -> np.ndarray:
    """Return patterns and what the sky is made of, float64."""
    shape = patterns.shape[1:]
    terms = np.ones((len(patterns) + (1 if sky == "constant" else 3), *shape))
    terms[: len(patterns)] = patterns
    if sky != "constant":
        y, x = (np.arange(size) / max(shape) - 0.5 for size in shape)
        terms[-2], terms[-1] = x, y[:, None]
    return terms


def _fitted(values: np.ndarray, terms: np.ndarray, patterns: int, weights: np.ndarray, sky: str) -> _Fitted:
    """Return the least squares of an image less terms, of which the first are the patterns."""
    own = terms
    if sky == "local":
        # Whatever is smooth is taken off the image and the terms but the constant alike, and is not known to the fit.
        own, values = terms.copy(), values.astype(np.float64)
        _take_smooth_parts([values, *own[:patterns], *own[patterns + 1 :]], weights)
    weighted = (own * weights).reshape(len(own), -1)
    normal = weighted @ own.reshape(len(own), -1).T
    for number in range(patterns):
        power = normal[number, number] if sky != "local" else float(np.sum(weights * np.square(terms[number])))
        if normal[number, number] <= LEAST_OWN * power:
            raise ValueError(NO_SHAPE if power else NO_VALUE)
    found = _solved(normal, weighted @ values.ravel(), patterns)
    return _Fitted(found[:patterns], values - np.tensordot(found, own, axes=1), own, values)


def _take_smooth_parts(images: Sequence[np.ndarray], weights: np.ndarray) -> None:
    """Take off images their weighted means over what is around, by a box twice, which is about a Gaussian."""
    below = np.maximum(_around(weights.astype(np.float64)), 4 * LEAST_AROUND)
    for image in images:
        mean = _around(image * weights) / below
        for rows in (slice(None, None, 2), slice(1, None, 2)):
            for columns in (slice(None, None, 2), slice(1, None, 2)):
                part = image[rows, columns]
                part -= mean[: part.shape[0], : part.shape[1]]


def _around(plane: np.ndarray) -> np.ndarray:
    """Return the means of the sums of 2 x 2 over what is around, by a box twice; 0 is beyond the edge."""
    sums = halved(np.pad(plane, [(0, size % 2) for size in plane.shape]))
    for _ in range(2):
        sums = _boxed(_boxed(sums).T).T
    return sums / SMOOTH**4


def _boxed(values: np.ndarray) -> np.ndarray:
    """Return the sums of so many rows around each."""
    before = np.cumsum(np.pad(values, ((SMOOTH // 2 + 1, SMOOTH // 2), (0, 0))), axis=0)
    return before[SMOOTH:] - before[:-SMOOTH]


def pattern_blocks(patterns: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Return the means of patterns over the pixels of blocks that count, shape (n, my, mx).

    Parameters
    ----------
    patterns : float32 array, shape (n, ny, nx)
    good : bool array, shape (ny, nx)
        The pixels of the exposure that count.
    """
    return np.stack([mesh_of(pattern, good, (BLOCK, BLOCK)).means for pattern in patterns])


def _normal_equations(terms: np.ndarray, values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrices and right sides of the least squares of tiles of an image: (t, n, n) and (t, n)."""
    rows, columns = (np.linspace(0, size, TILES + 1).astype(int) for size in values.shape)
    matrices, sides = [], []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            tile = slice(top, bottom), slice(left, right)
            own = terms[:, *tile].reshape(len(terms), -1)
            weighted = own * weights[tile].ravel()
            matrices.append(weighted @ own.T)
            sides.append(weighted @ values[tile].ravel())
    return np.array(matrices), np.array(sides)


def _solved(normal: np.ndarray, right: np.ndarray, patterns: int) -> np.ndarray:
    """Return the least squares of which the first terms are not negative."""
    from scipy.optimize import lsq_linear

    scale = np.sqrt(np.diag(normal))
    if not (scale > 0).all():
        raise ValueError(NO_VALUE)
    try:
        root = np.linalg.cholesky(normal / np.outer(scale, scale)).T
    except np.linalg.LinAlgError:
        raise ValueError(NO_SHAPE) from None
    low = np.where(np.arange(len(scale)) < patterns, 0.0, -np.inf)
    found = lsq_linear(root, np.linalg.solve(root.T, right / scale), (low, np.inf), method="bvls", tol=1e-12)
    return found.x / scale


def _jackknifed(normal: np.ndarray, right: np.ndarray, patterns: int) -> np.ndarray:
    """Return the standard deviations of the amplitudes, without the limit at 0, from tiles left out in turn."""
    held = normal[:, -1, -1] > 0
    normal, right = normal[held], right[held]
    every = np.linalg.solve(normal.sum(axis=0) - normal, (right.sum(axis=0) - right)[..., None])[:, :patterns, 0]
    return np.sqrt((len(every) - 1) * np.var(every, axis=0))
