"""The depth of an image: the scatter of the flux in empty apertures, and what the errors say that it should be."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calflow.science.bands import Plane, bands
from calflow.science.quality.fine_noise import KERNEL, QUIET
from calflow.science.quality.robust import ERROR_OF_MEDIAN, SIGMA_OF_MAD, robust_sigma

# The wings of sources, which segments and thresholds leave out, pixels.
WINGS = 3
# Where there are no segments: pixels so many sigma above the median are of sources.
SOURCE_SIGMA = 3.0
# Candidates for each aperture that is wanted: most of a crowded image is not empty.
CANDIDATES = 4
# Apertures whose surroundings are in memory at a time.
AT_ONCE = 512
# Part of the pixels around an aperture that must be usable.
AROUND = 0.5
# Radius of apertures that hold the correlated noise of their pixels, pixels.
WIDE = 4.0
# Fewer tell nothing.
LEAST = 20
SEED = 20


@dataclass(frozen=True)
class Depth:
    """What empty apertures tell.

    Attributes
    ----------
    apertures : int
        How many there are.
    sigma : float
        Standard deviation of their sums, less the local background, in the unit of the image times a pixel.
    wide_pixels : int
        In each of the wide apertures around them.
    aperture_ratio, pixel_ratio : float
        Standard deviation of the sums in the wide ones, and of the middle pixels, over what the errors say if the
        noise of pixels were independent.
    fine_ratio : float
        The same of the scatter between neighbouring pixels, at the places with the quietest surroundings: below 1 in
        a drizzled image, whose neighbours have noise in common. The sky has no part in it, unless it is as sharp.
    """

    apertures: int
    sigma: float
    wide_pixels: int
    aperture_ratio: float
    pixel_ratio: float
    fine_ratio: float


def empty_aperture_depth(
    sci: Plane, err: Plane, wht: Plane, segments: Plane | None, radius: float, annulus: tuple[float, float], number: int
) -> Depth | None:
    """Measure random apertures without sources in an image, of which a band of rows is in memory at a time.

    The local background, the median of the annulus around it without sources, is taken off each. The places are
    the same for images of one size.

    Parameters
    ----------
    sci, err, wht : float array or Plane, shape (ny, nx)
        The image, its 1-sigma errors and its weight. Pixels with NaN, or without weight, cannot be used.
    segments : int array or Plane, shape (ny, nx), or None
        Pixels other than 0 are of sources. None: what is bright counts as a source.
    radius : float
        Of the apertures, pixels; their middles are those of pixels. What is compared with the errors are the whole
        pixels within `WIDE`, or a little more than the radius: neighbours in a drizzled image have noise in common.
    annulus : (inner, outer)
        Radii, pixels.
    number : int
        How many apertures are wanted, at the most.

    Returns
    -------
    Depth or None
        None if there are not enough empty places.
    """
    found = [*_measured(sci, err, wht, segments, radius, annulus, number * CANDIDATES)]
    rank, sums, wide, expected, pixel, error, fine, around = (
        np.concatenate(found, axis=1) if found else np.empty((8, 0))
    )
    chosen = np.argsort(rank)[:number]
    if len(chosen) < LEAST:
        return None
    quietest = chosen[np.argsort((around / error)[chosen], kind="stable")[: max(int(QUIET * len(chosen)), LEAST)]]
    return Depth(
        apertures=len(chosen),
        sigma=robust_sigma(sums[chosen]),
        wide_pixels=len(_disk(_wide(radius))),
        aperture_ratio=robust_sigma(wide[chosen] / expected[chosen]),
        pixel_ratio=robust_sigma(pixel[chosen] / error[chosen]),
        fine_ratio=robust_sigma(fine[quietest] / error[quietest]),
    )


def _measured(sci, err, wht, segments, radius, annulus, candidates: int) -> Iterator[np.ndarray]:
    """Yield of each band, of the candidates that are empty, rows of numbers.

    They are: rank, sum, wide sum, its error, middle pixel, its error, the difference between it and its neighbours,
    the scatter of the pixels around these.
    """
    ny, nx = sci.shape
    disk, ring = _disk(_wide(radius)), _ring(*annulus)
    inside_radius = _part_within(disk, radius)
    core = np.abs(disk).max(axis=1) <= 1
    kernel = KERNEL[tuple(disk[core].T + 1)]
    # The median of the surroundings has an error, too, and is taken off each pixel.
    of_background = np.sqrt(1 + ERROR_OF_MEDIAN**2 * len(disk) / len(ring))
    margin = int(np.ceil(annulus[1])) + 1
    if min(ny, nx) <= 2 * margin:
        return
    random = np.random.default_rng(SEED)
    x, y = random.integers(margin, nx - margin, candidates), random.integers(margin, ny - margin, candidates)
    for band in bands(ny):
        rank = np.flatnonzero((y >= band.start) & (y < band.stop))
        if not len(rank):
            continue
        rows = slice(max(band.start - margin, 0), min(band.stop + margin, ny))
        image, error = sci[rows], err[rows]
        usable = (wht[rows] > 0) & np.isfinite(image) & np.isfinite(error) & (error > 0)
        empty = usable & ~_sources(image, usable, None if segments is None else segments[rows])
        at_y, at_x = y[rank] - rows.start, x[rank]
        inside = at_y[:, None] + disk[:, 1], at_x[:, None] + disk[:, 0]
        good = empty[inside].all(axis=1)
        rank, at_y, at_x, inside = rank[good], at_y[good], at_x[good], tuple(part[good] for part in inside)
        starts = range(0, len(rank), AT_ONCE)
        parts = [_local(image, empty, at_x[i : i + AT_ONCE], at_y[i : i + AT_ONCE], ring) for i in starts]
        local = np.concatenate([np.empty(0), *parts])
        known = np.isfinite(local)
        values = image[inside][known].astype(float) - local[known, None]
        errors = error[inside][known].astype(float)
        middle = len(disk) // 2
        yield np.stack(
            [
                rank[known].astype(float),
                values @ inside_radius,
                values.sum(axis=1),
                np.sqrt((errors**2).sum(axis=1)) * of_background,
                values[:, middle],
                errors[:, middle],
                values[:, core] @ kernel,
                values[:, ~core].std(axis=1),
            ]
        )


def _local(image: np.ndarray, empty: np.ndarray, x: np.ndarray, y: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Return the median of the empty pixels around each place; NaN if they are few."""
    around = y[:, None] + ring[:, 1], x[:, None] + ring[:, 0]
    background = np.where(empty[around], image[around], np.nan)
    known = np.isfinite(background).sum(axis=1) >= AROUND * len(ring)
    local = np.full(len(x), np.nan)
    local[known] = np.nanmedian(background[known], axis=1)
    return local


def _sources(image: np.ndarray, usable: np.ndarray, segments: np.ndarray | None) -> np.ndarray:
    """Return which pixels are of sources or near one."""
    from scipy.ndimage import binary_dilation

    if segments is None:
        values = image[usable]
        middle = np.median(values) if values.size else 0.0
        below = values[values < middle]
        sigma = SIGMA_OF_MAD * np.median(middle - below) if below.size else np.inf
        bright = usable & (image > middle + SOURCE_SIGMA * sigma)
        # A pixel alone is noise.
        bright = bright & (np.add.reduce([np.roll(bright, step, axis) for step in (1, -1) for axis in (0, 1)]) > 1)
    else:
        bright = segments > 0
    return binary_dilation(bright, iterations=WINGS)


def _wide(radius: float) -> float:
    """Return the radius within which the middles of all pixels lie of which an aperture has a part, at least `WIDE`."""
    return max(WIDE, radius + 0.5**0.5)


def _part_within(pixels: np.ndarray, radius: float, steps: int = 10) -> np.ndarray:
    """Return the part of each pixel within a radius of the middle, by a grid of points."""
    points = (np.arange(steps) + 0.5) / steps - 0.5
    x, y = (pixels[:, axis, None, None] + np.expand_dims(points, 1 - axis) for axis in (0, 1))
    return (np.hypot(x, y) <= radius).mean(axis=(1, 2))


def _disk(radius: float) -> np.ndarray:
    """Return the pixels (x, y) within a radius of the one in the middle, which is in the middle of the list."""
    return _ring(-1.0, radius)


def _ring(inner: float, outer: float) -> np.ndarray:
    """Return the pixels (x, y) whose distance from the middle is above one radius and not above the other."""
    reach = int(np.floor(outer))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(x, y)
    return np.argwhere(((distance > inner) & (distance <= outer)).T) - reach
