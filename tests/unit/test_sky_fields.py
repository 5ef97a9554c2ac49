"""Which footprints overlap on the sky; squares and their gaps are worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.geometry.polygons import overlaps
from calflow.science.geometry.sky_fields import connected_fields, overlaps_on_sky
from calflow.science.geometry.tangent_plane import to_sky

SQUARE = np.array([(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)])
DIAMOND = np.array([(-1.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.0, -1.0)])
centres = st.tuples(st.floats(0, 360), st.floats(-90, 90))


def overlap(one, other, margin=0.0):
    (found,) = overlaps(one, other[None], margin)
    return bool(found)


def sky_overlap(one, other, margin=0.0):
    (found,) = overlaps_on_sky(one, other[None], margin)
    return bool(found)


def on_sky(polygon, centre, shift=(0.0, 0.0)):
    """Put a polygon, arcsec, beside a sky position."""
    return to_sky(polygon + np.array(shift), centre)


@pytest.mark.parametrize(
    ("polygon", "shift", "expected"),
    [
        (SQUARE, (1.99, 0.0), True),
        (SQUARE, (2.01, 0.0), False),
        (SQUARE, (1.99, -1.99), True),
        (SQUARE, (0.0, 0.0), True),
        # The corners of the bounding boxes overlap, the figures do not.
        (DIAMOND, (1.6, 1.6), False),
        (DIAMOND, (1.4, 1.4), True),
        (DIAMOND * 0.1, (0.5, 0.5), True),  # within the other
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_overlap_of_convex_polygons(polygon, shift, expected, turned):
    other = polygon + np.array(shift)
    assert overlap(SQUARE, other[::-1] if turned else other) is expected
    assert overlap(other, SQUARE) is expected


def test_polygons_of_different_numbers_of_vertices():
    triangle = on_sky(np.array([(0.0, 0.9), (1.0, 3.0), (-1.0, 3.0)]), (10.0, 20.0))
    squares = [on_sky(SQUARE, (10.0, 20.0), (x, 0.0)) for x in (0.0, 9.0)]
    assert connected_fields([squares[0], triangle, squares[1]], "abc") == [[0, 1], [2]]


def test_a_margin_bridges_a_gap():
    other = SQUARE + np.array((2.5, 0.0))
    assert [overlap(SQUARE, other, margin) for margin in (0.0, 0.49, 0.51)] == [False, False, True]


@given(centre=centres, angle=st.floats(0, 360), gap=st.floats(-0.9, 0.9).filter(lambda gap: abs(gap) > 1e-3))
def test_two_squares_anywhere_on_the_sky(centre, angle, gap):
    """At the poles, at right ascension 0, in any orientation: a gap is a gap."""
    turn = np.radians(angle)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    one, other = (on_sky((SQUARE + shift) @ rotation.T, centre) for shift in ((0.0, 0.0), (2.0 + gap, 0.3)))
    assert sky_overlap(one, other) is (gap < 0)
    assert connected_fields([one, other], "ab") == ([[0, 1]] if gap < 0 else [[0], [1]])


def test_the_other_side_of_the_sky():
    here = on_sky(SQUARE, (10.0, 20.0))
    assert not sky_overlap(here, on_sky(SQUARE, (190.0, -20.0)))
    assert not sky_overlap(here, on_sky(SQUARE, (101.0, 0.0)), margin=1e5)


def test_what_is_too_large_for_its_plane_overlaps_with_all_that_is_not_on_the_other_side():
    triangle = np.array([[0.0, 0.0], [200.0, 0.0], [100.0, 5.0]])
    others = np.stack([on_sky(SQUARE, (85.0, 10.0)), on_sky(SQUARE, (265.0, -10.0))])
    assert overlaps_on_sky(triangle, others).tolist() == [True, False]


def test_fields_are_joined_by_what_lies_between_and_by_groups():
    row = [on_sky(SQUARE, (0.0, 89.0), (x, 0.0)) for x in (0.0, 6.0, 3.0, 1.5, 4.5, 20.0, 30.0)]
    assert connected_fields(row, "abcdefg") == [[0, 1, 2, 3, 4], [5], [6]]
    assert connected_fields(row, "abcdeff") == [[0, 1, 2, 3, 4], [5, 6]]
    assert connected_fields(row, "gbcdefg") == [[0, 1, 2, 3, 4, 6], [5]]


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30)), min_size=1, max_size=12))
def test_fields_are_as_a_union_of_all_pairs_gives_them(places):
    squares = [on_sky(SQUARE, (150.0, 2.0), place) for place in places]
    label = list(range(len(squares)))
    for i in range(len(squares)):
        for j in range(i):
            if sky_overlap(squares[j], squares[i]):
                label = [label[i] if number == label[j] else number for number in label]
    expected = {tuple(i for i, number in enumerate(label) if number == each) for each in label}
    assert {tuple(field) for field in connected_fields(squares, range(len(squares)))} == expected
