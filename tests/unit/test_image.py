import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calflow.science.image import Image, match_nans, usable, without_impossible

PLANES = ("sci", "err", "var_poisson", "var_rnoise", "var_flat")


def image(**changed):
    planes = {name: np.ones((2, 2), np.float32) for name in PLANES} | {"dq": np.zeros((2, 2), np.uint32)}
    return Image(**(planes | changed))


def with_value(value, dtype=np.float32):
    plane = np.ones((2, 2), dtype) if dtype == np.float32 else np.zeros((2, 2), dtype)
    plane[0, 1] = value
    return plane


def test_planes_are_those_that_exist():
    assert list(image(var_flat=None).planes()) == ["sci", "err", "dq", "var_poisson", "var_rnoise"]


def test_planes_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"one shape, not sci \(2, 2\).*var_flat \(2,\)"):
        image(var_flat=np.ones(2, np.float32))


@pytest.mark.parametrize("name", PLANES)
def test_a_nan_in_any_plane_is_a_nan_in_all(name):
    out = match_nans(image(**{name: with_value(np.nan)}))
    assert out.dq.tolist() == [[0, 1], [0, 0]]
    for plane in PLANES:
        assert np.isnan(getattr(out, plane)).tolist() == [[False, True], [False, False]]


def test_do_not_use_is_a_nan_in_all_planes_and_keeps_its_other_flags():
    out = match_nans(image(dq=with_value(1 + 2048, np.uint32)))
    assert out.dq.tolist() == [[0, 2049], [0, 0]]
    for plane in PLANES:
        assert np.isnan(getattr(out, plane)).sum() == 1


def test_other_flags_do_not_make_a_pixel_invalid():
    out = match_nans(image(dq=with_value(512, np.uint32)))
    assert out.dq.tolist() == [[0, 512], [0, 0]]
    assert out.sci[0, 1] == 1


@pytest.mark.parametrize(
    ("name", "value"), [("sci", np.inf), ("sci", -3e38), ("err", -1), ("var_poisson", -1e-30), ("var_rnoise", np.inf)]
)
def test_what_cannot_be_is_a_nan_in_all_planes(name, value):
    out = match_nans(image(**{name: with_value(value)}))
    assert out.dq.tolist() == [[0, 1], [0, 0]]
    for plane in PLANES:
        assert np.isnan(getattr(out, plane)).tolist() == [[False, True], [False, False]]


def test_what_cannot_be_is_a_nan_in_its_plane_alone_where_nans_are_left_alone():
    given_image = image(err=with_value(-1), sci=np.array([[np.nan, 1], [1, 1]], np.float32))
    out = without_impossible(given_image)
    assert out.dq.tolist() == [[0, 1], [0, 0]]
    assert np.isnan(out.sci).tolist() == [[True, False], [False, False]]
    assert np.isnan(out.err).tolist() == [[False, True], [False, False]]
    assert given_image.err[0, 1] == -1
    assert without_impossible(out) is out


def test_planes_that_do_not_exist_stay_away():
    out = match_nans(image(sci=with_value(np.nan), var_poisson=None, var_rnoise=None, var_flat=None))
    assert out.var_flat is None
    assert np.isnan(out.err).sum() == 1


def test_match_nans_changes_the_image_it_is_given():
    given_image = image(sci=with_value(np.nan))
    assert match_nans(given_image) is given_image
    assert given_image.dq[0, 1] == 1


@given(
    hnp.arrays(np.float32, (5, 3, 4), elements=st.sampled_from([1.0, np.nan])),
    hnp.arrays(np.uint32, (3, 4), elements=st.sampled_from([0, 1, 4, 5])),
)
def test_nan_and_do_not_use_agree_afterwards(floats, dq):
    out = match_nans(Image(dq=dq.copy(), **dict(zip(PLANES, floats.copy(), strict=True))))
    invalid = ((dq & 1) == 1) | np.isnan(floats).any(axis=0)
    assert np.array_equal((out.dq & 1) == 1, invalid)
    assert np.array_equal(out.dq & ~np.uint32(1), dq & ~np.uint32(1))
    assert all(np.array_equal(np.isnan(getattr(out, name)), invalid) for name in PLANES)
    assert usable(out) == (~invalid).sum()


def test_usable_counts_pixels_with_a_value_and_without_do_not_use():
    sci = np.array([[1, np.nan], [3, 4]], np.float32)
    dq = np.array([[0, 0], [1, 512]], np.uint32)
    assert usable(image(sci=sci, dq=dq)) == 2
