import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.calibration.subarray_map import Subarray, flag_subarrays, merge_subarrays, parse_subarray_map
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

CONCURRENT, DNU, HOT = FLAGS["OUTLIER"], FLAGS["DO_NOT_USE"], FLAGS["HOT"]
# Subarray 3 has 2 columns and 1 row, subarray 1 one column and 2 rows.
MAP = np.array([[0, 0, 0, 1], [3, 3, 0, 1]], np.uint16)


def image(sci, dq=0):
    sci = np.array(sci, np.float32)
    return Image(sci, sci / 10, np.full(sci.shape, dq, np.uint32))


def full_frame(dq=0):
    return image([[1, 2, 3, np.nan], [np.nan, 6, 7, 8]], dq)


def test_a_subarray_is_the_rectangle_of_its_id():
    assert parse_subarray_map(MAP) == [Subarray(1, 4, 1, 1, 2), Subarray(3, 1, 2, 2, 1)]


def test_a_map_of_zeros_has_no_subarray():
    assert parse_subarray_map(np.zeros((3, 4), np.uint16)) == []


def test_ids_after_a_gap_are_found_and_so_is_one_beyond_ten():
    ids = np.zeros((3, 70), np.uint16)
    ids[1, 60:64] = 65535
    ids[2, 0] = 12
    assert parse_subarray_map(ids) == [Subarray(12, 1, 3, 1, 1), Subarray(65535, 61, 2, 4, 1)]


@pytest.mark.parametrize(
    "ids",
    [
        [[2, 2], [2, 0]],
        [[2, 0, 2]],
        [[2, 2, 2], [2, 1, 2], [2, 2, 2]],
    ],
    ids=["corner", "gap", "hole"],
)
def test_a_subarray_that_is_no_rectangle_is_an_error_with_its_id(ids):
    with pytest.raises(ValueError, match=r"subarray 2 of the map is no rectangle: 1 pixels of columns 1\.\.\d"):
        parse_subarray_map(np.array(ids, np.uint16))


@pytest.mark.parametrize("ids", [np.zeros((2, 2)), np.zeros((1, 2, 2), np.uint16), np.zeros(3, int)])
def test_a_map_of_another_kind_is_refused(ids):
    with pytest.raises(ValueError, match="a subarray map is a 2-D array of integers, not one of shape"):
        parse_subarray_map(ids)


def test_negative_ids_are_refused():
    with pytest.raises(ValueError, match="the subarray map has the id -2; ids are 1 or more"):
        parse_subarray_map(np.array([[0, -2]]))


@given(st.integers(1, 9), st.integers(0, 5), st.integers(0, 4), st.integers(1, 4), st.integers(1, 3))
def test_any_rectangle_is_found_where_it_lies(number, x, y, nx, ny):
    ids = np.zeros((7, 9), np.uint16)
    ids[y : y + ny, x : x + nx] = number
    (subarray,) = parse_subarray_map(ids)
    assert subarray == Subarray(number, x + 1, y + 1, nx, ny)
    assert (subarray.window.nx, subarray.window.ny) == (nx, ny)


def test_pixels_of_subarrays_are_flagged_and_not_to_be_used_without_a_value():
    frame = full_frame(HOT)
    out = flag_subarrays(frame, MAP)
    both = CONCURRENT | DNU
    assert (out.dq ^ HOT).tolist() == [[0, 0, 0, both], [both, CONCURRENT, 0, CONCURRENT]]
    assert out.sci is frame.sci
    assert (frame.dq == HOT).all()


def test_nan_outside_subarrays_gets_no_flag():
    assert flag_subarrays(image([[np.nan, 1]]), np.array([[0, 1]])).dq.tolist() == [[0, CONCURRENT]]


def test_every_integration_is_flagged_by_its_own_values():
    cube = image([[[np.nan, 1]], [[2, 3]]])
    out = flag_subarrays(cube, np.array([[1, 0]], np.uint16))
    assert out.dq.tolist() == [[[CONCURRENT | DNU, 0]], [[CONCURRENT, 0]]]


def test_a_map_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"the subarray map has shape \(2, 4\), the exposure \(1, 2\)"):
        flag_subarrays(image([[1, 2]]), MAP)


def members():
    return {3: image([[50, 60]], HOT), 1: image([[40], [80]])}


def test_subarrays_go_to_the_places_of_their_ids():
    frame = flag_subarrays(full_frame(4), MAP)
    out = merge_subarrays(frame, MAP, members())
    assert out.sci.tolist() == [[1, 2, 3, 40], [50, 60, 7, 80]]
    assert out.err.tolist() == (out.sci / np.float32(10)).tolist()
    assert out.dq.tolist() == [[4, 4, 4, 0], [HOT, HOT, 4, 0]]
    assert (out.sci.dtype, out.dq.dtype) == (np.float32, np.uint32)
    assert np.isnan(frame.sci[0, 3])


def test_a_frame_without_subarrays_stays_as_it_is():
    out = merge_subarrays(image([[1, 2]]), np.zeros((1, 2), np.uint16), {})
    assert out.sci.tolist() == [[1, 2]]


def test_integrations_are_merged_one_by_one():
    cube = image([[[1, 2]], [[3, 4]]])
    out = merge_subarrays(cube, np.array([[0, 5]]), {5: image([[[20]], [[40]]])})
    assert out.sci.tolist() == [[[1, 20]], [[3, 40]]]


def test_a_subarray_that_is_missing_is_an_error():
    with pytest.raises(ValueError, match="no subarray is given for id 1 of the map; given: 3"):
        merge_subarrays(full_frame(), MAP, {3: members()[3]})


def test_a_subarray_that_is_not_in_the_map_is_an_error():
    with pytest.raises(ValueError, match="subarray 2 is not in the map, which has 1, 3"):
        merge_subarrays(full_frame(), MAP, {**members(), 2: image([[1]])})


def test_a_subarray_of_another_shape_is_an_error():
    with pytest.raises(ValueError, match=r"subarray 1 has shape \(1, 1\); its place in the full frame has \(2, 1\)"):
        merge_subarrays(full_frame(), MAP, {**members(), 1: image([[1]])})


def test_a_subarray_with_other_planes_is_an_error():
    given_members = members()
    given_members[1].var_poisson = np.ones((2, 1), np.float32)
    with pytest.raises(
        ValueError, match="subarray 1 has the planes sci, err, dq, var_poisson, the full frame sci, err"
    ):
        merge_subarrays(full_frame(), MAP, given_members)


def test_merging_what_was_cut_out_restores_the_frame():
    rng = np.random.default_rng(1)
    whole = image(rng.normal(size=MAP.shape))
    cut = {1: image(whole.sci[:, 3:]), 3: image(whole.sci[1:, :2])}
    holes = image(np.where(MAP > 0, np.nan, whole.sci))
    out = merge_subarrays(holes, MAP, cut)
    assert (out.sci == whole.sci).all()
    assert (out.err == whole.err).all()
