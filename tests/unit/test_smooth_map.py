import numpy as np
import pytest

from calflow.science.geometry.smooth_map import TERMS, NotSmooth, smooth_map

X_RANGE, Y_RANGE = (-0.5, 99.5), (10.0, 30.0)


def quadratic(x, y):
    return np.stack([x + 0.01 * x * y, 3.0 - y**2], axis=-1)


def wave(periods):
    """A wave in x with so many periods in the domain."""

    def function(x, y):
        return np.stack([np.sin(2 * np.pi * periods * x / 100), y], axis=-1)

    return function


def test_a_polynomial_is_itself():
    found = smooth_map(quadratic, X_RANGE, Y_RANGE, 1e-9)
    x, y = np.array([0.0, 50.0, 99.5]), np.array([10.0, 17.0, 30.0])
    # (0, 10): 0 and 3 - 100; (50, 17): 50 + 0.01 x 850 and 3 - 289; (99.5, 30): 99.5 + 29.85 and 3 - 900
    np.testing.assert_allclose(found(x, y), [[0, -97], [58.5, -286], [129.35, -897]], atol=1e-10)
    assert (found.x_range, found.y_range) == (X_RANGE, Y_RANGE)
    assert found.coefficients.shape == (8, 8, 2)


def test_coefficients_are_of_y_and_then_of_x():
    """x = 49.5 + 50 u, y = 20 + 10 v; so x y = ... + 500 u v."""
    found = smooth_map(lambda x, y: np.stack([x, x * y], axis=-1), X_RANGE, Y_RANGE, 1e-9).coefficients
    assert found[:2, :2, 0] == pytest.approx(np.array([[49.5, 50.0], [0.0, 0.0]]), abs=1e-10)
    assert found[:2, :2, 1] == pytest.approx(np.array([[990.0, 1000.0], [495.0, 500.0]]), abs=1e-9)
    assert np.abs(found[2:]).max() < 1e-10
    assert np.abs(found[:, 2:]).max() < 1e-10


def test_shapes_of_points():
    found = smooth_map(quadratic, X_RANGE, Y_RANGE, 1e-9)
    assert found(5.0, 12.0).shape == (2,)
    assert found(np.zeros((3, 4)), np.full((3, 4), 15.0)).shape == (3, 4, 2)
    assert found(np.zeros(0), np.zeros(0)).shape == (0, 2)


def test_a_grid_has_rows_of_y():
    found = smooth_map(quadratic, X_RANGE, Y_RANGE, 1e-9)
    x, y = np.arange(7.0), np.arange(12.0, 17.0)
    grid = found.on_grid(x, y)
    assert grid.shape == (5, 7, 2)
    np.testing.assert_allclose(grid, quadratic(*np.meshgrid(x, y)), atol=1e-10)
    np.testing.assert_allclose(grid, found(*np.meshgrid(x, y)), atol=1e-11)


def test_a_grid_goes_into_the_array_that_is_given():
    found = smooth_map(quadratic, X_RANGE, Y_RANGE, 1e-9)
    whole = np.full((9, 9, 2), np.nan)
    part = whole[2:4, 3:6]
    assert found.on_grid(np.arange(3.0), np.array([11.0, 12.0]), out=part) is part
    np.testing.assert_array_equal(part, found.on_grid(np.arange(3.0), np.array([11.0, 12.0])))
    assert np.isnan(whole).sum() == 2 * (81 - 6)


@pytest.mark.parametrize(("periods", "terms"), [(0.25, 12), (2, 24), (5, 48)])
def test_finer_structure_gets_more_terms(periods, terms):
    found = smooth_map(wave(periods), X_RANGE, Y_RANGE, 1e-8)
    assert len(found.coefficients) == terms
    x, y = np.linspace(*X_RANGE, 201), np.linspace(*Y_RANGE, 31)
    np.testing.assert_allclose(found.on_grid(x, y), wave(periods)(*np.meshgrid(x, y)), atol=2e-8)


def test_no_more_terms_than_the_error_asks_for():
    assert len(smooth_map(wave(2), X_RANGE, Y_RANGE, 1e-8).coefficients) > 16
    assert len(smooth_map(wave(2), X_RANGE, Y_RANGE, 1e-2).coefficients) <= 16


def test_a_map_of_too_much_structure_has_no_approximation():
    with pytest.raises(NotSmooth, match=rf"{TERMS[-1]} terms per axis .* only, not to 1e-08"):
        smooth_map(wave(40), X_RANGE, Y_RANGE, 1e-8)


def test_a_step_has_no_approximation():
    with pytest.raises(NotSmooth, match="terms per axis"):
        smooth_map(lambda x, y: np.stack([x + 0.01 * (x > 50), y], axis=-1), X_RANGE, Y_RANGE, 1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_without_values_has_no_approximation(value):
    def function(x, y):
        return np.stack([np.where(x > 90, value, x), y], axis=-1)

    with pytest.raises(NotSmooth, match="no value at some points"):
        smooth_map(function, X_RANGE, Y_RANGE, 1e-8)


def test_a_value_missing_between_the_nodes_is_found_too():
    """The middle of the domain is no node of 8, but one of the points that are compared."""

    def function(x, y):
        return np.stack([np.where(np.abs(x - 49.5) < 1e-6, np.nan, x), y], axis=-1)

    with pytest.raises(NotSmooth):
        smooth_map(function, X_RANGE, Y_RANGE, 1e-8)


def test_not_smooth_is_a_value_error():
    assert issubclass(NotSmooth, ValueError)


def test_same_map_same_bytes():
    first, second = (smooth_map(wave(2), X_RANGE, Y_RANGE, 1e-8).coefficients for _ in range(2))
    assert first.tobytes() == second.tobytes()
