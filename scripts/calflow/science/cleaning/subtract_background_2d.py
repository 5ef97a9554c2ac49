"""Subtract the smooth background of a calibrated exposure, measured apart from sources of all sizes.

Sources are looked for on scales from one pixel to the filter's, above a plane through the darkest boxes. The background
is the Gaussian average of the boxes of what is left, on that plane; where a source covers more than the filter reaches,
it is the plane.
"""

from typing import NamedTuple

import numpy as np

from calflow.science.cleaning.mesh import Mesh, mesh_of, smooth_image
from calflow.science.cleaning.source_mask import BRIGHT, grown, is_light, light_and_part, sky_level, some_of
from calflow.science.cleaning.step import Cleaned, Facts, Figure
from calflow.science.cleaning.subtract_background_2d_parameters import BackgroundRemoval
from calflow.science.dq_flags import bad_pixels
from calflow.science.image import Image, has_value

# Rounds in which a plane is fitted anew without the boxes that are brighter.
ROUNDS = 10
# How often sources are looked for: those that the first plane has light of are found above the next.
PASSES = 3
# As many values, or more, tell the noise.
SOME = 2**18
# What boxes have above the plane is background if it scatters by so many times its error.
SIGNIFICANT = 1.5
# A box counts if this part of its pixels is left.
LEAST_LEFT = 0.1
# What an average of boxes counts against the plane, in parts of a whole box.
PLANE_WEIGHT = 0.02
# Pixels on each side of a border of two amplifiers that tell how their levels differ.
BORDER = 32
FWHM_PER_SIGMA = 2.3548
# Light that covers more than this part of the pixels hides what the sky is.
MOST_LIGHT = 0.5
# What is no plane is background if it changes by less than this part of itself when sources are grown once more.
MOST_RISK = 0.4
# What changes by less than so many times its error by chance is no light, however little of it there is.
LEAST_CHANGE = 12.0
NO_PLANE = "what is no plane, which cannot be told from light; of light that fills the field the plane takes a part"
NOT_TOLD = "the background, which cannot be told from light:"


def subtract_background_2d(
    planes: Image, parameters: BackgroundRemoval, facts: Facts, sources: np.ndarray | None = None
) -> Cleaned:
    """Subtract the smooth background of an exposure.

    Parameters
    ----------
    planes : Image
        2-D, with world coordinates. NaN: no value.
    parameters : BackgroundRemoval
    facts : Facts
        `sky` tells the size of the pixels, `slow_axis` where the amplifiers are.
    sources : float32 array (ny, nx), optional
        Not 0: a source, besides those that are found.

    Returns
    -------
    Cleaned
        The variance is that of the background. Figures: `level`, its mean, in the unit of the exposure; `varies`, its
        standard deviation, and `noise`, that of a pixel; `free`, the part of the pixels that it comes from, and
        `light`, that in which light is found, before it is grown; `risk`, how much of what is no plane changes if
        sources are grown once more, over how much it varies: 0 where that scatters below its level by less than 1.5
        times its error, and only the plane is subtracted. `left` says if there was more. If light covers half of the
        pixels, or the risk is too large, nothing is subtracted but the levels of amplifiers, and `left` says so.

    Raises
    ------
    ValueError
        If there are no world coordinates, an input has another shape, or no pixel can be used.
    """
    if sources is not None and sources.shape != planes.sci.shape:
        raise ValueError(f"sources has the shape {sources.shape}, the exposure {planes.sci.shape}")
    scale = _pixel_size(facts, planes.sci.shape)
    box = max(2, round(parameters.box_size / scale))
    good = has_value("sci", planes.sci) & ~bad_pixels(planes.dq, parameters.dqbits)
    if not good.any():
        raise ValueError("no pixel can be used to measure a background")
    image = np.where(good, planes.sci, np.float32(0))
    steps = _steps(image, good, parameters.amplifiers, facts)
    image -= steps
    marked = None if sources is None else is_light(sources)
    plane, free, noise, covered = _plane_and_free_pixels(image, good, marked, parameters, scale)
    boxes = mesh_of(image - plane, free, (box, box))
    above = _above_the_plane(boxes, parameters.filter_size / parameters.box_size, noise)
    untold = _cannot_be_told(covered, above.risk, above.change) if parameters.protect else ""
    left = untold or (NO_PLANE if above.is_more else "")
    background = plane + smooth_image(above.smooth, boxes.box, boxes.shape)
    figures = {
        "level": float(np.mean(background)),
        "varies": float(np.std(background)),
        "noise": noise,
        "free": float(free.sum() / good.sum()),
        "light": covered,
        "risk": above.risk,
    }
    if parameters.amplifiers > 1:
        figures["steps"] = float(np.std(steps))
    told: dict[str, Figure] = {name: float(f"{value:.3g}") for name, value in figures.items()}
    told |= {"left": left} if left else {}
    if untold:
        return Cleaned(sci=planes.sci - steps if parameters.amplifiers > 1 else None, figures=told)
    variance = smooth_image(noise**2 / np.maximum(above.weight, 1), boxes.box, boxes.shape)
    return Cleaned(sci=planes.sci - background - steps, variance=variance, figures=told)


def _cannot_be_told(covered: float, risk: float, change: float) -> str:
    """Say why a background cannot be told from light; empty: it can."""
    if covered > MOST_LIGHT:
        return f"{NOT_TOLD} light covers {100 * covered:.0f} % of the field"
    if risk > MOST_RISK and change > LEAST_CHANGE:
        return f"{NOT_TOLD} {100 * risk:.0f} % of it depends on how far sources reach"
    return ""


def _plane_and_free_pixels(
    image: np.ndarray, good: np.ndarray, marked: np.ndarray | None, parameters: BackgroundRemoval, scale: float
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return a plane through what is free of light, which pixels that is, the noise of one, and the part with light.

    `marked` is light that is known beforehand; pixels are `scale` arcsec wide.
    """
    box = max(2, round(parameters.box_size / scale))
    plane = plane_of_dark_boxes(mesh_of(image, good, (box, box)))
    weights = good if marked is None else good & ~marked
    largest = max(1.0, max(parameters.filter_size, parameters.box_size) / 2 / scale)
    scales = min(1 + round(np.log2(largest)), 1 + int(np.log2(max(2, min(image.shape) // 8))))
    for _ in range(PASSES):
        rest = image - plane
        _, noise = sky_level(some_of(rest, good, SOME))
        light, covered = light_and_part(
            rest,
            weights,
            noise=noise,
            scales=scales,
            threshold=parameters.snr_threshold,
            grow=parameters.grow,
        )
        if marked is not None:
            light |= marked
        free = good & ~light & (np.abs(rest) <= parameters.sigma * noise)
        plane += _plane_of_sky(mesh_of(rest, free, (box, box)))
    return plane, free, noise, covered


class _Above(NamedTuple):
    """What boxes have above the plane: their average, and how many pixels are in each.

    `risk` is how much of it changes if sources are grown once more, `change` that over its error by chance. Where it is
    no background the average is 0, and `is_more` tells if there was any.
    """

    smooth: np.ndarray
    weight: np.ndarray
    risk: float
    change: float
    is_more: bool


def _above_the_plane(boxes: Mesh, fwhm: float, noise: float) -> _Above:
    """Return what is background of what boxes have above the plane; `fwhm` is that of the filter, in boxes."""
    width = fwhm / FWHM_PER_SIGMA
    smooth, weight = _smoothed(boxes, width)
    below, in_all = _scatter(smooth, weight)
    if below <= SIGNIFICANT * noise:
        return _Above(np.zeros_like(smooth), weight, 0.0, 0.0, in_all > SIGNIFICANT * noise)
    # Without the neighbours of sources the average of what is left scatters by chance, too.
    change = _rms(_smoothed(_without_neighbours(boxes), width)[0] - smooth)
    risk = change / max(float(np.std(smooth)), 1e-30)
    errors = change / max(noise * _error_of_average(weight), 1e-30)
    if risk > 1:
        return _Above(np.zeros_like(smooth), weight, risk, errors, in_all > SIGNIFICANT * noise)
    return _Above(smooth, weight, risk, errors, is_more=False)


def _pixel_size(facts: Facts, shape: tuple[int, ...]) -> float:
    """Return the size of a pixel in the middle, arcsec."""
    if facts.sky is None:
        raise ValueError("the exposure has no world coordinates: box_size is in arcsec")
    y, x = shape[0] / 2, shape[1] / 2
    (ra, dec), (ra1, dec1) = facts.sky(np.array([x, x + 1]), np.array([y, y + 1]))
    step = (ra1 - ra + 180) % 360 - 180
    return 3600 * float(np.hypot(step * np.cos(np.radians(dec)), dec1 - dec)) / np.sqrt(2)


def plane_of_dark_boxes(boxes: Mesh) -> np.ndarray:
    """Return a plane through the boxes of an image but those that are much brighter.

    Parameters
    ----------
    boxes : Mesh

    Returns
    -------
    float32 array, shape (ny, nx)
        In the unit of the image.
    """
    terms = _terms(boxes)
    kept = boxes.weights >= LEAST_LEFT * boxes.weights.max()
    coefficients = np.array([sky_level(boxes.means[kept])[0], 0.0, 0.0])
    for _ in range(ROUNDS):
        rest = boxes.means - terms @ coefficients
        level, noise = sky_level(rest[kept])
        used = kept & (rest <= level + BRIGHT * noise)
        if np.count_nonzero(used) < 3 * len(coefficients):
            break
        coefficients, *_ = np.linalg.lstsq(terms[used], boxes.means[used])
    return _plane_image(coefficients, boxes)


def _plane_of_sky(boxes: Mesh) -> np.ndarray:
    """Return a plane through boxes of which sources are left out, 0 if they are too few to tell it."""
    # None is left out for its value: what is called bright depends on the plane, which then runs away.
    root = np.sqrt(boxes.weights)[..., None]
    if np.count_nonzero(root) < LEAST_LEFT * root.size:
        return _plane_image(np.zeros(3), boxes)
    coefficients, *_ = np.linalg.lstsq((root * _terms(boxes)).reshape(-1, 3), (root[..., 0] * boxes.means).ravel())
    return _plane_image(coefficients, boxes)


def _terms(boxes: Mesh) -> np.ndarray:
    """Return 1, y and x of the middles of boxes, shape (my, mx, 3)."""
    y, x = (np.arange(n) + 0.5 for n in boxes.means.shape)
    return np.stack(np.broadcast_arrays(1.0, (y * boxes.box[0])[:, None], x * boxes.box[1]), axis=-1)


def _plane_image(coefficients: np.ndarray, boxes: Mesh) -> np.ndarray:
    rows, columns = (np.arange(n, dtype=np.float32) + 0.5 for n in boxes.shape)
    constant, along_y, along_x = coefficients.astype(np.float32)
    return constant + (along_y * rows)[:, None] + along_x * columns


def _smoothed(boxes: Mesh, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gaussian average of boxes, 0 far from all that count, and how many pixels are in each."""
    from scipy.ndimage import gaussian_filter

    full = float(boxes.box[0] * boxes.box[1])
    counts = np.where(boxes.weights >= LEAST_LEFT * full, boxes.weights, 0.0).astype(float)
    sums = counts * boxes.means
    if width > 0:
        sums, averaged = (gaussian_filter(values, width, mode="constant") for values in (sums, counts))
    else:
        averaged = counts
    number = max(1.0, 4 * np.pi * width**2)  # boxes that an average is worth
    return sums / (averaged + PLANE_WEIGHT * full), averaged * number


def _scatter(smooth: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return how averages scatter below their level, where no light of sources is, and all of them, for a weight of 1.

    Of those that count at least half as much as the best: others are drawn to the plane.
    """
    counts = _count(weight)
    if not counts.any():
        return 0.0, 0.0
    level, below = sky_level(smooth[counts])
    root = _error_of_average(weight)
    return below / root, _rms(smooth[counts] - level) / root


def _error_of_average(weight: np.ndarray) -> float:
    """Return the error of averages by chance, for a noise of 1: that of those that count."""
    return float(np.sqrt(np.mean(1 / weight[_count(weight)])))


def _count(weight: np.ndarray) -> np.ndarray:
    return weight > weight.max() / 2


def _without_neighbours(boxes: Mesh) -> Mesh:
    """Return boxes without those beside one in which a source hides many pixels."""
    full = float(boxes.box[0] * boxes.box[1])
    near = grown(boxes.weights < full / 2)
    return Mesh(boxes.means, np.where(near, 0, boxes.weights), boxes.box, boxes.shape)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _steps(image: np.ndarray, good: np.ndarray, amplifiers: int, facts: Facts):
    """Return the levels of the amplifiers, as their differences at the borders tell; shape (1, nx) or (ny, 1)."""
    if amplifiers == 1:
        return np.float32(0)
    turned = abs(facts.slow_axis or 2) == 1
    values = np.where(good, image, np.nan)
    values = values.T if turned else values
    edges = np.linspace(0, values.shape[1], amplifiers + 1).astype(int)
    reach = min(BORDER, int(np.diff(edges).min()))
    differences = []
    for edge in edges[1:-1]:
        # Mirrored at the border, so that each pixel is compared with the one as far on the other side.
        pairs = values[:, edge : edge + reach] - values[:, edge - reach : edge][:, ::-1]
        pairs = pairs[np.isfinite(pairs)]
        differences.append(float(np.median(pairs)) if pairs.size else 0.0)
    levels = np.cumsum([0.0, *differences])
    spread = np.repeat(levels - np.average(levels, weights=np.diff(edges)), np.diff(edges)).astype(np.float32)
    return spread[:, None] if turned else spread[None]
