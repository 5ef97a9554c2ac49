"""Segmentation: what counts as one source, and what the smoothing makes of masked pixels."""

import math
import warnings

import numpy as np
import photutils.segmentation
import pytest
from photutils.segmentation import deblend_sources
from photutils.segmentation import detect_sources as label_sources

from calflow.science.sources.segmentation import FWHM_PER_SIGMA, detect_sources, smooth, taken_apart

PARAMETERS = {"kernel_fwhm": 2.0, "npixels": 5, "deblend": False}


def gaussian(shape, x, y, sigma=2.0, height=1.0):
    yy, xx = np.indices(shape)
    return height * np.exp(-0.5 * ((xx - x) ** 2 + (yy - y) ** 2) / sigma**2)


def unmasked(image):
    return np.zeros(image.shape, bool)


def test_labels_count_from_the_lowest_row():
    image = gaussian((40, 40), 30, 9) + gaussian((40, 40), 8, 29)
    segments, _ = detect_sources(image, 0.3, unmasked(image), **PARAMETERS)
    assert segments.labels.tolist() == [1, 2]
    assert segments.data[9, 30] == 1
    assert segments.data[29, 8] == 2
    assert segments.data[20, 20] == 0


def test_a_source_is_what_exceeds_the_threshold_in_the_smoothed_image():
    image = gaussian((41, 41), 20, 20, sigma=3.0)
    segments, convolved = detect_sources(image, 0.25, unmasked(image), **PARAMETERS)
    np.testing.assert_array_equal(segments.data == 1, convolved > 0.25)
    # Smoothed, the width is the root of the sum of squares, and the height falls with its square.
    variance = 9 + (2 / FWHM_PER_SIGMA) ** 2
    assert convolved[20, 20] == pytest.approx(9 / variance, rel=0.01)
    radius = math.sqrt(2 * variance * math.log(9 / variance / 0.25))
    assert np.count_nonzero(segments.data) == pytest.approx(math.pi * radius**2, rel=0.05)


def test_threshold_may_vary_over_the_image():
    image = gaussian((40, 40), 30, 9) + gaussian((40, 40), 8, 29)
    threshold = np.where(np.indices(image.shape)[0] < 20, 0.3, 2.0)
    segments, _ = detect_sources(image, threshold, unmasked(image), **PARAMETERS)
    assert segments.labels.tolist() == [1]


def test_small_sources_are_left_out():
    image = gaussian((40, 40), 20, 20)
    pixels = np.count_nonzero(smooth(image, unmasked(image), 2.0) > 0.3)
    found, _ = detect_sources(image, 0.3, unmasked(image), **PARAMETERS | {"npixels": pixels})
    none, _ = detect_sources(image, 0.3, unmasked(image), **PARAMETERS | {"npixels": pixels + 1})
    assert np.count_nonzero(found.data) == pixels
    assert none is None


@pytest.mark.parametrize(("connectivity", "number"), [(8, 1), (4, 2)])
def test_corners_connect_only_if_asked(connectivity, number):
    image = np.zeros((30, 30))
    image[5:15, 5:15] = image[15:25, 15:25] = 1.0
    # A narrow kernel leaves the image as it is.
    parameters = PARAMETERS | {"kernel_fwhm": 0.1, "connectivity": connectivity}
    segments, _ = detect_sources(image, 0.5, unmasked(image), **parameters)
    assert len(segments.labels) == number


def test_overlapping_sources_are_taken_apart():
    image = gaussian((40, 40), 14, 20) + gaussian((40, 40), 22, 20, height=0.5)
    together, _ = detect_sources(image, 0.05, unmasked(image), **PARAMETERS)
    apart, _ = detect_sources(image, 0.05, unmasked(image), **PARAMETERS | {"deblend": True})
    contrast = {"deblend": True, "contrast": 0.6}  # the fainter one has a third of the flux
    not_apart, _ = detect_sources(image, 0.05, unmasked(image), **PARAMETERS | contrast)
    assert [len(segments.labels) for segments in (together, apart, not_apart)] == [1, 2, 1]
    assert apart.data[20, 14] != apart.data[20, 22]


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("step", [0.001, 0.25], ids=["fine", "plateaus"])
def test_sources_are_taken_apart_as_if_all_were_looked_at(connectivity, step):
    """photutils looks at each; here at those with two peaks alone. The image has sources with 1 to 4 parts."""
    random = np.random.default_rng(3)
    shape, n = (150, 150), 120
    places = random.uniform(0, 150, (n, 2))
    heights, widths = random.uniform(0.5, 5, n), random.uniform(1.2, 3, n)
    image = sum(
        gaussian(shape, x, y, sigma, height) for (x, y), sigma, height in zip(places, widths, heights, strict=True)
    )
    image = np.round(image / step) * step
    segments = label_sources(image, 0.3, 5, connectivity=connectivity)
    options = {"connectivity": connectivity, "contrast": 0.001}
    apart = taken_apart(image, segments, npixels=5, nlevels=32, multithresh_mode="exponential", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = deblend_sources(image, segments, 5, n_levels=32, mode="exponential", progress_bar=False, **options)
    assert len(wanted.labels) > len(segments.labels)
    np.testing.assert_array_equal(apart.data, wanted.data)


def test_a_source_with_one_peak_is_not_looked_at(monkeypatch):
    looked_at = []
    monkeypatch.setattr(photutils.segmentation, "deblend_sources", lambda *_, labels, **__: looked_at.extend(labels))
    image = gaussian((40, 90), 20, 20) + gaussian((40, 90), 56, 20) + gaussian((40, 90), 66, 20, height=0.8)
    detect_sources(image, 0.05, unmasked(image), **PARAMETERS | {"deblend": True})
    assert looked_at == [2]


def test_masked_pixels_belong_to_no_source_and_do_not_shine():
    image = gaussian((40, 40), 20, 20)
    image[5, 5] = 1e6
    mask = unmasked(image)
    mask[5, 5] = mask[20, 20] = True
    segments, convolved = detect_sources(image, 0.3, mask, **PARAMETERS)
    assert segments.labels.tolist() == [1]
    assert segments.data[20, 20] == 0
    assert segments.data[20, 21] == 1
    assert np.abs(convolved[:10, :10]).max() < 1e-5


def test_smoothing_interpolates_over_masked_and_missing_pixels():
    image = np.full((20, 20), 3.0)
    image[8, 8], image[12, 12] = np.nan, 1e9
    mask = unmasked(image)
    mask[12, 12] = True
    np.testing.assert_allclose(smooth(image, mask, 2.0)[5:15, 5:15], 3.0)


def test_smoothing_has_no_value_where_the_kernel_covers_none():
    image = np.ones((30, 30))
    image[:, :20] = np.nan
    convolved = smooth(image, unmasked(image), 2.0)  # the kernel reaches 3 pixels
    assert np.isnan(convolved[5:25, 5:17]).all()
    np.testing.assert_allclose(convolved[10:20, 17:25], 1.0)


@pytest.mark.parametrize("image", [np.zeros((20, 20)), np.full((20, 20), np.nan)])
def test_no_sources(image):
    segments, convolved = detect_sources(image, 0.1, unmasked(image), **PARAMETERS)
    assert segments is None
    assert convolved.shape == image.shape


def test_everything_masked():
    image = gaussian((20, 20), 10, 10)
    assert detect_sources(image, 0.1, ~unmasked(image), **PARAMETERS)[0] is None


def test_one_pixel():
    segments, _ = detect_sources(np.ones((1, 1)), 0.01, np.zeros((1, 1), bool), **PARAMETERS | {"npixels": 1})
    assert segments.data.tolist() == [[1]]


def test_wrong_input():
    image = np.zeros((4, 5))
    with pytest.raises(ValueError, match=r"one shape \(ny, nx\), not \(4, 5\), \(\) and \(4, 4\)"):
        detect_sources(image, 0.1, np.zeros((4, 4), bool), **PARAMETERS)
    with pytest.raises(ValueError, match="multithresh_mode is 'log'; it must be one of exponential"):
        detect_sources(image, 0.1, unmasked(image), **PARAMETERS, multithresh_mode="log")
    with pytest.raises(ValueError, match="kernel_fwhm is 0; it must be larger than 0"):
        smooth(image, unmasked(image), 0)


@pytest.mark.parametrize("rows", [1, 5, 7, 16, 64])
@pytest.mark.parametrize("missing", ["nothing", "a pixel", "much"])
def test_bands_are_the_whole(monkeypatch, rows, missing):
    random = np.random.default_rng(5)
    image = random.normal(0, 0.1, (47, 30)).astype(np.float32)
    for x, y in ((5, 6), (15, 16), (22, 31), (20, 33), (28, 46), (3, 0)):  # across borders, side by side, at edges
        image += gaussian(image.shape, x, y, sigma=1.5, height=3).astype(np.float32)
    mask = unmasked(image)
    if missing != "nothing":
        image[20, 9] = np.nan
    if missing == "much":
        mask[:, 25:] = mask[40:43, :9] = True
    threshold = np.linspace(0.4, 0.6, 47)[:, None] * np.ones(30)
    expected, whole = detect_sources(image, threshold, mask, **PARAMETERS | {"deblend": True})
    monkeypatch.setattr("calflow.science.bands.BAND_ROWS", rows)
    found, convolved = detect_sources(image, threshold, mask, **PARAMETERS | {"deblend": True})
    np.testing.assert_array_equal(convolved, whole)
    np.testing.assert_array_equal(found.data, expected.data)
    assert len(found.labels) >= 4
