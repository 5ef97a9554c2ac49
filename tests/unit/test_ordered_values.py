import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.ordered_values import OrderedValues


def samples(seed):
    """Return values of some distribution: noise, noise with stars, few values that repeat, two heaps, equal ones."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40_000))
    noise = rng.normal(0.3, 0.05, n)
    kinds = (
        noise,
        noise + (rng.random(n) < 0.05) * rng.exponential(10, n),
        rng.integers(0, 5, n),
        np.where(rng.random(n) < 0.3, 1.0, 2.0) * noise,
        np.full(n, 0.1),
        1e30 * noise,
    )
    return rng, kinds[seed % len(kinds)].astype(np.float32)


@given(st.integers(0, 10_000))
def test_all_as_after_a_sort(seed):
    rng, values = samples(seed)
    before, ordered = values.copy(), OrderedValues(values)
    expected = np.sort(values)
    limits = rng.permutation([*rng.choice(values, 3), *rng.normal(0.3, 0.2, 3), -np.inf, np.inf]).astype(np.float32)
    for limit in limits:
        for side in ("left", "right"):
            assert ordered.rank(limit, side) == np.searchsorted(expected, limit, side)
        k = int(rng.integers(len(values)))
        assert ordered[k] == expected[k]
    first, last = sorted(ordered.rank(limit, "left") for limit in limits[:2])
    if first < last:
        part = expected[first:last].astype(np.float64)
        assert ordered.median(first, last) == np.median(part)
        np.testing.assert_array_equal(np.sort(ordered.part(first, last)), expected[first:last])
        mean, variance = ordered.mean_and_variance(first, last)
        spread = float(np.ptp(expected.astype(np.float64)))
        assert mean == pytest.approx(part.mean(), rel=1e-12, abs=1e-12 * spread)
        assert variance == pytest.approx(part.var(), rel=1e-9, abs=1e-12 * spread**2)
    np.testing.assert_array_equal(values, before)


@given(st.integers(0, 10_000))
def test_the_outermost_are_known_from_the_start(seed):
    _, values = samples(seed)
    ordered = OrderedValues(values)
    assert (ordered[-1], ordered[0]) == (values.max(), values.min())
    assert ordered[-len(values)] == values.min()


def test_the_largest_is_known_where_none_is_far_from_the_middle():
    """Of 1, 2 ... 9 the quartiles are 3 and 7: nothing is below -1 or above 11."""
    ordered = OrderedValues(np.array([9, 1, 8, 2, 7, 3, 6, 4, 5], np.float32))
    assert [ordered[rank] for rank in (-1, 0, -2)] == [9, 1, 8]


def test_nan_has_no_rank():
    rng = np.random.default_rng(0)
    values = rng.normal(size=40_000).astype(np.float32)
    with_nan = np.full(80_000, np.nan, np.float32)
    with_nan[rng.permutation(len(with_nan))[: len(values)]] = values
    ordered, expected = OrderedValues(with_nan), np.sort(values)
    assert len(ordered) == len(values)
    assert [ordered[rank] for rank in range(0, len(values), 999)] == expected[::999].tolist()
    assert len(OrderedValues(np.full(3, np.nan, np.float32))) == 0


def test_a_sample_that_is_not_like_the_rest():
    """Every third of 40,000 values is picked: 0, or none; the middle of the others is elsewhere."""
    for picked in (0.0, np.nan):
        values = np.linspace(-1, 2, 40_000, dtype=np.float32)
        values[::3] = picked
        expected = np.sort(values[~np.isnan(values)])
        ordered = OrderedValues(values)
        assert [ordered[rank] for rank in (0, 13_000, 20_000, -1)] == expected[[0, 13_000, 20_000, -1]].tolist()


def test_equal_values_have_exactly_themselves_as_their_mean():
    """A weight of 0.1, which no sum of float32 numbers keeps."""
    values = np.full(100_000, 0.1, np.float32)
    assert OrderedValues(values).mean_and_variance(0, len(values)) == (float(values[0]), 0.0)


@pytest.mark.parametrize("limits", [(-3.0, -2.5), (2.5, 3.0), (-0.1, 0.1), (-3.0, 3.0)])
def test_moments_of_what_is_between_two_values(limits):
    """Below the middle, above it, within it and around it."""
    values = np.random.default_rng(0).normal(size=50_000).astype(np.float32)
    ordered = OrderedValues(values)
    first, last = (ordered.rank(limit, "left") for limit in limits)
    kept = values[(values >= limits[0]) & (values < limits[1])].astype(np.float64)
    assert last - first == len(kept)
    assert ordered.mean_and_variance(first, last) == pytest.approx((kept.mean(), kept.var()), rel=1e-10)
