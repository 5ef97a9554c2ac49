import warnings

import numpy as np
import photutils
import pytest
from astropy.stats import SigmaClip
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from photutils.background import Background2D, MedianBackground, StdBackgroundRMS

from calflow.science.sky.background_map import LARGE_BOX, NoBackground, _Clipping, background_map


def sky(shape, dtype=np.float32, seed=0):
    """Return noise of 1 on a level that varies over the image."""
    y, x = np.indices(shape)
    level = 10 + x / max(shape) - np.sin(y / 50)
    return np.random.default_rng(seed).normal(level, 1).astype(dtype)


def photutils_map(data, mask, box_size, exclude_percentile=10, coverage_mask=None):
    found = Background2D(
        data,
        box_size,
        mask=mask,
        coverage_mask=coverage_mask,
        filter_size=3,
        exclude_percentile=exclude_percentile,
        sigma_clip=SigmaClip(sigma=3),
        bkg_estimator=MedianBackground(),
        bkg_rms_estimator=StdBackgroundRMS(),
    )
    return found.background, found.background_rms


def assert_same_as_photutils(found, expected):
    for ours, theirs in zip((found.background, found.rms), expected, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=2 * np.finfo(ours.dtype).eps if ours.dtype == "f4" else 1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "box_size"), [((300, 200), 50), ((310, 190), 50), ((310, 200), 50), ((300, 190), 50), ((300, 600), 400)]
)
def test_it_is_the_map_of_photutils(shape, box_size, dtype):
    data = sky(shape, dtype)
    data[5, 7] = 1e4
    mask = np.zeros(shape, bool)
    mask[:60, :70] = True  # one box without a pixel, others with too few
    assert_same_as_photutils(background_map(data, mask, box_size), photutils_map(data, mask, box_size))


def test_nearly_every_float32_pixel_is_that_of_photutils():
    data = sky((1000, 900))
    mask = np.zeros(data.shape, bool)
    found = background_map(data, mask, 150)
    background, rms = photutils_map(data, mask, 150)
    assert np.mean(found.background != background) < 1e-3
    assert np.mean(found.rms != rms) < 1e-3


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 45))
def test_every_shape_and_box_gives_the_map_of_photutils(ny, nx, box_size):
    data = sky((ny, nx), np.float64)
    mask = np.zeros(data.shape, bool)
    # photutils 3.1 and newer use a box with just 90 per cent of its pixels, which 3.0 and calflow do not.
    n_pixels = min(box_size, ny) * min(box_size, nx)
    assume(n_pixels % 10 or photutils.__version__.startswith("3.0."))
    try:
        expected = photutils_map(data, mask, box_size)
    except ValueError:
        expected = photutils_map(data, mask, data.shape, exclude_percentile=100)
    found = background_map(data, mask, box_size)
    np.testing.assert_allclose(found.background, expected[0], rtol=1e-13)
    np.testing.assert_allclose(found.rms, expected[1], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("shape", [(300, 200), (310, 190), (347, 200), (349, 249), (40, 200)])
def test_rows_of_boxes_may_be_measured_one_after_the_other(monkeypatch, shape):
    data = sky(shape)
    mask = np.zeros(shape, bool)
    mask[:120, :60] = mask[60:80, 150:] = True  # boxes without any pixel, some with too few
    expected = background_map(data, None, 50, coverage_mask=mask)
    monkeypatch.setattr("calflow.science.sky.background_map.GROUP_PIXELS", 1)
    found = background_map(data, None, 50, coverage_mask=mask)
    np.testing.assert_array_equal(found.background, expected.background)
    np.testing.assert_array_equal(found.rms, expected.rms)
    assert_same_as_photutils(found, photutils_map(data, None, 50, coverage_mask=mask))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["normal", "skew", "integers", "equal", "two"])
def test_large_boxes_are_clipped_as_astropy_clips_them(kind, dtype):
    rng = np.random.default_rng(1)
    shape = 2, 4, LARGE_BOX + 123
    boxes = {
        "normal": lambda: rng.normal(100, 1, shape),
        "skew": lambda: rng.lognormal(0, 1.5, shape),
        "integers": lambda: np.round(rng.normal(0, 2, shape)),
        "equal": lambda: np.where(np.arange(shape[-1]) < 50, 9, np.full(shape, 0.1)),
        "two": lambda: np.where(rng.random(shape) < 0.4, 1.0, 0.3),
    }[kind]().astype(dtype)
    boxes[rng.random(shape) < 0.05] = np.nan
    boxes[0, 1] = np.nan
    boxes[1, 0, 5:] = np.nan
    options = {"axis": -1, "masked": False, "copy": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NaN
        expected = SigmaClip(sigma=3)(boxes.copy(), **options)
    clipping = _Clipping(3)
    clipped = clipping(boxes, **options)
    np.testing.assert_array_equal(clipped, expected)
    # The median that was found on the way is that of photutils, to the last bit.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        median = np.nanmedian(expected, axis=-1)
    np.testing.assert_array_equal(clipping.median(clipped, -1, of_others=None), median)


def test_of_two_values_it_is_their_middle():
    data = np.tile(np.float32([9, 11]), (10, 5))
    found = background_map(data, None, 10)
    assert (found.background == 10).all()
    assert (found.rms == 1).all()


def test_an_outlier_is_clipped():
    data = np.tile(np.float32([9, 11]), (10, 5))
    data[0, 0] = data[0, 1] = 1e6
    found = background_map(data, None, 10)
    assert (found.background == 10).all()
    assert (found.rms == 1).all()


def test_a_constant_image_has_no_noise():
    found = background_map(np.full((30, 20), 7, np.float32), None, 10)
    assert (found.background == 7).all()
    assert (found.rms == 0).all()


def test_masked_and_invalid_pixels_do_not_count():
    data = np.tile(np.float32([9, 11]), (20, 10))
    data[3:5, 4:8] = np.nan
    data[3, 8:10] = np.inf
    mask = np.zeros(data.shape, bool)
    mask[10:12, 10:12] = True
    data[mask] = 500
    found = background_map(data, mask, 20)
    assert (found.background == 10).all()


def test_a_box_with_too_few_pixels_has_the_background_of_its_neighbours():
    data = np.full((40, 40), 10, np.float32)
    data[:20, :20] = 50
    mask = np.zeros(data.shape, bool)
    mask[:20:2, :20] = True
    assert (background_map(data, mask, 20).background == 10).all()


def test_a_coverage_mask_leaves_zeros_and_a_mask_does_not():
    data = sky((100, 100))
    outside = np.zeros(data.shape, bool)
    outside[:, 90:] = True
    data[outside] = np.nan
    covered = background_map(data, None, 25, coverage_mask=outside)
    masked = background_map(data, outside, 25)
    for ours, all_over in ((covered.background, masked.background), (covered.rms, masked.rms)):
        assert (ours[outside] == 0).all()
        assert (ours[~outside] == all_over[~outside]).all()
        assert (all_over > 0).all()


def test_both_masks_count():
    data = sky((60, 60))
    mask, coverage = np.zeros((2, 60, 60), bool)
    mask[5:9, 5:9] = coverage[40:60, 55:] = True
    expected = photutils_map(data, mask, 20, coverage_mask=coverage)
    assert_same_as_photutils(background_map(data, mask, 20, coverage), expected)


def test_without_a_usable_box_there_is_one_for_the_whole_image():
    data = np.tile(np.float32([9, 11]), (30, 15))
    mask = np.zeros(data.shape, bool)
    mask[::2] = True
    data[mask] = 99
    found = background_map(data, mask, 10)
    assert (found.background == 10).all()
    assert (found.rms == 1).all()


@pytest.mark.parametrize("kept", [2**26, 1000])
def test_a_large_image_without_a_usable_box_is_read_in_parts(monkeypatch, kept):
    data = sky((80, 60))
    data[::7] = np.nan
    data[3, 5] = 1e4
    expected = background_map(data, None, 20)
    assert len(np.unique(expected.background)) == 1
    monkeypatch.setattr("calflow.science.sky.background_map.BOX_PIXELS", 79 * 60)
    monkeypatch.setattr("calflow.science.sky.background_map.KEPT_PIXELS", kept)
    monkeypatch.setattr("calflow.science.bands.BAND_ROWS", 9)
    found = background_map(data, None, 20)
    np.testing.assert_array_equal(found.background, expected.background)
    np.testing.assert_allclose(found.rms, expected.rms, rtol=1e-6)
    assert found.rms.dtype == np.float32
    with pytest.raises(NoBackground):
        background_map(np.full_like(data, np.nan), None, 20)


def test_one_pixel_is_its_own_background():
    found = background_map(np.full((1, 1), 3, np.float32), np.zeros((1, 1), bool), 400)
    assert found.background.tolist() == [[3]]
    assert found.rms.tolist() == [[0]]


@pytest.mark.parametrize(
    ("data", "mask"),
    [
        (np.full((4, 5), np.nan, np.float32), None),
        (np.ones((4, 5), np.float32), np.ones((4, 5), bool)),
        (np.ones((0, 5), np.float32), None),
    ],
)
def test_an_image_without_pixels_has_no_background(data, mask):
    with pytest.raises(NoBackground, match="all pixels"):
        background_map(data, mask, 2)


def test_all_pixels_may_be_masked_by_the_two_masks_together():
    left = np.arange(6).reshape(1, 6) < 3
    with pytest.raises(NoBackground):
        background_map(np.ones((1, 6), np.float32), left, 2, ~left)


def test_the_inputs_are_left_alone():
    data, mask, coverage = sky((30, 30)), np.zeros((30, 30), bool), np.eye(30, dtype=bool)
    before = data.copy()
    background_map(data, mask, 10, coverage)
    assert (data == before).all()
    assert not mask.any()
    assert coverage.sum() == 30


@pytest.mark.parametrize("box_size", [0, -3, 2.5, None])
def test_a_box_has_a_whole_number_of_pixels(box_size):
    with pytest.raises(ValueError, match="box size"):
        background_map(np.ones((4, 4), np.float32), None, box_size)


def test_the_image_has_two_dimensions():
    with pytest.raises(ValueError, match="2-D"):
        background_map(np.ones((2, 4, 4), np.float32), None, 2)


def test_the_image_holds_floats():
    with pytest.raises(ValueError, match="floats"):
        background_map(np.ones((4, 4), np.int32), None, 2)


@pytest.mark.parametrize("name", ["mask", "coverage_mask"])
def test_a_mask_has_the_shape_of_the_image(name):
    masks = {"mask": None, "coverage_mask": None} | {name: np.zeros((4, 5), bool)}
    with pytest.raises(ValueError, match=f"^{name} has shape"):
        background_map(np.ones((4, 4), np.float32), box_size=2, **masks)
