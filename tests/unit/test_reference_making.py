import math

import numpy as np
import pytest

from calflow.science.calibration.dark_current import Dark
from calflow.science.calibration.reference_making import master_dark, normalised_flat
from calflow.science.dq_flags import FLAGS

NAN = np.nan
HOT, NO_FLAT = FLAGS["HOT"], FLAGS["NO_FLAT_FIELD"]
UNRELIABLE_DARK, UNRELIABLE_FLAT = FLAGS["UNRELIABLE_DARK"], FLAGS["UNRELIABLE_FLAT"]


def stacks(*frames, err=1.0):
    """Return sci, err and dq of frames of one row each."""
    sci = np.array([[frame] for frame in frames], np.float32)
    return sci, np.full_like(sci, err), np.zeros(sci.shape, np.uint32)


def dark(*values, err=None, dq=0):
    sci = np.array([values], np.float32)
    return Dark(sci, np.full(sci.shape, dq, np.uint32), None if err is None else np.full_like(sci, err))


def test_a_dark_is_the_mean_of_dark_exposures_with_its_measured_error():
    out = master_dark(*stacks([2, 1], [4, 1], [6, 1]))
    assert out.sci.tolist() == [[4, 1]]
    assert out.err[0].tolist() == pytest.approx([math.sqrt(4 / 3), 0])
    assert out.dq.tolist() == [[0, 0]]


def test_options_of_the_combination_are_passed_on():
    out = master_dark(*stacks([2], [3], [9]), method="median", error="propagate")
    assert out.sci[0, 0] == 3
    assert out.err[0, 0] == pytest.approx(math.sqrt(0.4487), rel=1e-3)


def test_a_pixel_without_a_usable_dark_is_marked():
    sci, err, dq = stacks([2, 2], [4, NAN])
    dq[0] = HOT
    out = master_dark(sci, err, dq, flags="any")
    assert out.dq.tolist() == [[HOT, HOT | UNRELIABLE_DARK]]
    assert (out.sci[0, 0], np.isnan(out.sci[0, 1])) == (4, True)


def test_a_flat_is_normalised_with_its_error():
    # Means 4, 8, 8: median 8; errors 2 / sqrt(2) / 8.
    out = normalised_flat(*stacks([3, 7, 9], [5, 9, 7], err=2), error="propagate")
    assert out.sci.tolist() == [[0.5, 1, 1]]
    assert out.err.tolist() == [[pytest.approx(math.sqrt(2) / 8)] * 3]
    assert out.dq.tolist() == [[0, 0, 0]]
    assert (out.sci.dtype, out.err.dtype, out.dq.dtype) == (np.float32, np.float32, np.uint32)


def test_the_dark_is_subtracted_from_each_exposure_but_its_error_counts_once():
    # Means 9 - 1; errors sqrt(8 / 4 + 2): 2.
    frames = stacks([8], [9], [9], [10], err=math.sqrt(8))
    out = normalised_flat(*frames, dark=dark(1, err=math.sqrt(2)), normalisation="none", error="propagate")
    assert (out.sci[0, 0], out.err[0, 0]) == (8, pytest.approx(2))


def test_subtracting_the_dark_before_or_after_the_combination_is_the_same():
    rng = np.random.default_rng(1)
    sci = rng.normal(10, 1, (6, 8, 9)).astype(np.float32)
    sci[2, 3:5] += 100
    err, dq = np.ones_like(sci), np.zeros(sci.shape, np.uint32)
    rate = rng.normal(3, 1, (8, 9)).astype(np.float32)
    after = normalised_flat(sci, err, dq, dark=Dark(rate, dq[0]))
    before = normalised_flat(sci - rate, err, dq)
    np.testing.assert_allclose(after.sci, before.sci, rtol=1e-5)
    np.testing.assert_allclose(after.err, before.err, rtol=1e-4)


def test_a_dark_of_unknown_error_adds_none():
    out = normalised_flat(*stacks([9, 9], err=3), dark=dark(1, 1), error="propagate")
    assert out.err.tolist() == [[3 / 8, 3 / 8]]


@pytest.mark.parametrize(("normalisation", "level"), [("median", 4), ("mean", 5), ("none", 1)])
def test_the_level_is_that_of_pixels_without_flags(normalisation, level):
    sci, err, dq = stacks([2, 4, 4, 10, 1000, NAN])
    dq[0, 0, 4] = HOT
    out = normalised_flat(sci, err, dq, normalisation=normalisation, dark=dark(0, 0, 0, 0, 0, 0))
    assert out.sci[0, :4].tolist() == pytest.approx([2 / level, 4 / level, 4 / level, 10 / level])
    assert out.dq[0].tolist() == [0, 0, 0, 0, HOT | NO_FLAT, NO_FLAT]


def test_pixels_with_a_flag_of_the_dark_do_not_count_either():
    sci, err, dq = stacks([2, 2, 8])
    reference = dark(0, 0, 0)
    reference.dq[0, 2] = HOT
    out = normalised_flat(sci, err, dq, dark=reference, normalisation="mean")
    assert out.sci.tolist() == [[1, 1, 4]]
    assert out.dq.tolist() == [[0, 0, HOT]]


def test_the_mode_is_where_most_pixels_are():
    # A vignetted third of the detector moves the mean, and less the median.
    rng = np.random.default_rng(4)
    response = np.where(np.arange(300) < 100, 6.0, 10.0) + rng.normal(0, 0.1, (200, 300))
    frames = response[np.newaxis].astype(np.float32)
    out = normalised_flat(frames, np.ones_like(frames), np.zeros(frames.shape, np.uint32), normalisation="mode")
    assert np.median(out.sci[:, 100:]) == pytest.approx(1, abs=0.01)


def test_the_mode_of_one_pixel_is_its_value():
    assert normalised_flat(*stacks([5]), normalisation="mode").sci[0, 0] == 1


def test_without_a_dark_value_the_flat_is_marked():
    out = normalised_flat(*stacks([9, 9], err=3), dark=dark(1, NAN, err=4), error="propagate")
    assert out.dq.tolist() == [[0, UNRELIABLE_FLAT]]
    assert out.sci.tolist() == [[1, 9 / 8]]
    assert out.err.tolist() == [[5 / 8, 3 / 8]]


@pytest.mark.parametrize("value", [0, -1])
def test_a_pixel_without_response_has_no_flat(value):
    out = normalised_flat(*stacks([4, 4, value]))
    assert out.dq.tolist() == [[0, 0, NO_FLAT]]


@pytest.mark.parametrize("normalisation", ["median", "mean", "mode"])
def test_without_a_valid_pixel_there_is_no_level(normalisation):
    with pytest.raises(ValueError, match="no pixel of the flat has a value and no flag"):
        normalised_flat(*stacks([NAN, NAN]), normalisation=normalisation)


def test_a_level_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="the median of the flat is -1; a flat has a positive level"):
        normalised_flat(*stacks([2, 2]), dark=dark(3, 3))


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="normalisation is 'peak'; it must be one of median, mean, mode, none"):
        normalised_flat(*stacks([2]), normalisation="peak")


def test_a_dark_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"the dark has shape \(1, 1\), the exposure \(1, 2\)"):
        normalised_flat(*stacks([2, 2]), dark=dark(1))
