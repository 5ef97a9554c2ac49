import asdf
import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.modeling.bounding_box import ModelBoundingBox
from astropy.modeling.models import Identity, Mapping, Polynomial2D, Scale, Shift
from astropy.wcs import WCS as FitsWCS

from calflow.science.geometry.assign_wcs import build_wcs, v2v3_to_sky, velocity_aberration
from calflow.science.geometry.footprints import footprint, parse_s_region, s_region
from calflow.science.geometry.pointing import Pointing
from calflow.science.geometry.sip import SipError, sip_approximation
from calflow.science.windows import Window

V2_REF, V3_REF = 100.0, -500.0
CENTRE = 49.5  # of 100 pixels
SCALE = 0.1  # arcsec
FULL = Window(1, 1, 100, 100)


def pointing(**changes):
    values = {"v2_ref": V2_REF, "v3_ref": V3_REF, "roll_ref": 0.0, "ra_ref": 80.0, "dec_ref": -70.0}
    return Pointing(**(values | changes))


def linear():
    """0.1 arcsec pixels; x runs against V2, so that x is to the west for roll 0."""
    centred = Shift(-CENTRE) & Shift(-CENTRE)
    return centred | Scale(-SCALE) & Scale(SCALE) | Shift(V2_REF) & Shift(V3_REF)


def distorted():
    """The same with quadratic terms of 0.1 pixel at the corners."""
    bend = 0.1 / CENTRE**2
    polynomials = Mapping((0, 1, 0, 1)) | Polynomial2D(2, c1_0=1, c2_0=bend) & Polynomial2D(2, c0_1=1, c1_1=bend)
    model = Shift(-CENTRE) & Shift(-CENTRE) | polynomials | Scale(-SCALE) & Scale(SCALE)
    model = model | Shift(V2_REF) & Shift(V3_REF)
    model.inverse = linear().inverse  # to first order
    return model


def offsets(ra, dec, centre=(80.0, -70.0)):
    """Arcsec to the east and to the north of the reference point."""
    return (ra - centre[0]) * np.cos(np.radians(dec)) * 3600, (dec - centre[1]) * 3600


def polynomial(sip, name, u, v):
    """The sum of name_i_j u^i v^j, as the SIP convention defines it."""
    terms = [key.split("_")[1:] for key in sip.keywords if key.startswith(f"{name}_") and "ORDER" not in key]
    return sum(sip.keywords[f"{name}_{i}_{j}"] * u ** int(i) * v ** int(j) for i, j in terms)


@pytest.mark.parametrize("roll", [0.0, 33.0, 275.0])
def test_reference_point_looks_at_ra_ref_and_dec_ref(roll):
    wcs = build_wcs(linear(), pointing(roll_ref=roll), FULL, FULL)
    assert wcs(CENTRE, CENTRE) == pytest.approx((80.0, -70.0), abs=1e-12)


@pytest.mark.parametrize(
    ("roll", "v3_step"),
    [(0.0, (0.0, 1.0)), (90.0, (1.0, 0.0)), (180.0, (0.0, -1.0)), (30.0, (0.5, 0.75**0.5))],
)
def test_v3_axis_has_the_roll_angle_east_of_north_and_v2_is_90_degrees_further(roll, v3_step):
    to_sky = v2v3_to_sky(pointing(roll_ref=roll))
    east, north = offsets(*to_sky(V2_REF, V3_REF + 1))
    assert (east, north) == pytest.approx(v3_step, abs=2e-5)
    # The V2 coordinate is a longitude: its steps shrink by the cosine of V3.
    east, north = offsets(*to_sky(V2_REF + 1 / np.cos(np.radians(V3_REF / 3600)), V3_REF))
    assert (east, north) == pytest.approx((v3_step[1], -v3_step[0]), abs=2e-5)


def test_frames_have_the_names_and_units_of_the_products():
    wcs = build_wcs(linear(), pointing(), FULL, FULL)
    assert wcs.available_frames == ["detector", "v2v3", "v2v3vacorr", "world"]
    units = [[str(unit) for unit in step.frame.unit] for step in wcs.pipeline]
    assert units == [["pix"] * 2, ["arcsec"] * 2, ["arcsec"] * 2, ["deg"] * 2]
    assert wcs.output_frame.reference_frame.name == "icrs"


@pytest.mark.parametrize("scale", [None, 1])
def test_without_velocity_aberration_its_frame_is_there_and_does_nothing(scale):
    wcs = build_wcs(linear(), pointing(va_scale=scale), FULL, FULL)
    assert wcs.get_transform("v2v3", "v2v3vacorr")(3.0, 4.0) == (3.0, 4.0)


def test_velocity_aberration_scales_about_the_reference_point():
    model = velocity_aberration(pointing(va_scale=1.0001))
    assert model(V2_REF, V3_REF) == pytest.approx((V2_REF, V3_REF), abs=1e-12)
    # 1.0001 x 110 - 0.0001 x 100 = 110.001; 1.0001 x -480 + 0.0001 x 500 = -479.998
    assert model(110.0, -480.0) == pytest.approx((110.001, -479.998), abs=1e-12)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan")])
def test_velocity_aberration_must_be_positive(scale):
    with pytest.raises(ValueError, match="VA_SCALE"):
        build_wcs(linear(), pointing(va_scale=scale), FULL, FULL)


@pytest.mark.parametrize("name", ["ra_ref", "roll_ref", "v3_ref"])
@pytest.mark.parametrize("value", [None, float("nan")])
def test_pointing_must_be_known(name, value):
    with pytest.raises(ValueError, match=name.upper()):
        build_wcs(linear(), pointing(**{name: value}), FULL, FULL)


def test_distortion_needs_an_inverse():
    model = Mapping((0, 1, 0, 1)) | Polynomial2D(1, c1_0=1) & Polynomial2D(1, c0_1=1)
    with pytest.raises(ValueError, match="no inverse"):
        build_wcs(model, pointing(), FULL, FULL)


def test_subarray_sees_the_same_sky_as_those_pixels_of_the_full_frame():
    full = build_wcs(distorted(), pointing(), FULL, FULL)
    part = build_wcs(distorted(), pointing(), Window(11, 31, 20, 40), FULL)
    assert part(5.0, 7.0) == pytest.approx(full(15.0, 37.0), abs=1e-12)


def test_filter_offset_is_added_to_the_pixels():
    plain = build_wcs(distorted(), pointing(), FULL, FULL)
    shifted = build_wcs(distorted(), pointing(), FULL, FULL, filter_offset=(0.5, -2.0))
    assert shifted(10.0, 20.0) == pytest.approx(plain(10.5, 18.0), abs=1e-12)


def boxed(order="F"):
    model = linear()
    box = ((3.5, 95.5), (0.5, 98.5))
    model.bounding_box = ModelBoundingBox.validate(model, box if order == "F" else box[::-1], order=order)
    return model


@pytest.mark.parametrize(
    ("distortion", "window", "box"),
    [
        (linear(), FULL, ((-0.5, 99.5), (-0.5, 99.5))),
        (boxed(), FULL, ((3.5, 95.5), (0.5, 98.5))),
        (boxed("C"), FULL, ((3.5, 95.5), (0.5, 98.5))),
        (boxed(), Window(1, 1, 64, 32), ((-0.5, 63.5), (-0.5, 31.5))),
        (linear(), Window(5, 9, 64, 32), ((-0.5, 63.5), (-0.5, 31.5))),
    ],
)
def test_bounding_box_is_the_models_own_but_for_subarrays(distortion, window, box):
    wcs = build_wcs(distortion, pointing(), window, FULL, filter_offset=(1.0, 1.0))
    assert wcs.bounding_box.bounding_box(order="F") == box


def test_distortion_model_is_not_changed():
    model = boxed()
    build_wcs(model, pointing(), Window(1, 1, 64, 32), FULL)
    assert model.bounding_box.bounding_box(order="F") == ((3.5, 95.5), (0.5, 98.5))


def test_wcs_survives_an_asdf_file(tmp_path):
    wcs = build_wcs(distorted(), pointing(va_scale=1.0001), Window(5, 9, 64, 32), FULL, (0.5, 0.25))
    asdf.AsdfFile({"wcs": wcs}).write_to(tmp_path / "wcs.asdf")
    with asdf.open(tmp_path / "wcs.asdf") as file:
        read = file["wcs"]
        assert read(3.0, 4.0) == wcs(3.0, 4.0)
        assert read.bounding_box.bounding_box() == wcs.bounding_box.bounding_box()
        assert read.available_frames == wcs.available_frames


def test_footprint_goes_round_the_outer_pixel_edges():
    vertices = footprint(build_wcs(linear(), pointing(dec_ref=0.0), FULL, FULL))
    east, north = offsets(*vertices.T, centre=(80.0, 0.0))
    # Pixels of 0.1 arcsec, 100 of them, x to the west. The pointing is not at V2, V3 = 0, so that
    # a V2 step is shorter by cos(500 arcsec), 3e-6.
    assert east == pytest.approx([5, 5, -5, -5], abs=2e-4)
    assert north == pytest.approx([-5, 5, 5, -5], abs=2e-4)


def test_footprint_is_in_0_to_360_degrees():
    vertices = footprint(build_wcs(linear(), pointing(ra_ref=0.0, dec_ref=0.0), FULL, FULL))
    assert (vertices[:2, 0] < 0.1).all()
    assert (vertices[2:, 0] > 359.9).all()


def test_footprint_needs_a_bounding_box():
    wcs = build_wcs(linear(), pointing(), FULL, FULL)
    wcs.bounding_box = None
    with pytest.raises(ValueError, match="no bounding box"):
        footprint(wcs)


def test_footprint_needs_positions():
    nowhere = linear() | Scale(np.nan) & Identity(1)
    wcs = build_wcs(nowhere, pointing(), FULL, FULL)
    with pytest.raises(ValueError, match="no sky position"):
        footprint(wcs)


def test_s_region_has_nine_decimals_and_two_blanks():
    text = s_region(np.array([[150.0, 2.25], [150.1, -2.0], [0.0000000004, 3]]))
    assert text == ("POLYGON ICRS  150.000000000 2.250000000 150.100000000 -2.000000000 0.000000000 3.000000000")


def test_s_region_of_several_polygons_is_read_back():
    triangles = [np.array([[1.5, 2], [3, 4], [5, -6]]), np.array([[7, 8], [9, 10], [11, 12.25]])]
    read = parse_s_region(s_region(*triangles))
    assert len(read) == 2
    np.testing.assert_array_equal(read[0], triangles[0])
    np.testing.assert_array_equal(read[1], triangles[1])


@pytest.mark.parametrize(
    "text",
    ["", "POLYGON ICRS  1 2 3 4 5", "POLYGON ICRS 1 2 3 4", "CIRCLE ICRS 1 2 3", "POLYGON FK5 1 2 3 4 5 6"],
)
def test_s_region_must_be_icrs_polygons(text):
    with pytest.raises(ValueError, match="S_REGION"):
        parse_s_region(text)


def test_linear_wcs_needs_no_sip_terms():
    keywords = sip_approximation(build_wcs(linear(), pointing(), FULL, FULL), crpix=(50.5, 50.5)).keywords
    assert (keywords["CTYPE1"], keywords["CTYPE2"]) == ("RA---TAN", "DEC--TAN")
    assert (keywords["CRPIX1"], keywords["CRVAL1"]) == (50.5, pytest.approx(80.0, abs=1e-9))
    # 0.1 arcsec = 2.7778e-5 deg; x runs to the west for roll 0
    assert keywords["CD1_1"] == pytest.approx(-SCALE / 3600, rel=1e-5)
    assert keywords["CD2_2"] == pytest.approx(SCALE / 3600, rel=1e-5)
    assert not any(name.startswith(("A_", "AP_", "CDELT", "PC", "NAXIS")) for name in keywords)


def test_sip_is_as_accurate_as_asked():
    wcs = build_wcs(distorted(), pointing(), FULL, FULL)
    sip = sip_approximation(wcs, crpix=(30.0, 20.0), max_pix_error=0.001, max_inv_pix_error=0.001)
    assert sip.doubts == ()
    assert max(sip.max_error, sip.max_inverse_error) < 0.001
    assert sip.keywords["CTYPE1"] == "RA---TAN-SIP"
    assert sip.keywords["A_ORDER"] == 2
    fits = FitsWCS(Header(sip.keywords))
    x, y = (n.ravel() for n in np.meshgrid(np.linspace(-0.5, 99.5, 7), np.linspace(-0.5, 99.5, 7)))
    error_x, error_y = np.array(fits.all_world2pix(*wcs(x, y), 0)) - (x, y)
    assert np.hypot(error_x, error_y).max() < 0.001
    # The inverse polynomials too, without iteration: their linear terms are needed for that.
    u, v = np.array(fits.wcs_world2pix(*wcs(x, y), 1)) - [[30.0], [20.0]]
    back_x, back_y = 29.0 + u + polynomial(sip, "AP", u, v), 19.0 + v + polynomial(sip, "BP", u, v)
    assert np.hypot(back_x - x, back_y - y).max() < 0.002


def test_sip_reference_point_is_kept_and_on_the_gwcs():
    wcs = build_wcs(distorted(), pointing(), FULL, FULL)
    keywords = sip_approximation(wcs, crpix=(30.0, 120.0)).keywords
    assert (keywords["CRPIX1"], keywords["CRPIX2"]) == (30.0, 120.0)
    expected = wcs(29.0, 119.0, with_bounding_box=False)
    assert (keywords["CRVAL1"], keywords["CRVAL2"]) == pytest.approx(expected, abs=1e-9)


def test_sip_degrees_can_be_fixed():
    wcs = build_wcs(distorted(), pointing(), FULL, FULL)
    keywords = sip_approximation(wcs, degree=4, inv_degree=3).keywords
    assert [keywords[name] for name in ("A_ORDER", "B_ORDER", "AP_ORDER", "BP_ORDER")] == [4, 4, 3, 3]


def test_sip_that_cannot_be_accurate_says_so():
    bend = Mapping((0, 1, 1)) | Polynomial2D(8, c1_0=1, c8_0=20 / CENTRE**8) & Identity(1)
    model = Shift(-CENTRE) & Shift(-CENTRE) | bend | Scale(-SCALE) & Scale(SCALE) | Shift(V2_REF) & Shift(V3_REF)
    model.inverse = linear().inverse
    sip = sip_approximation(build_wcs(model, pointing(), FULL, FULL))
    assert sip.max_error > 0.01
    assert any("accuracy" in doubt for doubt in sip.doubts)


def test_sip_without_a_fit_is_an_error():
    wcs = build_wcs(linear(), pointing(), FULL, FULL)
    wcs.bounding_box = None
    with pytest.raises(SipError, match="bounding_box"):
        sip_approximation(wcs)


def test_sip_needs_eight_samples_per_axis():
    with pytest.raises(ValueError, match="npoints is 7; it must be an integer between 8 and 1024"):
        sip_approximation(build_wcs(linear(), pointing(), FULL, FULL), npoints=7)
