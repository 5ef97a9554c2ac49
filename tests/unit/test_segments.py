"""Sources that are found band by band are those of the whole image: the same, whole, in the same order."""

import warnings
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from photutils.segmentation import SourceCatalog, deblend_sources, detect_sources
from photutils.utils.exceptions import NoDetectionsWarning

from calflow.science.bands import BAND_ROWS, Computed, bands, whole
from calflow.science.sky.background_map import background_map
from calflow.science.sources.segmentation import smooth
from calflow.science.sources.segments import Rows, Segments
from calflow.science.sources.source_detection import CatalogParameters, Sources, find_sources

SHAPE = 61, 47
# Of shapes that only come together further down or up, across many bands, and that touch at corners.
U_AND_ARCH = [
    *[(slice(5, 50), slice(4, 7)), (slice(5, 50), slice(14, 17)), (slice(47, 50), slice(4, 17))],
    *[(slice(10, 60), slice(24, 27)), (slice(12, 60), slice(34, 37)), (slice(10, 13), slice(24, 37))],
    *[(slice(20, 30), slice(27, 30)), (slice(30, 40), slice(30, 33))],
]


def scene(gaussians=(), blocks=(), gap=0, seed=1):
    """Return an image with noise of 0.01, Gaussians (x, y, sigma, height), and blocks of 0.3; NaN at the left edge."""
    y, x = np.indices(SHAPE)
    image = np.random.default_rng(seed).normal(0, 0.01, SHAPE)
    for cx, cy, sigma, height in gaussians:
        image += height * np.exp(-0.5 * ((x - cx) ** 2 + (y - cy) ** 2) / sigma**2)
    for place in blocks:
        image[place] += 0.3
    image[:, :gap] = np.nan
    return image.astype(np.float32)


def at_once(image, mask, parameters):
    """Return labels and positions as photutils gives them for the whole image."""
    background = background_map(image, None, parameters.bkg_boxsize, coverage_mask=mask)
    data = image - background.background
    convolved = smooth(data, mask, parameters.kernel_fwhm)
    options = {"connectivity": parameters.connectivity}
    threshold = parameters.snr_threshold * background.rms
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        segments = detect_sources(convolved, threshold, parameters.npixels, mask=mask, **options)
    if segments is None:
        return np.zeros(SHAPE), np.empty(0), np.empty(0)
    if parameters.deblend:
        segments = deblend_sources(convolved, segments, parameters.npixels, **options)
    found = SourceCatalog(data, segments, convolved_data=convolved, mask=mask)
    return segments.data, np.atleast_1d(found.x_centroid), np.atleast_1d(found.segment_flux)


def in_bands(monkeypatch, rows, image, mask, parameters):
    with monkeypatch.context() as patch:
        patch.setattr("calflow.science.bands.BAND_ROWS", rows)
        sources, segments = find_sources(image, np.full(SHAPE, 0.01, np.float32), mask, parameters)
        return sources, whole(segments)


def parameters(**others):
    return CatalogParameters(**{"npixels": 5, "snr_threshold": 5.0} | others)


gaussian = st.tuples(st.floats(-2, 50), st.floats(-2, 64), st.floats(1, 5), st.floats(0.05, 3))
block = st.tuples(st.integers(0, 60), st.integers(1, 60), st.integers(0, 46), st.integers(1, 20)).map(
    lambda b: (slice(b[0], b[0] + b[1]), slice(b[2], b[2] + b[3]))
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(gaussian, max_size=6),
    st.lists(block, max_size=3),
    st.integers(0, 20),
    st.sampled_from([1, 4, 7, 16, 60]),
    st.booleans(),
    st.sampled_from([4, 8]),
)
@example([(10, 15.5, 2, 1), (14, 16.5, 2, 1), (30, 31.5, 2, 1), (2, 60, 2, 1)], [], 0, 16, True, 8)
@example([(3, 20, 2.5, 1), (7, 25, 2.5, 2)], U_AND_ARCH, 0, 4, False, 4)
@example([(3, 20, 2.5, 1), (7, 25, 2.5, 2)], U_AND_ARCH, 5, 7, True, 8)
def test_bands_give_the_sources_of_the_whole_image(gaussians, blocks, gap, rows, deblend, connectivity):
    image = scene(gaussians, blocks, gap)
    mask = np.isnan(image)
    wanted = parameters(deblend=deblend, connectivity=connectivity)
    labels, x, flux = at_once(image, mask, wanted)
    with pytest.MonkeyPatch.context() as monkeypatch:
        sources, found = in_bands(monkeypatch, rows, image, mask, wanted)
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(sources.label, np.arange(1, labels.max() + 1))
    np.testing.assert_array_equal(sources.x, x)
    np.testing.assert_array_equal(sources.flux, flux)


@pytest.mark.parametrize("others", [{}, {"localbkg_width": 5}, {"kernel_fwhm": 9.0}])
def test_every_measure_is_that_of_the_whole_image(monkeypatch, others):
    gaussians = [(10, 15.5, 2, 1), (15, 16.5, 2, 1), (30, 31.5, 3, 1), (2, 59, 2, 1), (40, 8, 2, 3)]
    image = scene(gaussians)
    mask = np.zeros(SHAPE, bool)
    mask[30:34, 28:30] = True
    expected, labels = in_bands(monkeypatch, BAND_ROWS, image, mask, parameters(**others))
    for rows in (5, 16):
        sources, found = in_bands(monkeypatch, rows, image, mask, parameters(**others))
        np.testing.assert_array_equal(found, labels)
        for field in fields(Sources):
            np.testing.assert_array_equal(getattr(sources, field.name), getattr(expected, field.name), field.name)
    assert len(expected) >= 4


def test_a_source_is_taken_when_it_has_ended():
    rows = Rows(0, {"above": np.array([[1, 0, 0, 1], [1, 0, 0, 1], [1, 0, 0, 0]], bool)})
    # The left one goes on; the right one, of two pixels, is the first.
    labels = rows.take_whole(npixels=2, connectivity=8, end=False)
    np.testing.assert_array_equal(labels, [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
    rows.number(labels, 0)
    assert len(rows.drop_finished()) == 0
    rows = rows.followed_by({"above": np.array([[0, 1, 0, 0], [0, 0, 0, 0]], bool)})
    labels = rows.take_whole(npixels=2, connectivity=8, end=False)
    np.testing.assert_array_equal(labels, [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    rows.number(labels, 1)
    numbers = [[2, 0, 0, 1], [2, 0, 0, 1], [2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(rows.drop_finished(), numbers)
    assert rows.start == 5


def test_rows_before_a_source_that_goes_on_are_dropped():
    rows = Rows(7, {"above": np.array([[0, 0], [0, 1]], bool), "data": np.array([[1.0, 2.0], [3.0, 4.0]])})
    assert not rows.take_whole(npixels=1, connectivity=8, end=False).any()
    assert rows.drop_finished().tolist() == [[0, 0]]
    assert rows.start == 8
    assert rows["data"].tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize("height", [1, 2, 3, 10])
def test_any_rows_of_labels_can_be_read(height):
    numbers = np.random.default_rng(3).integers(0, 3, (10, 4)).astype(np.int32)
    segments = Segments((10, 4))
    for start in range(0, 10, height):
        segments.append(numbers[start : start + height])
    labels = np.array([0, 20, 10], np.uint32)
    segments.name(labels)
    for rows in (slice(None), slice(1), slice(3, 8), slice(9, 10), slice(4, 4)):
        np.testing.assert_array_equal(segments[rows], labels[numbers[rows]])
    assert segments[:1].dtype == np.uint32


def test_labels_of_an_image_without_sources_are_zeros():
    assert Segments((3, 2))[:].tolist() == [[0, 0]] * 3


def test_bands_are_computed_once(monkeypatch):
    monkeypatch.setattr("calflow.science.bands.BAND_ROWS", 4)
    image, asked = np.arange(26).reshape(13, 2), []

    def compute(rows):
        asked.append(rows.start)
        return image[rows]

    plane = Computed(image.shape, compute)
    for rows in bands(13):
        for part in (slice(max(rows.start - 3, 0), min(rows.stop + 3, 13)), rows, slice(rows.start + 1)):
            if part.start is not None:
                np.testing.assert_array_equal(plane[part], image[part])
    assert asked == [0, 4, 8, 12]
    np.testing.assert_array_equal(plane[:1], image[:1])
