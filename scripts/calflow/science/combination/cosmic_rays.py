"""Cosmic rays that the median of all exposures does not tell: where it is hit itself, and where one exposure looks.

Where two exposures look, their median is the mean, which has half of the ray: the one that is hit is no outlier, and
the other may be one. Where three or four look, two rays near each other spoil the median. There the lowest exposure
(of four and more the second lowest) stands for it (`comparison`), since a cosmic ray only adds. On the slopes of stars
an exposure is compared as closely as its own sources show that it can be (`science.combination.excess`).

Where one exposure looks, what is sharper than the point spread function is no source (`find_sharp`). Of a star, and so
of everything that is seen by way of the same optics, a pixel is no brighter than the mean of two opposite neighbours
divided by some ratio, wherever in the pixel the star lies. For a Gaussian of the width s the ratio is exp(-1 / (2 s^2))
along an axis, and the square of that along a diagonal. It is measured in the same exposure, where others confirm the
sources (`sharpest_source`); the more undersampled the stars, the smaller it is, and the fewer rays are told from them.

Sources: the lowest in place of the median is that of `minmed` of DrizzlePac (without its second pass); a contrast with
neighbours that tells rays from undersampled stars is the idea of van Dokkum 2001, PASP 113, 1420 (L.A.Cosmic).
"""

from collections.abc import Iterable

import numpy as np

from calflow.science.combination.combination_parameters import OutlierThresholds
from calflow.science.combination.excess import find_excess
from calflow.science.combination.median import nan_median
from calflow.science.combination.neighbours import parts_of, values_beside
from calflow.science.combination.outlier_detection import flag_outliers, grown, largest_difference
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

# Of so many exposures the second lowest is taken: it is hit only if three are.
ENOUGH = 4
# The lowest exposure counts where it is so far below the median: errors, and largest differences of its neighbours.
FAR_BELOW, FAR_BELOW_SLOPE = 2.0, 0.7
# Of the pixels of sources: cosmic rays do not put the median of so many that far above the lowest.
MOST_HIT = 0.25
# What is above the lowest exposure by so many errors may be a ray, though the slope of a star would excuse it.
ABOVE_LOWEST = 4.0
# Where neighbours differ by more errors than that, a star between the pixels explains much: a hit must be sharp, too.
STEEP = 5.0
# Excess over what the neighbours allow, in units of its error, from which a pixel is sharper than any source.
SHARPER = 3.0
# Share of a pixel's light by which the ratio of a star may differ from the one that is assumed.
SHAPE_ERROR = 0.05
# Pixels of sources whose shape is measured, in errors above what surrounds them; how many are needed; and the ratio
# without them, and at the least: that of a Gaussian with a full width at half maximum of 1.1 pixels.
BRIGHT, FEWEST_PIXELS, UNKNOWN_RATIO = 20.0, 20, 0.1
# Of the ratios found the one that 1 % are below, which may be rays, and with a margin.
LOW_PART, MARGIN = 100, 0.9
ROUNDS = 4
# Their excess is known, and no ray.
KNOWN_BAD = FLAGS["HOT"] | FLAGS["WARM"] | FLAGS["RC"] | FLAGS["UNRELIABLE_SLOPE"]
# Pairs of opposite neighbours, and which power of the ratio is theirs; and what surrounds them.
PAIRS = (((0, 1), 1), ((1, 0), 1), ((1, 1), 2), ((1, -1), 2))
RING = tuple((y, x) for y in range(-2, 3) for x in range(-2, 3) if max(abs(y), abs(x)) == 2)
# With more of the 16 missing the ring is lopsided: at an edge the median of what is left may be the light of a star.
RING_MISSING = 4
# Of the rows and columns, for the level of the sky.
EVERY = 4


def lowest_of_groups(layers: Iterable[tuple[np.ndarray, tuple[int, int]]], shape: tuple[int, int]) -> np.ndarray:
    """Return the lowest value of images that each cover a part of a grid; where four and more do, the second lowest.

    Of four, two cosmic rays leave the second lowest alone, too; and one exposure that lacks a source, or has a pixel
    that is too low, does not make outliers of the others.

    Parameters
    ----------
    layers : iterable of (float32 array, (y0, x0))
        Images (NaN: no value), and the row and column of the grid where their first pixel lies. They are taken one
        after the other.
    shape : (ny, nx)
        Of the grid, or of some rows of it.

    Returns
    -------
    float32 array, shape (ny, nx)
        NaN where no or one image has a value: there none confirms another.
    """
    lowest, second = np.full(shape, np.inf, np.float32), np.full(shape, np.inf, np.float32)
    number = np.zeros(shape, np.int32)
    for layer, (y0, x0) in layers:
        here = slice(y0, y0 + layer.shape[0]), slice(x0, x0 + layer.shape[1])
        number[here] += ~np.isnan(layer)
        # First, as what was the lowest may become the second.
        np.fmin(second[here], np.fmax(lowest[here], layer), out=second[here], where=~np.isnan(layer))
        np.fmin(lowest[here], layer, out=lowest[here])
    lowest = np.where(number >= ENOUGH, second, lowest)
    lowest[number < 2] = np.nan
    return lowest


def find_cosmic_rays(
    image: Image,
    median: np.ndarray,
    lowest: np.ndarray,
    sky: float | None,
    *,
    snr: tuple[float, ...] = OutlierThresholds.snr,
    scale: tuple[float, ...] = OutlierThresholds.scale,
    backg: float = OutlierThresholds.backg,
) -> np.ndarray:
    """Return the mask of outliers, by the lowest exposure where the median is hit, and by their sharpness.

    An outlier is

    - where two and more exposures look, what is above `comparison` by more than noise and sources explain
      (`find_excess`), or what `flag_outliers` finds in comparison with it; that in the cores and on the flanks of
      bright stars only if it is sharp, too;
    - where one looks, and above the lowest exposure where more do, what is sharper than any source (`find_sharp`).

    Pixels that DQ calls hot, warm, RC or UNRELIABLE_SLOPE are no more often flagged than by the median.

    Parameters
    ----------
    image : Image
        Two-dimensional. NaN in `sci` is never an outlier; NaN in `err` counts as 0 in comparisons, and as no value in
        the search for what is sharp.
    median, lowest : float32 array, shape (ny, nx)
        The median and the lowest of all exposures at the pixels of the image, without the sky level. NaN in `lowest`:
        fewer than two look, there and at its four neighbours.
    sky : float or None
        Level that is in `image` and not in `median` and `lowest`. None: not known, `backg` is used.
    snr, scale, backg
        As in `flag_outliers`. The first of `snr` is also what a sharp pixel has above its surroundings, in errors.

    Returns
    -------
    bool array, shape (ny, nx)
        True: outlier.

    Raises
    ------
    ValueError
        If the shapes differ, or a threshold is negative or not a number.
    """
    if lowest.shape != image.sci.shape:
        raise ValueError(f"the lowest has shape {lowest.shape}, the exposure {image.sci.shape}")
    unseen, known_bad = np.isnan(lowest), (image.dq & KNOWN_BAD) != 0
    alone = _with_neighbours(unseen)  # without those it is not known how steep the lowest is at a pixel
    compared = comparison(np.where(unseen, np.nan, median), np.where(known_bad, np.nan, lowest), image.err)
    slope, level = largest_difference(compared), np.float32(backg if sky is None else sky)
    differs = flag_outliers(image, compared, sky, snr=snr, scale=scale, backg=backg) & ~alone
    outliers = differs & ~(slope > np.float32(STEEP) * image.err)
    outliers |= find_excess(image.sci - compared - level, compared, image.err, ~(known_bad | alone), slope, snr)
    above = image.sci - lowest - level > np.float32(ABOVE_LOWEST) * image.err
    ratio = sharpest_source(image, ~(alone | differs | outliers | known_bad))
    doubtful = (alone | above | differs) & ~(outliers | known_bad)
    return outliers | find_sharp(image, doubtful, ratio, snr[0], left_out=outliers)


def _with_neighbours(mask: np.ndarray) -> np.ndarray:
    """Return a mask with the four neighbours of its pixels."""
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    wide[:, 1:] |= mask[:, :-1]
    wide[:, :-1] |= mask[:, 1:]
    return wide


def comparison(median: np.ndarray, lowest: np.ndarray, err: np.ndarray) -> np.ndarray:
    """Return what an exposure is compared with: the median, or the lowest exposure where that is far below.

    With D the largest absolute difference of a pixel of `lowest` to its four neighbours it is the lowest where::

        median - lowest > FAR_BELOW ERR + FAR_BELOW_SLOPE D

    If that is so of more than `MOST_HIT` of the pixels of sources, an exposure is blank or lies elsewhere, and it is
    the median.

    Parameters
    ----------
    median, lowest : float32 array, shape (ny, nx)
        Of all exposures, at the pixels of this one. NaN: no value; where `lowest` has none the median is kept.
    err : float32 array, shape (ny, nx)
        Errors of the exposure. NaN: the median is kept.

    Returns
    -------
    float32 array, shape (ny, nx)
    """
    far = median - lowest > np.float32(FAR_BELOW) * err + np.float32(FAR_BELOW_SLOPE) * largest_difference(lowest)
    sources = largest_difference(median) > np.float32(STEEP) * err
    lacking = np.count_nonzero(far & sources) > max(FEWEST_PIXELS, MOST_HIT * np.count_nonzero(sources))
    return median if lacking else np.where(far, lowest, median)


def sharpest_source(image: Image, confirmed: np.ndarray) -> float:
    """Return how bright the neighbours of the peaks of the sharpest sources are, as a part of these.

    Parameters
    ----------
    image : Image
        Two-dimensional.
    confirmed : bool array of the shape of `image.sci`
        True: what is seen there is no cosmic ray, as other exposures tell.

    Returns
    -------
    float
        The mean of two opposite neighbours along an axis over the pixel between them, all above their surroundings,
        such that those of 99 % of the bright pixels are higher, times `MARGIN`; at the least, and where fewer than
        `FEWEST_PIXELS` pixels are that bright, `UNKNOWN_RATIO`.
    """
    with np.errstate(invalid="ignore"):
        level = np.nanmedian(image.sci)
        bright = confirmed & (image.sci - level > np.float32(BRIGHT) * image.err)
    ratios = []
    for part in parts_of(bright):
        seen = _Surrounded.of(image.sci, image.err, part, level)
        lower = np.fmin(*seen.pairs[:2])
        ratios.append((lower / seen.pixel)[(seen.pixel > BRIGHT * seen.err) & ~np.isnan(lower)])
    found = np.sort(np.concatenate(ratios)) if ratios else np.empty(0)
    if len(found) < FEWEST_PIXELS:
        return UNKNOWN_RATIO
    return max(UNKNOWN_RATIO, MARGIN * float(found[len(found) // LOW_PART]))


def find_sharp(
    image: Image,
    where: np.ndarray,
    ratio: float,
    snr: float = OutlierThresholds.snr[0],
    left_out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the mask of pixels that are sharper than the point spread function.

    All above the median of the ring of 16 pixels that surrounds the 3 x 3. Where more than `RING_MISSING` have no value
    it is above the median of the image, if this lies between the lowest and the median of the ring; else the nearer of
    these. With P the pixel, its error E, and the mean M and its error F of two opposite neighbours, of which no source
    has less than `ratio` P (along a diagonal, `ratio` squared), a pixel is sharp if P > `snr` E, and if for the mean Q,
    weighted by the errors, of the M / ratio::

        P - Q > SHARPER sqrt(E^2 + (error of Q)^2 + (SHAPE_ERROR P)^2)

    of all four pairs, or of all but one, which a track may run along. What is found is left out, and the pixels about
    it are looked at again.

    Parameters
    ----------
    image : Image
        Two-dimensional. NaN in `sci` or `err`: neither found nor compared with.
    where : bool array of the shape of `image.sci`
        True: to be looked at.
    ratio : float
        The ratio of the sharpest sources (`sharpest_source`), above 0.
    snr : float
        What a sharp pixel has at least above its surroundings, in errors.
    left_out : bool array of the shape of `image.sci`, optional
        True: known to be no light of the sky, not compared with.

    Returns
    -------
    bool array of the shape of `image.sci`
        True: sharp.
    """
    sci, sharp = np.array(image.sci), np.zeros(where.shape, bool)
    if left_out is not None:
        sci[left_out] = np.nan
    level = np.nanmedian(image.sci[::EVERY, ::EVERY])
    for _ in range(ROUNDS):
        new = np.zeros_like(sharp)
        for part in parts_of(where & ~np.isnan(sci)):
            seen = _Surrounded.of(sci, image.err, part, level)
            found = (seen.pixel > snr * seen.err) & (_excess(seen, ratio) > SHARPER)
            new[part[0][found], part[1][found]] = True
        if not new.any():
            break
        sharp |= new
        sci[new] = np.nan
        where = where & grown(grown(new))  # as far as the ring
    return sharp


class _Surrounded:
    """Pixels and their neighbours, above what surrounds them.

    Attributes
    ----------
    pixel, err : array, shape (n,)
        The pixels, and their errors.
    pairs, variances : array, shape (4, n)
        The means of two opposite neighbours, and their variances; NaN where one has no value.
    """

    def __init__(self, pixel, err, pairs, variances):
        self.pixel, self.err, self.pairs, self.variances = pixel, err, pairs, variances

    @classmethod
    def of(cls, sci, err, positions, level):
        """Read pixels at positions (y, x) of an image with a sky of some level."""
        around = np.stack([values_beside(sci, positions, offset) for offset in RING])
        lopsided = np.isnan(around).sum(axis=0) > RING_MISSING
        lowest = np.fmin.reduce(around)
        ring = nan_median(around)
        ring = np.where(lopsided, np.clip(level, lowest, ring), ring)
        means, variances = [], []
        for (y, x), _ in PAIRS:
            opposite = (y, x), (-y, -x)
            means.append(sum(values_beside(sci, positions, offset) for offset in opposite) / 2 - ring)
            variances.append(sum(values_beside(err, positions, offset) ** 2 for offset in opposite) / 4)
        return cls(sci[positions] - ring, err[positions], np.stack(means), np.stack(variances))


def _excess(seen: _Surrounded, ratio: float) -> np.ndarray:
    """Return the largest excess of pixels over what their neighbours allow, in units of its error; NaN: not known."""
    parts = np.array([[ratio**power] for _, power in PAIRS])
    known = ~np.isnan(seen.pairs) & (seen.variances > 0)
    weights = np.divide(parts**2, seen.variances, out=np.zeros(known.shape), where=known)
    allowed = np.where(known, seen.pairs / parts, 0)
    own = seen.err**2 + (SHAPE_ERROR * seen.pixel) ** 2
    largest = np.full(seen.pixel.shape, np.nan)
    for along in (None, *range(len(PAIRS))):
        used = weights if along is None else np.where(np.arange(len(PAIRS))[:, None] == along, 0, weights)
        total = used.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = (seen.pixel - (used * allowed).sum(axis=0) / total) / np.sqrt(own + 1 / total)
        largest = np.fmax(largest, excess)
    return largest
