import json
import resource

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calflow.files.alignment_tables import AlignmentRow, write_alignment
from calflow.files.geometry_files import write_geometry
from calflow.files.grid_files import write_grid
from calflow.science.combination.median import median_of_groups
from calflow.science.geometry.geometry import Geometry
from calflow.science.geometry.input_pixels import InputPixels
from calflow.science.geometry.output_grid import OutputGrid
from calflow.science.geometry.smooth_map import SmoothMap
from calflow.science.geometry.tan_projection import TanProjection
from resample_group import resample_group
from take_median import LayerFile, take_median

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


class Recorded:
    """A layer that notes the parts it is asked for."""

    def __init__(self, array):
        self.array, self.shape, self.parts = array, array.shape, []

    def __getitem__(self, part):
        self.parts.append(part)
        return self.array[part]


def test_a_layer_is_asked_only_for_blocks_that_it_touches():
    """With so little memory a block is one pixel."""
    layer = Recorded(np.array([[1, 2], [3, 4]], np.float32))
    median = median_of_groups([(layer, (2, 1))], (6, 3), max_bytes=1)
    np.testing.assert_array_equal(median[2:4], [[NAN, 1, 2], [NAN, 3, 4]])
    assert np.isnan(median[[0, 1, 4, 5]]).all()
    assert layer.parts == [np.s_[y : y + 1, x : x + 1] for y in (0, 1) for x in (0, 1)]


def test_layers_elsewhere_do_not_make_its_blocks_smaller():
    """There is room for 4 x 4 pixels of one layer, for one pixel of 100: these lie in other rows."""
    alone, among = (Recorded(np.ones((4, 4), np.float32)) for _ in range(2))
    others = [(np.ones((4, 4), np.float32), (4, 0))] * 100
    median_of_groups([(alone, (0, 0))], (8, 4), max_bytes=16 * 53)
    median_of_groups([(among, (0, 0)), *others], (8, 4), max_bytes=16 * 53)
    assert among.parts == alone.parts == [np.s_[0:4, 0:4]]


@pytest.fixture
def few_files():
    """At most 200 files open at once."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Files(dict):
    """The named files of a job."""

    __getattr__ = dict.__getitem__


def test_more_layers_than_files_may_be_open(tmp_path, few_files):
    """The layer k of 1100 has the values k and 2 k: medians 549.5 and 1099."""
    paths = [tmp_path / f"{k}.npy" for k in range(1100)]
    for k, path in enumerate(paths):
        np.save(path, row(k, 2 * k))
    window = tmp_path / "window.json"
    window.write_text(json.dumps({"y0": 0, "x0": 0}))
    inputs = Files(layers=paths, windows=[window] * len(paths))
    take_median(inputs, Files(median=tmp_path / "median.npy"), None)
    assert np.load(tmp_path / "median.npy").tolist() == [[549.5, 1099]]


def test_a_layer_file_is_read_in_parts(tmp_path):
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.save(tmp_path / "a.npy", image)
    layer = LayerFile(tmp_path / "a.npy")
    assert layer.shape == (3, 4)
    np.testing.assert_array_equal(layer[1:3, 2:3], [[6], [10]])


@pytest.mark.parametrize(("resample_data", "shape"), [(True, (1, 1)), (False, (4, 5))])
def test_the_layer_of_a_dropped_group_has_no_value(tmp_path, resample_data, shape):
    """On the grid it is as small as can be; on the detector it has the shape of the exposure."""
    line = SmoothMap((-0.5, 4.5), (-0.5, 3.5), np.zeros((1, 1, 2)))
    write_geometry(tmp_path / "x.json", Geometry((4, 5), (0.0, 0.0), line, line, InputPixels(1.0, 0.0, 0.0, -1)))
    write_alignment(tmp_path / "x.ecsv", [AlignmentRow("x", "x", "FAILED", "no stars", False, np.zeros((4, 2)))], {})
    projection = TanProjection((1.0, 1.0), (0.0, 0.0), 1e-4, ((-1.0, 0.0), (0.0, 1.0)))
    write_grid(tmp_path / "grid.json", OutputGrid((8, 9), 0.36, 1.0, ((-0.5, 8.5), (-0.5, 7.5)), projection))
    settings = {"resample_data": resample_data, "pixmap_stepsize": 1, "pixmap_order": 1, "maskpt": 0.7}
    settings |= {"kernel": "square", "pixfrac": 1.0, "fillval": "NAN", "weight_type": "ivm", "good_bits": "~DO_NOT_USE"}
    inputs = Files(cals=["x_cal.fits"], geometries=[tmp_path / "x.json"])
    inputs.update({"alignment": tmp_path / "x.ecsv", "grid": tmp_path / "grid.json"})
    outputs = Files(layer=tmp_path / "x.npy", window=tmp_path / "window.json")
    resample_group(inputs, outputs, Files(plane="sci", exposures=["x"], outlier_detection=settings))
    layer = np.load(outputs.layer)
    assert layer.shape == shape
    assert np.isnan(layer).all()
    assert json.loads(outputs.window.read_text()) == {"y0": 0, "x0": 0}


@st.composite
def layer(draw):
    ny, nx = draw(st.integers(1, SHAPE[0])), draw(st.integers(1, SHAPE[1]))
    origin = draw(st.integers(0, SHAPE[0] - ny)), draw(st.integers(0, SHAPE[1] - nx))
    return draw(arrays(np.float32, (ny, nx), elements=st.sampled_from([NAN, -1.5, 0, 1, 2, 3.25]))), origin


@given(st.lists(layer(), min_size=1, max_size=6), st.sampled_from([1, 100, 1000, 10**6]), st.sampled_from([1, 2, 3]))
def test_it_is_the_median_of_numpy_whatever_the_memory_and_the_threads(layers, max_bytes, threads):
    median = median_of_groups(layers, SHAPE, max_bytes, threads=threads)
    np.testing.assert_array_equal(median, nan_median(layers, SHAPE))


def test_memory_stays_within_the_budget():
    import tracemalloc

    layers = at_origin(*np.ones((20, 200, 300), np.float32))
    out = np.empty((200, 300), np.float32)
    budget = 200_000
    peaks = []
    for _ in range(4):  # the first has imports, and any may have what other threads, those of pytest, take meanwhile
        tracemalloc.start()
        median_of_groups(layers, out.shape, budget, out)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert min(peaks) < budget + 20_000  # the list of overlaps of a block


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
