import math

import numpy as np
import pytest
from astropy.stats import sigma_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calflow.science.calibration.background import (
    Background,
    _largest_deviation,
    average_integrations,
    combine,
    place,
    subtract,
)
from calflow.science.image import Image
from calflow.science.windows import Window

NAN = np.nan
windows = st.builds(Window, st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))


def stack(*samples):
    """Return a stack of one-pixel images."""
    return np.array(samples, np.float32).reshape(-1, 1, 1)


def combine_pixel(sci, err=None, dq=None, **options):
    """Combine one-pixel images and return the value, error and flags of the pixel."""
    err = [1.0] * len(sci) if err is None else err
    dq = np.array([0] * len(sci) if dq is None else dq, np.uint32).reshape(-1, 1, 1)
    out = combine(stack(*sci), stack(*err), dq, **options)
    return float(out.sci[0, 0]), float(out.err[0, 0]), int(out.dq[0, 0])


def test_mean_error_of_the_mean_and_union_of_the_flags():
    sci, err, dq = combine_pixel([1, 2, 6], [3, 4, 12], [1, 4, 0])
    assert sci == 3
    assert err == pytest.approx(13 / 3)  # sqrt(9 + 16 + 144) / 3
    assert dq == 5


def test_types_and_shape():
    out = combine(np.ones((2, 3, 4), "f4"), np.ones((2, 3, 4), "f4"), np.zeros((2, 3, 4), "u4"))
    assert (out.sci.dtype, out.err.dtype, out.dq.dtype) == (np.float32, np.float32, np.uint32)
    assert out.sci.shape == out.err.shape == out.dq.shape == (3, 4)


@pytest.mark.parametrize("clip", ["scatter", "error"])
@pytest.mark.parametrize("missing", [NAN, np.inf, -np.inf])
def test_samples_without_a_value_do_not_count_but_their_flags_do(clip, missing):
    sci, err, dq = combine_pixel([2, missing, 4], [3, 100, 4], [0, 1, 2], clip=clip)
    assert (sci, err, dq) == (3, 2.5, 3)


@pytest.mark.parametrize("clip", ["scatter", "error"])
@pytest.mark.parametrize("n", [2, 9])
def test_a_pixel_without_any_value_is_0_so_that_nothing_is_subtracted(clip, n):
    assert combine_pixel([NAN] * n, dq=[1] + [0] * (n - 1), clip=clip) == (0, 0, 1)


def test_flags_exclude_no_sample():
    assert combine_pixel([1, 5], dq=[1, 0])[0] == 3


def test_scatter_rejects_nothing_among_7_at_3_sigma():
    assert combine_pixel([0] * 6 + [700])[0] == 100


def test_scatter_rejects_one_among_8_at_3_sigma_and_keeps_its_flags():
    sci, err, dq = combine_pixel([0] * 7 + [700], dq=[0] * 7 + [4])
    assert sci == 0
    assert err == pytest.approx(1 / math.sqrt(7))
    assert dq == 4


def test_scatter_goes_on_until_nothing_more_is_rejected():
    samples = [0] * 8 + [10, 1000]  # the 10 is an outlier only without the 1000
    assert combine_pixel(samples, maxiters=1)[0] == pytest.approx(10 / 9)
    assert combine_pixel(samples)[0] == 0


def test_the_largest_possible_deviation_is_that_of_the_worst_case():
    worst = np.array([0, 0, 0, 0, 0.2, 0.2, 1])
    assert worst[-1] / worst.std() == pytest.approx(_largest_deviation(7), rel=1e-6)
    assert 7 / math.sqrt(6) < 2.9 < _largest_deviation(7) < 3
    assert combine_pixel(worst, sigma=2.9, maxiters=1)[0] == pytest.approx(0.4 / 6)


@settings(deadline=None)
@given(st.integers(1, 15), st.data())
def test_no_sample_is_further_from_the_median_than_the_largest_deviation(n, data):
    samples = data.draw(hnp.arrays(np.float64, n, elements=st.integers(-50, 50)))
    deviation = np.abs(samples - np.median(samples)).max()
    assert deviation <= _largest_deviation(n) * samples.std() * (1 + 1e-12)


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 10), st.just(2), st.just(3)),
        elements=st.floats(-1000, 1000, width=32) | st.sampled_from([0.0, 1.0, NAN]),
    ),
    st.sampled_from([1.0, 1.5, 2.0, 2.5, 2.6, 3.0, 5.0]),
)
def test_scatter_is_the_masked_mean_of_astropy_sigma_clip(sci, sigma):
    out = combine(sci, np.full_like(sci, 2), np.zeros(sci.shape, np.uint32), sigma=sigma)
    masked = np.ma.masked_invalid(sci.astype(np.float64))
    clipped = sigma_clip(masked, sigma=sigma, maxiters=None, axis=0)
    assert np.allclose(out.sci, clipped.mean(axis=0).filled(0), rtol=1e-6, atol=1e-6)
    number = clipped.count(axis=0)
    assert np.allclose(out.err, np.where(number > 0, 2 / np.sqrt(np.maximum(number, 1)), 0), rtol=1e-6)


def test_error_rejects_an_outlier_among_four():
    sci, err, dq = combine_pixel([10, 10.25, 9.75, 500], [0.25] * 4, [0, 0, 0, 4], clip="error")
    assert sci == pytest.approx(10)
    assert err == pytest.approx(0.25 / math.sqrt(3))
    assert dq == 4


def test_error_judges_each_sample_by_its_own_error():
    assert combine_pixel([10, 10, 10, 18], [1, 1, 1, 4], clip="error")[0] == 12
    assert combine_pixel([10, 10, 10, 18], [1, 1, 1, 2], clip="error")[0] == 10


def test_error_looks_again_after_a_rejection():
    # The median is 2 with the 100, and 1 without it: then the 4.5 is more than 3 errors away.
    samples = [0, 1, 1, 3, 4.5, 100]
    assert combine_pixel(samples, clip="error", maxiters=1)[0] == pytest.approx(9.5 / 5)
    assert combine_pixel(samples, clip="error")[0] == pytest.approx(5 / 4)


def test_error_cannot_tell_which_of_two_is_wrong():
    assert combine_pixel([0, 100], [0.1, 5], clip="error")[0] == 50
    assert combine_pixel([0, 100, NAN], [0.1, 5, 1], clip="error")[0] == 50


def test_error_keeps_all_when_all_are_far_from_the_median():
    assert combine_pixel([0, 0, 9, 9], [0.1] * 4, clip="error")[0] == 4.5


def test_error_keeps_a_sample_of_unknown_error():
    assert combine_pixel([0, 0, 0, 8], [1, 1, 1, NAN], clip="error")[0] == 2


@pytest.mark.parametrize("samples", [[1, 2, 9], [1, 2, 3, 10]])
def test_error_keeps_samples_whose_errors_are_0(samples):
    assert combine_pixel(samples, [0] * len(samples), clip="error")[0] == 4


@pytest.mark.parametrize(("value", "error"), [(np.inf, 1), (-3e38, 1), (5, -1), (5, np.inf)])
@pytest.mark.parametrize("clip", ["scatter", "error"])
def test_what_is_no_value_is_left_out(value, error, clip):
    assert combine_pixel([1, 3, value], [2, 2, error], clip=clip) == (2, pytest.approx(8**0.5 / 2), 0)
    mean, rms, _ = average_integrations(stack(1, 3, value), stack(2, 2, error), np.zeros((3, 1, 1), np.uint32))
    assert (mean[0, 0], rms[0, 0]) == (2, 2)


def test_error_judges_every_pixel_by_itself():
    sci = np.zeros((3, 2, 2), np.float32)
    sci[1, 0, 1] = 90
    sci[:, 1, 0] = [1, 2, 3]
    out = combine(sci, np.ones_like(sci), np.zeros(sci.shape, np.uint32), clip="error")
    assert out.sci.tolist() == [[0, 0], [2, 0]]


def test_bands_of_rows_give_the_whole():
    sci = np.random.default_rng(1).standard_cauchy((9, 6, 5)).astype(np.float32)
    err, dq = np.ones_like(sci), np.zeros(sci.shape, np.uint32)
    whole = combine(sci, err, dq)
    bands = [combine(sci[:, y : y + 2], err[:, y : y + 2], dq[:, y : y + 2]).sci for y in (0, 2, 4)]
    assert np.array_equal(np.concatenate(bands), whole.sci)


def test_combine_leaves_its_input_alone():
    sci, err, dq = stack(*[0] * 8, 99), stack(*[1] * 9), np.ones((9, 1, 1), np.uint32)
    combine(sci, err, dq)
    combine(sci, err, dq, clip="error")
    assert sci.ravel().tolist() == [0] * 8 + [99]
    assert err.ravel().tolist() == [1] * 9


def test_unknown_clip_method_is_refused():
    with pytest.raises(ValueError, match="clip is 'median'; it must be one of scatter, error"):
        combine_pixel([1, 2], clip="median")


@pytest.mark.parametrize("shapes", [((2, 2), (2, 2), (2, 2)), ((2, 1, 1), (3, 1, 1), (2, 1, 1)), ((0, 2, 2),) * 3])
def test_arrays_that_are_no_stack_are_refused(shapes):
    arrays = [np.zeros(shape, np.float32) for shape in shapes]
    for function in (combine, average_integrations):
        with pytest.raises(ValueError, match="must be stacks"):
            function(*arrays[:2], arrays[2].astype(np.uint32))


def test_integrations_are_averaged_without_outliers_values_and_errors_each_by_themselves():
    sci, err, dq = (stack(*[2] * 9, 1000), stack(500, *[3] * 9), np.zeros((10, 1, 1), np.uint32))
    dq[9] = 4
    dq[3] = 1
    mean, error, flags = average_integrations(sci, err, dq)
    assert (mean[0, 0], error[0, 0], flags[0, 0]) == (2, 3, 5)
    assert (mean.dtype, error.dtype, flags.dtype) == (np.float64, np.float64, np.uint32)


def test_the_error_of_averaged_integrations_is_the_root_mean_square():
    _, error, _ = average_integrations(stack(1, 1), stack(1, 7), np.zeros((2, 1, 1), np.uint32))
    assert error[0, 0] == 5  # sqrt((1 + 49) / 2)


def test_integrations_without_a_value_do_not_count():
    mean, error, _ = average_integrations(stack(1, NAN, 3), stack(NAN, 2, 2), np.zeros((3, 1, 1), np.uint32))
    assert (mean[0, 0], error[0, 0]) == (2, 2)


def test_a_background_without_a_value_in_any_integration_does_not_count():
    """In jwst it counts as a 0, which leaves part of the background in the science."""
    dq = np.zeros((2, 1, 1), np.uint32)
    parts = [average_integrations(stack(*values), stack(1, 1), dq) for values in ([6, 6], [NAN, NAN])]
    assert np.isnan(parts[1][0])
    out = combine(*(np.stack(planes) for planes in zip(*parts, strict=True)))
    assert out.sci[0, 0] == 6


def test_place_puts_a_subarray_at_its_place_on_the_detector():
    """In jwst it is at the lower left corner, whatever its place."""
    out = place(np.array([[1, 2], [3, 4]], np.float32), Window(3, 2, 2, 2), Window(1, 1, 4, 4), NAN)
    assert np.array_equal(out, [[NAN] * 4, [NAN, NAN, 1, 2], [NAN, NAN, 3, 4], [NAN] * 4], equal_nan=True)


def test_place_cuts_a_larger_array():
    array = np.arange(20).reshape(4, 5)
    assert place(array, Window(1, 1, 5, 4), Window(2, 3, 3, 2), 0).tolist() == [[11, 12, 13], [16, 17, 18]]


def test_place_of_windows_that_stick_out_of_each_other():
    out = place(np.array([[1, 2], [3, 4]], np.uint32), Window(2, 1, 2, 2), Window(1, 2, 2, 2), 0)
    assert out.tolist() == [[0, 3], [0, 0]]
    assert out.dtype == np.uint32


def test_place_without_an_overlap_is_all_fill():
    out = place(np.ones((2, 2), np.float32), Window(1, 1, 2, 2), Window(5, 5, 3, 2), NAN)
    assert out.shape == (2, 3)
    assert np.isnan(out).all()


def test_place_keeps_the_integrations():
    out = place(np.arange(2).reshape(2, 1, 1), Window(2, 1, 1, 1), Window(1, 1, 2, 1), 9)
    assert out.tolist() == [[[9, 0]], [[9, 1]]]


def test_place_refuses_an_array_that_is_not_its_window():
    with pytest.raises(ValueError, match=r"shape \(2, 3\) does not fill its window columns 1\.\.2, rows 1\.\.3"):
        place(np.ones((2, 3)), Window(1, 1, 2, 3), Window(1, 1, 2, 2), 0)


@given(windows, windows)
def test_every_pixel_keeps_its_place_on_the_detector(own, target):
    def numbers(window):
        rows, columns = np.mgrid[: window.ny, : window.nx]
        return (rows + window.ystart) * 100 + columns + window.xstart

    expected = np.where(np.isin(numbers(target), numbers(own)), numbers(target), -1)
    assert np.array_equal(place(numbers(own), own, target, -1), expected)


def test_a_subarray_background_is_subtracted_where_it_was_seen_and_nowhere_else():
    own, target = Window(2, 2, 1, 1), Window(1, 1, 2, 2)
    planes = [
        place(array[None], own, target, fill)
        for array, fill in (
            (np.full((1, 1), 3, "f4"), NAN),
            (np.ones((1, 1), "f4"), NAN),
            (np.full((1, 1), 4, "u4"), 0),
        )
    ]
    science = Image(np.full((2, 2), 10, "f4"), np.ones((2, 2), "f4"), np.zeros((2, 2), "u4"))
    out = subtract(science, combine(*planes))
    assert out.sci.tolist() == [[10, 10], [10, 7]]
    assert out.dq.tolist() == [[0, 0], [0, 4]]


def exposure(*shape):
    planes = [np.full(shape, value, np.float32) for value in (10, 2, 1, 3)]
    return Image(planes[0], planes[1], np.full(shape, 2, np.uint32), planes[2], planes[3])


def background(values, dq=1):
    sci = np.array(values, np.float32)
    return Background(sci, np.full_like(sci, 9), np.full(sci.shape, dq, np.uint32))


def test_subtract_changes_sci_and_dq_only():
    science = exposure(1, 2)
    out = subtract(science, background([[1, 4]]))
    assert out.sci.tolist() == [[9, 6]]
    assert out.sci.dtype == np.float32
    assert out.dq.tolist() == [[3, 3]]
    assert out.err is science.err
    assert out.var_poisson is science.var_poisson
    assert out.var_rnoise is science.var_rnoise
    assert out.var_flat is None


def test_subtract_takes_the_background_from_every_integration():
    science = exposure(2, 1, 2)
    science.sci[1] = 20
    out = subtract(science, background([[1, 4]]))
    assert out.sci.tolist() == [[[9, 6]], [[19, 16]]]
    assert out.dq.tolist() == [[[3, 3]], [[3, 3]]]


def test_subtract_leaves_its_input_alone_and_nan_stays_nan():
    science, sky = exposure(1, 2), background([[1, 4]])
    science.sci[0, 0] = NAN
    out = subtract(science, sky)
    assert np.array_equal(out.sci, [[NAN, 6]], equal_nan=True)
    assert np.array_equal(science.sci, [[NAN, 10]], equal_nan=True)
    assert science.dq.tolist() == [[2, 2]]
    assert sky.dq.tolist() == [[1, 1]]


def test_subtract_refuses_a_background_of_another_shape():
    with pytest.raises(ValueError, match=r"shape \(1, 1\), the exposure \(1, 2\)"):
        subtract(exposure(1, 2), background([[1]]))
