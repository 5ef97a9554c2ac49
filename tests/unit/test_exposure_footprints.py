"""Where exposures lie by their headers, against projections worked out by hand and the geometry of simulated ones."""

from pathlib import Path

import numpy as np
import pytest

from calflow.inputs.exposure_footprints import Footprint, extent, footprint_of, with_targets_together
from calflow.inputs.fits_headers import HduShape
from calflow.inputs.headers import ExposureHeader
from calflow.science.geometry.input_pixels import InputPixels
from calflow.science.geometry.tangent_plane import to_plane, to_sky

POINTING = {
    "TELESCOP": "JWST",
    "RA_REF": 80.0,
    "DEC_REF": -70.0,
    "ROLL_REF": 30.0,
    "VPARITY": -1,
    "V3I_YANG": 10.0,
    "CRPIX1": 3.5,
    "CRPIX2": 2.5,
    "CDELT1": 0.1 / 3600,
    "CDELT2": 0.2 / 3600,
}
# Of a 4 x 6 image around its middle, arcsec.
HALF_WIDTH, HALF_HEIGHT = 0.3, 0.4


def header(shape=(4, 6), **values):
    return ExposureHeader(Path("a.fits"), values, (HduShape("SCI", 1, "IMAGE", shape, -32),))


def expected_corners(angle, parity):
    """Return the corners of the image above: its y axis points `angle` degrees east of north, arcsec east and north."""
    turn = np.radians(angle)
    y_axis = np.array([np.sin(turn), np.cos(turn)])
    x_axis = parity * np.array([np.cos(turn), -np.sin(turn)])
    signs = [(-1, -1), (-1, 1), (1, 1), (1, -1)]
    return np.array([a * HALF_WIDTH * x_axis + b * HALF_HEIGHT * y_axis for a, b in signs])


@pytest.mark.parametrize(("parity", "angle"), [(-1, 40.0), (1, 20.0)])
def test_a_pointing_tells_the_corners(parity, angle):
    found = footprint_of(header(**POINTING | {"VPARITY": parity}))
    corners = to_plane(found.vertices, (80.0, -70.0))
    np.testing.assert_allclose(corners, expected_corners(angle, parity), atol=1e-9)
    assert found.pixels.parity == parity
    assert found.pixels.position_angle == pytest.approx(angle)
    assert found.pixels.scale == pytest.approx(np.sqrt(0.02))
    assert found.pixels.area == pytest.approx(0.02)


def test_a_corrected_pointing_goes_before_an_old_region():
    values = POINTING | {"S_REGION": "POLYGON ICRS 1 1 1 2 2 2 2 1"}
    np.testing.assert_allclose(footprint_of(header(**values)).vertices.mean(axis=0), (80.0, -70.0), atol=1e-6)


def test_of_a_calibrated_exposure_the_region_counts():
    corners = to_sky(expected_corners(40.0, -1), (81.0, -70.0))
    region = "POLYGON ICRS  " + " ".join(f"{number:.9f}" for number in corners.ravel())
    found = footprint_of(header(**POINTING | {"S_WCS": "COMPLETE", "S_REGION": region, "CDELT1": None}))
    np.testing.assert_allclose(found.vertices, corners, atol=1e-9)
    assert found.pixels.scale == pytest.approx(np.sqrt(0.02), rel=1e-4)
    assert found.pixels.position_angle == pytest.approx(40.0)


def test_the_linear_wcs_of_a_family_that_takes_it():
    values = {"TELESCOP": "Keck", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 3.5, "CRPIX2": 2.5}
    values |= {"CRVAL1": 10.0, "CRVAL2": 89.999, "CD1_1": 0.1 / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.2 / 3600}
    corners = to_plane(footprint_of(header(**values)).vertices, (10.0, 89.999))
    np.testing.assert_allclose(corners, expected_corners(0.0, 1), atol=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"RA_REF": None},
        {"CDELT1": "x"},
        {"CDELT1": 10**400},
        {"DEC_REF": float("nan")},
        {"VPARITY": True},
        {"S_REGION": "CIRCLE 1 2 3"},
    ],
)
def test_what_a_header_does_not_tell_is_not_known(changes):
    values = {key: value for key, value in (POINTING | changes).items() if value is not None}
    values |= {"RA_REF": "x"} if "S_REGION" in changes else {}
    assert footprint_of(header(**values)) is None


def test_a_moving_target_is_brought_to_one_place():
    """At declination 60, 2 arcmin of motion in right ascension: shapes and sizes stay."""
    pixels = InputPixels(0.1, 0.01, 0.0, -1)
    places = {"a": (10.0, 60.0), "b": (10.0 + 4 / 60, 60.0)}
    corners = {name: to_sky(expected_corners(0.0, -1), place) for name, place in places.items()}
    found = with_targets_together({name: Footprint(corners[name], pixels) for name in places}, places)
    np.testing.assert_allclose(found["a"].vertices, found["b"].vertices, atol=1e-9)
    (ra, dec), (width, height) = extent([found["a"].vertices])
    assert (ra, dec) == pytest.approx((10.0 + 2 / 60, 60.0), abs=1e-5)
    assert (width, height) == pytest.approx((2 * HALF_WIDTH, 2 * HALF_HEIGHT), rel=1e-6)


def test_without_all_targets_nothing_is_moved():
    footprints = {"a": Footprint(np.zeros((4, 2)), InputPixels(0.1, 0.01, 0.0, -1))}
    for target in (None, (np.inf, 0.0)):
        assert with_targets_together(footprints, {"a": target}) == footprints
