import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.moving_target import target_shifts


def test_each_exposure_goes_to_the_mean_position():
    """The mean of 10, 11, 15 is 12; that of 1, 2, 6 is 3."""
    assert target_shifts([(10.0, 1.0), (11.0, 2.0), (15.0, 6.0)]) == [(2.0, 2.0), (1.0, 1.0), (-3.0, -3.0)]


def test_right_ascensions_on_both_sides_of_0():
    """359 and 3 degrees have the mean 1, not 181."""
    assert target_shifts([(359.0, 0.0), (3.0, 0.0)]) == [(2.0, 0.0), (-2.0, 0.0)]
    assert target_shifts([(3.0, 0.0), (359.0, 0.0)]) == [(-2.0, 0.0), (2.0, 0.0)]


def test_one_exposure_stays():
    assert target_shifts([(123.4, -5.6)]) == [(0.0, 0.0)]


@pytest.mark.parametrize("unknown", [None, (np.nan, 1.0), (1.0, np.inf)])
def test_a_position_that_is_not_known(unknown):
    assert target_shifts([(10.0, 1.0), unknown]) is None


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-89, 89)), min_size=1, max_size=20), st.floats(0, 360))
def test_all_targets_end_at_one_place(offsets, ra):
    positions = [((ra + d_ra) % 360, dec) for d_ra, dec in offsets]
    shifts = target_shifts(positions)
    assert np.sum(shifts, axis=0) == pytest.approx([0, 0], abs=1e-9)
    moved = np.array(positions) + np.array(shifts)
    assert (moved[:, 0] - moved[0, 0] + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)
    assert moved[:, 1] == pytest.approx(moved[0, 1], abs=1e-9)
