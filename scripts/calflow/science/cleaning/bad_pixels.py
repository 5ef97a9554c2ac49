"""Flag the pixels that deviate in most exposures of a detector: what is on the sky moves, a bad pixel stays."""

from collections.abc import Iterable, Mapping

import numpy as np

from calflow.science.cleaning.bad_pixels_parameters import BadPixels
from calflow.science.cleaning.placed import placed
from calflow.science.cleaning.source_mask import sky_level
from calflow.science.cleaning.step import Cleaned, Facts
from calflow.science.dq_flags import DO_NOT_USE, FLAGS
from calflow.science.image import Image, has_value
from calflow.science.windows import Window

# Of the four neighbours of an open pixel so many are high: its charge goes to them.
HIGH_NEIGHBOURS = 3
# A pixel is compared with the median of itself and eight that are so many away: those beside it may be bad with it.
AWAY = 2
# Rows that are worked on at a time: they stay in the cache of the processor.
ROWS = 32
# More pixels in one piece are no bad pixels, but structure: the edge of what light reaches, glow.
LARGEST_GROUP = 20
# As many values, or twice as many, tell level and noise.
SOME = 2**18
KINDS = ("HOT", "WARM", "LOW_QE", "OPEN", "ADJ_OPEN")


def bad_pixels(
    planes: Image,
    parameters: BadPixels,
    facts: Facts,
    collected: Mapping[str, np.ndarray] | None = None,
    mask: Mapping[str, np.ndarray] | None = None,
) -> Cleaned:
    """Flag the bad pixels that `collect_bad_pixels` has found, in this run or in another one.

    Parameters
    ----------
    planes : Image
        2-D.
    parameters : BadPixels
    facts : Facts
    collected : mapping of str to array, optional
        Of `collect_bad_pixels`.
    mask : mapping of str to array, optional
        The same from elsewhere, which counts in its place: ``dq``, and ``first_pixel``; without that the mask begins
        with the first pixel of the detector.

    Returns
    -------
    Cleaned
        New flags: DO_NOT_USE and the kind. Figures: how many pixels are bad, how many of them could be used before, how
        many are of which kind.

    Raises
    ------
    ValueError
        If there is no mask of two axes.
    """
    found = mask if mask is not None else collected or {}
    if "dq" not in found or found["dq"].ndim != 2:
        raise ValueError("mask: there is no 2-D image in an extension DQ")
    x, y = (int(number) for number in found.get("first_pixel", (1, 1)))
    flags = placed(found["dq"].astype(np.uint32), (x, y), facts.first_pixel, planes.sci.shape)
    bad = np.nonzero(flags)
    good = ((planes.dq[bad] & DO_NOT_USE) == 0) & has_value("sci", planes.sci[bad])
    kinds = {name.lower(): int(np.count_nonzero(flags[bad] & np.uint32(FLAGS[name]))) for name in KINDS}
    figures = {"pixels": len(good), "usable before": int(good.sum())}
    return Cleaned(dq=planes.dq | flags, figures=figures | {name: number for name, number in kinds.items() if number})


def collect_bad_pixels(exposures: Iterable[tuple[Image, Facts]], parameters: BadPixels) -> dict[str, np.ndarray]:
    """Find the pixels that deviate from their neighbours in most exposures of a detector.

    Parameters
    ----------
    exposures : iterable of (Image, Facts)
        2-D or with integrations, of which the mean is taken; of any windows of one detector.
    parameters : BadPixels

    Returns
    -------
    dict of str to array
        ``dq``, uint32, shape (ny, nx): flags of the bad pixels, 0 elsewhere. ``first_pixel``: where its first pixel
        (x, y) lies on the detector. ``judged`` and ``deviates``, int16: how many exposures tell of a pixel, and in how
        many of them it is high (above 0) or low (below 0), the more frequent of the two.

    Notes
    -----
    The median of the pixels around follows the sky and the light of large sources. Cores of stars deviate as bad pixels
    do, but on other pixels in each exposure. Pixels that are flagged already are not judged.
    """
    frame = Window(1, 1, 1, 1)
    sums: dict[str, np.ndarray] = {}
    for planes, facts in exposures:
        here = Window(*facts.first_pixel, planes.sci.shape[-1], planes.sci.shape[-2])
        if not sums:
            frame = here
            kinds = {"judged": np.int16, "high": np.int16, "low": np.int16, "strength": np.float32}
            sums = {name: np.zeros((here.ny, here.nx), kind) for name, kind in kinds.items()}
        elif not frame.contains(here):
            both = _around(frame, here)
            before = frame.xstart, frame.ystart
            onto, shape = (both.xstart, both.ystart), (both.ny, both.nx)
            sums = {name: placed(plane, before, onto, shape) for name, plane in sums.items()}
            frame = both
        part = frame.slices(here)
        deviation, good = _deviation(planes)
        sums["judged"][part] += good
        sums["high"][part] += deviation > parameters.sigma
        sums["low"][part] += deviation < -parameters.sigma
        sums["strength"][part] += deviation
    return {
        "dq": _flags(sums, parameters),
        "first_pixel": np.array([frame.xstart, frame.ystart], np.int32),
        "judged": sums["judged"],
        "deviates": np.where(sums["high"] >= sums["low"], sums["high"], -sums["low"]),
    }


def _around(one: Window, other: Window) -> Window:
    """Return the window that has the pixels of two."""
    x, y = min(one.xstart, other.xstart), min(one.ystart, other.ystart)
    nx = max(one.xstart + one.nx, other.xstart + other.nx) - x
    return Window(x, y, nx, max(one.ystart + one.ny, other.ystart + other.ny) - y)


def _deviation(planes: Image) -> tuple[np.ndarray, np.ndarray]:
    """Return by how many sigma pixels deviate, 0 where it is not known, and which of them can be judged."""
    usable = has_value("sci", planes.sci) & ((planes.dq & DO_NOT_USE) == 0)
    if planes.sci.ndim == 3:
        number = usable.sum(axis=0)
        good = number > 0
        image = np.where(usable, planes.sci, np.float32(0)).sum(axis=0) / np.maximum(number, 1)
    else:
        good, image = usable, planes.sci
    some = np.flatnonzero(good)[:: good.size // SOME | 1]
    level, _ = sky_level(image.ravel()[some])
    if not np.isfinite(level):
        return np.zeros(good.shape, np.float32), np.zeros_like(good)
    image = np.where(good, image, np.float32(level))
    image -= _median_around(image)
    low, high = np.quantile(image.ravel()[some], [0.15865, 0.84135])
    image /= np.float32(max(float(high - low) / 2, float(np.finfo(np.float32).tiny)))
    image *= good
    return image, good


def _median_around(image: np.ndarray) -> np.ndarray:
    """Return the medians of pixels and eight around each, at a distance; the image is mirrored at its edges.

    Of three values each in three columns, put in order: the median of the largest of the lowest, the median of the
    middle ones, and the lowest of the largest (Paeth 1990, Graphics Gems, 171).
    """
    padded = np.pad(image, AWAY, mode="symmetric")
    medians = np.empty_like(image)
    for start in range(0, len(image), ROWS):
        stop = min(start + ROWS, len(image))
        above, here, below = (padded[start + shift : stop + shift] for shift in (0, AWAY, 2 * AWAY))
        low, high = np.minimum(above, here), np.maximum(above, here)
        lowest, rest = np.minimum(low, below), np.maximum(low, below)
        middle, highest = np.minimum(rest, high), np.maximum(rest, high)
        left, centre, right = slice(None, -2 * AWAY), slice(AWAY, -AWAY), slice(2 * AWAY, None)
        medians[start:stop] = _median_of_three(
            np.maximum(np.maximum(lowest[:, left], lowest[:, centre]), lowest[:, right]),
            _median_of_three(middle[:, left], middle[:, centre], middle[:, right]),
            np.minimum(np.minimum(highest[:, left], highest[:, centre]), highest[:, right]),
        )
    return medians


def _median_of_three(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def _flags(sums: Mapping[str, np.ndarray], parameters: BadPixels) -> np.ndarray:
    """Return the flags of bad pixels by their kind, uint32; 0: a good pixel, or one that too few exposures tell of."""
    judged = sums["judged"]
    known = judged >= parameters.exposures
    needed = parameters.fraction * np.maximum(judged, 1)
    high, low = (_in_small_groups(known & (sums[name] >= needed)) for name in ("high", "low"))
    strength = sums["strength"] / np.maximum(judged, 1)
    neighbours = np.zeros(judged.shape, np.int8)
    for there, here in _sides():
        neighbours[here] += high[there]
    is_open = low & (neighbours >= HIGH_NEIGHBOURS)
    beside = np.zeros_like(is_open)
    for there, here in _sides():
        beside[here] |= is_open[there]
    beside &= high
    hot = high & ~beside & (strength >= parameters.hot)
    kinds = (hot, high & ~beside & ~hot, low & ~is_open, is_open, beside)
    flags = np.where(high | low, DO_NOT_USE, np.uint32(0))
    for name, mask in zip(KINDS, kinds, strict=True):
        flags[mask] |= np.uint32(FLAGS[name])
    return flags


def _in_small_groups(mask: np.ndarray) -> np.ndarray:
    """Return a mask without the groups of more than some pixels that touch, at corners, too."""
    from scipy.ndimage import label

    groups, _ = label(mask, np.ones((3, 3)))
    number = groups[mask]
    small = mask.copy()
    small[mask] = (np.bincount(number) <= LARGEST_GROUP)[number]
    return small


def _sides():
    """Yield pairs of slices: the neighbours on one of four sides, and the pixels that have them."""
    every, all_but_last, all_but_first = slice(None), slice(None, -1), slice(1, None)
    for there, here in ((all_but_last, all_but_first), (all_but_first, all_but_last)):
        yield (there, every), (here, every)
        yield (every, there), (every, here)
