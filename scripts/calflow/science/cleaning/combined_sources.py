"""Where a combined image has sources, in the pixels of one of its exposures.

The image is interpolated at the pixels of the exposure, and sources are looked for there: on all scales, since what an
exposure does not show is the faint light around and between what it does.
"""

from typing import NamedTuple

import numpy as np

from calflow.science.cleaning.mesh import mesh_of
from calflow.science.cleaning.source_mask import SMALL, UNKNOWN, WIDE, find_light, sky_level
from calflow.science.cleaning.subtract_background_2d import plane_of_dark_boxes
from calflow.science.combination.outlier_detection import blot

# Blocks of 1 to 2**6 pixels; not larger than an eighth of the exposure. The first three tell of what is small.
SCALES, SMALL_SCALES = 7, 3
# If what is small covers more than this part, as in a nebula, no more of it is than stands out from its surroundings,
# which are means of blocks of this many pixels: lines need pixels to tell their stripes by.
MOST_SMALL, SURROUNDINGS = 0.5, 64
# In standard deviations of the noise of the scale.
THRESHOLD = 3.0
# By how many blocks of its scale what is found is grown: around what stands out is what does not.
GROW = 2
# On each axis, of the plane that the sky is taken for.
BOXES = 32


class Blotted(NamedTuple):
    """A combined image at the pixels of an exposure.

    Attributes
    ----------
    values : float32 array, shape (ny, nx)
        In the unit of the image; finite, 0 where it has no value.
    weights : float32 array, shape (ny, nx)
        1 over the variance, in any unit; 0 where it has no value.
    """

    values: np.ndarray
    weights: np.ndarray


def blotted(sci: np.ndarray, wht: np.ndarray, pixmap: np.ndarray) -> Blotted:
    """Interpolate a combined image at the pixels of an exposure, between the four pixels around each.

    Parameters
    ----------
    sci, wht : float32 array, shape (my, mx)
        The image and its weights. NaN, or weight 0: no value.
    pixmap : float64 array, shape (ny, nx, 2)
        x and y of each pixel of the exposure in the image, 0-based; NaN: nowhere.

    Returns
    -------
    Blotted
        The level of its sky, of the lower half of the values, is 0.
    """
    values, weights = (blot(plane, pixmap) for plane in (sci, wht))
    known = np.isfinite(values) & (weights > 0)
    level, _ = sky_level(values[known][:: values.size // 2**18 | 1])
    return Blotted(np.where(known, values - level, np.float32(0)), np.where(known, weights, np.float32(0)))


def nothing(shape: tuple[int, ...]) -> Blotted:
    """Return what an image that does not reach an exposure is at its pixels.

    Parameters
    ----------
    shape : (int, int)
        Of the exposure.
    """
    return Blotted(np.zeros(shape, np.float32), np.zeros(shape, np.float32))


def completed(image: Blotted, other: Blotted) -> Blotted:
    """Return an image with another where it has no value, as of tiles that an exposure reaches.

    Parameters
    ----------
    image, other : Blotted
        At the pixels of the same exposure.
    """
    known = image.weights > 0
    return Blotted(*(np.where(known, ours, theirs) for ours, theirs in zip(image, other, strict=True)))


def combined_sources(image: Blotted) -> np.ndarray:
    """Return where a combined image has light of sources, and how wide that is.

    Parameters
    ----------
    image : Blotted

    Returns
    -------
    int16 array, shape (ny, nx)
        1: light that blocks of up to 4 pixels show, with what is around it; -1: light that larger ones show alone, or
        that has no edges where light is nearly everywhere; 0: none; -2: the image has no value.
    """
    known = image.weights > 0
    if not known.any():
        return np.full(known.shape, UNKNOWN, np.int16)
    weights = image.weights / image.weights.max()
    box = max(2, min(known.shape) // BOXES)
    rest = np.where(known, image.values - plane_of_dark_boxes(mesh_of(image.values, known, (box, box))), np.float32(0))
    _, noise = sky_level((rest * np.sqrt(weights))[known][:: rest.size // 2**18 | 1])
    scales = min(SCALES, 1 + int(np.log2(max(2, min(rest.shape) // 8))))

    def find(values, scales):
        return find_light(values, weights, noise=noise, scales=scales, threshold=THRESHOLD, grow=GROW)

    light, small = find(rest, scales), find(rest, min(scales, SMALL_SCALES))
    if small.sum() > MOST_SMALL * known.sum():
        surroundings = mesh_of(rest, known, (SURROUNDINGS, SURROUNDINGS)).image()
        small = find(np.where(known, rest - surroundings, np.float32(0)), min(scales, SMALL_SCALES))
    return np.select([~known, small, light], [UNKNOWN, SMALL, WIDE], 0).astype(np.int16)
