"""Pixels chosen of an image, and the values beside them."""

import numpy as np

from calflow.science.combination import neighbours
from calflow.science.combination.neighbours import parts_of, values_beside


def test_values_beside_pixels_and_off_the_plane():
    plane = np.arange(12, dtype=np.float32).reshape(3, 4)
    y, x = np.array([0, 1, 2]), np.array([0, 2, 3])
    np.testing.assert_array_equal(values_beside(plane, (y, x), (0, 0)), [0, 6, 11])
    np.testing.assert_array_equal(values_beside(plane, (y, x), (-1, 1)), [np.nan, 3, np.nan])
    assert not np.isnan(plane).any()


def test_parts_are_all_pixels_in_order(monkeypatch):
    monkeypatch.setattr(neighbours, "PIXELS_AT_A_TIME", 2)
    mask = np.array([[1, 0, 1], [0, 1, 0]], bool)
    parts = [list(zip(*(axis.tolist() for axis in part), strict=True)) for part in parts_of(mask)]
    assert parts == [[(0, 0), (0, 2)], [(1, 1)]]
    assert not list(parts_of(np.zeros((2, 2), bool)))
