"""The shape of a pattern that exposures of a detector have in common, each with a strength of its own."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from calflow.science.cleaning.mesh import Mesh, mesh_of, smooth_image
from calflow.science.cleaning.step import Facts
from calflow.science.cleaning.subtract_template_parameters import TemplateFit
from calflow.science.cleaning.template_fit import BLOCK, fit_patterns
from calflow.science.dq_flags import bad_pixels
from calflow.science.image import Image, has_value

# Of more exposures this many, or half of it, are used, evenly picked: of 2048 x 2048 pixels each takes 2 MB.
MOST = 64
LEAST = 4
ROUNDS = 3
# Exposures in which the pattern is fainter than this part of its usual strength tell little of its shape.
LEAST_STRENGTH = 0.3
LEAST_ALIKE = 0.7  # part of the variance: what is less is taken for chance
SMOOTHING = 1.0  # sigma, blocks
LEAST_WEIGHT = 0.05  # of a smoothed block
ROWS = 64  # of blocks of all exposures that are put in order at a time


def make_template(exposures: Iterable[tuple[Image, Facts]], parameters: TemplateFit) -> dict[str, np.ndarray]:
    """Return the median of exposures without sources and sky, each over the strength of the pattern in it.

    Parameters
    ----------
    exposures : iterable of (Image, Facts)
        Of one detector, filter and subarray. The images of those with integrations are averaged over them.
    parameters : TemplateFit

    Returns
    -------
    dict of str to float32 array
        ``template``, shape (ny, nx), of usual strength 1, in the unit of the exposures; 0 if there is none. ``alike``,
        shape (1,), the part of its variance that is not chance, by the correlation of the templates of each second
        exposure. ``number``, shape (1,): of how many exposures it is.

    Raises
    ------
    ValueError
        Of fewer than four exposures, or of several sizes.
    """
    # The shape has large scales, too, which a local sky would take.
    if parameters.sky == "local":
        parameters = replace(parameters, sky="plane")
    meshes: list[Mesh] = []
    step = 1
    for number, (planes, _) in enumerate(exposures):
        if number % step == 0:
            meshes.append(_in_blocks(planes, parameters))
            if meshes[-1].shape != meshes[0].shape:
                raise ValueError(f"exposures of {meshes[0].shape} and of {meshes[-1].shape} have no template in common")
        if len(meshes) > MOST:
            meshes, step = meshes[::2], 2 * step
    if len(meshes) < LEAST:
        raise ValueError(f"a template is made of {LEAST} exposures or more; there are {len(meshes)}")
    skies = [_sky(mesh, parameters) for mesh in meshes]
    pattern = _median([_left(mesh, sky, mesh.weights > 0) for mesh, sky in zip(meshes, skies, strict=True)], parameters)
    for _ in range(ROUNDS):
        fits = [fit_patterns(mesh, pattern[None], parameters) for mesh in meshes]
        usual = float(np.median([fit.amplitudes[0] for fit in fits]))
        images = [
            _left(mesh, fit.sky, fit.free) / np.float32(fit.amplitudes[0] / usual)
            for mesh, fit in zip(meshes, fits, strict=True)
            if fit.amplitudes[0] > LEAST_STRENGTH * usual
        ]
        if len(images) < LEAST:
            return {"template": np.zeros(meshes[0].shape, np.float32), "alike": np.zeros(1), "number": np.zeros(1)}
        pattern = _median(images, parameters)
    halves = [_median(images[half::2], parameters).ravel() for half in (0, 1)]
    alike = float(np.corrcoef(halves)[0, 1])
    # Half of the scatter of a median of all is that of one of the half.
    alike = 2 * alike / (1 + alike) if alike > 0 else 0.0
    template = smooth_image(pattern, meshes[0].box, meshes[0].shape)
    found = template if alike >= LEAST_ALIKE else np.zeros_like(template)
    return {"template": found, "alike": np.array([alike]), "number": np.array([len(images)])}


def _in_blocks(planes: Image, parameters: TemplateFit) -> Mesh:
    """Return the means of the blocks of an exposure."""
    good = has_value("sci", planes.sci) & ~bad_pixels(planes.dq, parameters.dqbits)
    image = np.where(good, planes.sci, np.float32(0))
    if image.ndim == 3:
        number = good.sum(axis=0)
        image, good = (image.sum(axis=0) / np.maximum(number, 1)).astype(np.float32), number > 0
    if not good.any():
        raise ValueError("an exposure has no pixel that can be used")
    mesh = mesh_of(image, good, (BLOCK, BLOCK))
    return Mesh(mesh.means.astype(np.float32), mesh.weights.astype(np.uint8), mesh.box, mesh.shape)


def _sky(mesh: Mesh, parameters: TemplateFit) -> np.ndarray:
    """Return the sky of an image, in which everything that stands out counts as a source."""
    return fit_patterns(mesh, np.empty((0, *mesh.means.shape)), parameters).sky.astype(np.float32)


def _left(mesh: Mesh, sky: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return what is left of an image without its sky, float32; NaN where it is not used."""
    return np.where(used, mesh.means - sky, np.nan).astype(np.float32)


def _median(images: list[np.ndarray], parameters: TemplateFit) -> np.ndarray:
    """Return the smoothed median of images in blocks, less its own sky; 0 where none has a value."""
    from scipy.ndimage import gaussian_filter

    median = np.full(images[0].shape, np.nan)
    for start in range(0, len(median), ROWS):
        rows = np.stack([image[start : start + ROWS] for image in images])
        known = np.isfinite(rows).any(axis=0)
        median[start : start + ROWS][known] = np.nanmedian(rows[:, known], axis=0)
    known = np.isfinite(median)
    weight = gaussian_filter(known.astype(float), SMOOTHING)
    inside = weight > LEAST_WEIGHT
    smooth = gaussian_filter(np.where(known, median, 0.0), SMOOTHING)[inside] / weight[inside]
    pattern = np.zeros(median.shape)
    pattern[inside] = smooth
    # What is the same in all exposures up to a plane cannot be told from their skies.
    sky = _sky(Mesh(pattern, np.where(inside, BLOCK**2, 0), (BLOCK, BLOCK), median.shape), parameters)
    return np.where(inside, pattern - sky, 0.0)
