"""Sharpness and roundness: DAOFIND's definitions, worked by hand and as photutils has them."""

import numpy as np
import pytest
from photutils.detection import DAOStarFinder

from calflow.science.sources.segmentation import FWHM_PER_SIGMA
from calflow.science.sources.sharpness import sharpness_and_roundness

FWHM = 2.0  # the kernel then has a radius of 2 pixels and 13 pixels


def at(data, x, y, fwhm=FWHM):
    sharpness, roundness = sharpness_and_roundness(data, np.array([x], float), np.array([y], float), fwhm)
    return sharpness[0], roundness[0]


def kernel():
    """Return the Gaussian and the pixels of a kernel with a radius of 2 pixels."""
    y, x = np.mgrid[-2:3, -2:3]
    gaussian = np.exp(-0.5 * (x**2 + y**2) * (FWHM_PER_SIGMA / FWHM) ** 2)
    return gaussian, x**2 + y**2 <= 4


def test_sharpness_of_a_gaussian_of_the_expected_width():
    gaussian, used = kernel()
    data = np.zeros((21, 21))
    data[8:13, 8:13] = np.where(used, gaussian, 0)
    # The best fitting Gaussian is the image itself, of height 1; around the centre there are 12 pixels.
    assert at(data, 10, 10)[0] == pytest.approx(1 - (gaussian[used].sum() - 1) / 12)


def test_sharpness_of_one_bright_pixel():
    gaussian, used = kernel()
    data = np.zeros((21, 21))
    data[10, 10] = 5.0
    deviation = gaussian[used] - gaussian[used].mean()
    height = 5.0 * deviation.max() / (deviation**2).sum()
    sharpness, roundness = at(data, 10.4, 9.6)  # the nearest pixel counts
    assert sharpness == pytest.approx(5.0 / height)
    assert roundness == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("widths", "sign"), [((3.0, 1.5), -1), ((1.5, 3.0), 1)])
def test_roundness_tells_the_direction(widths, sign):
    y, x = np.mgrid[-10:11, -10:11]
    _, roundness = at(np.exp(-0.5 * ((x / widths[0]) ** 2 + (y / widths[1]) ** 2)), 10, 10)
    assert sign * roundness > 0.3


@pytest.mark.parametrize("fwhm", [1.5, 2.0, 3.5, 5.2])
def test_equal_to_photutils(fwhm):
    random = np.random.default_rng(3)
    y, x = np.mgrid[:100, :100]
    positions = np.mgrid[15:90:20, 15:90:20].reshape(2, -1).T
    data = random.normal(0, 0.02, x.shape)
    for cx, cy in positions + random.uniform(-0.4, 0.4, positions.shape):
        data += np.exp(-0.5 * (((x - cx) / random.uniform(0.8, 2)) ** 2 + ((y - cy) / random.uniform(0.8, 2)) ** 2))
    finder = DAOStarFinder(0.1, fwhm, xycoords=positions, sharpness_range=None, roundness_range=None)
    expected = finder(data)
    sharpness, roundness = sharpness_and_roundness(data, *positions.T.astype(float), fwhm)
    np.testing.assert_allclose(sharpness, expected["sharpness"], rtol=1e-9)
    np.testing.assert_allclose(roundness, expected["roundness1"], rtol=1e-9, atol=1e-9)


def test_a_constant_does_not_matter():
    data = np.random.default_rng(5).random((30, 30))
    assert at(data + 7.0, 15, 15) == pytest.approx(at(data, 15, 15), rel=1e-9)


def test_at_the_corner_there_are_zeros_outside():
    y, x = np.mgrid[:30, :30]
    data = np.exp(-0.5 * (x**2 + y**2) / 1.2)
    finder = DAOStarFinder(1e-9, FWHM, xycoords=[(0, 0)], sharpness_range=None, roundness_range=None)
    expected = finder(data)
    assert at(data, 0, 0) == pytest.approx((expected["sharpness"][0], expected["roundness1"][0]))


def test_nothing_to_measure():
    data = np.ones((20, 20))
    assert np.isnan(at(data, 25, 5)).all()
    assert np.isnan(at(data, np.nan, 5)).all()
    assert np.isnan(at(np.zeros((20, 20)), 5, 5)).all()
    data[5, 6] = np.nan
    assert np.isnan(at(data, 5, 5)).all()
    assert [len(values) for values in sharpness_and_roundness(data, np.empty(0), np.empty(0), FWHM)] == [0, 0]
