import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from calflow.science.stars.centroids import refine

# The narrowest window.
SIGMA = 1.5
FWHM = SIGMA * 2.3548200450309493


def star(shape, x, y, sigma=SIGMA, flux=1000.0):
    """Return the image of a Gaussian star, integrated over the pixels."""

    def along(n, centre):
        edges = (np.arange(n + 1) - 0.5 - centre) / (sigma * np.sqrt(2))
        return np.diff(erf(edges)) / 2

    return flux * np.outer(along(shape[0], y), along(shape[1], x))


def nothing(image):
    return np.zeros(image.shape, bool)


def refined(image, x, y, mask=None, fwhm=FWHM, noise=1.0):
    return refine(image, nothing(image) if mask is None else mask, np.atleast_1d(x), np.atleast_1d(y), fwhm, noise)


@settings(deadline=None)
@given(
    st.floats(18, 22), st.floats(18, 22), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.sampled_from([0.8, 1.5, 2.5])
)
def test_a_star_is_found_wherever_it_lies_in_its_pixel(x, y, off_x, off_y, sigma):
    """For stars narrower and wider than the window; the start does not matter."""
    found = refined(star((41, 41), x, y, sigma), x + off_x, y + off_y)
    assert found.x[0] == pytest.approx(x, abs=3e-3)
    assert found.y[0] == pytest.approx(y, abs=3e-3)


def test_the_centroid_is_where_the_convolved_image_is_highest():
    image = star((31, 31), 15.2, 14.7) + star((31, 31), 19.9, 16.1, flux=200.0)
    found = refined(image, 15.0, 15.0)
    rows, columns = np.indices(image.shape)

    def convolved(x, y):
        return np.sum(image * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * SIGMA**2)))

    x, y = found.x[0], found.y[0]
    assert abs(x - 15.2) > 0.02  # the neighbour pulls
    for dx, dy in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02)):
        assert convolved(x, y) > convolved(x + dx, y + dy)


def test_a_constant_background_pulls_little():
    """It doubles the flux within the window; a mean of the pixels would be half-way to the middle of the pixel."""
    image = star((41, 41), 20.4, 20.0) + 35.0
    assert refined(image, 20.0, 20.0).x[0] == pytest.approx(20.4, abs=0.001)


def test_a_narrow_window_is_widened():
    """A window of 1 pixel would end at 20.04, near the middle of the pixel."""
    image = star((41, 41), 20.3, 20.3, sigma=0.5)
    narrow, least = refined(image, 20.1, 20.1, fwhm=1.0), refined(image, 20.1, 20.1, fwhm=FWHM)
    assert narrow.x[0] == least.x[0] == pytest.approx(20.3, abs=0.02)


def test_a_wide_window_is_used():
    """The error is sqrt(pi / 2) width^4 / (flux x sigma^2), with the width of the star convolved with the window."""
    found = refined(star((61, 61), 30.3, 30.3, sigma=4.0), 30.0, 30.0, fwhm=4 * 2.3548)
    assert found.x[0] == pytest.approx(30.3, abs=1e-3)
    assert found.error[0] == pytest.approx(np.sqrt(np.pi / 2) * (16 + 1 / 12 + 16) ** 2 / (1000 * 16), rel=0.01)


@pytest.mark.parametrize("sigma", [0.8, 1.5, 2.5])
def test_the_error_is_what_the_noise_makes(sigma):
    random = np.random.default_rng(0)
    image = np.tile(star((25, 25), 12.3, 11.8, sigma), (20, 20)) + random.normal(0, 1.0, (500, 500))
    x, y = (each.ravel() * 25.0 for each in np.meshgrid(np.arange(20), np.arange(20)))
    found = refined(image, x + 12.3, y + 11.8, noise=1.0)
    # The image convolved with the window is a Gaussian of the width^2 = both widths^2 together, height = that
    # of the sum below: its curvature is height / width^2, and the noise of its slope is sqrt(pi / 2).
    width2 = sigma**2 + 1 / 12 + SIGMA**2
    height = 1000 * SIGMA**2 / width2
    assert np.median(found.error) == pytest.approx(np.sqrt(np.pi / 2) * width2 / height, rel=0.03)
    assert np.std(found.x - x) == pytest.approx(np.median(found.error), rel=0.1)
    assert np.std(found.y - y) == pytest.approx(np.median(found.error), rel=0.1)
    assert np.mean(found.x - x) == pytest.approx(12.3, abs=0.003)


@pytest.mark.parametrize("how", ["NaN", "masked"])
@pytest.mark.parametrize("pixels", [[(20, 20)], [(19, 21), (20, 21), (21, 21)], [(20, 22)]])
def test_missing_pixels_do_not_pull(how, pixels):
    image = star((41, 41), 20.3, 19.8)
    mask = nothing(image)
    at = tuple(np.transpose(pixels))
    if how == "NaN":
        image[at] = np.nan
    else:
        image[at] = 1e5
        mask[at] = True
    found = refined(image, 20.0, 20.0, mask)
    assert found.x[0] == pytest.approx(20.3, abs=0.02)
    assert found.y[0] == pytest.approx(19.8, abs=0.02)


def test_a_star_at_the_edge_is_not_pulled_inwards():
    """By the pixels of the image alone, it would move inwards by more than 1 pixel."""
    found = refined(star((41, 41), 0.2, 40.1), 0.0, 40.0)
    assert found.x[0] == pytest.approx(0.2, abs=0.05)
    assert found.y[0] == pytest.approx(40.1, abs=0.05)


@pytest.mark.parametrize(
    ("image", "x", "y"),
    [
        (star((41, 41), 24.0, 20.0), 21.0, 20.0),  # the star is 3 pixels away
        (np.zeros((41, 41)), 20.2, 20.3),
        (-star((41, 41), 20.0, 20.0), 20.2, 20.3),
        (np.full((41, 41), np.nan), 20.2, 20.3),
        (np.ones((1, 1)), 3.0, 4.0),
        (star((41, 41), 20.0, 20.0), np.nan, 20.0),
        (star((41, 41), 20.0, 20.0), 200.0, -300.0),
    ],
    ids=["far", "nothing", "a hole", "NaN", "outside of one pixel", "no position", "outside"],
)
def test_a_star_that_is_not_there_stays(image, x, y):
    found = refined(image, x, y)
    np.testing.assert_array_equal([found.x[0], found.y[0], found.error[0]], [x, y, 1.0])


def test_each_star_is_refined_by_itself():
    image = star((60, 60), 20.3, 20.4) + star((60, 60), 45.1, 40.6, flux=20.0)
    image[5, 5] = np.nan
    x, y = np.array([45.0, 20.0, 5.0]), np.array([41.0, 20.0, 5.0])
    together = refined(image, x, y)
    for i in range(3):
        alone = refined(image, x[i], y[i])
        assert [together.x[i], together.y[i], together.error[i]] == [alone.x[0], alone.y[0], alone.error[0]]


@pytest.mark.parametrize("shape", [(41, 41), (1, 1), (0, 8)])
def test_no_stars_no_positions(shape):
    image = np.zeros(shape, np.float32)
    found = refine(image, nothing(image), np.empty(0), np.empty(0), FWHM, 1.0)
    for each in (found.x, found.y, found.error):
        assert (each.shape, each.dtype) == ((0,), np.float64)


def test_the_arrays_are_left_alone():
    image = star((41, 41), 20.3, 20.4).astype(np.float32)
    image[20, 21] = np.nan
    before, mask, x = image.copy(), nothing(image), np.array([20.0])
    refine(image, mask, x, x, FWHM, 1.0)
    np.testing.assert_array_equal(image, before)
    assert not mask.any()
    assert x[0] == 20.0


def test_a_width_must_be_positive():
    with pytest.raises(ValueError, match=r"fwhm is 0\.0; it must be larger than 0"):
        refined(np.zeros((5, 5)), 2.0, 2.0, fwhm=0.0)
