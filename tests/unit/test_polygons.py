import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.geometry.polygons import clip, contains, drop_needless_vertices, signed_area, union

SQUARE = np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 4.0], [4.0, 0.0]])  # clockwise


def box(x0, y0, x1, y1):
    return np.array([[x0, y0], [x0, y1], [x1, y1], [x1, y0]], float)


def same_ring(a, b):
    """Tell whether two polygons are equal but for the vertex they start with."""
    return len(a) == len(b) and any(np.allclose(np.roll(a, i, axis=0), b) for i in range(len(a)))


def test_area_is_negative_clockwise():
    assert signed_area(SQUARE) == -16
    assert signed_area(SQUARE[::-1]) == 16


def test_points_are_inside_or_not():
    points = np.array([[2, 2], [-1, 2], [5, 2], [2, 5], [3.9, 0.1]])
    assert contains(SQUARE, points).tolist() == [True, False, False, False, True]


def test_clip_leaves_what_is_inside():
    clipped = clip(SQUARE, (-1, 5, -1, 5))
    assert clipped[-1].tolist() == [0, 0]  # it ends with the first vertex
    assert same_ring(clipped, SQUARE)


def test_clip_cuts_a_corner_of_a_diamond():
    diamond = np.array([[0.0, 3.0], [3.0, 0.0], [0.0, -3.0], [-3.0, 0.0]])
    # Right of x = 1 it is a triangle (1, 2), (3, 0), (1, -2).
    assert same_ring(clip(diamond, (1, 9, -9, 9)), np.array([[1, 2], [3, 0], [1, -2]]))


def test_clip_to_a_frame_inside_is_the_frame():
    assert same_ring(clip(SQUARE, (1, 2, 1, 3)), box(1, 1, 2, 3))


@pytest.mark.parametrize("frame", [(5, 6, 0, 4), (0, 4, -3, -1), (4, 9, 0, 4)])
def test_clip_of_what_is_outside_is_empty(frame):
    assert clip(SQUARE, frame).shape == (0, 2)


def test_union_of_one_polygon_is_that_clockwise():
    (outline,) = union([SQUARE[::-1]])
    assert same_ring(outline, SQUARE)


def test_union_of_none_is_none():
    assert union([]) == []


def test_union_of_two_that_overlap_has_eight_vertices():
    (outline,) = union([SQUARE, box(3, 3, 6, 7)])
    expected = [[0, 0], [0, 4], [3, 4], [3, 7], [6, 7], [6, 3], [4, 3], [4, 0]]
    assert same_ring(outline, np.array(expected, float))


def test_union_of_a_cross_goes_round_it():
    (outline,) = union([box(0, 4, 12, 8), box(4, 0, 8, 12)])
    assert len(outline) == 12
    assert signed_area(outline) == -(48 + 48 - 16)


def test_union_of_equal_polygons_is_one_of_them():
    (outline,) = union([SQUARE, SQUARE, SQUARE[::-1]])
    assert same_ring(outline, SQUARE)


def test_union_of_neighbours_that_share_a_side_is_one():
    (outline,) = union([SQUARE, box(4, 0, 7, 4)])
    assert signed_area(outline) == -28
    assert same_ring(drop_needless_vertices(outline), box(0, 0, 7, 4))


def test_union_of_sides_along_each_other():
    """As dithers cut by the same edge of the frame are."""
    (outline,) = union([SQUARE, box(2, 0, 6, 3)])
    assert same_ring(drop_needless_vertices(outline), np.array([[0, 0], [0, 4], [4, 4], [4, 3], [6, 3], [6, 0]], float))


def test_union_of_parts_that_are_apart_gives_both_the_larger_first():
    small, large = union([box(10, 0, 11, 1), SQUARE])[::-1]
    assert same_ring(large, SQUARE)
    assert same_ring(small, box(10, 0, 11, 1))


def test_union_leaves_a_hole_out():
    frame = [box(0, 0, 9, 2), box(0, 7, 9, 9), box(0, 0, 2, 9), box(7, 0, 9, 9)]
    (outline,) = union(frame)
    assert same_ring(drop_needless_vertices(outline), box(0, 0, 9, 9))


def test_union_of_one_within_another_is_the_outer():
    (outline,) = union([SQUARE, box(1, 1, 2, 2)])
    assert same_ring(outline, SQUARE)


@given(
    st.lists(
        st.tuples(st.integers(-9, -1), st.integers(-9, -1), st.integers(1, 9), st.integers(1, 9)),
        min_size=1,
        max_size=6,
    )
)
def test_area_of_the_union_is_the_number_of_cells_covered(corners):
    """Boxes that all have the origin inside: one outline, and no hole."""
    covered = np.zeros((18, 18), bool)
    for x0, y0, x1, y1 in corners:
        covered[y0 + 9 : y1 + 9, x0 + 9 : x1 + 9] = True
    (outline,) = union([box(*corner) for corner in corners])
    assert -signed_area(outline) == pytest.approx(covered.sum())


@given(st.lists(st.floats(0, 359), min_size=1, max_size=8, unique=True), st.floats(0.05, 1.5))
def test_union_of_turned_squares_covers_all_of_them(angles, shift):
    squares = []
    for i, angle in enumerate(np.radians(angles)):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        squares.append((SQUARE - 2) @ turn + [i * shift / 8, 0])
    (outline,) = union(squares)
    points = np.random.default_rng(1).uniform(-4, 6, (2000, 2))
    covered = np.any([contains(square, points) for square in squares], axis=0)
    # Points next to a side may fall to either part.
    assert np.count_nonzero(contains(outline, points) != covered) <= 6


def turned(polygon, degrees):
    a = np.radians(degrees)
    return polygon @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])


SMALL = st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.integers(-12, -2)).map(
    lambda shift: np.array(shift[:2]) * 10.0 ** shift[2]
)
BENT = np.array([[0, 0], [-0.3, 500], [0, 1000], [500, 1000.4], [1000, 1000], [999.6, 500], [1000, 0], [500, -0.5]])


@given(st.floats(0, 359), st.lists(SMALL, min_size=1, max_size=7))
def test_union_of_exposures_without_a_dither_is_nearly_one_of_them(angle, shifts):
    """They differ by what the pointings drifted, down to less than a double tells apart."""
    frame = turned(BENT, angle)
    (outline,) = union([frame, *(frame + shift for shift in shifts)])
    assert -signed_area(outline) == pytest.approx(-signed_area(frame), rel=1e-4)


@given(st.floats(0, 359), SMALL, SMALL)
def test_union_of_tiles_that_touch_has_all_of_their_area(angle, first, second):
    """Gap, overlap or common side, by rounding errors up to 0.01 pixel."""
    tile = box(0, 0, 1000, 1000)
    tiles = [tile, tile + np.add(first, (1000, 0)), tile + np.add(second, (0, 1000))]
    outlines = union([turned(each, angle) for each in tiles])
    assert -sum(map(signed_area, outlines)) == pytest.approx(3e6, rel=3e-5)
    assert all(signed_area(outline) < 0 for outline in outlines)


def test_union_of_tiles_that_touch_at_a_corner_are_two_outlines():
    assert [abs(signed_area(outline)) for outline in union([SQUARE, box(4, 4, 6, 6)])] == [16, 4]


@given(st.floats(0, 359), st.integers(-9, -1))
def test_sliver_of_an_exposure_changes_nothing(angle, exponent):
    """As the frame of a grid leaves of one that only just reaches into it."""
    square, sliver = turned(SQUARE * 100, angle), turned(box(400, 0, 400 + 10.0**exponent / 1e4, 400), angle)
    (outline,) = union([square, sliver])
    assert -signed_area(outline) == pytest.approx(160_000, abs=0.01)


def test_outline_begins_where_the_first_polygon_first_has_a_part_in_it():
    """So S_REGION of the same exposures begins with the same corner."""
    (outline,) = union([SQUARE, box(3, 3, 6, 7)])
    assert outline[0].tolist() == [0, 0]
    (outline,) = union([SQUARE, box(-2, -2, 1, 7)])  # covers the first side
    assert outline[0].tolist() == [1, 4]


def test_vertices_that_coincide_or_lie_on_a_side_are_dropped():
    needless = np.array([[0, 0], [0, 2], [0, 4], [0.01, 4], [4, 4], [4, 2.0000001], [4, 0]], float)
    assert same_ring(drop_needless_vertices(needless), np.array([[0, 0], [0, 4], [4, 4], [4, 0]], float))
