import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.tangent_plane import ARCSEC_PER_RADIAN, Affine, affine, to_plane, to_sky


def test_north_and_east_of_the_equator():
    plane = to_plane(np.array([[0.0, 1.0], [1.0, 0.0], [359.0, 0.0]]), (0.0, 0.0))
    tangent = np.tan(np.radians(1)) * ARCSEC_PER_RADIAN
    assert plane == pytest.approx(np.array([[0, tangent], [tangent, 0], [-tangent, 0]]), abs=1e-9)


def test_the_other_half_of_the_sky_has_no_place():
    assert np.isnan(to_plane(np.array([[180.0, 0.0], [90.0, 0.0]]), (0.0, 0.0))[0]).all()


def test_the_pole_is_seen_from_both_sides():
    plane = to_plane(np.array([[10.0, 90.0], [190.0, 89.9]]), (10.0, 89.9))
    tangent = np.tan(np.radians([0.1, 0.2])) * ARCSEC_PER_RADIAN
    assert plane == pytest.approx(np.array([[0, tangent[0]], [0, tangent[1]]]), abs=1e-8)


@given(
    ra=st.floats(0, 360, exclude_max=True),
    dec=st.floats(-90, 90),
    xi=st.floats(-500, 500),
    eta=st.floats(-500, 500),
)
def test_there_and_back(ra, dec, xi, eta):
    point = np.array([xi, eta])
    assert to_plane(to_sky(point, (ra, dec)), (ra, dec)) == pytest.approx(point, abs=1e-7)


def test_affine_maps_after_each_other():
    turn = affine(np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([1.0, 0.0]))
    shift = Affine(shift=(0.0, 5.0))
    # (2, 0) is turned to (0, 2), shifted to (1, 2), then to (1, 7).
    assert shift.after(turn)(np.array([2.0, 0.0])).tolist() == [1, 7]
    assert turn.after(shift)(np.array([2.0, 0.0])).tolist() == [-4, 2]
    assert Affine().is_identity
    assert not shift.is_identity
