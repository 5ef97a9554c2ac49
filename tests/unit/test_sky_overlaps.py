from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.geometry.polygons import contains, signed_area
from calflow.science.sky.sky_overlaps import exposure_sky, fill_polygon, pixel_overlaps, sky_overlap, whole_pixels
from calflow.science.sky.sky_statistics import SkyStatistic, sky_statistic

PIXEL = 1e-4  # degrees
MEAN = partial(sky_statistic, skystat="mean", nclip=0)


def footprint(x0, y0, x1, y1, centre=(0.0, 0.0)):
    """Return the outline of pixels x0...x1, y0...y1, on the sky at the equator; x runs to the east."""
    x0, y0, x1, y1 = x0 - 0.5, y0 - 0.5, x1 + 0.5, y1 + 0.5
    corners = np.array([[x0, y0], [x0, y1], [x1, y1], [x1, y0]])
    return corners * PIXEL + centre


def to_pixel(sky):
    return np.stack([(sky[:, 0] + 180) % 360 - 180, sky[:, 1]], axis=-1) / PIXEL


def overlap_of(own, other):
    """Return the overlap of two footprints, which is one polygon."""
    (overlap,) = sky_overlap(own, other)
    return overlap


def filled(vertices, shape=(6, 8)):
    mask = np.zeros(shape, bool)
    fill_polygon(mask, whole_pixels(np.array(vertices, float)))
    return mask


def test_filled_polygon_includes_its_rim():
    expected = np.zeros((6, 8), bool)
    expected[1:4, 1:5] = True
    np.testing.assert_array_equal(filled([[1, 1], [1, 3], [4, 3], [4, 1]]), expected)


def test_vertices_are_rounded_to_whole_pixels():
    np.testing.assert_array_equal(
        filled([[1.4, 0.6], [0.6, 3.4], [3.6, 2.6], [4.4, 1.4]]), filled([[1, 1], [1, 3], [4, 3], [4, 1]])
    )


def test_rows_of_a_triangle():
    """The side from (0, 0) to (3, 2) is at 0, 1.5, 3; rounded up: 0, 2, 3."""
    expected = [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
    np.testing.assert_array_equal(filled([[0, 0], [3, 2], [0, 2]], (4, 4)), np.array(expected, bool))


def test_outline_of_the_image_fills_all_of_it():
    assert filled([[-0.5, -0.5], [-0.5, 5.5], [7.5, 5.5], [7.5, -0.5]]).all()


def test_polygon_larger_than_the_image_fills_all_of_it():
    assert filled([[-50, -70], [-60, 90], [80, 60], [50, -80]]).all()


@pytest.mark.parametrize("shift", [(-9, 0), (0, -9), (20, 0), (0, 20)])
def test_polygon_beside_the_image_fills_nothing(shift):
    assert not filled(np.array([[1, 1], [1, 3], [4, 3], [4, 1]]) + shift).any()


@pytest.mark.parametrize(
    "vertices", [[[2, 1], [2.4, 5], [2.2, 5]], [[1, 2], [5, 2.4], [5, 2.2]], [[2, 2], [2, 2], [2, 2]]]
)
def test_polygon_narrower_than_a_pixel_fills_nothing(vertices):
    assert not filled(vertices).any()


def test_polygon_with_a_bay():
    """A U: the row above the bottom of the bay is filled in two runs."""
    mask = filled([[0, 0], [0, 4], [2, 4], [2, 2], [5, 2], [5, 4], [7, 4], [7, 0]])
    assert mask[3].tolist() == [True] * 3 + [False] * 2 + [True] * 3
    assert mask[1].all()


@given(st.lists(st.tuples(st.floats(5, 45), st.floats(5, 45)), min_size=3, max_size=3, unique=True))
def test_what_is_filled_is_the_polygon_and_at_most_its_rim(vertices):
    corners = np.rint(vertices)
    mask = filled(vertices, (51, 51))
    y, x = np.mgrid[:51, :51]
    middle = corners.mean(axis=0)
    inside = contains(middle + (corners - middle) * 0.999, np.stack([x.ravel(), y.ravel()], axis=-1)).reshape(51, 51)
    if np.ptp(corners, axis=0).min() > 0:
        assert mask[inside].all()
    perimeter = np.hypot(*(corners - np.roll(corners, 1, axis=0)).T).sum()
    assert mask.sum() <= abs(signed_area(corners)) + perimeter + 1


def test_overlap_of_two_footprints():
    overlap = to_pixel(overlap_of(footprint(0, 0, 9, 9), footprint(6, 4, 20, 20)))
    assert len(overlap) == 4
    np.testing.assert_allclose(overlap.min(axis=0), [5.5, 3.5], atol=1e-6)
    np.testing.assert_allclose(overlap.max(axis=0), [9.5, 9.5], atol=1e-6)


@pytest.mark.parametrize("turned", [1, -1])
def test_overlap_with_itself_is_the_footprint(turned):
    own = footprint(0, 0, 9, 9)
    overlap = to_pixel(overlap_of(own, own[::turned]))
    assert abs(signed_area(overlap)) == pytest.approx(100, rel=1e-6)


@pytest.mark.parametrize("ra", [0.0, 359.9999, 180.0])
def test_overlap_across_the_origin_of_right_ascension(ra):
    own, other = footprint(-5, -5, 4, 4), footprint(0, 0, 9, 9)
    turned = [np.stack([(polygon[:, 0] + ra) % 360, polygon[:, 1]], axis=-1) for polygon in (own, other)]
    overlap = overlap_of(*turned)
    assert abs(signed_area(to_pixel(overlap - [ra, 0]))) == pytest.approx(25, rel=1e-6)


def test_overlap_around_the_pole():
    """Two squares around the pole, one turned by 45 degrees: an octagon."""
    square = np.stack([np.arange(4) * 90.0, np.full(4, 89.9)], axis=-1)
    overlap = overlap_of(square, square + np.array([45.0, 0.0]))
    assert len(overlap) == 8
    colatitude = np.degrees(np.arctan(np.tan(np.radians(0.1)) * np.cos(np.pi / 4) / np.cos(np.pi / 8)))
    np.testing.assert_allclose(overlap[:, 1], 90 - colatitude, rtol=1e-12)


@pytest.mark.parametrize("centre", [(1.0, 0.0), (0.0, 80.0), (180.0, 0.0), (90.0, 0.0)])
def test_footprints_that_are_apart_do_not_overlap(centre):
    assert sky_overlap(footprint(0, 0, 9, 9), footprint(0, 0, 9, 9, centre)) == []


def test_footprints_that_touch_do_not_overlap():
    (corners,) = pixel_overlaps(footprint(0, 0, 9, 9), {"beside": [footprint(10, 0, 19, 9)]}, to_pixel).get(
        "beside", [np.zeros((3, 2), int)]
    )
    mask = np.zeros((10, 10), bool)
    fill_polygon(mask, corners)
    assert not mask.any()


def test_bent_sides_are_followed():
    """The other one has a notch from its left side, 2 wide at x = 0."""
    other = np.array([[-0.5, -0.5], [-0.5, 3], [4, 4], [-0.5, 5], [-0.5, 9.5], [9.5, 9.5], [9.5, -0.5]]) * PIXEL
    overlap = to_pixel(overlap_of(footprint(0, 0, 9, 9), other))
    assert abs(signed_area(overlap)) == pytest.approx(100 - 4.5, rel=1e-6)


def test_side_bent_inwards_is_taken_for_straight():
    own = np.array([[-0.5, -0.5], [0, 4.5], [-0.5, 9.5], [9.5, 9.5], [9.5, -0.5]]) * PIXEL
    assert abs(signed_area(to_pixel(overlap_of(own, footprint(-20, -20, 20, 20))))) == pytest.approx(100, rel=1e-6)


@pytest.mark.parametrize(
    "footprints", [(footprint(0, 0, 9, 9), np.full((4, 2), np.nan)), (np.zeros((2, 2)), footprint(0, 0, 9, 9))]
)
def test_footprint_without_position_is_refused(footprints):
    with pytest.raises(ValueError, match="three or more finite vertices"):
        sky_overlap(*footprints)


def sky_of(image, groups, usable=None, to_pixel=to_pixel):
    """Measure the mean of an exposure of 10 x 10 pixels."""
    usable = np.ones((10, 10), bool) if usable is None else usable
    return exposure_sky(image, usable, pixel_overlaps(footprint(0, 0, 9, 9), groups, to_pixel), MEAN)


@pytest.fixture
def half_and_half():
    """An image of 10 x 10 pixels, 1 up to column 4, then 3."""
    sci = np.ones((10, 10), np.float32)
    sci[:, 5:] = 3
    return sci


def test_sky_in_overlaps_and_in_all(half_and_half):
    groups = {"left": [footprint(-9, -9, 4, 20)], "corner": [footprint(5, 8, 20, 20)], "far": [footprint(30, 0, 40, 9)]}
    sky = sky_of(half_and_half, groups)
    assert sky.whole == SkyStatistic(2.0, 100)
    # The side at 4.5 is moved to 0 by the half pixel of the outline, and so to column 5 (4.5 + 0.5).
    assert sky.overlaps["left"] == SkyStatistic(pytest.approx((50 + 3 * 10) / 60), 60)
    # Without negative coordinates 4.5 and 7.5 are rounded to the even 4 and 8.
    assert sky.overlaps["corner"] == SkyStatistic(pytest.approx((2 * 1 + 10 * 3) / 12), 12)
    assert set(sky.overlaps) == {"left", "corner"}


def test_members_of_a_group_are_counted_together_and_once(half_and_half):
    members = [footprint(2, 2, 20, 3), footprint(2, 2, 20, 3), footprint(2, 6, 20, 7)]
    one = sky_of(half_and_half, {"group": members})
    rows = [2, 3, 4, 6, 7, 8]  # 1.5 to 3.5 are rounded to 2 and 4, 5.5 to 7.5 to 6 and 8
    assert one.overlaps["group"].n == len(rows) * 8


def test_unusable_pixels_are_left_out(half_and_half):
    usable = half_and_half == 3
    half_and_half[~usable] = np.nan
    groups = {"all": [footprint(-9, -9, 20, 20)], "left": [footprint(-9, -9, 2, 20)]}
    sky = sky_of(half_and_half, groups, usable)
    assert sky.whole == SkyStatistic(3.0, 50)
    assert sky.overlaps == {"all": SkyStatistic(3.0, 50)}


def test_exposure_without_usable_pixels(half_and_half):
    none = np.zeros((10, 10), bool)
    groups = {"all": [footprint(-9, -9, 20, 20)]}
    sky = sky_of(half_and_half, groups, none)
    assert sky.whole is None
    assert sky.overlaps == {}


def test_errors_of_a_billionth_pixel_do_not_matter(half_and_half):
    """The outline of the image is on edges of pixels, where rounding could go either way."""
    groups = {"other": [footprint(-3, -3, 6, 6)]}
    skies = [
        sky_of(half_and_half, groups, to_pixel=lambda sky, error=error: np.round(to_pixel(sky), 5) + error)
        for error in (-1e-9, 0.0, 1e-9)
    ]
    assert skies[0] == skies[1] == skies[2]


def test_mask_of_another_shape_is_refused(half_and_half):
    with pytest.raises(ValueError, match=r"has shape \(10, 9\), the image \(10, 10\)"):
        exposure_sky(half_and_half, np.ones((10, 9), bool), {}, MEAN)


def test_overlap_without_pixel_positions_is_refused():
    with pytest.raises(ValueError, match="no pixel position"):
        pixel_overlaps(footprint(0, 0, 9, 9), {"same": [footprint(0, 0, 9, 9)]}, lambda sky: np.full_like(sky, np.nan))


def test_overlaps_are_whole_pixels_that_a_small_motion_leaves():
    """Sides that meet at 5.5 and 3.5 are rounded to the even 6 and 4, those of the exposure at 9.5 to 10."""
    (corners,) = pixel_overlaps(footprint(0, 0, 9, 9), {"it": [footprint(6, 4, 20, 20)]}, to_pixel)["it"]
    assert corners.dtype.kind == "i"
    assert {*map(tuple, corners.tolist())} == {(6, 4), (6, 10), (10, 4), (10, 10)}
    other = footprint(6.2, 4.2, 20, 20)
    first, moved = (
        pixel_overlaps(footprint(0, 0, 9, 9), {"it": [each]}, to_pixel)["it"][0]
        for each in (other, other + 0.1 * PIXEL)
    )
    np.testing.assert_array_equal(first, moved)


@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=3, max_size=6), st.integers(-9, 9))
def test_filling_moves_with_the_corners(vertices, shift):
    corners = whole_pixels(np.array(vertices))
    here, there = np.zeros((2, 90, 90), bool)
    fill_polygon(here, corners + 45)
    fill_polygon(there, corners + 45 + shift)
    np.testing.assert_array_equal(np.roll(here, (shift, shift), (0, 1)), there)
