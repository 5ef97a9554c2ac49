import math

import numpy as np
import pytest
from astropy.stats import biweight_location, biweight_midvariance
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from calflow.science.calibration import frame_combination
from calflow.science.calibration.frame_combination import combine_frames
from calflow.science.dq_flags import FLAGS

NAN = np.nan
HOT, DNU, WARM = FLAGS["HOT"], FLAGS["DO_NOT_USE"], FLAGS["WARM"]


def pixel(*values):
    """Return a stack of one pixel."""
    return np.array(values, np.float32).reshape(-1, 1, 1)


def combine(*values, err=None, dq=None, **options):
    sci = pixel(*values)
    err = np.ones_like(sci) if err is None else pixel(*err)
    dq = np.zeros(sci.shape, np.uint32) if dq is None else np.array(dq, np.uint32).reshape(sci.shape)
    out = combine_frames(sci, err, dq, **{"flags": "any"} | options)
    return out.sci[0, 0], out.err[0, 0], out.dq[0, 0], out.n[0, 0]


def test_the_mean_and_what_its_scatter_tells_of_its_error():
    # Deviations -2, 0, 2: variance of a sample 8/2, of the mean 4/3.
    assert combine(2, 4, 6) == (4, pytest.approx(math.sqrt(4 / 3)), 0, 3)


def test_the_error_of_the_samples_is_propagated_to_the_mean():
    assert combine(2, 4, err=(3, 4), error="propagate") == (3, 2.5, 0, 2)  # sqrt(9 + 16) / 2


def test_the_weighted_mean_has_its_own_propagated_error():
    # Weights 1 and 1/4: (2 + 7/4) / (5/4); error 1 / sqrt(5/4).
    value, error, _, n = combine(2, 7, err=(1, 2), method="wmean", error="propagate")
    assert (value, error, n) == (3, pytest.approx(math.sqrt(0.8)), 2)


def test_the_measured_error_of_samples_of_different_weight():
    # w = 0.8, 0.2; M = 3; (0.8 + 0.2 x 16) / (1 - 0.68) / 2
    value, error, *_ = combine(2, 7, err=(1, 2), method="wmean")
    assert (value, error) == (3, pytest.approx(2.5))


@pytest.mark.parametrize(("values", "median"), [((9, 1, 2), 2), ((9, 1, 2, 4), 3), ((1, 5), 3), ((7,), 7)])
def test_the_median(values, median):
    assert combine(*values, method="median")[0] == median


def test_a_median_has_a_larger_error_than_a_mean():
    # Of three Gaussian samples the median has variance 0.4487, the mean 1/3.
    mean, median = (combine(2, 4, 6, method=method)[1] for method in ("mean", "median"))
    assert median / mean == pytest.approx(math.sqrt(3 * 0.4487), rel=1e-3)
    error = combine(2, 4, 6, err=(2, 2, 2), method="median", error="propagate")[1]
    assert error == pytest.approx(2 * math.sqrt(0.4487), rel=1e-3)


@pytest.mark.parametrize("method", ["mean", "median"])
def test_two_samples_have_the_same_median_and_mean_and_error(method):
    assert combine(2, 4, err=(3, 4), method=method, error="propagate") == (3, 2.5, 0, 2)


def variance_of_median(n):
    """Return the variance of the median of n (odd) Gaussian samples, from its density."""
    k = n // 2

    def moment(x):
        below = stats.norm.cdf(x)
        return x * x * (below * (1 - below)) ** k * stats.norm.pdf(x)

    ways = math.factorial(n) / math.factorial(k) ** 2
    return ways * integrate.quad(moment, -8, 8)[0]


@pytest.mark.parametrize("n", [3, 5, 7, 11, 25])
def test_the_width_of_the_median_is_that_of_the_order_statistic(n):
    width = frame_combination._width_of_median(np.array(n))
    assert width == pytest.approx(math.sqrt(n * variance_of_median(n)), rel=0.005)


@pytest.mark.parametrize("n", [4, 6, 10])
def test_the_width_of_the_median_of_an_even_number(n):
    samples = np.random.default_rng(n).normal(size=(200_000, n))
    width = np.median(samples, axis=1).std() * math.sqrt(n)  # known to 0.2 per cent
    assert frame_combination._width_of_median(np.array(n)) == pytest.approx(width, rel=0.01)


@pytest.mark.parametrize("method", ["mean", "median", "wmean"])
@pytest.mark.parametrize("error", ["measure", "propagate"])
def test_a_single_sample_keeps_its_error(method, error):
    assert combine(5, NAN, err=(3, 1), method=method, error=error) == (5, 3, 0, 1)


@pytest.mark.parametrize("method", ["mean", "median", "wmean"])
@pytest.mark.parametrize("error", ["measure", "propagate"])
@pytest.mark.parametrize("sigma_clip", [True, False])
def test_of_nothing_there_is_no_value(method, error, sigma_clip):
    value, err, dq, n = combine(5, NAN, dq=(HOT, 0), method=method, error=error, sigma_clip=sigma_clip)
    assert np.isnan([value, err]).all()
    assert (dq, n) == (HOT, 0)


@pytest.mark.parametrize("sigma_clip", [True, False])
@pytest.mark.parametrize("method", ["mean", "median", "wmean"])
def test_flagged_samples_are_never_used(method, sigma_clip):
    value, err, dq, n = combine(1, 3, 90, dq=(0, 0, HOT), method=method, sigma_clip=sigma_clip)
    assert (value, err, dq, n) == (2, 1, HOT, 2)


@pytest.mark.parametrize("bad", [(NAN, 1), (np.inf, 1), (90, NAN), (90, np.inf)])
def test_samples_without_a_value_or_an_error_are_not_used(bad):
    assert combine(1, 3, bad[0], err=(1, 1, bad[1])) == (2, 1, 0, 2)


def test_flags_of_any_frame_or_of_all():
    flags = (HOT | WARM, WARM, WARM | DNU)
    assert combine(1, 2, 3, dq=flags)[2] == HOT | WARM | DNU
    assert combine(1, 2, 3, dq=flags, flags="all")[2] == WARM


def test_frames_of_unknown_error_have_equal_weight():
    assert combine(2, 4, 6, err=(0, 0, 1)) == (4, pytest.approx(math.sqrt(4 / 3)), 0, 3)


def test_a_weighted_mean_uses_only_samples_of_known_error():
    assert combine(2, 4, 6, err=(0, 1, 1), method="wmean") == (5, 1, 0, 2)


GOOD = (9.8, 10.1, 10.0, 9.9, 10.2)  # deviations sum to 0, squares to 0.1
GOOD_ERROR = math.sqrt(0.1 / 4 / 5)


@pytest.mark.parametrize("outlier", [50, -30])
def test_an_outlier_counts_neither_in_value_nor_in_error(outlier):
    value, error, _, n = combine(*GOOD, outlier)
    assert (value, error, n) == (pytest.approx(10), pytest.approx(GOOD_ERROR, rel=1e-4), 5)
    propagated = combine(*GOOD, outlier, error="propagate")[1]
    assert propagated == pytest.approx(1 / math.sqrt(5))


def test_without_clipping_the_outlier_is_in():
    assert combine(*GOOD, 70, sigma_clip=False)[::3] == (20, 6)


def test_both_sides_have_their_own_threshold():
    assert combine(*GOOD, 50, sigma_high=1e6)[3] == 6
    assert combine(*GOOD, -30, sigma_low=1e6)[3] == 6


def test_few_samples_are_not_clipped():
    assert combine(10, 10.1, 50)[3] == 3
    assert combine(*GOOD, 50, min_samples=6)[3] == 6
    assert combine(*GOOD, 50, maxiters=0)[3] == 6


def test_clipping_goes_on_until_nothing_changes():
    # 16.8 stands out only when 1000 is gone.
    values = (9.5, 10.1, 10.5, 11.5, 11.8, 16.8, 1000)
    assert [combine(*values, maxiters=rounds)[3] for rounds in (0, 1, 2, 50)] == [7, 6, 5, 5]


def test_of_samples_that_are_equal_but_for_one_that_one_is_clipped():
    assert combine(5, 5, 5, 5, 6) == (5, 0, 0, 4)


def test_equal_samples_have_no_scatter():
    assert combine(5, 5, 5, 5, 5) == (5, 0, 0, 5)


def test_the_biweight_is_that_of_astropy():
    # In samples symmetric about their median the location is the median, and both have one deviation.
    samples = np.array([[-3.0, -1, -0.5, 0, 0.5, 1, 3], [NAN, -1, -0.5, 0, 0.5, 1, NAN]]).T
    location, scatter = frame_combination._biweight(samples)
    assert location == pytest.approx([0, 0])
    expected = biweight_midvariance(samples, axis=0, modify_sample_size=True, ignore_nan=True)
    assert np.square(scatter) == pytest.approx(expected)
    samples = np.random.default_rng(3).normal(size=(9, 5))
    location, _ = frame_combination._biweight(samples)
    assert location == pytest.approx(biweight_location(samples, axis=0))


def test_the_measured_error_is_what_repeated_means_scatter():
    sci = np.random.default_rng(5).normal(10, 2, (8, 60, 60)).astype(np.float32)
    out = combine_frames(sci, np.ones_like(sci), np.zeros(sci.shape, np.uint32), sigma_clip=False)
    assert np.sqrt(np.mean(np.square(out.err))) == pytest.approx(out.sci.std(), rel=0.05)
    assert out.sci.std() == pytest.approx(2 / math.sqrt(8), rel=0.05)


def random_frames(shape=(5, 13, 7)):
    rng = np.random.default_rng(2)
    sci = rng.normal(10, 1, shape).astype(np.float32)
    sci[rng.random(shape) < 0.1] += 40
    sci[rng.random(shape) < 0.1] = NAN
    dq = np.where(rng.random(shape) < 0.1, HOT, 0).astype(np.uint16)
    return sci, rng.uniform(0.5, 2, shape).astype(np.float32), dq


@pytest.mark.parametrize("method", ["mean", "median", "wmean"])
def test_bands_of_rows_change_nothing(method, monkeypatch):
    frames = random_frames()
    at_once = combine_frames(*frames, method=method)
    monkeypatch.setattr(frame_combination, "BAND_BYTES", 3 * 8 * 5 * 7)
    in_bands = combine_frames(*frames, method=method)
    for name in ("sci", "err", "dq", "n"):
        np.testing.assert_array_equal(getattr(in_bands, name), getattr(at_once, name))


def test_frames_may_be_a_list_of_images_in_the_byte_order_of_fits():
    sci, err, dq = random_frames()
    listed = combine_frames(list(sci.astype(">f4")), list(err.astype(">f4")), list(dq.astype(">u2")))
    stacked = combine_frames(sci, err, dq)
    np.testing.assert_array_equal(listed.sci, stacked.sci)
    assert [plane.dtype for plane in (listed.sci, listed.err, listed.dq, listed.n)] == [
        np.float32,
        np.float32,
        np.uint32,
        np.int32,
    ]


def test_inputs_stay_as_they_are():
    frames = random_frames()
    copies = [stack.copy() for stack in frames]
    combine_frames(*frames, method="median")
    for stack, copy in zip(frames, copies, strict=True):
        np.testing.assert_array_equal(stack, copy)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"method": "mode"}, "method is 'mode'; it must be one of mean, median, wmean"),
        ({"error": "guess"}, "error is 'guess'; it must be one of measure, propagate"),
        ({"flags": "or"}, "flags is 'or'; it must be one of any, all"),
    ],
)
def test_an_unknown_choice_is_refused(option, message):
    with pytest.raises(ValueError, match=message):
        combine(1, 2, **option)


def test_stacks_that_do_not_fit_are_refused():
    sci, err, dq = random_frames()
    for stacks in ((sci, err, dq[:, :-1]), (sci, err[:-1], dq), (sci[0], err[0], dq[0]), ([], [], [])):
        with pytest.raises(ValueError, match="frames to combine must be stacks"):
            combine_frames(*stacks)


@given(
    st.lists(st.floats(-100, 100, width=16), min_size=1, max_size=9),
    st.sampled_from(["mean", "median", "wmean"]),
    st.sampled_from(["measure", "propagate"]),
)
def test_a_combination_lies_among_its_samples(values, method, error):
    value, err, _, n = combine(*values, method=method, error=error)
    assert min(values) - 1e-4 <= value <= max(values) + 1e-4
    assert 1 <= n <= len(values)
    assert err >= 0


def test_a_common_level_moves_the_value_and_nothing_else():
    sci, err, dq = random_frames()
    at_zero, shifted = combine_frames(sci, err, dq), combine_frames(sci + 64, err, dq)
    np.testing.assert_allclose(shifted.sci, at_zero.sci + 64, rtol=1e-6)
    np.testing.assert_allclose(shifted.err, at_zero.err, rtol=1e-4)
