"""A flat of the skies of exposures: right against a response that is known, and so is what it says of itself."""

import numpy as np
import pytest

from calflow.science.calibration.flat_field import Flat
from calflow.science.calibration.sky_reference import UNRELIABLE_FLAT, flat_of_skies
from calflow.science.cleaning.sky_flat_parameters import SkyFlat
from calflow.science.dq_flags import DO_NOT_USE, NO_FLAT_FIELD
from calflow.science.image import Image

SHAPE = (192, 256)
SKY, NOISE = 100.0, 1.0
NUMBER = 8


def exposures(response, seed=4, stars=30):
    """Return exposures of an even sky and of stars that move, seen with a response."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    places = random.uniform(0, 1, (stars, 2)) * SHAPE
    for number in range(NUMBER):
        light = np.full(SHAPE, SKY)
        for row, column in places + 9.0 * number:
            light += 500 * np.exp(-((y - row % SHAPE[0]) ** 2 + (x - column % SHAPE[1]) ** 2) / 6)
        sci = (light * response + random.normal(0, NOISE, SHAPE)).astype(np.float32)
        variance = np.full(SHAPE, NOISE**2, np.float32)
        yield Image(sci, np.sqrt(variance), np.zeros(SHAPE, np.uint32), variance, np.zeros_like(variance))


@pytest.fixture
def response():
    return (1 + np.random.default_rng(1).normal(0, 0.03, SHAPE)).astype(np.float32)


def test_the_response_is_found_from_nothing(response):
    made = flat_of_skies(exposures(response), SkyFlat())
    known = (made.flat.dq & NO_FLAT_FIELD) == 0
    assert known.mean() > 0.95
    difference = (made.flat.sci - response / np.median(response))[known]
    assert np.std(difference) < 1.2 * NOISE / SKY / np.sqrt(NUMBER)
    # Its error says so, and it tells of the response that it was not there before.
    assert np.std(difference / made.flat.err[known]) == pytest.approx(1, abs=0.15)
    assert made.corrects == pytest.approx(0.03, rel=0.05)
    assert made.noise == pytest.approx(NOISE / SKY / np.sqrt(NUMBER), rel=0.1)


def test_a_flat_is_corrected(response):
    wrong = (1 + np.random.default_rng(2).normal(0, 0.02, SHAPE)).astype(np.float32)
    level = np.float32(1.7)  # what a flat is normalised to stays
    given = Flat(level * response * wrong, np.full(SHAPE, 0.01, np.float32), np.zeros(SHAPE, np.uint32))
    made = flat_of_skies(exposures(response), SkyFlat(), given)
    known, before = made.flat.dq == 0, np.std(wrong)
    assert known.mean() > 0.95
    assert np.std((made.flat.sci / (level * response))[known]) < 1.2 * NOISE / SKY / np.sqrt(NUMBER)
    assert made.corrects == pytest.approx(before, rel=0.08)
    assert np.median(made.flat.sci) == pytest.approx(np.median(given.sci), rel=0.005)
    # sqrt((C dF)^2 + (F dC)^2), with C near 1
    assert np.median(made.flat.err) == pytest.approx(np.hypot(0.01, level * made.noise), rel=0.05)


def test_a_right_flat_stays(response):
    given = Flat(response, None, np.zeros(SHAPE, np.uint32))
    made = flat_of_skies(exposures(response), SkyFlat(), given)
    assert made.corrects < 0.3 * made.noise
    assert np.std(made.flat.sci / response) < 1.2 * made.noise


def test_pixels_that_are_not_known(response):
    """A pixel that no exposure shows stays as the flat has it; one that the flat does not know is not made up."""
    given = Flat(response.copy(), None, np.zeros(SHAPE, np.uint32))
    given.dq[5, 6] = NO_FLAT_FIELD | DO_NOT_USE
    given.sci[7, 8] = np.nan
    images = list(exposures(response))
    for image in images:
        image.sci[10, 20] = np.nan
    made = flat_of_skies(images, SkyFlat(), given)
    assert made.flat.dq[5, 6] & NO_FLAT_FIELD
    assert np.isnan(made.flat.sci[7, 8])
    assert made.flat.sci[10, 20] == response[10, 20]
    assert made.flat.dq[10, 20] == UNRELIABLE_FLAT
    assert flat_of_skies(images, SkyFlat()).flat.dq[10, 20] == NO_FLAT_FIELD


def test_exposures_without_a_sky_are_refused(response):
    images = [Image(i.sci - SKY * response, i.err, i.dq, i.var_poisson, i.var_rnoise) for i in exposures(response)]
    with pytest.raises(ValueError, match="no exposure has a sky above 0"):
        flat_of_skies(images, SkyFlat())
