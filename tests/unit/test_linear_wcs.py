import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io.fits import Header
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.files.linear_wcs import NoProjection, read_projection

STEP = 0.004 / 3600
HEADER = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRPIX1": 72.5,
    "CRPIX2": 60.5,
    "CRVAL1": 265.0,
    "CRVAL2": -29.0,
    "CDELT1": -STEP,
    "CDELT2": STEP,
}
PIXELS = np.stack(np.meshgrid([0.0, 70.0, 143.5], [-0.5, 60.0, 119.0]), axis=-1)


def sky(header):
    return read_projection(header).to_sky(PIXELS)


def by_astropy(header):
    return np.stack(WCS(Header(header)).pixel_to_world_values(*np.moveaxis(PIXELS, -1, 0)), axis=-1)


def test_reference_pixel_counts_from_1():
    assert read_projection(HEADER).to_sky(np.array([71.5, 59.5])) == pytest.approx([265.0, -29.0], abs=1e-13)


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8},
        {"PC1_2": 0.1},
        {"CDELT1": 1.5 * STEP},
        {"CD1_1": STEP, "CD1_2": 2 * STEP, "CD2_1": -STEP, "CD2_2": STEP, "CDELT1": None, "CDELT2": None},
        {"CUNIT1": "deg", "CUNIT2": "deg", "LONPOLE": 180.0, "RADESYS": "ICRS"},
    ],
)
def test_as_astropy(cards):
    header = {key: value for key, value in (HEADER | cards).items() if value is not None}
    np.testing.assert_allclose(sky(header), by_astropy(header), atol=1e-11)


@settings(max_examples=50, deadline=None)
@given(
    ra=st.floats(0.001, 359.9),
    dec=st.floats(-89.9, 89.9),
    angle=st.floats(0, 360),
    scale=st.floats(1e-7, 1e-4),
    flip=st.sampled_from([-1, 1]),
)
def test_pixels_come_back(ra, dec, angle, scale, flip):
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    matrix = {"PC1_1": cos, "PC1_2": -sin, "PC2_1": sin, "PC2_2": cos}
    header = HEADER | {"CRVAL1": ra, "CRVAL2": dec, "CDELT1": flip * scale, "CDELT2": scale} | matrix
    projection = read_projection(header)
    np.testing.assert_allclose(projection.to_pixel(projection.to_sky(PIXELS)), PIXELS, atol=1e-4)
    pointing = projection.pointing()
    assert pointing.vparity == flip
    # The position angle of the y axis: east over north.
    assert np.sin(np.radians(pointing.roll_ref)) == pytest.approx(-flip * sin, abs=1e-9)


@pytest.mark.parametrize("dec", [-89.99, -29.0, 0.0, 89.99])
def test_fk5_is_turned_to_icrs(dec):
    header = HEADER | {"CRVAL2": dec, "RADECSYS": "FK5"}
    fk5 = SkyCoord(*np.moveaxis(by_astropy(HEADER | {"CRVAL2": dec}), -1, 0), unit="deg", frame="fk5").icrs
    found = SkyCoord(*np.moveaxis(sky(header), -1, 0), unit="deg")
    assert found.separation(fk5).mas.max() < 1e-3


@pytest.mark.parametrize(
    ("cards", "text"),
    [
        ({"CTYPE1": None}, "CTYPE1 is missing"),
        ({"CTYPE2": "DEC--SIN"}, "CTYPE2 is 'DEC--SIN', not 'DEC--TAN'"),
        ({"CRPIX1": None}, "CRPIX1 is missing"),
        ({"CRVAL2": "north"}, "CRVAL2 is 'north', not a number"),
        ({"CRVAL2": True}, "not a number"),
        ({"CDELT1": None}, "CDELT1 is missing"),
        ({"CDELT2": 0.0}, "has no inverse"),
        ({"CDELT1": 1e300, "CDELT2": 1e300}, "does not lead from pixels to degrees"),
        ({"CDELT1": 1e300, "CDELT2": 1e-300}, "does not lead from pixels to degrees"),
        ({"CDELT1": 1e-12}, "does not lead from pixels to degrees"),
        ({"CDELT1": 1e300, "PC1_1": 1e300}, "does not lead from pixels to degrees"),
        ({"CUNIT1": "arcsec"}, "CUNIT1 is 'arcsec', not 'deg'"),
        ({"LONPOLE": 90.0}, "LONPOLE is 90.0"),
        ({"CRVAL2": 90.0}, "LONPOLE must be given"),
        ({"RADECSYS": "FK4"}, "its frame is 'FK4'; known are ICRS, FK5"),
        ({"RADESYS": "FK5", "EQUINOX": 1975.0}, "EQUINOX is 1975.0"),
    ],
)
def test_what_is_no_projection(cards, text):
    header = {key: value for key, value in (HEADER | cards).items() if value is not None}
    with pytest.raises(NoProjection, match=text):
        read_projection(header)


def test_integers_of_any_size_are_numbers():
    whole = HEADER | {"CRPIX1": 10**30}
    assert np.array_equal(sky(whole), sky(HEADER | {"CRPIX1": 1e30}), equal_nan=True)
