"""Subtract a pattern whose shape is known and whose strength is not, as NIRCam's wisps."""

from collections.abc import Mapping

import numpy as np

from calflow.science.cleaning.left_out import Own
from calflow.science.cleaning.mesh import mesh_of
from calflow.science.cleaning.source_mask import is_light
from calflow.science.cleaning.step import Cleaned, Facts
from calflow.science.cleaning.subtract_template_parameters import TemplateFit
from calflow.science.cleaning.template_fit import BLOCK, fit_patterns, pattern_blocks
from calflow.science.cleaning.template_making import template_without
from calflow.science.dq_flags import bad_pixels
from calflow.science.image import Image, has_value
from calflow.science.windows import Window

NOT_SIGNIFICANT = "the template, whose amplitude is not significant:"
NO_TEMPLATE = "all: what the exposures have in common is chance, and no template"


def subtract_template(
    planes: Image,
    parameters: TemplateFit,
    facts: Facts,
    template: np.ndarray,
    region: np.ndarray | None = None,
    sources: np.ndarray | None = None,
) -> Cleaned:
    """Subtract a template, times the amplitude that fits an exposure best.

    Parameters
    ----------
    planes : Image
        2-D. NaN: no value.
    parameters : TemplateFit
    facts : Facts
        `first_pixel` tells which part of the detector an exposure of a subarray is.
    template : float32 array (n, ny, nx) or (ny, nx)
        The pattern, or components of it that are added up, in any unit; where it is NaN there is none of it. One of
        blocks of pixels is spread out.
    region : float32 array (ny, nx), optional
        Not 0: where the amplitude is fitted.
    sources : float32 array (ny, nx), optional
        Not 0: a source, besides those that are found.

    Returns
    -------
    Cleaned
        The variance is that of the amplitudes. Figures: `amplitude` and `error`, of several components the roots of the
        sums of their squares; `removed`, the standard deviation of what was subtracted, and `noise`, that of a pixel,
        in the unit of the exposure; `free`, the part of the pixels that the amplitude comes from. One that is not
        significant is 0, the exposure stays as it is, and `left` says so.

    Raises
    ------
    ValueError
        If the template does not fit the exposure, or too few pixels can be used.
    """
    shape = planes.sci.shape
    patterns = np.stack([_on_exposure(each, shape, facts, "template") for each in _components(template)])
    patterns = np.nan_to_num(patterns, nan=0.0, posinf=0.0, neginf=0.0)
    if parameters.smooth:
        from scipy.ndimage import gaussian_filter

        patterns = np.stack([gaussian_filter(each, parameters.smooth) for each in patterns])
    good = has_value("sci", planes.sci) & ~bad_pixels(planes.dq, parameters.dqbits)
    if region is not None:
        good &= np.nan_to_num(_on_exposure(region, shape, facts, "region")) != 0
    if sources is not None:
        good &= ~is_light(_on_exposure(sources, shape, facts, "mask of sources"))
    image = mesh_of(np.where(good, planes.sci, np.float32(0)), good, (BLOCK, BLOCK))
    fit = fit_patterns(image, pattern_blocks(patterns, good), parameters)
    amplitude, error = (float(np.sqrt(np.sum(np.square(values)))) for values in (fit.amplitudes, fit.errors))
    is_there = amplitude > parameters.significance * error
    removed = np.tensordot(fit.amplitudes.astype(np.float32), patterns, axes=1) if is_there else None
    figures = {
        "amplitude": amplitude if is_there else 0.0,
        "error": error,
        "removed": 0.0 if removed is None else float(np.std(removed)),
        "noise": fit.noise,
        "free": float(fit.free.mean()),
    }
    rounded = {name: float(f"{value:.3g}") for name, value in figures.items()}
    if removed is None:
        return Cleaned(figures={**rounded, "left": f"{NOT_SIGNIFICANT} {amplitude:.2g} +- {error:.2g}"})
    variance = np.tensordot(np.square(fit.errors).astype(np.float32), np.square(patterns), axes=1)
    return Cleaned(sci=planes.sci - removed, variance=variance, figures=rounded)


def subtract_own_template(
    planes: Image,
    parameters: TemplateFit,
    facts: Facts,
    collected: Mapping[str, np.ndarray],
    own: Own | None = None,
    **inputs: np.ndarray,
) -> Cleaned:
    """Subtract the template that was made of the other exposures of a detector and filter; see `subtract_template`.

    Parameters
    ----------
    planes, parameters, facts, **inputs
        Of `subtract_template`.
    collected : mapping of str to array
        What `template_making.make_template` returned of all.
    own : callable, optional
        Returns the exposure as it was collected, if it was: the template is that without it. None: it was not.

    Returns
    -------
    Cleaned
        With the figure `alike`: the part of the template's variance that is not chance; if that is too little, there
        is no template, and the exposure stays as it is.
    """
    alike = {"alike": float(f"{float(collected['alike'][0]):.3g}")}
    if not collected["template"].any():
        return Cleaned(figures={"amplitude": 0.0, **alike, "left": NO_TEMPLATE})
    template = collected["template"] if own is None else template_without(collected, own, parameters)
    found = subtract_template(planes, parameters, facts, template, **inputs)
    return found._replace(figures={**found.figures, **alike})


def _components(template: np.ndarray) -> np.ndarray:
    return template if template.ndim == 3 else template[None]


def _on_exposure(plane: np.ndarray, shape: tuple[int, ...], facts: Facts, what: str) -> np.ndarray:
    """Return the part of an image of the detector that an exposure has, in its pixels."""
    factor = max(1, shape[0] // plane.shape[0])
    if factor > 1 and tuple(size * factor for size in plane.shape) == tuple(shape):
        return np.repeat(np.repeat(plane, factor, axis=0), factor, axis=1)
    if plane.shape == tuple(shape):
        return plane
    detector, window = Window(1, 1, *plane.shape[::-1]), Window(*facts.first_pixel, *shape[::-1])
    if not detector.contains(window):
        raise ValueError(f"the {what} has the shape {plane.shape}, which an exposure of {tuple(shape)} is no part of")
    return plane[detector.slices(window)]
