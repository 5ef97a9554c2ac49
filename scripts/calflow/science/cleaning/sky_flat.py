"""Divide calibrated exposures by what is left of the response of the pixels, as the sky of many exposures shows it."""

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from calflow.science.cleaning.left_out import Members, Own
from calflow.science.cleaning.mesh import mesh_of, smooth_image
from calflow.science.cleaning.placed import placed
from calflow.science.cleaning.sky_flat_parameters import SkyFlat
from calflow.science.cleaning.source_mask import light_and_part, sky_level, some_of
from calflow.science.cleaning.step import Cleaned, Facts, Figure
from calflow.science.dq_flags import DO_NOT_USE
from calflow.science.image import Image, has_value

# Sources are looked for on scales of up to 32 pixels above what is smooth on the scale of 64, which is the sky, too.
SMOOTH, SCALES = 64, 6
# Light that is taken off is the mean of blocks of so many pixels: what no mask knows is wide, and a combined image has
# noise and a part of the response that is looked for, from pixel to pixel.
LIGHT_BLOCK = 16
# Values of a sky further from its level than this many sigma do not count.
CLIP = 5.0
# As many values, or twice as many, tell a level.
SOME = 2**18
# Rows that are worked on at a time.
ROWS = 32


def sky_flat(
    planes: Image,
    parameters: SkyFlat,
    facts: Facts,
    collected: Mapping[str, np.ndarray] | None = None,
    flat: Mapping[str, np.ndarray] | None = None,
    own: Own | None = None,
) -> Cleaned:
    """Divide an exposure by a flat of the sky, which is that of the other exposures.

    Parameters
    ----------
    planes : Image
        2-D.
    parameters : SkyFlat
    facts : Facts
    collected : mapping of str to array, optional
        Of `collect_sky_flat`.
    flat : mapping of str to array, optional
        The same of another run, which counts in its place.
    own : callable, optional
        Returns the exposure as it was collected, if it was: the flat is made without it. None: it was not.

    Returns
    -------
    Cleaned
        Signal and errors over the flat; its error times the signal, squared, is the variance of the flat. Figures:
        `corrects`, the rms of what the flat differs from 1 beyond its error, and that `error`, both in per cent;
        `pixels`, how many are divided; `left`, if the flat is not used.

    Raises
    ------
    ValueError
        If there is no flat with its error.
    """
    found = flat if flat is not None else collected or {}
    if not {"flat", "error"} <= set(found) or found["flat"].ndim != 2 or found["error"].shape != found["flat"].shape:
        raise ValueError("flat: there are no 2-D images in extensions FLAT and ERROR")
    x, y = (int(number) for number in found.get("first_pixel", (1, 1)))
    shape = planes.sci.shape
    made = _without(found, own) if own is not None else (found["flat"], found["error"])
    response, error = smoothed_flat(*made, parameters.smoothing)
    response = placed(response.astype(np.float32, copy=False), (x, y), facts.first_pixel, shape, fill=1)
    error = placed(error.astype(np.float32, copy=False), (x, y), facts.first_pixel, shape)
    known = (error > 0) & (response > 0)
    corrects, noise = correction_of(response, error)
    figures: dict[str, Figure] = {
        name: float(f"{100 * v:.3g}") for name, v in (("corrects", corrects), ("error", noise))
    }
    if not known.any() or corrects < parameters.least * noise:
        return Cleaned(
            figures=figures | {"pixels": 0, "left": "the flat of the sky, which has more noise than it corrects"}
        )
    factor = np.where(known, 1 / np.where(known, response, np.float32(1)), np.float32(1))
    sci = planes.sci * factor
    return Cleaned(
        sci=sci,
        factor=factor,
        flat_variance=np.square(sci * error * factor),
        figures=figures | {"pixels": int(known.sum())},
    )


def correction_of(response: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Return how much a flat corrects, and its noise.

    Parameters
    ----------
    response, error : float32 arrays, shape (ny, nx)
        What exposures are divided by, near 1, and its error; where either is not above 0 nothing is known.

    Returns
    -------
    corrects, noise : float
        The scatter of `response` beyond its errors, and their rms; 0 if nothing is known.
    """
    known = (error > 0) & (response > 0)
    if not known.any():
        return 0.0, 0.0
    noise = float(np.sqrt(np.sum(np.square(error * known)) / np.count_nonzero(known)))
    # Not of all: a few pixels that differ much are no reason to divide the others by noise.
    differs = float(np.subtract(*np.quantile(some_of(response, known, SOME), [0.84135, 0.15865])) / 2)
    return float(np.sqrt(max(differs**2 - noise**2, 0))), noise


def collect_sky_flat(
    exposures: Iterable[tuple[Image, Facts]],
    parameters: SkyFlat,
    lights: Iterable[np.ndarray | None] | None = None,
) -> dict[str, np.ndarray]:
    """Make a flat of the sky of the exposures of a detector and filter.

    Parameters
    ----------
    exposures : iterable of (Image, Facts)
        2-D or with integrations, of which the mean is taken. Those of the window of the first one count.
    parameters : SkyFlat
    lights : iterable of float32 arrays (ny, nx) or None, optional
        Of each exposure the light of its sources above the sky, in its unit, finite, as a combined image shows it,
        and 0 where that shows none; None: not known. It is taken off where the exposure shows no source, in blocks of
        16 pixels.

    Returns
    -------
    dict of str to array
        ``flat``, float32, shape (ny, nx): the mean of the exposures over their skies, weighted by the square of sky
        over noise, with the median 1; 1 where too few exposures show the sky. It is not smoothed. ``error``: its
        standard deviation, of the noise that the exposures tell; 0 there. ``number``, int16: how many exposures show
        the sky. ``first_pixel``: where its first pixel (x, y) lies on the detector. ``level``, shape (1,): what `flat`
        was divided by to have that median. And what `Members` keeps of each exposure, to leave it out: ``weight``,
        ``middle``, the level of its sky, ``sky``, that in blocks of 64 pixels, and which pixels show it; with `lights`
        ``light`` in blocks of 16.

    Raises
    ------
    ValueError
        If no exposure has a sky, or no pixel shows it in enough of them.

    Notes
    -----
    Sums are kept, and no exposure. So sources are masked in each by itself, and what is more than 5 sigma from its sky
    does not count; there is no median of all exposures that would leave out the rest. What is fainter is in the flat,
    unless light is given.
    """
    window = None
    sums: list[np.ndarray] = []
    members = Members()
    for (planes, facts), light in zip(exposures, repeat(None) if lights is None else lights, strict=False):
        shape = planes.sci.shape[-2:]
        if window is None:
            window = facts.first_pixel, shape
            sums = [np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int16)]
        if window != (facts.first_pixel, shape):
            continue
        image, good = _mean_image(planes)
        shown = _shown(planes, image, good, parameters, light)
        if shown is None:
            continue
        ratio = shown.weighted_ratio(image)
        for rows in _bands(shape):
            sums[0][rows] += ratio[rows]
            sums[1][rows] += shown.weight * shown.shows[rows]
        sums[2] += shown.shows
        members.add(facts, shown.shows, **shown.values(with_light=lights is not None))
    if not members:
        raise ValueError("no exposure has a sky above 0: a background that is subtracted takes it away")
    weighted, weights, number = sums
    known = number >= parameters.exposures
    if not known.any():
        raise ValueError(f"no pixel shows the sky in {parameters.exposures} exposures: give more, or a flat")
    flat, error = np.ones(known.shape, np.float32), np.zeros(known.shape, np.float32)
    for rows in _bands(known.shape):
        _put_means(weighted[rows], weights[rows], known[rows], flat[rows], error[rows])
    level = _normalise(flat, error, known)
    return {
        "flat": flat,
        "error": error,
        "number": number,
        "first_pixel": np.array(window[0] if window else (1, 1), np.int32),
        "level": np.array([level]),
        **members.arrays(),
    }


def smoothed_flat(flat: np.ndarray, error: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gaussian average of what is known of a flat, and the error of that.

    Parameters
    ----------
    flat, error : float32 arrays, shape (ny, nx)
        Of `collect_sky_flat`. An error of 0: not known.
    sigma : float
        Standard deviation of the Gaussian, pixels; 0: not smoothed.

    Returns
    -------
    flat, error : float32 arrays of that shape
        1 and 0 where nothing is known.
    """
    if not sigma:
        return flat, error
    from scipy.ndimage import gaussian_filter

    known = error > 0
    weight = np.maximum(gaussian_filter(known.astype(np.float32), sigma), np.float32(1e-6))
    smooth = gaussian_filter(np.where(known, flat, np.float32(0)), sigma) / weight
    pixels = np.maximum(4 * np.pi * sigma**2 * weight, 1)  # that an average is worth
    variance = gaussian_filter(np.where(known, error**2, np.float32(0)), sigma) / weight / pixels
    return np.where(known, smooth, np.float32(1)), np.where(known, np.sqrt(variance), np.float32(0))


def _without(found: Mapping[str, np.ndarray], own: Own) -> tuple[np.ndarray, np.ndarray]:
    """Return a flat and its error without an exposure, those of the other ones alone; as it is if it has none of it."""
    planes, facts = own()
    flat, error = found["flat"], found["error"]
    kept = Members.of(found, facts, flat.shape)
    if kept is None:
        return flat, error
    weight, middle = (float(kept.values[name]) for name in ("weight", "middle"))
    shown = _Shown(kept.mask, weight, middle, kept.values["sky"], kept.values.get("light"))
    image, _ = _mean_image(planes)
    known, level = error > 0, found["level"][0]
    ratio = shown.weighted_ratio(image)
    others, their_error = np.ones_like(flat), np.zeros_like(error)
    for rows in _bands(flat.shape):
        weights = 1 / np.square(np.where(known[rows], error[rows] * level, np.inf))
        weighted = flat[rows] * level * weights - ratio[rows]
        weights -= shown.weight * shown.shows[rows]
        _put_means(weighted, weights, known[rows], others[rows], their_error[rows])
    _normalise(others, their_error, known)
    return others, their_error


def _put_means(weighted, weights, known, flat: np.ndarray, error: np.ndarray) -> None:
    """Put weighted means and their errors, of sums in double precision, where they are known."""
    weights = np.where(known, weights, 1.0)
    flat[...] = np.where(known, weighted / weights, 1.0)
    error[...] = known / np.sqrt(weights)


def _normalise(flat: np.ndarray, error: np.ndarray, known: np.ndarray) -> float:
    """Divide means by their median, and their errors; return what that was."""
    level = float(np.median(some_of(flat, known, SOME)))
    for rows in _bands(flat.shape):
        flat[rows] /= np.where(known[rows], np.float32(level), np.float32(1))
    error /= np.float32(level)
    return level


def _bands(shape: tuple[int, ...]) -> list[slice]:
    """Return the rows of an image, some at a time, which stay in the cache of the processor."""
    return [slice(start, start + ROWS) for start in range(0, shape[0], ROWS)]


class _Shown(NamedTuple):
    """The sky that an exposure shows: where, how much that tells, its level, that in blocks, and faint light in it."""

    shows: np.ndarray
    weight: float
    middle: float
    sky: np.ndarray
    light: np.ndarray | None

    def values(self, with_light: bool) -> dict[str, Any]:
        """Return what is kept of it; of an exposure without light that is 0."""
        light = {"light": np.zeros(_blocks(self.shows.shape), np.float32) if self.light is None else self.light}
        return {"weight": self.weight, "middle": self.middle, "sky": self.sky, **(light if with_light else {})}

    def weighted_ratio(self, image: np.ndarray) -> np.ndarray:
        """Return the image over its sky, times the weight; 0 where it does not show the sky."""
        if self.light is not None:
            image = image - smooth_image(self.light, (LIGHT_BLOCK, LIGHT_BLOCK), image.shape)
        ratio = smooth_image(self.sky, (SMOOTH, SMOOTH), image.shape)
        for rows in _bands(image.shape):
            # A sky far from its level is light of something else.
            smooth = ratio[rows].clip(self.middle / 2, 2 * self.middle)
            np.divide(image[rows], smooth, out=smooth)
            smooth *= np.float32(self.weight)
            np.multiply(smooth, self.shows[rows], out=ratio[rows])
        return ratio


def _mean_image(planes: Image) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of an exposure over its integrations, 0 where there is no value, and which pixels have one."""
    good = has_value("sci", planes.sci) & ((planes.dq & DO_NOT_USE) == 0)
    image = np.where(good, planes.sci, np.float32(0))
    if image.ndim == 2:
        return image, good
    number = good.sum(axis=0)
    return image.sum(axis=0) / np.maximum(number, 1).astype(np.float32), number > 0


def _shown(
    planes: Image, image: np.ndarray, good: np.ndarray, parameters: SkyFlat, light: np.ndarray | None
) -> _Shown | None:
    """Return the sky that the mean of an exposure shows; None: there is none above 0."""
    if not good.any():
        return None
    shows, seen, faint = good, image, None
    scales = min(SCALES, int(np.log2(max(2, min(image.shape) // 8))))
    for first in (2, 1):  # without the sources in what is smooth, which need not be known to a pixel
        rest = seen - mesh_of(seen, shows, (SMOOTH, SMOOTH)).image()
        middle, noise = sky_level(some_of(rest, good, SOME))
        source, _ = light_and_part(
            rest, good, noise=noise, scales=scales, threshold=parameters.snr_threshold, first=first
        )
        shows = good & ~source & (np.abs(rest - middle) <= CLIP * noise)
        if light is not None:
            faint = mesh_of(light, shows, (LIGHT_BLOCK, LIGHT_BLOCK)).filled().astype(np.float32)
            seen = image - smooth_image(faint, (LIGHT_BLOCK, LIGHT_BLOCK), image.shape)
    level, _ = sky_level(some_of(seen, shows, SOME))
    noise = _noise(planes, shows) or noise
    if not level > 0 or not noise > 0:
        return None
    mesh = mesh_of(seen, shows, (SMOOTH, SMOOTH))
    sky = np.full(mesh.means.shape, level) if parameters.large_scales else mesh.filled()
    # What is kept of it is in single precision.
    weight, middle = (float(np.float32(value)) for value in ((level / noise) ** 2, level))
    return _Shown(shows, weight, middle, sky.astype(np.float32), faint)


def _blocks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return in how many blocks an image has its light."""
    return tuple(-(-size // min(size, LIGHT_BLOCK)) for size in shape)


def _noise(planes: Image, shows: np.ndarray) -> float:
    """Return the noise of a pixel of the sky as the planes tell it, 0: they do not.

    The scatter of the image has the differences of the response in it, which are what is looked for.
    """
    integrations = 1 if planes.err.ndim == 2 else len(planes.err)
    everywhere = np.broadcast_to(shows, planes.err.shape)
    if planes.var_poisson is not None and planes.var_rnoise is not None:
        values = some_of(planes.var_poisson, everywhere, SOME) + some_of(planes.var_rnoise, everywhere, SOME)
    else:
        values = np.square(some_of(planes.err, everywhere, SOME))
    values = values[(values > 0) & (values < np.inf)]
    return float(np.sqrt(np.median(values) / integrations)) if values.size else 0.0
