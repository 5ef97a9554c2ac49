import numpy as np
import pytest
from astropy.modeling.models import RotationSequence3D
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.geometry.sky_rotation import NO_ROTATION, SkyRotation, rotation_between, to_cartesian, to_spherical

POSITION = st.tuples(
    st.floats(0, 360, exclude_max=True), st.sampled_from([-90.0, -89.999, 0.0, 89.999, 90.0]) | st.floats(-90, 90)
)
ANGLE = st.floats(-180, 180)


def test_a_quarter_turn_about_the_pole():
    assert SkyRotation((0.0, 0.0, 90.0))(np.array([10.0, 20.0])) == pytest.approx([100.0, 20.0])


def test_about_the_x_axis_the_y_axis_goes_to_the_pole():
    assert SkyRotation((90.0, 0.0, 0.0))(np.array([90.0, 0.0]))[1] == pytest.approx(90.0)


def test_along_the_equator_and_over_the_pole():
    assert rotation_between(np.array([350.0, 0.0]), np.array([20.0, 0.0])).vector == pytest.approx((0, 0, 30.0))
    # 1 arcmin on either side of the pole: what lies to the right still does.
    over = rotation_between(np.array([0.0, 90 - 1 / 60]), np.array([180.0, 90 - 1 / 60]))
    assert over.vector == pytest.approx((0, -2 / 60, 0))


def test_no_rotation_gives_the_same_numbers():
    sky = np.array([[0.1, 0.2]])
    assert NO_ROTATION(sky) is sky
    assert rotation_between(sky[0], sky[0]).is_identity


@given(POSITION, POSITION)
def test_a_rotation_leads_where_it_shall(start, end):
    found = to_cartesian(rotation_between(np.array(start), np.array(end))(np.array(start)))
    assert found == pytest.approx(to_cartesian(np.array(end)), abs=1e-14)


@given(st.tuples(ANGLE, ANGLE, ANGLE), POSITION, POSITION)
def test_distances_are_kept_and_there_is_a_way_back(vector, one, other):
    rotation, sky = SkyRotation(vector), np.array([one, other])
    turned = rotation(sky)
    assert ((turned[:, 0] >= 0) & (turned[:, 0] <= 360)).all()
    before, after = (np.linalg.norm(np.diff(to_cartesian(each), axis=0)) for each in (sky, turned))
    assert after == pytest.approx(before, abs=1e-14)
    assert to_cartesian(rotation.inverse()(turned)) == pytest.approx(to_cartesian(sky), abs=1e-14)


@given(st.tuples(*[st.floats(-1, 1)] * 3) | st.tuples(ANGLE, ANGLE, ANGLE), POSITION)
def test_it_is_a_sequence_about_three_axes(vector, position):
    rotation = SkyRotation(vector)
    turn = RotationSequence3D([-angle for angle in rotation.axis_angles()], axes_order="xyz")
    vector = to_cartesian(np.array(position))
    assert turn(*vector) == pytest.approx(rotation.matrix @ vector, abs=1e-14)


@given(POSITION)
def test_unit_vectors_and_back(position):
    vector = to_cartesian(np.array(position))
    assert np.linalg.norm(vector) == pytest.approx(1)
    assert to_cartesian(to_spherical(3 * vector)) == pytest.approx(vector, abs=1e-15)
