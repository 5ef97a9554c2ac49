"""The sources of a combined image in the pixels of an exposure: where they come to lie, and how faint they may be."""

import numpy as np
import pytest

from calflow.science.cleaning.combined_sources import Blotted, blotted, combined_sources, completed, nothing
from calflow.science.cleaning.source_mask import SMALL, UNKNOWN, is_light

SHAPE = 16, 16


def grid(shape):
    """Return x and y of the pixels of an exposure."""
    return np.stack(np.meshgrid(np.arange(shape[1], dtype=float), np.arange(shape[0], dtype=float)), axis=-1)


def image_with(*pixels, shape=SHAPE):
    """Return an image that is 0 but in some pixels (x, y), which are 8, and weights of 1."""
    sci = np.zeros(shape, np.float32)
    for x, y in pixels:
        sci[y, x] = 8
    return sci, np.ones(shape, np.float32)


def values(found):
    return {(int(x), int(y)): float(found.values[y, x]) for y, x in np.argwhere(found.values)}


def test_a_shift_by_whole_pixels_moves_the_source():
    """Pixel (x, y) of the exposure lies at (x + 3, y - 2) in the image."""
    assert values(blotted(*image_with((7, 5)), grid(SHAPE) + np.array([3, -2]))) == {(4, 7): 8}


def test_between_pixels_the_value_is_between_theirs():
    """At a quarter of a pixel in x, and half a pixel in y: 8 x (3/4, 1/4) x (1/2, 1/2)."""
    found = values(blotted(*image_with((7, 5)), grid(SHAPE) + np.array([0.25, 0.5])))
    assert found == pytest.approx({(7, 5): 3, (7, 4): 3, (6, 5): 1, (6, 4): 1})


def test_a_turn_by_90_degrees():
    """What lies at (x, y) of the exposure lies at (15 - y, x) in the image."""
    x, y = np.moveaxis(grid(SHAPE), -1, 0)
    assert values(blotted(*image_with((12, 2)), np.stack([15 - y, x], axis=-1))) == {(2, 3): 8}


def test_pixels_of_half_the_size():
    """Of four pixels of the image in one of the exposure, all count the same: 8 / 4."""
    found = values(blotted(*image_with((4, 7)), 2 * grid((8, 8)) + 0.5))
    assert found == pytest.approx({(2, 3): 2})


def test_the_level_of_the_sky_is_taken_off():
    sci, wht = image_with((7, 5))
    assert values(blotted(sci + 100, wht, grid(SHAPE))) == {(7, 5): 8}


def test_where_the_image_has_no_value_the_weight_is_0():
    sci, wht = image_with((7, 5))
    sci[1, 2], wht[3, 4] = np.nan, 0
    pixmap = grid(SHAPE)
    pixmap[9, 9], pixmap[0, 15] = np.nan, (40, 0)  # nowhere, and beside the image
    found = blotted(sci, wht, pixmap)
    assert np.isfinite(found.values).all()
    where = {(1, 2), (3, 4), (9, 9), (0, 15)}
    assert {(int(y), int(x)) for y, x in np.argwhere(found.weights == 0)} >= where
    assert all(found.values[place] == 0 for place in where)


def test_another_image_stands_where_one_has_no_value():
    left, right = (np.full((2, 4), value, np.float32) for value in (1, 2))
    there = np.array([[1, 1, 0, 0]] * 2, np.float32)
    found = completed(Blotted(left, there), Blotted(right, 1 - there))
    np.testing.assert_array_equal(found.values[0], [1, 1, 2, 2])
    assert (found.weights == 1).all()
    none = completed(nothing((2, 4)), nothing((2, 4)))
    assert (combined_sources(none) == UNKNOWN).all()


def test_a_step_takes_for_light_what_is_not_0_and_known():
    mask = np.array([[0, 1, 7, -1, UNKNOWN, np.nan]])
    np.testing.assert_array_equal(is_light(mask), [[False, True, True, True, False, False]])


@pytest.mark.parametrize(("exposures", "is_found"), [(1, False), (16, True)])
def test_what_is_fainter_than_the_noise_of_an_exposure_is_found_in_many(exposures, is_found):
    """Stars of peak A and width s: A s sqrt(pi) is 1.5 sigma of all their pixels in one exposure, and 6 in sixteen.

    Of the sky 0.13 % is above 3 sigma by chance, on each of 7 scales, and each of that becomes 25 blocks.
    """
    random = np.random.default_rng(5)
    y, x = np.mgrid[:512, :512]
    stars = np.exp(-(((x % 64) - 32) ** 2 + ((y % 64) - 32) ** 2) / (2 * 1.2**2))
    noise = random.normal(0, 1 / np.sqrt(exposures), stars.shape)
    image = Blotted((0.7 * stars + noise).astype(np.float32), np.ones(stars.shape, np.float32))
    mask = combined_sources(image) != 0
    found = mask[stars == 1].mean()
    assert (found > 0.95) if is_found else (found < 0.5)
    assert mask[stars < 1e-6].mean() < 7 * 25 * 0.0013


def test_a_wide_source_is_masked_as_far_out_as_its_scale_shows_it():
    """Light of 0.06 sigma of a pixel, which a block of 32 x 32 pixels shows with 1.9 sigma, and one with its
    neighbours with more than 5; a gradient is no source."""
    random = np.random.default_rng(6)
    y, x = np.mgrid[:512, :512]
    disc = (x - 250) ** 2 + (y - 260) ** 2 < 60**2
    planes = 0.06 * disc + random.normal(0, 1, disc.shape) + 0.002 * x
    found = combined_sources(Blotted(planes.astype(np.float32), np.ones(disc.shape, np.float32)))
    mask = found != 0
    assert mask[disc].mean() > 0.95
    assert (found[disc] < 0).mean() > 0.8  # no small block shows it
    far = (x - 250) ** 2 + (y - 260) ** 2 > 200**2
    assert mask[far].mean() < 0.15


def test_a_nebula_is_no_small_source_but_a_star_in_it_is():
    """It covers half of the image, and leaves lines their pixels."""
    random = np.random.default_rng(8)
    y, x = np.mgrid[:512, :512]
    nebula = 5 / (1 + np.exp((np.hypot(x - 300, y - 300) - 190) / 20))
    star = 20 * np.exp(-((x - 250) ** 2 + (y - 350) ** 2) / (2 * 1.2**2))
    sci = nebula + star + random.normal(0, 1, nebula.shape)
    found = combined_sources(Blotted(sci.astype(np.float32), np.ones(sci.shape, np.float32)))
    assert is_light(found)[nebula > 1].mean() > 0.95
    assert (found == SMALL).mean() < 0.25
    assert found[350, 250] == SMALL


def test_less_weight_is_more_noise():
    """Half of the image has a tenth of the exposures: there is no more found in it than in the other half."""
    random = np.random.default_rng(7)
    weights = np.repeat(np.array([[1.0, 0.1]], np.float32), 128, axis=1) * np.ones((256, 1), np.float32)
    image = Blotted((random.normal(0, 1, weights.shape) / np.sqrt(weights)).astype(np.float32), weights)
    mask = combined_sources(image) != 0
    assert mask[:, 128:].mean() < 0.1
