import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.sky.sky_statistics import SkyStatistic, sky_statistic

SKY_STATISTICS = ("mode", "median", "midpt", "mean")

# In bins of width 1 there are 1, 3, 2, 1 of them.
VALUES = [0, 1.1, 1.2, 1.3, 2.1, 2.2, 3]
# With this, bins of 0.9 are asked for; four bins from 0 to 3 are 1 wide.
BINWIDTH = 0.9 / np.std(VALUES, ddof=1)


def clipped(values, nclip, lsigma, usigma):
    """Clip with masks, in double precision."""
    values = np.asarray(values, float)
    low, high = -np.inf, np.inf
    for _ in range(nclip):
        kept = values[(values >= low) & (values <= high)]
        mean, std = kept.mean(), kept.std(ddof=1)
        low, high = mean - lsigma * std, mean + usigma * std
    return values[(values >= low) & (values <= high)]


def noise(seed=0, n=20_000, sky=0.3, sigma=0.05):
    """Return a sky with stars on it."""
    rng = np.random.default_rng(seed)
    values = rng.normal(sky, sigma, n)
    values[: n // 50] += rng.exponential(1.0, n // 50)
    return rng.permutation(values).astype(np.float32)


def test_mode_is_the_highest_bin_refined():
    """Peak 3, neighbours 1 and 2: at 1.5 + 0.5 * (2 - 1) / (2 + 1) bins, taken as 0.9 wide."""
    sky = sky_statistic(VALUES, nclip=0, binwidth=BINWIDTH)
    assert sky.value == pytest.approx((1.5 + 1 / 6) * 0.9, rel=1e-6)
    assert sky.n == 7


def test_midpoint_is_where_half_of_the_histogram_lies():
    """One of 7 in the first bin, 3 in the second: (3.5 - 1) / 3 into it."""
    sky = sky_statistic(VALUES, skystat="midpt", nclip=0, binwidth=BINWIDTH)
    assert sky.value == pytest.approx((1 + 2.5 / 3) * 0.9, rel=1e-6)


def test_midpoint_in_the_first_bin():
    """Four of 5 are in the first of two bins."""
    values = [0, 0.1, 0.2, 0.3, 1]
    sky = sky_statistic(values, skystat="midpt", nclip=0, binwidth=0.6 / np.std(values, ddof=1))
    assert sky.value == pytest.approx(2.5 / 4 * 0.6, rel=1e-6)


@pytest.mark.parametrize(("values", "place"), [([0, 0.1, 0.2, 1.5, 2.5, 3], 0.5), ([0, 1.5, 2.5, 3, 3, 3], 3.5)])
def test_mode_in_a_bin_at_the_end_is_its_centre(values, place):
    sky = sky_statistic(values, nclip=0, binwidth=0.9 / np.std(values, ddof=1))
    assert sky.value == pytest.approx(place * 0.9, rel=1e-6)


def test_first_of_equal_bins_is_the_mode():
    """Bins 1, 2, 1, 2, 1: the second, with neighbours alike."""
    values = [0, 1.2, 1.4, 2.5, 3.2, 3.4, 4]
    sky = sky_statistic(values, nclip=0, binwidth=0.9 / np.std(values, ddof=1))
    assert sky.value == pytest.approx(1.5 * 0.9, rel=1e-6)


def test_clipped_first_pixel_puts_the_end_of_the_histogram_at_the_limit():
    """From 0 to 3.5 in four bins there are 2, 4, 1, 0: at 1.5 + 0.5 * (2 - 3) / 5 bins."""
    first, last = (
        sky_statistic(values, nclip=0, binwidth=BINWIDTH, upper=3.5) for values in ([9, *VALUES], [*VALUES, 9])
    )
    assert first.value == pytest.approx(1.4 * 0.9, rel=1e-6)
    assert last.value == pytest.approx((1.5 + 1 / 6) * 0.9, rel=1e-6)


def test_limits_include_their_values():
    assert sky_statistic(VALUES, skystat="mean", nclip=0, lower=1.5, upper=3) == SkyStatistic(pytest.approx(7.3 / 3), 3)


def test_outlier_is_clipped():
    """With 0 and 2 ten times each and 100, the mean is 5.71 and the standard deviation 21.6."""
    values = [0] * 10 + [2] * 10 + [100]
    assert sky_statistic(values, skystat="mean", nclip=0).value == pytest.approx(120 / 21)
    assert sky_statistic(values, skystat="mean", nclip=1) == SkyStatistic(1.0, 20)
    assert sky_statistic(values, skystat="mean", nclip=1, usigma=5).n == 21
    assert sky_statistic(values, skystat="median", nclip=1) == SkyStatistic(1.0, 20)


@pytest.mark.parametrize(("values", "middle"), [([3, 1, 2], 2.0), ([4, 1, 3, 2], 2.5)])
def test_median(values, middle):
    assert sky_statistic(values, skystat="median", nclip=0).value == middle


@given(st.integers(0, 10_000), st.integers(0, 6), st.floats(2, 5), st.floats(2, 5))
def test_clipping_agrees_with_masks(seed, nclip, lsigma, usigma):
    values = noise(seed, n=500)
    expected = clipped(values, nclip, lsigma, usigma)
    mean, median = (
        sky_statistic(values, skystat=skystat, nclip=nclip, lsigma=lsigma, usigma=usigma)
        for skystat in ("mean", "median")
    )
    assert mean.n == len(expected)
    assert mean.value == pytest.approx(expected.mean(), rel=1e-6)
    assert median.value == pytest.approx(np.median(expected), rel=1e-12)


@pytest.mark.parametrize("skystat", SKY_STATISTICS)
def test_sky_of_noise_with_stars(skystat):
    sky = sky_statistic(noise(), skystat=skystat)
    assert sky.value == pytest.approx(0.3, abs=0.02)  # the mode scatters by about two bins of 0.005
    assert 19_500 < sky.n < 19_900


@pytest.mark.parametrize("skystat", SKY_STATISTICS)
def test_unit_does_not_matter(skystat):
    values = noise()
    in_jansky = sky_statistic(values * np.float32(2.0**-40), skystat=skystat)
    expected = sky_statistic(values, skystat=skystat)
    assert in_jansky == SkyStatistic(pytest.approx(expected.value * 2.0**-40), expected.n)


@pytest.mark.parametrize("n", [9, 20, 1000])
def test_values_none_of_which_is_far_from_the_others_all_count(n):
    """In a small overlap no pixel need be far from the middle. The last one here is not the largest."""
    values = np.roll(np.arange(n, dtype=np.float32), n // 2)
    assert sky_statistic(values, skystat="mean", nclip=0) == SkyStatistic((n - 1) / 2, n)


def test_high_level_keeps_the_digits_of_the_scatter():
    values = np.round(noise() * 1024) / 1024  # exact in float32, also with 1000 added
    high, low = sky_statistic(values + np.float32(1000)), sky_statistic(values)
    assert high.n == low.n
    assert high.value == pytest.approx(low.value + 1000, abs=1e-4)


@pytest.mark.parametrize("skystat", SKY_STATISTICS)
def test_nothing_to_measure_gives_none(skystat):
    for values in ([], [np.nan, np.inf, -np.inf]):
        assert sky_statistic(np.array(values), skystat=skystat) is None
    assert sky_statistic([1, 2, 3], skystat=skystat, lower=4) is None
    assert sky_statistic([1, 2, 3], skystat=skystat, lower=1.2, upper=1.8) is None


def test_clipping_of_everything_gives_none():
    assert sky_statistic([0.0, 1.0], lsigma=0.1, usigma=0.1) is None


def test_one_pixel_has_a_mean_but_no_mode():
    assert sky_statistic([7.0], skystat="mean") == SkyStatistic(7.0, 1)
    assert sky_statistic([7.0], skystat="median") == SkyStatistic(7.0, 1)
    assert sky_statistic([7.0], skystat="mode") is None
    assert sky_statistic([7.0], skystat="midpt") is None


@pytest.mark.parametrize("skystat", SKY_STATISTICS)
def test_sky_without_noise_is_its_value(skystat):
    assert sky_statistic(np.full((3, 4), 2.5), skystat=skystat) == SkyStatistic(2.5, 12)


def test_values_that_are_not_finite_are_left_out_and_the_input_is_kept():
    values = np.array([np.nan, *VALUES, np.inf, -np.inf], np.float32)
    before = values.copy()
    assert sky_statistic(values, nclip=0, binwidth=BINWIDTH) == sky_statistic(VALUES, nclip=0, binwidth=BINWIDTH)
    np.testing.assert_array_equal(values, before)


def test_unknown_statistic_is_named():
    with pytest.raises(ValueError, match="'average'; it must be one of mode, median, mean, midpt"):
        sky_statistic(VALUES, skystat="average")
