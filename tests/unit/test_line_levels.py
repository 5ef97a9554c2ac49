"""Levels of rows of blocks beside light that is wider than what is found of it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from calflow.science.cleaning.line_levels import at_edges, means_of_rows, rows_and_columns, wings, without_edges
from calflow.science.cleaning.mesh import Mesh

N, BLOCK, SKY = 128, 16, 50.0
EDGES = np.array([0])


def mesh_of_means(means, weights=None):
    full = np.full(means.shape, float(BLOCK**2))
    shape = means.shape[0] * BLOCK, means.shape[1] * BLOCK
    return Mesh(means, full if weights is None else weights, (BLOCK, BLOCK), shape)


def galaxy(scale, peak, size=N):
    """An exponential profile in blocks, not in the middle."""
    y, x = np.mgrid[:size, :size] - 0.4 * size
    return peak * np.exp(-np.hypot(y, x) / scale)


def test_rows_and_columns_have_their_sums():
    """Of 1 + 10 and 3 + 20, without the block of 3 + 10: the rows differ by 2, the columns by 10."""
    means, free = np.array([[11.0, 21.0], [99.0, 23.0]]), np.array([[1.0, 1.0], [0.0, 1.0]])
    rows, columns = rows_and_columns(means, free, 100)
    assert np.diff(rows[:, 0]) == pytest.approx(2)
    assert np.diff(columns[0]) == pytest.approx(10)


def test_a_column_without_free_blocks_has_what_the_others_have():
    means, free = np.array([[5.0, 5.0, 900.0]] * 2), np.array([[1.0, 1.0, 0.0]] * 2)
    rows, columns = rows_and_columns(means, free, 10)
    np.testing.assert_allclose(rows + columns, 5)


def test_wings_are_as_strong_as_free_blocks_show():
    """A core of 100 blurred by 8 blocks, 0.3 as strong, and rows that differ by more than the wings."""
    core = np.zeros((N, N))
    core[60:64, 50:54] = 100
    light = 0.3 * gaussian_filter(core, 8, mode="constant")
    rows = np.random.default_rng(1).normal(0, 1, (N, 1))
    means = core + light + rows
    found = core > 0
    free = np.where(found, 0.0, 256.0)
    inside = np.where(found, core + rows, means)  # what shows the light
    error = (wings(means, inside, found, free) - light)[~found]
    assert np.abs(error).max() < 0.02 * light.max()


def test_nothing_beside_no_light_is_a_wing():
    means = np.random.default_rng(2).normal(0, 1, (N, N))
    assert not wings(means, means, np.zeros((N, N), bool), np.full((N, N), 256.0)).any()


def test_an_image_in_which_wings_are_as_wide_as_it_has_none():
    means = galaxy(3, 5.0, 16)
    assert not wings(means, means, means > 1, np.where(means > 1, 0.0, 256.0)).any()


def test_the_wings_of_a_large_galaxy_are_not_in_the_levels_of_rows():
    """Its light beyond what is found raises the rows through it: 0.004 is 1.5 % of a faint galaxy of 50 pixels."""
    light = galaxy(8, 5.0)
    weights = np.where(light > 0.3, 0.0, float(BLOCK**2))  # pixels are masked
    middle, outside = slice(41, 62), np.r_[0:10, 110:128]
    raised = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        stripes, noise = random.normal(0, 0.1, (N, 1)), random.normal(0, 1 / BLOCK, (N, N))
        means = SKY + light + stripes + noise
        mesh = mesh_of_means(np.where(weights > 0, means, 0), weights)
        for given in (None, mesh_of_means(means)):
            levels, _, _ = means_of_rows(mesh, 1.0, EDGES, 3.0, False, with_sources=given)
            error = levels.values[:, 0] - stripes[:, 0]
            raised.append(error[middle].mean() - error[outside].mean())
    without, taken_off = np.reshape(raised, (8, 2)).mean(axis=0)
    assert without > 0.004
    assert abs(taken_off) < 0.5 * without


def test_edges_of_sources_are_what_is_less_than_whole_beside_what_is_masked():
    weights = np.full((3, 12), 256.0)
    weights[0, 4] = weights[1, 1] = weights[2, 1] = 200  # the first beside nothing
    weights[2, 2] = 10
    expected = np.zeros((3, 12), bool)
    expected[1:, 1] = expected[2, 2] = True
    mesh = mesh_of_means(np.zeros((3, 12)), weights)
    np.testing.assert_array_equal(at_edges(mesh), expected)
    used = np.ones((3 * BLOCK, 12 * BLOCK), bool)
    left = without_edges(used, mesh)
    np.testing.assert_array_equal(left, ~np.kron(expected, np.ones((BLOCK, BLOCK), bool)))
    assert used.all()


def test_edges_that_are_more_than_a_tenth_of_a_row_count():
    """200 of 200 + 9 x 256 pixels are 0.08 of the row, of 200 + 5 x 256 they are 0.14."""
    for whole, left_out in ((9, True), (5, False)):
        weights = np.array([[0.0, 200.0] + [256.0] * whole])
        assert at_edges(mesh_of_means(np.zeros_like(weights), weights))[0, 1] == left_out
