"""Aperture photometry: areas, backgrounds and magnitudes worked by hand."""

import numpy as np
import pytest
from astropy.stats import sigma_clipped_stats
from hypothesis import given, settings
from hypothesis import strategies as st
from photutils.aperture import CircularAnnulus

from calflow.science.sources.aperture_photometry import (
    Apertures,
    ab_magnitude,
    aperture_flux,
    check_encircled_energies,
    local_background,
    part_on_image,
)

APERTURES = Apertures((30, 50, 70), (1.0, 2.0, 3.0), (3.3, 2.0, 1.4), 5.0, 8.0)


def at(*positions):
    return np.array(positions, float).reshape(-1, 2).T


def test_flux_is_the_area_of_the_circle():
    data = np.full((40, 40), 2.0)
    flux, error = aperture_flux(data, np.full_like(data, 0.5), *at((20.3, 19.8)), 4.0)
    assert flux[0] == pytest.approx(2 * np.pi * 16)
    # Partly covered pixels count with their area in the variance too.
    assert error[0] == pytest.approx(0.5 * np.sqrt(np.pi * 16))


def test_circle_within_one_pixel():
    data = np.zeros((5, 5))
    data[2, 3] = 7.0
    flux, _ = aperture_flux(data, None, *at((3, 2), (1, 2)), 0.5)
    np.testing.assert_allclose(flux, [7 * np.pi / 4, 0], atol=1e-12)


def test_circle_over_the_edge_has_half_the_flux():
    flux, _ = aperture_flux(np.ones((21, 21)), None, *at((-0.5, 10)), 3.0)
    assert flux[0] == pytest.approx(4.5 * np.pi)


def test_part_on_the_image():
    """Half of the circle at the middle of an edge, a quarter in a corner, all of it inside, none outside."""
    positions = at((-0.5, 10), (29.5, 20.5), (10, 10), (2.5, 10), (-9, 3), (np.nan, 3))
    part = part_on_image((21, 30), *positions, 3.0)
    np.testing.assert_allclose(part, [0.5, 0.25, 1, 1, 0, np.nan])
    assert part[2] == part[3] == 1  # exactly: fluxes there are those of jwst, bit by bit


@settings(max_examples=50, deadline=None)
@given(st.floats(-6, 36), st.floats(-6, 26), st.floats(0.3, 9))
def test_a_flat_image_has_no_flux_above_its_background(x, y, radius):
    data = np.full((21, 30), 5.0)
    flux, _ = aperture_flux(data, None, *at((x, y)), radius)
    part = part_on_image(data.shape, *at((x, y)), radius)[0]
    assert np.nan_to_num(flux[0]) == pytest.approx(5 * np.pi * radius**2 * part, abs=1e-9)


def test_flux_without_value():
    data = np.ones((20, 20))
    data[10, 10] = np.nan
    flux, error = aperture_flux(data, None, *at((9, 9), (4, 4), (np.nan, 3)), 2.0)
    np.testing.assert_array_equal(np.isnan(flux), [True, False, True])
    assert np.isnan(error).all()


def test_no_positions():
    data = np.ones((20, 20))
    assert aperture_flux(data, data, *at(), 2.0)[0].shape == (0,)
    assert local_background(data, *at(), 2.0, 3.0)[0].shape == (0,)


def test_background_is_the_median_of_the_annulus():
    y, x = np.indices((41, 41))
    distance = np.hypot(x - 20, y - 20)
    data = np.where((distance > 5) & (distance < 8), 3.0, 100.0)
    background, error = local_background(data, *at((20, 20)), 5.0, 8.0)
    assert (background[0], error[0]) == (3.0, 0.0)


def test_background_error_is_that_of_a_median():
    y, x = np.indices((41, 41))
    ring = (np.hypot(x - 20, y - 20) > 5) & (np.hypot(x - 20, y - 20) < 8)
    data = np.zeros((41, 41))
    data[ring] = np.resize([1.0, 3.0], np.count_nonzero(ring))  # half of them each: 116 pixels
    background, error = local_background(data, *at((20, 20)), 5.0, 8.0)
    assert background[0] == 2.0
    assert error[0] == pytest.approx(np.sqrt(np.pi / 2 / np.count_nonzero(ring)))


def test_background_without_a_star_in_the_annulus():
    data = np.random.default_rng(1).normal(5.0, 0.1, (41, 41))
    clean, _ = local_background(data, *at((20, 20)), 5.0, 8.0)
    data[26, 19:22] = 1000.0
    clipped, _ = local_background(data, *at((20, 20)), 5.0, 8.0)
    assert clipped[0] == pytest.approx(clean[0], abs=0.01)


def test_backgrounds_are_those_of_astropy_and_photutils():
    random = np.random.default_rng(2)
    data = random.normal(5.0, 1.0, (60, 70)) + 50 * (random.random((60, 70)) < 0.02)
    data[5, 7] = np.nan
    x, y = random.uniform(-1, 70, 30), random.uniform(-1, 60, 30)
    background, error = local_background(data, x, y, 4.3, 7.9)
    for i, mask in enumerate(CircularAnnulus(np.column_stack([x, y]), 4.3, 7.9).to_mask(method="center")):
        values = mask.get_values(data)
        values = values[np.isfinite(values)]
        _, median, _ = sigma_clipped_stats(values, sigma=3, maxiters=5)
        assert background[i] == pytest.approx(median, rel=1e-12)
        assert 0 < error[i] < 0.3


def test_background_in_blocks_is_the_same(monkeypatch):
    data = np.random.default_rng(6).random((50, 50))
    x, y = np.random.default_rng(7).uniform(10, 40, (2, 11))
    whole = local_background(data, x, y, 3.0, 6.0)
    monkeypatch.setattr("calflow.science.sources.aperture_photometry.BLOCK_PIXELS", 600)
    np.testing.assert_array_equal(local_background(data, x, y, 3.0, 6.0), whole)


def test_background_without_value():
    data = np.full((30, 30), np.nan)
    background, error = local_background(data, *at((15, 15), (100, 100), (np.nan, 1)), 3.0, 6.0)
    assert np.isnan(background).all()
    assert np.isnan(error).all()


def test_ab_magnitudes():
    magnitude, error = ab_magnitude(np.array([1.0, 3631.0, 100.0]), np.array([0.0, 0.0, 10.0]))
    np.testing.assert_allclose(magnitude, [8.9, 0.0, 3.9], atol=1e-4)
    np.testing.assert_allclose(error, [0, 0, 2.5 * np.log10(1.1)])


def test_magnitudes_of_fluxes_that_are_not_positive():
    magnitude, error = ab_magnitude(np.array([0.0, -1.0, np.nan]), np.ones(3))
    assert np.isnan(magnitude).all()
    assert np.isnan(error).all()


def test_apertures_in_smaller_pixels():
    scaled = APERTURES.scaled(0.5)
    assert scaled.radii == (2, 4, 6)
    assert (scaled.sky_inner, scaled.sky_outer) == (10, 16)
    assert scaled.corrections == APERTURES.corrections


@pytest.mark.parametrize("ee", [(30, 50), (50, 30, 70), (30, 30, 70), (0, 50, 70), (30, 50, 100), (30, 50, 70.5)])
def test_wrong_encircled_energies(ee):
    with pytest.raises(ValueError, match="three integers between 1 and 99"):
        check_encircled_energies(ee)


@pytest.mark.parametrize(("radii", "sky"), [((0, 1, 2), (3, 4)), ((1, 2, 3), (4, 4)), ((1, 2, 3), (0, 4))])
def test_wrong_radii(radii, sky):
    with pytest.raises(ValueError, match="all must be larger than 0"):
        Apertures((30, 50, 70), radii, (1, 1, 1), *sky)
