import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.geometry.moving_target import target_rotations
from calflow.science.geometry.sky_rotation import to_cartesian
from calflow.science.geometry.tangent_plane import to_sky


def means(positions):
    """Return where the targets come to lie."""
    return np.array([turn(np.array(at)) for turn, at in zip(target_rotations(positions), positions, strict=True)])


def test_each_exposure_goes_to_the_mean_position():
    """On the equator, and symmetric: the mean of 10, 12, 14 is 12."""
    assert [each.vector for each in target_rotations([(10.0, 0.0), (12.0, 0.0), (14.0, 0.0)])] == [
        pytest.approx((0, 0, 2), abs=1e-12),
        pytest.approx((0, 0, 0), abs=1e-12),
        pytest.approx((0, 0, -2), abs=1e-12),
    ]


def test_right_ascensions_on_both_sides_of_0():
    """359 and 3 degrees have the mean 1, not 181."""
    assert means([(359.0, 0.0), (3.0, 0.0)]) == pytest.approx(np.array([[1.0, 0.0]] * 2))


def test_over_the_pole():
    """On both sides of the pole, as far away: the mean is the pole."""
    assert means([(30.0, 89.9), (210.0, 89.9)])[:, 1] == pytest.approx(90.0)


def test_small_motions_have_the_mean_of_their_coordinates():
    """To second order: at declination 60, tan(60) of the square of 3 arcsec is 1e-4 arcsec."""
    positions = np.array([[100.0, 60.0], [100.0 + 12 / 3600, 60.0 + 2 / 3600]])
    assert means(positions) == pytest.approx(np.array([positions.mean(axis=0)] * 2), abs=1e-4 / 3600)


def test_one_exposure_stays():
    (turn,) = target_rotations([(123.4, -5.6)])
    assert turn(np.array([123.4, -5.6])) == pytest.approx([123.4, -5.6], abs=1e-13)


@pytest.mark.parametrize("unknown", [None, (np.nan, 1.0), (1.0, np.inf), (np.inf, 1.0)])
def test_a_position_that_is_not_known(unknown):
    assert target_rotations([(10.0, 1.0), unknown]) is None


@given(
    st.lists(st.tuples(st.floats(-600, 600), st.floats(-600, 600)), min_size=1, max_size=20),
    st.floats(0, 360),
    st.sampled_from([-90.0, 90.0]) | st.floats(-90, 90),
)
def test_all_targets_end_at_one_place_and_fields_keep_their_shape(offsets, ra, dec):
    positions = to_sky(np.array(offsets), (ra, dec))
    ends = to_cartesian(means(positions))
    assert ends == pytest.approx(np.broadcast_to(ends[0], ends.shape), abs=1e-14)
    for turn, at in zip(target_rotations(positions), positions, strict=True):
        field = to_sky(np.array([[-60.0, -60.0], [60.0, -50.0], [10.0, 70.0]]), tuple(at))
        before, after = (np.linalg.norm(np.diff(to_cartesian(sky), axis=0), axis=-1) for sky in (field, turn(field)))
        assert np.degrees(np.abs(after - before)).max() * 3600 < 1e-9
