import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.windows import Window

windows = st.builds(Window, st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))


def pixels(window):
    """Return the detector pixels of a window, as the set of their (column, row)."""
    columns = range(window.xstart, window.xstart + window.nx)
    return {(x, y) for x in columns for y in range(window.ystart, window.ystart + window.ny)}


@pytest.mark.parametrize("values", [(0, 1, 5, 5), (1, -3, 5, 5), (1, 1, 0, 5), (1, 1, 5, -1)])
def test_windows_that_cannot_be_are_refused(values):
    with pytest.raises(ValueError, match="starts at"):
        Window(*values)


def test_windows_are_told_by_their_first_and_last_pixels():
    assert str(Window(11, 1, 256, 4)) == "columns 11..266, rows 1..4"


def test_overlap_of_shifted_windows():
    assert Window(1, 1, 10, 8).overlap(Window(7, 5, 10, 10)) == Window(7, 5, 4, 4)


def test_windows_that_only_touch_do_not_overlap():
    assert Window(1, 1, 4, 4).overlap(Window(5, 1, 4, 4)) is None


def test_slices_are_rows_then_columns_and_0_based():
    assert Window(11, 21, 8, 6).slices(Window(13, 22, 4, 2)) == (slice(1, 3), slice(2, 6))


def test_slices_of_a_window_that_sticks_out_are_refused():
    with pytest.raises(ValueError, match=r"columns 1\.\.5, rows 1\.\.4 is not inside columns 1\.\.4, rows 1\.\.4"):
        Window(1, 1, 4, 4).slices(Window(1, 1, 5, 4))


@given(windows, windows)
def test_the_overlap_has_the_common_pixels(a, b):
    overlap = a.overlap(b)
    assert (pixels(overlap) if overlap else set()) == pixels(a) & pixels(b)
    assert overlap == b.overlap(a)


@given(windows, windows)
def test_contains_means_no_pixel_outside(a, b):
    assert a.contains(b) == (pixels(b) <= pixels(a))


@given(windows, windows)
def test_slices_cut_out_the_pixels_of_the_inner_window(a, b):
    inner = a.overlap(b)
    if inner is None:
        return
    rows, columns = np.mgrid[a.ystart : a.ystart + a.ny, a.xstart : a.xstart + a.nx]
    cut = a.slices(inner)
    assert set(zip(columns[cut].ravel(), rows[cut].ravel(), strict=True)) == pixels(inner)
