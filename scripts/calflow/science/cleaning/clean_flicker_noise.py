"""Take the stripes of 1/f noise off a count-rate exposure.

The amplifiers of a detector drift while they read it. What is slow against a line is the same along it: a stripe. By
default stripes are measured apart from sources of all sizes (`stripes`); or they are medians of lines, in which
everything larger than a line is high is a stripe, too (`clipped_lines`, as in jwst).
"""

from dataclasses import replace

import numpy as np

from calflow.science.cleaning.clean_flicker_noise_parameters import FlickerCleaning
from calflow.science.cleaning.clipped_lines import clipped_stripes
from calflow.science.cleaning.source_mask import UNKNOWN, grown, is_light, sky_level
from calflow.science.cleaning.step import Cleaned, Facts, Figure
from calflow.science.cleaning.stripes import Stripes, measure_stripes
from calflow.science.dq_flags import bad_pixels
from calflow.science.image import Image, has_value

FULL = "FULL"
ALONG_ROWS, ALONG_COLUMNS = 2, 1
# Of the pixels, every so many tell the level of the sky.
SOME = 17
# Where known light is so many sigma of a pixel, its errors count: cores of stars, which are not used.
CORE = 10.0


def clean_flicker_noise(
    planes: Image,
    parameters: FlickerCleaning,
    facts: Facts,
    user_mask: np.ndarray | None = None,
    sources: np.ndarray | None = None,
    light: np.ndarray | None = None,
    flat: np.ndarray | None = None,
) -> Cleaned:
    """Take the stripes of 1/f noise off an exposure.

    Parameters
    ----------
    planes : Image
        Count rates, 2-D. NaN stay NaN; pixels with flags are cleaned, too.
    parameters : FlickerCleaning
    facts : Facts
        `slow_axis` and `subarray` are used.
    user_mask : float32 array (ny, nx), optional
        Not 0: background. Then no source is looked for.
    sources : float32 array (ny, nx), optional
        Above 0: a source, besides those that are found. Below 0: light that is wider than narrow stripes, which are
        told from it without a mask; wide ones do not come from there, and no other source is looked for among them.
    light : float32 array (ny, nx), optional
        With `sources`: the light above the sky, divided by the response. It is taken off before stripes are measured,
        of which all pixels then tell but cores and those where it is not known. Its own are measured where `sources`
        shows none. Not for medians of lines.
    flat : float32 array (ny, nx), optional
        What the sky would be in it is taken off before stripes are measured; before medians of lines are, the exposure
        is divided by it. Only if the parameters ask for that. NaN, or 0 or less: the pixel is not used.

    Returns
    -------
    Cleaned
        The variance is that of the stripes. Figures: `stripes` (rms of what was taken off) and `error` (its rms
        error), both in sigma of a pixel; `used`, the part of the pixels that could be used; `free`, the part of the
        exposure that wide stripes come from; `risk`, the light of sources that may be in them, over their own rms, or
        their rms over 1.5 times that to be expected, whichever is larger: above 1 wide stripes were left, and `left`
        says so. With `light`, `free` is what its own wide stripes come from, and `shared` their rms in sigma of a pixel
        if they were left.

    Raises
    ------
    ValueError
        If the axis of the readout is asked for and not known, an input has another shape, or no pixel can be used.
    """
    for name, given in (("user_mask", user_mask), ("sources", sources), ("light", light), ("flat", flat)):
        if given is not None and given.shape != planes.sci.shape:
            raise ValueError(f"{name} has the shape {given.shape}, the exposure {planes.sci.shape}")
    turn = _turning(parameters, facts)
    flat = flat if parameters.apply_flat_field else None
    if parameters.wide is None:
        # The response has structure along lines that nothing but the flat tells from wide stripes.
        parameters = replace(parameters, wide=flat is not None)
    if turn is _transposed and parameters.background_box_size:
        parameters = replace(parameters, background_box_size=parameters.background_box_size[::-1])
    good = has_value("sci", planes.sci) & ~bad_pixels(planes.dq, parameters.dqbits)
    response: np.ndarray | np.float32 = np.float32(1)
    if flat is not None:
        response = np.where(flat > 0, flat, np.float32(1))  # NaN is not
        good &= flat > 0
    if user_mask is not None:
        good &= np.nan_to_num(user_mask) != 0
    wide_light = combined = None
    if light is not None and sources is not None and parameters.fit_method != "median":
        good, combined = _without_cores(planes.sci, light * response, sources, good)
    elif sources is not None:
        is_wide = (sources < 0) & (parameters.fit_method != "median")
        good &= ~is_light(sources) | is_wide
        wide_light = turn(is_wide) if is_wide.any() else None
    if not good.any():
        raise ValueError("no pixel can be used to measure stripes")
    sci = planes.sci if combined is None else planes.sci - combined[0]
    if parameters.fit_method == "median":
        image = np.where(good, sci / response, np.float32(0))
    else:
        # Stripes have not gone through the response of the pixels: divided by it they would not be alike along a line.
        level, _ = sky_level((sci / response)[good][::SOME])
        image = np.where(good, sci - np.float32(level) * (response - 1), np.float32(0))
        response = np.float32(1)
    stripes = _measure(
        turn(image),
        turn(good),
        parameters,
        facts,
        user_mask is not None,
        wide_light,
        combined and tuple(map(turn, combined)),
    )
    levels, variance = (turn(_on_pixels(part, turn(image).shape[1])) for part in (stripes.levels, stripes.variance))
    figures = _figures(stripes, levels, variance)
    return Cleaned(planes.sci - levels * response, variance * np.square(response), figures=figures)


def _figures(stripes: Stripes, levels: np.ndarray, variance: np.ndarray) -> dict[str, Figure]:
    noise = max(stripes.figures["noise"], 1e-30)
    figures = {
        "stripes": float(np.std(levels)) / noise,
        "error": float(np.sqrt(np.mean(variance))) / noise,
        **{name: value for name, value in stripes.figures.items() if name != "noise"},
    }
    rounded: dict[str, Figure] = {name: float(f"{value:.3g}") for name, value in figures.items()}
    if stripes.figures.get("risk", 0) > 1:
        rounded["left"] = "wide stripes, which cannot be told from light"
    elif stripes.figures.get("shared"):
        rounded["left"] = "wide stripes that the combined image has, too, which cannot be told from its sky"
    return rounded


def _turning(parameters: FlickerCleaning, facts: Facts):
    """Return what turns an image so that its lines are rows, and back."""
    axis = {"rows": ALONG_ROWS, "columns": ALONG_COLUMNS}.get(parameters.lines, facts.slow_axis)
    if axis is None or abs(axis) not in (ALONG_ROWS, ALONG_COLUMNS):
        raise ValueError("the header does not tell SLOWAXIS: set lines to rows or columns")
    return np.ascontiguousarray if abs(axis) == ALONG_ROWS else _transposed


def _transposed(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.T)


def _without_cores(sci, light, sources, good):
    """Return which pixels can be used when light is taken off, and that, with where it is known."""
    known = good & (sources != UNKNOWN) & np.isfinite(light)
    light = np.where(known, light, np.float32(0))
    _, noise = sky_level((sci - light)[known][::SOME])
    cores = grown(light > CORE * noise)
    return known & ~cores, (light, known)


def _measure(image, good, parameters: FlickerCleaning, facts: Facts, masked: bool, wide_light, light) -> Stripes:
    channels = parameters.channels if parameters.fit_by_channel and facts.subarray == FULL else 1
    if image.shape[1] < channels:
        channels = 1
    if parameters.fit_method == "median":
        return clipped_stripes(image, good, parameters, channels, masked)
    return measure_stripes(
        image,
        good,
        channels=channels,
        block=parameters.box_size,
        threshold=parameters.snr_threshold,
        wide=bool(parameters.wide),
        masked=masked,
        wide_light=wide_light,
        light=light,
    )


def _on_pixels(levels: np.ndarray, pixels: int) -> np.ndarray:
    """Return levels of lines by channel for all pixels of the lines."""
    edges = np.linspace(0, pixels, levels.shape[1] + 1).astype(int)
    return np.repeat(levels, np.diff(edges), axis=1)
