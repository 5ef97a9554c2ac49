import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from steps.median import median_of_groups

NAN = np.nan
SHAPE = (6, 7)


def row(*values):
    return np.array([values], np.float32)


def at_origin(*images):
    return [(image, (0, 0)) for image in images]


def nan_median(layers, shape):
    """The median by numpy, of full-size planes."""
    planes = np.full((len(layers), *shape), NAN, np.float32)
    for plane, (array, (y, x)) in zip(planes, layers, strict=True):
        plane[y : y + array.shape[0], x : x + array.shape[1]] = array
    out = np.full(shape, NAN, np.float32)
    some = ~np.isnan(planes).all(axis=0)
    out[some] = np.nanmedian(planes[:, some], axis=0)
    return out


def test_median_of_what_has_a_value():
    images = row(1, 1, 1, NAN, NAN), row(5, 2, NAN, NAN, NAN), row(2, 4, NAN, 7, NAN), row(9, NAN, 2, NAN, NAN)
    median = median_of_groups(at_origin(*images), (1, 5))
    # {1, 2, 5, 9}, {1, 2, 4}, {1, 2}, {7}, {}
    np.testing.assert_array_equal(median, row(3.5, 2, 1.5, 7, NAN))
    assert median.dtype == np.float32


def test_images_count_where_they_lie():
    layers = [(np.full((2, 2), 1, np.float32), (0, 0)), (np.full((2, 2), 5, np.float32), (1, 1))]
    expected = [[1, 1, NAN], [1, 3, 5], [NAN, 5, 5]]
    np.testing.assert_array_equal(median_of_groups(layers, (3, 3)), expected)


def test_of_one_image_it_is_that_image():
    image = row(1, NAN, -3)
    np.testing.assert_array_equal(median_of_groups(at_origin(image), (1, 3)), image)


def test_the_images_stay_as_they_are():
    images = row(3, 3), row(2, 4), row(1, NAN)
    before = [image.copy() for image in images]
    median_of_groups(at_origin(*images), (1, 2))
    np.testing.assert_array_equal(images, before)


def test_infinite_values_are_values():
    median = median_of_groups(at_origin(row(np.inf, 1), row(2, NAN), row(1, NAN)), (1, 2))
    assert median.tolist() == [[2, 1]]


def test_the_mean_of_the_middle_two_is_rounded_as_by_numpy():
    images = np.random.default_rng(1).normal(1e3, 1, (4, 30, 40)).astype(np.float32)
    np.testing.assert_array_equal(median_of_groups(at_origin(*images), (30, 40)), np.median(images, axis=0))


def test_it_can_be_written_to_a_file_and_read_from_files(tmp_path):
    np.save(tmp_path / "a.npy", row(1, 2))
    np.save(tmp_path / "b.npy", row(3, NAN))
    layers = at_origin(*(np.load(tmp_path / name, mmap_mode="r") for name in ("a.npy", "b.npy")))
    out = np.lib.format.open_memmap(tmp_path / "median.npy", "w+", np.float32, (1, 2))
    assert median_of_groups(layers, (1, 2), out=out) is out
    out.flush()
    assert np.load(tmp_path / "median.npy").tolist() == [[2, 2]]


@st.composite
def layer(draw):
    ny, nx = draw(st.integers(1, SHAPE[0])), draw(st.integers(1, SHAPE[1]))
    origin = draw(st.integers(0, SHAPE[0] - ny)), draw(st.integers(0, SHAPE[1] - nx))
    return draw(arrays(np.float32, (ny, nx), elements=st.sampled_from([NAN, -1.5, 0, 1, 2, 3.25]))), origin


@given(st.lists(layer(), min_size=1, max_size=6), st.sampled_from([1, 100, 1000, 10**6]))
def test_it_is_the_median_of_numpy_whatever_the_memory(layers, max_bytes):
    np.testing.assert_array_equal(median_of_groups(layers, SHAPE, max_bytes), nan_median(layers, SHAPE))


def test_memory_stays_within_the_budget():
    import tracemalloc

    layers = at_origin(*np.ones((20, 200, 300), np.float32))
    out = np.empty((200, 300), np.float32)
    budget = 200_000
    median_of_groups(layers, out.shape, budget, out)
    tracemalloc.start()
    median_of_groups(layers, out.shape, budget, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < budget + 20_000  # the list of overlaps of a block


def test_without_an_image_it_is_an_error():
    with pytest.raises(ValueError, match="at least one image"):
        median_of_groups([], (2, 2))


@pytest.mark.parametrize("origin", [(-1, 0), (0, 1), (2, 0)])
def test_an_image_off_the_grid_is_an_error(origin):
    with pytest.raises(ValueError, match="is not on the grid"):
        median_of_groups([(np.zeros((1, 2), np.float32), origin)], (2, 2))


@pytest.mark.parametrize("out", [np.empty((2, 2)), np.empty((2, 3), np.float32)])
def test_an_output_of_another_kind_is_an_error(out):
    with pytest.raises(ValueError, match="must be float32 of shape"):
        median_of_groups(at_origin(row(1, 2)), (2, 2), out=out)
