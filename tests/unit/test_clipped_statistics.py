"""Statistics of values that are read in parts."""

import numpy as np
import pytest
from astropy.stats import sigma_clip
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.science.sky.clipped_statistics import clipped_statistics

values = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=60)


def in_parts(values, n=7):
    values = np.array(values, np.float32)
    return lambda: (values[start : start + n] for start in range(0, len(values), n))


@settings(max_examples=200, deadline=None)
@given(values, st.sampled_from([1.7, 2.3, 3.1]))
def test_they_are_those_of_astropy(values, sigma):
    kept = sigma_clip(np.array(values, np.float64), sigma=sigma, maxiters=5, masked=False)
    median, deviation = clipped_statistics(in_parts(values), sigma)
    assert median == np.float32(np.median(kept))
    assert deviation == pytest.approx(np.std(kept), rel=1e-6, abs=1e-6)


def test_outliers_are_left_out():
    values = [1.0, -1.0] * 50 + [1000.0] * 3 + [-7.0]
    assert clipped_statistics(in_parts(values), 3.0) == (0.0, 1.0)


def test_zeros_of_both_signs_and_denormal_numbers_are_in_order():
    values = [-0.0, 0.0, 1e-45, -1e-45, 1e-40]
    assert clipped_statistics(in_parts(values), 10.0)[0] == 0.0


def test_no_value():
    assert clipped_statistics(in_parts([]), 3.0) is None
