"""Where light of sources is: what is quick gives what the plain formulas give."""

import numpy as np
import pytest
from scipy.ndimage import convolve, median_filter

from calflow.science.cleaning import source_mask
from calflow.science.cleaning.bad_pixels import _median_around
from calflow.science.cleaning.mesh import mesh_of
from calflow.science.cleaning.source_mask import find_light, sky_level

RANDOM = np.random.default_rng(11)


def plain_sky_level(values):
    """Return level and noise with quantiles of all that is left in each round."""
    for _ in range(source_mask.ROUNDS):
        low, level = np.quantile(values, [0.15865, 0.5])
        kept = values[values <= level + 2 * (level - low)]
        if kept.size == values.size:
            break
        values = kept
    return float(level), float(level - low)


def one_scale(values, weights, noise, threshold, common):
    """Return which values stand out of the noise once they are smoothed over their neighbours."""
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    smooth, left = (convolve(plane.astype(float), kernel, mode="constant") for plane in (values * weights, weights))
    judged = (weights > 0) & (left >= source_mask.LEAST_LEFT * weights.max())
    mean = smooth / np.maximum(left, 1e-30)
    mean -= plain_sky_level(mean[judged])[0]
    white = max(plain_sky_level((mean * np.sqrt(left))[judged])[1], source_mask.SMOOTHING * noise)
    return judged & (mean > threshold * np.hypot(white / np.sqrt(np.maximum(left, 1e-30)), common))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 2, 7, 1000, 4097])
def test_sky_level_is_that_of_quantiles(size, kind):
    values = RANDOM.normal(3, 2, size).astype(kind)
    values[::9] += 50
    assert sky_level(values) == plain_sky_level(values)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("arrangement", ["any", "bright", "rounded", "in order", "picked"])
def test_the_sky_level_of_many_values_is_the_same_to_the_last_bit(kind, arrangement):
    values = np.random.default_rng(12).normal(3, 2, 5 * source_mask.FEW).astype(kind)
    if arrangement == "bright":
        values[: 2 * source_mask.FEW] += 100
    elif arrangement == "rounded":
        values = np.round(values)
    elif arrangement == "in order":
        values = np.sort(values)
    elif arrangement == "picked":  # those that tell where ranks are do not look like the rest
        values[::5] += 1000
    assert sky_level(values) == plain_sky_level(values)


def test_truth_values_weigh_as_ones_do():
    values = RANDOM.normal(size=(230, 170)).astype(np.float32)
    values[90:130, 60:100] += 1
    weights = RANDOM.random(values.shape) < 0.9
    options = {"noise": 1.0, "scales": 5, "threshold": 3.0}
    found = source_mask.light_and_part(values, weights, **options)
    as_numbers = source_mask.light_and_part(values, weights.astype(np.float32), **options)
    np.testing.assert_array_equal(found[0], as_numbers[0])
    assert found[1] == as_numbers[1]
    assert found[0][100:120, 70:90].all()
    assert not found[0].all()


def test_sky_level_of_equal_values_has_no_noise():
    assert sky_level(np.full(10, 4.0)) == (4.0, 0.0)
    assert np.isnan(sky_level(np.empty(0))).all()


@pytest.mark.parametrize(("noise", "common"), [(1.0, 0.0), (0.2, 0.3), (3.0, np.float64(0.1))])
def test_light_of_one_scale_is_what_the_formula_gives(monkeypatch, noise, common):
    monkeypatch.setattr(source_mask, "AT_A_TIME", 500)  # several bands, the last one shorter
    values = RANDOM.normal(size=(53, 41)).astype(np.float32)
    values[20:24, 30:33] += 20
    weights = RANDOM.choice(np.float32([0, 0.5, 1]), values.shape)
    weights[20:24, 30:33] = 1
    found = find_light(values, weights, noise=noise, scales=1, threshold=2.5, common=common, grow=0)
    np.testing.assert_array_equal(found, one_scale(values, weights, noise, 2.5, common))
    assert found[21:23, 31].any()


def test_bands_and_picked_values_do_not_change_what_is_found(monkeypatch):
    values = RANDOM.normal(size=(300, 310)).astype(np.float32)
    values[100:140, 50:90] += 1.5
    weights = (RANDOM.random(values.shape) > 0.1).astype(np.float32)
    found = find_light(values, weights, noise=1.0, scales=5, threshold=3.0)
    monkeypatch.setattr(source_mask, "AT_A_TIME", values.size)
    np.testing.assert_array_equal(find_light(values, weights, noise=1.0, scales=5, threshold=3.0), found)
    assert found[100:140, 50:90].mean() > 0.9
    assert found[200:].mean() < 0.1


@pytest.mark.parametrize(
    ("shape", "box"), [((64, 48), (16, 16)), ((70, 50), (16, 12)), ((600, 8), (300, 8)), ((5, 4), (9, 9))]
)
def test_blocks_have_the_means_of_their_pixels(shape, box):
    image, counts = RANDOM.normal(size=shape).astype(np.float32), RANDOM.random(shape) > 0.3
    mesh = mesh_of(image, counts, box)
    for row in range(mesh.means.shape[0]):
        for column in range(mesh.means.shape[1]):
            part = (
                slice(row * mesh.box[0], (row + 1) * mesh.box[0]),
                slice(column * mesh.box[1], (column + 1) * mesh.box[1]),
            )
            assert mesh.weights[row, column] == counts[part].sum()
            assert mesh.means[row, column] == pytest.approx(image[part][counts[part]].mean(dtype=float), abs=1e-5)


@pytest.mark.parametrize("shape", [(70, 50), (33, 7), (5, 5)])
def test_median_around_a_pixel_is_that_of_a_filter(shape):
    image = RANDOM.normal(size=shape).astype(np.float32).round(1)
    footprint = np.array([[y % 2 == 0 and x % 2 == 0 for x in range(5)] for y in range(5)])
    np.testing.assert_array_equal(_median_around(image), median_filter(image, footprint=footprint, mode="reflect"))
