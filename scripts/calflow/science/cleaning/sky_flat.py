"""Divide calibrated exposures by what is left of the response of the pixels, as the sky of many exposures shows it."""

from collections.abc import Iterable, Mapping

import numpy as np

from calflow.science.cleaning.mesh import mesh_of
from calflow.science.cleaning.placed import placed
from calflow.science.cleaning.sky_flat_parameters import SkyFlat
from calflow.science.cleaning.source_mask import find_light, sky_level
from calflow.science.cleaning.step import Cleaned, Facts, Figure
from calflow.science.dq_flags import DO_NOT_USE
from calflow.science.image import Image, has_value

# Sources are looked for on scales of up to 32 pixels above what is smooth on the scale of 64, which is the sky, too.
SMOOTH, SCALES = 64, 6
# Values of a sky further from its level than this many sigma do not count.
CLIP = 5.0


def sky_flat(
    planes: Image,
    parameters: SkyFlat,
    facts: Facts,
    collected: Mapping[str, np.ndarray] | None = None,
    flat: Mapping[str, np.ndarray] | None = None,
) -> Cleaned:
    """Divide an exposure by a flat of the sky.

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

    Returns
    -------
    Cleaned
        Signal and errors over the flat; its error times the signal, squared, is the variance of the flat. Figures:
        `corrects`, the rms of what the flat differs from 1 beyond its error, and that `error`, both in per cent;
        `pixels`, how many are divided; `left`, if the flat is not used. And `own`, the part of the flat that comes from
        the exposure itself, per cent: so much is lost of the light of sources that are too faint to be masked.

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
    response = placed(found["flat"].astype(np.float32), (x, y), facts.first_pixel, shape, fill=1)
    error = placed(found["error"].astype(np.float32), (x, y), facts.first_pixel, shape)
    known = (error > 0) & (response > 0)
    corrects, noise = correction_of(response, error)
    figures: dict[str, Figure] = {
        name: float(f"{100 * v:.3g}") for name, v in (("corrects", corrects), ("error", noise))
    }
    if not known.any() or corrects < parameters.least * noise:
        return Cleaned(
            figures=figures | {"pixels": 0, "left": "the flat of the sky, which has more noise than it corrects"}
        )
    if flat is None and "number" in found:
        figures["own"] = float(f"{100 / np.median(found['number'][found['error'] > 0]):.3g}")
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
    noise = float(np.sqrt(np.mean(error[known] ** 2)))
    # Not of all: a few pixels that differ much are no reason to divide the others by noise.
    differs = float(np.subtract(*np.quantile(response[known], [0.84135, 0.15865])) / 2)
    return float(np.sqrt(max(differs**2 - noise**2, 0))), noise


def collect_sky_flat(exposures: Iterable[tuple[Image, Facts]], parameters: SkyFlat) -> dict[str, np.ndarray]:
    """Make a flat of the sky of the exposures of a detector and filter.

    Parameters
    ----------
    exposures : iterable of (Image, Facts)
        2-D or with integrations, of which the mean is taken. Those of the window of the first one count.
    parameters : SkyFlat

    Returns
    -------
    dict of str to array
        ``flat``, float32, shape (ny, nx): the mean of the exposures over their skies, weighted by the square of sky
        over noise, with the median 1; 1 where too few exposures show the sky. ``error``: its standard deviation, of the
        noise that the exposures tell; 0 there. ``number``, int16: how many exposures show the sky. ``first_pixel``:
        where its first pixel (x, y) lies on the detector.

    Raises
    ------
    ValueError
        If no exposure has a sky, or no pixel shows it in enough of them.

    Notes
    -----
    Sums are kept, and no exposure. So sources are masked in each by itself, and what is more than 5 sigma from its sky
    does not count; there is no median of all exposures that would leave out the rest.
    """
    window = None
    sums: list[np.ndarray] = []
    for planes, facts in exposures:
        shape = planes.sci.shape[-2:]
        if window is None:
            window = facts.first_pixel, shape
            sums = [np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int16)]
        if window != (facts.first_pixel, shape):
            continue
        ratio, shows, level, noise = _sky(planes, parameters)
        if not level > 0 or not noise > 0:
            continue
        weight = (level / noise) ** 2
        sums[0] += np.where(shows, weight * ratio, 0)
        sums[1] += weight * shows
        sums[2] += shows
    weighted, weights, number = sums
    known = number >= parameters.exposures
    if not number.any():
        raise ValueError("no exposure has a sky above 0: a background that is subtracted takes it away")
    if not known.any():
        raise ValueError(f"no pixel shows the sky in {parameters.exposures} exposures: give more, or a flat")
    flat, error = np.ones(known.shape, np.float32), np.zeros(known.shape, np.float32)
    flat[known] = weighted[known] / weights[known]
    error[known] = weights[known] ** -0.5
    if parameters.smoothing:
        flat, error = _smoothed(flat, error, known, parameters.smoothing)
    middle = np.median(flat[known])
    flat[known] /= middle
    error[known] /= middle
    return {
        "flat": flat,
        "error": error,
        "number": number,
        "first_pixel": np.array(window[0] if window else (1, 1), np.int32),
    }


def _sky(planes: Image, parameters: SkyFlat) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return an exposure over its sky, which pixels show that, and its level and noise, without what the flat adds."""
    good = has_value("sci", planes.sci) & ((planes.dq & DO_NOT_USE) == 0)
    image = np.where(good, planes.sci, np.float32(0))
    if image.ndim == 3:
        number = good.sum(axis=0)
        image, good = image.sum(axis=0) / np.maximum(number, 1).astype(np.float32), number > 0
    if not good.any():
        return image, good, 0.0, 0.0
    shows = good
    for _ in range(2):  # the second time without the sources in what is smooth
        rest = np.where(good, image - mesh_of(image, shows, (SMOOTH, SMOOTH)).image(), np.float32(0))
        middle, noise = sky_level(rest[good][:: rest.size // 2**18 | 1])
        scales = min(SCALES, int(np.log2(max(2, min(image.shape) // 8))))
        weights = good.astype(np.float32)
        light = find_light(rest, weights, noise=noise, scales=scales, threshold=parameters.snr_threshold)
        shows = good & ~light & (np.abs(rest - middle) <= CLIP * noise)
    level, _ = sky_level(image[shows][:: image.size // 2**18 | 1])
    if not level > 0:
        return image, shows, 0.0, 0.0
    sky = np.full(image.shape, level, np.float32)
    if not parameters.large_scales:
        # A sky far from its level is light of something else.
        sky = mesh_of(image, shows, (SMOOTH, SMOOTH)).image().clip(level / 2, 2 * level)
    return image / sky, shows, level, _noise(planes, shows) or noise


def _noise(planes: Image, shows: np.ndarray) -> float:
    """Return the noise of a pixel of the sky as the planes tell it, 0: they do not.

    The scatter of the image has the differences of the response in it, which are what is looked for.
    """
    if planes.var_poisson is not None and planes.var_rnoise is not None:
        variance = planes.var_poisson + planes.var_rnoise
    else:
        variance = np.square(planes.err)
    integrations = 1 if variance.ndim == 2 else len(variance)
    values = variance[..., shows]
    values = values[(values > 0) & (values < np.inf)]
    return float(np.sqrt(np.median(values) / integrations)) if values.size else 0.0


def _smoothed(flat: np.ndarray, error: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gaussian average of what is known of a flat, and the error of that."""
    from scipy.ndimage import gaussian_filter

    weight = np.maximum(gaussian_filter(known.astype(np.float32), sigma), np.float32(1e-6))
    smooth = gaussian_filter(np.where(known, flat, np.float32(0)), sigma) / weight
    pixels = np.maximum(4 * np.pi * sigma**2 * weight, 1)  # that an average is worth
    variance = gaussian_filter(np.where(known, error**2, np.float32(0)), sigma) / weight / pixels
    return np.where(known, smooth, np.float32(1)), np.where(known, np.sqrt(variance), np.float32(0))
