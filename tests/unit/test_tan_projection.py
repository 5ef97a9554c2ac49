import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.modeling.models import Pix2Sky_SIN, Pix2Sky_TAN, RotateNative2Celestial, Shift
from astropy.wcs import WCS as FitsWCS
from gwcs import WCS
from gwcs import coordinate_frames as cf
from gwcs.fitswcs import FITSImagingWCSTransform
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.science.geometry.sky_rotation import SkyRotation, to_cartesian
from calflow.science.geometry.tan_projection import TanProjection, projection_of
from calflow.science.geometry.tangent_plane import Affine, to_plane

STEP = 0.1 / 3600  # degrees


def projection(crval=(80.0, -70.0), angle=0.0, crpix=(50.0, 40.0)):
    """0.1 arcsec pixels, east to the left, y turned by `angle` degrees from north to east."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return TanProjection(crpix, crval, STEP, ((-cos, sin), (sin, cos)))


def pixels():
    x, y = np.meshgrid(np.linspace(-30.5, 140, 5), np.linspace(0, 90.25, 4))
    return np.stack([x, y], axis=-1)


def offsets(sky, other):
    """Return differences in degrees on the sky."""
    ra = (sky[..., 0] - other[..., 0] + 180) % 360 - 180
    return np.stack([ra * np.cos(np.radians(sky[..., 1])), sky[..., 1] - other[..., 1]], axis=-1)


CRVALS = [(80.0, -70.0), (0.0, 10.0), (359.9999, 0.0), (40.0, 89.9995), (40.0, 90.0), (200.0, -90.0)]


def test_reference_pixel_is_at_the_reference_point():
    assert projection().to_sky(np.array([50.0, 40.0])) == pytest.approx([80.0, -70.0], abs=1e-12)
    assert projection().to_pixel(np.array([80.0, -70.0])) == pytest.approx([50.0, 40.0], abs=1e-9)


def test_north_is_up_and_east_is_left():
    """tan(0.1 degrees) is 360.00036 arcsec in the plane, 3600.0036 pixels."""
    found = projection(crval=(80.0, 0.0))
    tangent = np.degrees(np.tan(np.radians(0.1))) / STEP
    assert found.to_pixel(np.array([80.0, 0.1])) == pytest.approx([50.0, 40.0 + tangent], abs=1e-7)
    assert found.to_pixel(np.array([80.1, 0.0])) == pytest.approx([50.0 - tangent, 40.0], abs=1e-7)


@pytest.mark.parametrize("crval", CRVALS)
@pytest.mark.parametrize("angle", [0.0, 33.0, 250.0])
def test_the_same_as_astropy(crval, angle):
    found = projection(crval, angle)
    wcs = FitsWCS(Header(found.keywords()))
    sky = found.to_sky(pixels())
    expected = np.stack(wcs.wcs_pix2world(pixels()[..., 0].ravel(), pixels()[..., 1].ravel(), 0), axis=-1)
    assert np.abs(offsets(sky.reshape(-1, 2), expected)).max() < 1e-12
    np.testing.assert_allclose(found.to_pixel(expected).reshape(pixels().shape), pixels(), atol=1e-8)


@pytest.mark.parametrize("crval", CRVALS)
@pytest.mark.parametrize("angle", [0.0, 33.0])
def test_the_same_as_gwcs(crval, angle):
    found = projection(crval, angle)
    wcs = found.gwcs((90, 100), ((-0.5, 99.5), (-0.5, 89.5)))
    sky = np.stack(wcs(pixels()[..., 0], pixels()[..., 1], with_bounding_box=False), axis=-1)
    assert np.abs(offsets(found.to_sky(pixels()), sky)).max() < 1e-12


def test_gwcs_has_shape_box_and_frames():
    wcs = projection().gwcs((90, 100), ((-0.5, 99.5), (-0.5, 29.5)))
    assert wcs.array_shape == (90, 100)
    assert wcs.bounding_box.bounding_box(order="F") == ((-0.5, 99.5), (-0.5, 29.5))
    assert wcs.available_frames == ["detector", "world"]
    assert np.isnan(wcs(10.0, 40.0)).all()


@settings(deadline=None)
@given(
    ra=st.floats(0, 360),
    dec=st.floats(-90, 90),
    angle=st.floats(0, 360),
    x=st.floats(-5000, 5000),
    y=st.floats(-5000, 5000),
)
def test_there_and_back(ra, dec, angle, x, y):
    found = projection((ra, dec), angle)
    sky = found.to_sky(np.array([[x, y]]))
    assert 0 <= sky[0, 0] < 360
    assert -90 <= sky[0, 1] <= 90
    assert found.to_pixel(sky)[0] == pytest.approx((x, y), abs=2e-6)


def test_the_other_half_of_the_sky_has_no_pixel():
    assert np.isnan(projection().to_pixel(np.array([260.0, 70.0]))).all()


def test_keywords_count_pixels_from_1():
    keywords = projection(angle=90.0).keywords()
    assert (keywords["CRPIX1"], keywords["CRPIX2"]) == (51.0, 41.0)
    assert (keywords["CRVAL1"], keywords["CRVAL2"]) == (80.0, -70.0)
    assert (keywords["CDELT1"], keywords["CDELT2"]) == (STEP, STEP)
    assert [keywords[f"PC{i}_{j}"] for i in (1, 2) for j in (1, 2)] == pytest.approx([0, 1, 1, 0], abs=1e-15)
    assert (keywords["CTYPE1"], keywords["CUNIT2"], keywords["RADESYS"]) == ("RA---TAN", "deg", "ICRS")
    assert keywords["WCSAXES"] == 2


# From a gwcs


@pytest.mark.parametrize("crval", CRVALS)
def test_a_projection_is_found_again_bit_for_bit(crval):
    found = projection(crval, 33.0)
    assert projection_of(found.gwcs((90, 100), ((-0.5, 99.5), (-0.5, 89.5)))) == found


def wcs_of(transform):
    return WCS([(cf.Frame2D(name="detector"), transform), (cf.Frame2D(name="world"), None)])


def fits_transform(kind=Pix2Sky_TAN, cdelt=(STEP, STEP)):
    return FITSImagingWCSTransform(kind(), crpix=[1, 2], crval=[3, 4], cdelt=list(cdelt), pc=np.eye(2))


def test_values_of_the_gwcs():
    expected = TanProjection((1.0, 2.0), (3.0, 4.0), STEP, ((1.0, 0.0), (0.0, 1.0)))
    assert projection_of(wcs_of(fits_transform())) == expected


@pytest.mark.parametrize(
    "transform",
    [
        fits_transform(Pix2Sky_SIN),
        fits_transform(cdelt=(-STEP, STEP)),
        Shift(1.0) & Shift(2.0) | Pix2Sky_TAN() | RotateNative2Celestial(80.0, -70.0, 180.0),
        fits_transform() | Shift(0.0) & Shift(0.0),
    ],
)
def test_other_transforms_are_no_such_projection(transform):
    assert projection_of(wcs_of(transform)) is None


@pytest.mark.parametrize(("dec", "given"), [(90.0, True), (89.9995, False), (-90.0, False)])
def test_the_longitude_of_the_pole_is_told_where_it_is_not_the_default(dec, given):
    """180 is the default of FITS but for a projection that is centred on the north pole."""
    assert ("LONPOLE" in projection((40.0, dec)).keywords()) is given


def test_a_correction_follows_in_the_tangent_plane():
    plain = projection(angle=30.0)
    correction = Affine(((0.9999, 1e-4), (-2e-4, 1.0002)), (0.3, -0.2))
    corrected = plain.corrected(correction)
    wanted = correction(to_plane(plain.to_sky(pixels()), plain.crval))
    np.testing.assert_allclose(to_plane(corrected.to_sky(pixels()), plain.crval), wanted, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    ra=st.floats(0, 360, exclude_max=True),
    dec=st.sampled_from([-90.0, 90.0]) | st.floats(-90, 90),
    angle=st.floats(0, 360),
    vector=st.tuples(*[st.floats(-180, 180)] * 3),
)
def test_a_turned_sky_is_another_projection(ra, dec, angle, vector):
    turn, plain = SkyRotation(vector), projection((ra, dec), angle=angle)
    difference = to_cartesian(plain.turned(turn).to_sky(pixels())) - to_cartesian(turn(plain.to_sky(pixels())))
    assert np.abs(difference).max() < 1e-14


def test_area_of_a_pixel():
    steradian, square_arcsec = projection(angle=30.0).pixel_area()
    assert square_arcsec == pytest.approx(0.01)
    assert steradian == pytest.approx(0.01 * (np.pi / 180 / 3600) ** 2)


@pytest.mark.parametrize(("angle", "roll"), [(0.0, 0.0), (30.0, 30.0), (-100.0, 260.0)])
def test_where_it_looks(angle, roll):
    pointing = projection(angle=angle).pointing()
    assert (pointing.ra_ref, pointing.dec_ref, pointing.vparity) == (80.0, -70.0, -1)
    assert pointing.roll_ref == pytest.approx(roll)
