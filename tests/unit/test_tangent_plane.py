import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.geometry.tangent_plane import ARCSEC_PER_RADIAN, Affine, affine, to_plane, to_sky


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


def test_inverse_of_an_affine_map():
    # (x, y) -> (2 x + 3, -y + 4); back: ((x - 3) / 2, 4 - y)
    back = Affine(((2.0, 0.0), (0.0, -1.0)), (3.0, 4.0)).inverse()
    assert back(np.array([5.0, 1.0])).tolist() == [1, 3]


@given(*[st.floats(-0.3, 0.3)] * 4, st.tuples(st.floats(-100, 100), st.floats(-100, 100)))
def test_affine_there_and_back(a, b, c, d, shift):
    there = Affine(((1 + a, b), (c, 1 + d)), shift)
    points = np.array([[0.0, 0.0], [5.0, -7.0], [123.0, 0.5]])
    np.testing.assert_allclose(there.inverse()(there(points)), points, atol=1e-10)
    np.testing.assert_allclose(there.after(there.inverse())(points), points, atol=1e-10)


@pytest.mark.parametrize("shape", [(2,), (0, 2), (5, 2), (3, 4, 2)])
def test_shapes_of_positions(shape):
    assert to_plane(np.zeros(shape), (0.0, 0.0)).shape == shape
    assert to_sky(np.zeros(shape), (0.0, 0.0)).shape == shape
    assert Affine()(np.zeros(shape)).shape == shape


def test_nan_positions_stay_nan():
    assert np.isnan(to_plane(np.array([np.nan, 0.0]), (0.0, 0.0))).all()
    assert np.isnan(to_sky(np.array([np.nan, 0.0]), (0.0, 0.0))).any()


def test_right_ascension_is_within_0_and_360():
    sky = to_sky(np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), (0.0, 0.0))
    assert sky[:, 0] == pytest.approx([360 - 1 / 3600, 1 / 3600, 0], abs=1e-12)
