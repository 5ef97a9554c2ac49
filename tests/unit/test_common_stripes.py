"""Stripes by the differences of exposures from what all show together, and those that all have in common."""

import numpy as np
import pytest

from calflow.science.cleaning.clean_flicker_noise import clean_flicker_noise
from calflow.science.cleaning.clean_flicker_noise_parameters import FlickerCleaning
from calflow.science.cleaning.common_stripes import wide_stripes
from calflow.science.cleaning.line_levels import Levels
from calflow.science.cleaning.mesh import Mesh
from calflow.science.cleaning.step import Facts
from calflow.science.image import Image
from calflow.simulation import Artefacts
from calflow.simulation.artefacts import readout_noise

N, EXPOSURES = 512, 4
FLOOR = 1 / np.sqrt(N)
ROWS = Facts("a", "rate", slow_axis=2, subarray="FULL")


@pytest.fixture(scope="module")
def exposures():
    """Exposures without light, of noise 1, and their stripes."""
    random = np.random.default_rng(1)
    stripes = [readout_noise(Artefacts(flicker=0.3), (N, N), 1.0, 1, random) for _ in range(EXPOSURES)]
    return [each + random.normal(0, 1, (N, N)).astype(np.float32) for each in stripes], stripes


def cleaned(sci, combined):
    ones = np.ones((N, N), np.float32)
    planes = Image(sci.astype(np.float32), ones, np.zeros((N, N), np.uint32), ones, ones)
    inputs = {"sources": np.zeros((N, N), np.float32), "light": combined.astype(np.float32)}
    return clean_flicker_noise(planes, FlickerCleaning(wide=True), ROWS, **inputs)


def left(result, sci, stripes):
    """Return the scatter of what is left of stripes in the means of lines, over that of white noise."""
    return float(np.std((result.sci - sci + stripes).mean(axis=1)) / FLOOR)


def galaxy(size, peak):
    y, x = np.mgrid[:N, :N] - N / 3
    return (peak * np.exp(-np.hypot(y, x) / size)).astype(np.float32)


@pytest.mark.parametrize("light", [0.0, galaxy(30, 5)])
def test_lines_scatter_as_white_noise_does(exposures, light):
    images, stripes = exposures
    result = cleaned(images[0] + light, np.mean(images, axis=0) + light)
    assert left(result, images[0] + light, stripes[0]) < 1.2
    assert "left" not in result.figures


def test_light_that_fills_all_lines_stays_and_so_does_what_stripes_have_in_common(exposures):
    """Of the stripes the differences go: what is left is their mean, whatever the light is, and that is told."""
    images, stripes = exposures
    y, x = np.mgrid[:N, :N] / N
    nebula = 1.5 * (2 + np.sin(9 * y) + np.cos(7 * x + 5 * y)) * (1 + 0.3 * np.sin(40 * x * (1 + y)))
    result = cleaned(images[0] + nebula, np.mean(images, axis=0) + nebula)
    taken = (images[0] + nebula - result.sci).mean(axis=1)
    differs = (stripes[0] - np.mean(stripes, axis=0)).mean(axis=1)
    wide = [np.convolve(each - each.mean(), np.ones(32) / 32, "valid") for each in (taken, differs)]
    assert np.std(wide[0] - wide[1]) < 0.03
    assert np.std(wide[1]) > 0.1
    assert result.figures["shared"] > 0
    assert result.figures["left"].startswith("wide stripes that the combined image has, too")


def test_the_level_of_the_sky_does_not_count(exposures):
    images, _ = exposures
    combined = np.mean(images, axis=0)
    changes = [cleaned(images[0] + level, combined).sci - images[0] - level for level in (0, 5)]
    np.testing.assert_allclose(*changes, atol=1e-4)


def test_without_stripes_nothing_is_taken_off():
    result = cleaned(np.full((N, N), 7.0), np.zeros((N, N)))
    np.testing.assert_array_equal(result.sci, np.float32(7))


def rows_of_blocks(light):
    """Return blocks of 256 pixels whose rows have levels of 0.1 and -0.1 by turns of 8, with light."""
    levels = np.where(np.arange(32) // 8 % 2, -0.1, 0.1)
    noise = np.random.default_rng(2).normal(0, 0.5 / 16, (32, 32))
    return Mesh(levels[:, None] + noise + light, np.full((32, 32), 256.0), (16, 16), (N, N)), levels


@pytest.mark.parametrize("columns", [0, 16])
def test_rows_share_what_blocks_without_light_have(columns):
    """Of 32 blocks of noise 1/32 as many as are free tell of the level of a row."""
    light = np.where(np.arange(32) < columns, 2.0, 0.0)
    mesh, levels = rows_of_blocks(light)
    found = wide_stripes(
        mesh, np.array([0]), 3.0, Levels(np.sqrt(3) * levels[:, None], np.zeros((32, 1))), np.sqrt(0.75)
    )
    error = found.levels.values[:, 0] - levels
    assert found.left == 0
    assert np.std(error) < 2 / 32 / np.sqrt(32 - 1.5 * columns)


def test_a_profile_that_no_stripes_have_is_left():
    mesh, levels = rows_of_blocks(np.zeros(32))
    others = Levels(0.1 * np.sqrt(3) * levels[:, None], np.zeros((32, 1)))
    found = wide_stripes(mesh, np.array([0]), 3.0, others, np.sqrt(0.75))
    assert not found.levels.values.any()
    assert found.left > 0.05
