"""The shape of a pattern that exposures of a detector have in common, each with a strength of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from calflow.science.cleaning.left_out import Members, Own
from calflow.science.cleaning.mesh import Mesh, mesh_of, smooth_image
from calflow.science.cleaning.step import Facts
from calflow.science.cleaning.subtract_template_parameters import TemplateFit
from calflow.science.cleaning.template_fit import BLOCK, Fit, fit_patterns
from calflow.science.dq_flags import bad_pixels
from calflow.science.image import Image, has_value

# Of more exposures this many, or half of it, are used, evenly picked: of 2048 x 2048 pixels each takes 2 MB.
MOST = 64
LEAST = 4
ROUNDS = 3
# Exposures in which the pattern is fainter than this part of its usual strength tell little of its shape.
LEAST_STRENGTH = 0.3
LEAST_ALIKE = 0.7  # part of the variance: what is less is taken for chance
# Standard deviation, blocks. With less there is more noise than pattern on the scales that a local sky leaves, and the
# strength comes out too small.
SMOOTHING = 2.0
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
    dict of str to array
        ``template``, float32, shape (ny, nx), of usual strength 1, in the unit of the exposures; 0 if there is none.
        ``alike``, shape (1,), the part of its variance that is not chance, by the correlation of the templates of each
        second exposure. ``number``, shape (1,): of how many exposures it is. If there is one, what an exposure is
        left out by: ``low``, ``middle``, ``high`` and ``counted`` of `Middle`, in blocks; ``sky``, three corners of the
        plane that was taken off them; and what `Members` keeps.

    Raises
    ------
    ValueError
        Of fewer than four exposures, or of several sizes.
    """
    parameters = _for_shapes(parameters)
    meshes: list[Mesh] = []
    known: list[Facts] = []
    step = 1
    for number, (planes, facts) in enumerate(exposures):
        if number % step == 0:
            meshes.append(_in_blocks(planes, parameters.dqbits))
            known.append(facts)
            if meshes[-1].shape != meshes[0].shape:
                raise ValueError(f"exposures of {meshes[0].shape} and of {meshes[-1].shape} have no template in common")
        if len(meshes) > MOST:
            meshes, known, step = meshes[::2], known[::2], 2 * step
    if len(meshes) < LEAST:
        raise ValueError(f"a template is made of {LEAST} exposures or more; there are {len(meshes)}")
    images = [_left(mesh, _corners(_sky(mesh, parameters)), mesh.weights > 0) for mesh in meshes]
    pattern, _ = _smooth_pattern(_middle(images).middle, parameters)
    before: list[Fit | None] = [None] * len(meshes)
    for _ in range(ROUNDS):
        fits = [
            fit_patterns(mesh, pattern[None], parameters, start=fit) for mesh, fit in zip(meshes, before, strict=True)
        ]
        before = list(fits)
        usual = float(np.median([fit.amplitudes[0] for fit in fits]))
        members, images = Members(), []
        for mesh, facts, fit in zip(meshes, known, fits, strict=True):
            if fit.amplitudes[0] > LEAST_STRENGTH * usual:
                corners, strength = _corners(fit.sky), np.float32(fit.amplitudes[0] / usual)
                members.add(facts, fit.free, corners=corners, strength=strength)
                images.append(_left(mesh, corners, fit.free, strength))
        if len(images) < LEAST:
            return {"template": np.zeros(meshes[0].shape, np.float32), "alike": np.zeros(1), "number": np.zeros(1)}
        middle = _middle(images)
        pattern, sky = _smooth_pattern(middle.middle, parameters)
    halves = [_smooth_pattern(_middle(images[half::2]).middle, parameters)[0].ravel() for half in (0, 1)]
    alike = float(np.corrcoef(halves)[0, 1])
    # Half of the scatter of a median of all is that of one of the half.
    alike = 2 * alike / (1 + alike) if alike > 0 else 0.0
    told = {"alike": np.array([alike]), "number": np.array([len(images)])}
    if alike < LEAST_ALIKE:
        return {"template": np.zeros(meshes[0].shape, np.float32), **told}
    template = smooth_image(pattern, meshes[0].box, meshes[0].shape)
    return {"template": template, **told, **middle._asdict(), "sky": sky, **members.arrays()}


def template_without(found: Mapping[str, np.ndarray], own: Own, parameters: TemplateFit) -> np.ndarray:
    """Return a template without an exposure: of the median of the other ones alone; as it is if that has none of it.

    The strengths and sources of the others are those that were found with it, and so is the plane in the template.

    Parameters
    ----------
    found : mapping of str to array
        Of `make_template`.
    own : callable
        Returns the exposure as it was collected.
    parameters : TemplateFit
        Those of `make_template`.

    Returns
    -------
    float32 array, shape (ny, nx)
    """
    planes, facts = own()
    kept = Members.of(found, facts, found["middle"].shape) if "middle" in found else None
    if kept is None:
        return found["template"]
    mesh = _in_blocks(planes, parameters.dqbits)
    image = _left(mesh, kept.values["corners"], kept.mask, float(kept.values["strength"]))
    middle = Middle(*(found[name] for name in Middle._fields)).without(image)
    pattern, _ = _smooth_pattern(middle, _for_shapes(parameters), found["sky"])
    return smooth_image(pattern, mesh.box, mesh.shape)


class Middle(NamedTuple):
    """Medians of images, and what the medians of all but one of them are made of.

    Attributes
    ----------
    low, middle, high : float32 arrays, shape (my, mx)
        The median, the value before it and that after it in order; of an even number of values the two that it is the
        mean of. NaN: no value.
    counted : uint8 array of that shape
        How many values there are.
    """

    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray
    counted: np.ndarray

    def without(self, image: np.ndarray) -> np.ndarray:
        """Return the medians of all but an image, which is one of them; NaN where no other has a value.

        Parameters
        ----------
        image : float32 array, shape (my, mx)
            NaN: no value.
        """
        # Of an odd number the median of the others is the mean of two of the three; of an even one, one of the two.
        is_odd = self.counted % 2 == 1
        below = np.where(is_odd, (self.middle + self.high) / 2, self.high)
        above = np.where(is_odd, (self.low + self.middle) / 2, self.low)
        middle = np.where(image < self.middle, below, above)
        is_middle = is_odd & (image == self.middle)
        middle = np.where(is_middle, (self.low + self.high) / 2, middle)
        return np.where(np.isfinite(image), np.where(self.counted > 1, middle, np.float32(np.nan)), self.middle)


def _for_shapes(parameters: TemplateFit) -> TemplateFit:
    """Return parameters of fits that tell a shape: it has large scales, too, which a local sky would take."""
    return replace(parameters, sky="plane") if parameters.sky == "local" else parameters


def _middle(images: list[np.ndarray]) -> Middle:
    """Return the medians of images, and the values around them."""
    shape, number = images[0].shape, len(images)
    low, middle, high = (np.full(shape, np.nan, np.float32) for _ in range(3))
    counted = np.zeros(shape, np.uint8)
    for start in range(0, shape[0], ROWS):
        rows = slice(start, start + ROWS)
        ordered = np.sort(np.stack([image[rows] for image in images]), axis=0)  # NaN are last
        count = np.count_nonzero(np.isfinite(ordered), axis=0)
        counted[rows] = count
        half, is_odd = count // 2, count % 2 == 1
        places = (half - 1, half, np.where(is_odd, half + 1, half))
        one, two, three = (np.take_along_axis(ordered, place.clip(0, number - 1)[None], axis=0)[0] for place in places)
        low[rows], high[rows] = one, three
        middle[rows] = np.where(is_odd, two, (one + three) / 2)
    return Middle(low, middle, high, counted)


def _in_blocks(planes: Image, dqbits: str) -> Mesh:
    """Return the means of the blocks of an exposure."""
    good = has_value("sci", planes.sci) & ~bad_pixels(planes.dq, dqbits)
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


def _corners(sky: np.ndarray) -> np.ndarray:
    """Return three corners of a plane, which tell all of it; float32."""
    return np.array([sky[0, 0], sky[0, -1], sky[-1, 0]], np.float32)


def _left(mesh: Mesh, corners: np.ndarray, used: np.ndarray, strength: float | np.floating = 1) -> np.ndarray:
    """Return what is left of an image without its sky, over a strength, float32; NaN where it is not used."""
    first, right, top = corners
    y, x = (np.linspace(0, 1, size, dtype=np.float32) for size in used.shape)
    sky = (first + (top - first) * y)[:, None] + (right - first) * x
    return np.where(used, (mesh.means - sky) / np.float32(strength), np.float32(np.nan))


def _smooth_pattern(
    median: np.ndarray, parameters: TemplateFit, corners: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return smoothed medians less their own sky, or that of three corners, and these; 0 where there is none."""
    from scipy.ndimage import gaussian_filter

    known = np.isfinite(median)
    weight = gaussian_filter(known.astype(np.float32), SMOOTHING)
    inside = weight > LEAST_WEIGHT
    smooth = gaussian_filter(np.where(known, median, np.float32(0)), SMOOTHING)
    pattern = np.where(inside, smooth / np.maximum(weight, LEAST_WEIGHT), np.float32(0))
    mesh = Mesh(pattern, np.where(inside, BLOCK**2, 0), (BLOCK, BLOCK), median.shape)
    # What is the same in all exposures up to a plane cannot be told from their skies.
    corners = _corners(_sky(mesh, parameters)) if corners is None else corners
    return np.nan_to_num(_left(mesh, corners, inside)), corners
