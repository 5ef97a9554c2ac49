from dataclasses import replace

import asdf
import numpy as np
import pytest
from astropy import coordinates, units
from astropy.coordinates import SkyCoord
from astropy.io.fits import Header
from astropy.modeling.models import Pix2Sky_TAN, RotateNative2Celestial, Scale, Shift
from astropy.wcs import WCS as FitsWCS
from gwcs import WCS
from gwcs import coordinate_frames as cf
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.science.geometry.assign_wcs import build_wcs
from calflow.science.geometry.footprints import footprint
from calflow.science.geometry.input_pixels import (
    InputPixels,
    fiducial,
    input_pixels,
    mean_pixel_area,
    scale_at_reference,
)
from calflow.science.geometry.output_grid import (
    check_size,
    far_footprints,
    fits_keywords,
    grid_footprint,
    grid_from_footprints,
    grid_from_wcs,
    pixel_area_keywords,
)
from calflow.science.geometry.pointing import Pointing
from calflow.science.geometry.polygons import signed_area
from calflow.science.geometry.tan_projection import tan_projection
from calflow.science.geometry.tangent_plane import to_plane
from calflow.science.windows import Window

RA, DEC = 80.0, 20.0
NX, NY = 60, 40
SCALE = 0.1  # arcsec


def exposure(roll=0.0, ra=RA, dec=DEC, v3_yangle=0.0):
    """The WCS and the pointing of 60 x 40 pixels of 0.1 arcsec, without distortion."""
    pointing = Pointing(0.0, 0.0, roll, ra, dec, v3_yangle=v3_yangle)
    distortion = Shift(-29.5) & Shift(-19.5) | Scale(-SCALE) & Scale(SCALE)
    window = Window(1, 1, NX, NY)
    return build_wcs(distortion, pointing, window, window), pointing


def grid_of(roll=0.0, **options):
    wcs, pointing = exposure(roll)
    return grid_from_footprints([footprint(wcs)], input_pixels(wcs, pointing), **options)


def to_pixels(grid, ra, dec):
    return np.array(grid.wcs.invert(ra, dec, with_bounding_box=False))


def box_of(grid):
    return grid.wcs.bounding_box.bounding_box(order="F")


def test_grid_has_the_size_and_the_scale_of_a_single_input():
    grid = grid_of()
    assert grid.shape == (NY, NX)
    assert grid.pixel_scale == pytest.approx(SCALE, rel=1e-9)
    assert grid.pixel_scale_ratio == 1
    assert box_of(grid) == ((-0.5, NX - 0.5), (-0.5, NY - 0.5))
    assert grid.wcs.array_shape == (NY, NX)


def test_lowest_vertices_are_at_the_centre_of_pixel_0():
    """As in jwst: outer pixel edges come to lie on pixel centres."""
    wcs, _ = exposure()
    x, y = to_pixels(grid_of(), *footprint(wcs).T)
    assert (x.min(), y.min()) == pytest.approx((0, 0), abs=1e-6)
    assert (x.max(), y.max()) == pytest.approx((NX, NY), abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(east=st.floats(0, 5), north=st.floats(0, 5))
def test_less_than_a_pixel_is_cut_off_at_the_high_side(east, north):
    """As in jwst: a whole number of pixels from half a pixel below the lowest vertices."""
    wcs, pointing = exposure()
    other = footprint(exposure(ra=RA + east / 3600, dec=DEC + north / 3600)[0])
    grid = grid_from_footprints([footprint(wcs), other], input_pixels(wcs, pointing))
    x, y = to_pixels(grid, *np.concatenate([footprint(wcs), other]).T)
    for highest, n in ((x.max(), grid.shape[1]), (y.max(), grid.shape[0])):
        assert -1e-6 < highest - (n - 0.5) < 1


def test_reference_point_is_in_the_middle():
    keywords = fits_keywords(grid_of())
    assert (keywords["CRVAL1"], keywords["CRVAL2"]) == pytest.approx((RA, DEC), abs=1e-7)
    assert (keywords["CRPIX1"], keywords["CRPIX2"]) == pytest.approx((NX / 2 + 1, NY / 2 + 1), abs=1e-3)


def test_grid_covers_all_inputs():
    """A second exposure 5 arcsec, 50 pixels, to the north."""
    wcs, pointing = exposure()
    further, _ = exposure(dec=DEC + 5 / 3600)
    grid = grid_from_footprints([footprint(wcs), footprint(further)], input_pixels(wcs, pointing))
    assert grid.shape == (NY + 50, NX)


@pytest.mark.parametrize("roll", [0.0, 30.0, 200.0])
def test_orientation_is_that_of_the_first_input(roll):
    wcs, _ = exposure(roll)
    grid = grid_of(roll)
    # The detector's y axis: two pixels on the same column stay on one.
    x, y = to_pixels(grid, *wcs(np.array([30.0, 30.0]), np.array([5.0, 35.0])))
    assert np.diff(x)[0] == pytest.approx(0, abs=1e-4)
    assert np.diff(y)[0] == pytest.approx(30, abs=1e-3)
    assert grid.shape == (NY, NX)


def test_orientation_counts_the_angle_between_v3_and_y():
    wcs, _ = exposure()
    pointing = Pointing(0.0, 0.0, 10.0, RA, DEC, vparity=-1, v3_yangle=25.0)
    keywords = fits_keywords(grid_from_footprints([footprint(wcs)], input_pixels(wcs, pointing)))
    # roll 10 - vparity x 25 = 35 degrees
    cos, sin = np.cos(np.radians(35)), np.sin(np.radians(35))
    assert [keywords[f"PC{i}_{j}"] for i in (1, 2) for j in (1, 2)] == pytest.approx([-cos, sin, sin, cos])


def test_rotation_zero_is_north_up_and_east_left():
    grid = grid_of(roll=77.0, rotation=0)
    x, y = to_pixels(grid, np.array([RA, RA, RA + 1e-4]), np.array([DEC, DEC + 1e-4, DEC]))
    assert x[1] - x[0] == pytest.approx(0, abs=1e-4)
    assert y[1] > y[0]
    assert x[2] < x[0]


@settings(max_examples=50, deadline=None)
@given(
    parity=st.sampled_from([-1, 1]),
    rotation=st.floats(0, 360),
    inherited=st.booleans(),
    ra=st.sampled_from([0.0, 1e-5, 359.99999]) | st.floats(0, 359.9),
    dec=st.sampled_from([90.0, -90.0, 89.9999, 0.0]) | st.floats(-90, 90),
)
def test_axes_lie_where_the_first_input_or_the_rotation_has_them(parity, rotation, inherited, ra, dec):
    """The y axis at the position angle, x a quarter turn to the east or, with parity -1, to the west."""
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    step = SCALE / 3600
    detector = tan_projection((29.5, 19.5), (ra, dec), step * np.array([[parity * c, s], [-parity * s, c]]))
    wcs = detector.gwcs((NY, NX), ((-0.5, NX - 0.5), (-0.5, NY - 0.5)))
    pixels = input_pixels(wcs, detector.pointing())
    if not inherited:
        pixels = replace(pixels, position_angle=123.0)
    # The reference point in a corner, so that both axes are seen all over the image.
    grid = grid_from_footprints(
        [footprint(wcs)], pixels, rotation=None if inherited else rotation, crval=(ra, dec), crpix=(0.0, 0.0)
    )
    keywords = fits_keywords(grid)
    for read in (grid.to_sky, lambda at: FitsWCS(Header(keywords)).all_pix2world(at, 0)):
        origin, along_x, along_y = (SkyCoord(*at, unit="deg") for at in read(np.array([[0, 0], [9, 0], [0, 9.0]])))
        # At the pole itself north is along the meridian of the reference point, which SkyCoord has, too.
        origin = SkyCoord(ra, origin.dec.deg, unit="deg")
        assert along_y.separation(origin).arcsec == pytest.approx(0.9, rel=1e-6)
        for there, angle in ((along_y, rotation), (along_x, rotation + 90 * parity)):
            difference = origin.position_angle(there).deg - angle
            assert (difference + 180) % 360 - 180 == pytest.approx(0, abs=1e-3)


def test_scale_ratio_makes_finer_pixels():
    grid = grid_of(pixel_scale_ratio=0.5)
    assert grid.shape == (2 * NY, 2 * NX)
    assert grid.pixel_scale == pytest.approx(SCALE / 2)
    assert grid.pixel_scale_ratio == 0.5


def test_pixel_scale_goes_before_the_ratio():
    grid = grid_of(pixel_scale=0.2, pixel_scale_ratio=0.5)
    assert grid.shape == (NY // 2, NX // 2)
    assert grid.pixel_scale == 0.2
    assert grid.pixel_scale_ratio == pytest.approx(2, rel=1e-6)


def test_crval_moves_the_reference_point_only():
    keywords = fits_keywords(grid_of(crval=(RA, DEC + 1 / 3600)))
    assert (keywords["CRVAL1"], keywords["CRVAL2"]) == (RA, DEC + 1 / 3600)
    assert keywords["CRPIX2"] == pytest.approx(NY / 2 + 10 + 1, abs=1e-3)
    assert grid_of(crval=(RA, DEC + 1 / 3600)).shape == (NY, NX)


def test_crpix_cuts_off_what_gets_a_negative_coordinate():
    grid = grid_of(crpix=(10.0, 30.0))
    keywords = fits_keywords(grid)
    assert (keywords["CRPIX1"], keywords["CRPIX2"]) == (11.0, 31.0)
    assert grid.shape == (30 + NY // 2, 10 + NX // 2)


def test_output_shape_is_x_before_y_and_the_box_is_what_the_inputs_cover():
    grid = grid_of(output_shape=(100, 30))
    assert grid.shape == (30, 100)
    assert box_of(grid) == ((-0.5, NX - 0.5), (-0.5, 29.5))


@pytest.mark.parametrize("name", ["pixel_scale_ratio", "pixel_scale"])
@pytest.mark.parametrize("value", [0, -1.0])
def test_scales_must_be_positive(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        grid_of(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("pixel_scale", 1e-320), ("pixel_scale_ratio", 1e-320), ("pixel_scale", 1e308)]
)
def test_scales_that_no_image_has_are_refused(name, value):
    with pytest.raises(ValueError, match=r"no image has pixels of .* arcsec|would have 0 x 0 pixels"):
        grid_of(**{name: value})


def test_a_grid_of_less_than_two_pixels_is_refused():
    with pytest.raises(ValueError, match=r"60 x 1 pixels; see crpix"):
        grid_of(crpix=(30.0, -19.0))


def test_reference_point_on_the_other_side_of_the_sky_is_refused():
    with pytest.raises(ValueError, match="90 degrees"):
        grid_of(crval=(RA + 180, -DEC))


def test_fiducial_is_between_positions_on_both_sides_of_ra_0():
    ra, dec = fiducial(np.array([[359.0, 1.0], [1.0, 1.0], [1.0, -1.0], [359.0, -1.0]]))
    assert (ra + 180) % 360 == pytest.approx(180, abs=1e-9)
    assert dec == pytest.approx(0, abs=1e-9)


def test_fiducial_is_the_middle_of_the_range_and_not_the_mean():
    ra, _ = fiducial(np.array([[10.0, 0.0], [10.2, 0.0], [10.2, 0.0], [10.2, 0.0]]))
    assert ra == pytest.approx(10.1, abs=1e-5)


def test_scale_at_the_reference_point_is_the_mean_of_both_axes():
    distortion = Scale(-0.08) & Scale(0.18)
    window = Window(1, 1, 10, 10)
    pointing = Pointing(0.0, 0.0, 0.0, RA, DEC)
    wcs = build_wcs(distortion, pointing, window, window)
    assert scale_at_reference(wcs, pointing) == pytest.approx(0.12, rel=1e-7)  # sqrt(0.08 x 0.18)


def test_scale_at_a_reference_point_without_a_pixel_is_an_error():
    wcs, _ = exposure()
    with pytest.raises(ValueError, match="no pixel scale"):
        scale_at_reference(wcs, Pointing(0.0, 0.0, 0.0, np.nan, DEC))


@pytest.mark.parametrize("shape", [None, (10, 20)])
def test_mean_pixel_area_is_the_scale_squared_without_distortion(shape):
    assert mean_pixel_area(exposure()[0], shape) == pytest.approx(SCALE**2, rel=1e-7)


def test_keywords_are_read_by_other_programs_as_the_same_wcs():
    grid = grid_of(roll=33.0, pixel_scale_ratio=0.7)
    keywords = fits_keywords(grid)
    assert (keywords["CTYPE1"], keywords["CTYPE2"], keywords["RADESYS"]) == ("RA---TAN", "DEC--TAN", "ICRS")
    x, y = np.array([0.0, 70.0, 20.0]), np.array([0.0, 10.0, 50.0])
    np.testing.assert_allclose(FitsWCS(Header(keywords)).all_pix2world(x, y, 0), grid.wcs(x, y), rtol=0, atol=1e-11)


def test_pixel_area_is_that_of_the_output_pixels():
    keywords = pixel_area_keywords(grid_of(pixel_scale=0.2))
    assert keywords["PIXAR_A2"] == pytest.approx(0.04)
    # 1 arcsec^2 = (pi / 648000)^2 sr
    assert keywords["PIXAR_SR"] == pytest.approx(0.04 * (np.pi / 648000) ** 2)


def test_a_grid_survives_an_asdf_file(tmp_path):
    grid = grid_of(roll=12.0)
    asdf.AsdfFile({"wcs": grid.wcs}).write_to(tmp_path / "grid.asdf")
    with asdf.open(tmp_path / "grid.asdf") as file:
        assert file["wcs"](3.0, 4.0) == pytest.approx(grid.wcs(3.0, 4.0), abs=0)
        assert file["wcs"].array_shape == grid.shape


def test_size_within_the_limit_passes():
    assert check_size((100, 1000), 1e5) is None


def test_size_above_the_limit_names_itself_and_causes():
    with pytest.raises(ValueError, match=r"200000 x 100000 pixels .* 560 GB .*far apart.*pixel_scale") as caught:
        check_size((100_000, 200_000), 10**9)
    assert "max_output_pixels, is 1000000000" in str(caught.value)


# A grid of the user


def users_wcs(shape=None, box=None):
    wcs = grid_of(roll=45.0).wcs
    wcs.array_shape, wcs.bounding_box = shape, box
    return wcs


@pytest.mark.parametrize(
    ("keys", "shape", "box", "output_shape", "expected"),
    [
        ({"array_shape": [5, 6], "pixel_shape": [7, 8]}, (3, 4), None, (21, 20), (20, 21)),
        ({"array_shape": [5, 6], "pixel_shape": [7, 8]}, (3, 4), None, None, (3, 4)),
        ({"array_shape": [5, 6], "pixel_shape": [7, 8]}, None, None, None, (5, 6)),
        ({"pixel_shape": [7, 8]}, None, ((-0.5, 9.5), (-0.5, 10.5)), None, (8, 7)),
        ({}, None, ((-0.5, 9.5), (-0.5, 10.5)), None, (11, 10)),
    ],
)
def test_shape_comes_from_the_first_that_tells_it(keys, shape, box, output_shape, expected):
    grid = grid_from_wcs({"wcs": users_wcs(shape, box)} | keys, SCALE**2, output_shape=output_shape)
    assert grid.shape == grid.wcs.array_shape == expected
    assert grid.wcs.bounding_box is not None


def test_shape_must_be_told():
    with pytest.raises(ValueError, match="does not tell the shape"):
        grid_from_wcs({"wcs": users_wcs()}, SCALE**2)


@pytest.mark.parametrize(
    ("keys", "scale"),
    [
        ({"pixel_scale": 0.3, "pixel_area": 0.04}, 0.3),
        ({"pixel_area": 0.04}, 0.2),
        ({}, SCALE),  # measured on the sky
    ],
)
def test_scale_comes_from_the_first_that_tells_it(keys, scale):
    grid = grid_from_wcs({"wcs": users_wcs((40, 60))} | keys, SCALE**2)
    assert grid.pixel_scale == pytest.approx(scale, rel=1e-7)
    assert grid.pixel_scale_ratio == pytest.approx(scale / SCALE, rel=1e-7)


def test_ratio_is_to_the_nominal_input_scale_if_that_is_known():
    tree = {"wcs": users_wcs((40, 60)), "pixel_scale": 0.3}
    assert grid_from_wcs(tree, 0.25).pixel_scale_ratio == pytest.approx(0.6)


def test_users_own_wcs_is_not_changed():
    wcs = users_wcs((40, 60))
    grid_from_wcs({"wcs": wcs}, SCALE**2, output_shape=(10, 10))
    assert (wcs.array_shape, wcs.bounding_box) == ((40, 60), None)


def test_wcs_of_an_exposure_is_no_grid():
    with pytest.raises(ValueError, match="no map projection"):
        grid_from_wcs({"wcs": exposure()[0]}, SCALE**2)


def test_file_must_have_a_wcs():
    with pytest.raises(ValueError, match="no key 'wcs'; it has roman"):
        grid_from_wcs({"roman": 1}, SCALE**2)


def test_scale_of_the_user_must_be_positive():
    with pytest.raises(ValueError, match="must be positive"):
        grid_from_wcs({"wcs": users_wcs((40, 60)), "pixel_scale": 0}, SCALE**2)


def test_keywords_of_another_kind_of_transform_are_a_linear_fit():
    step = SCALE / 3600
    transform = Shift(-10.0) & Shift(-12.0) | Scale(-step) & Scale(step) | Pix2Sky_TAN()
    transform = transform | RotateNative2Celestial(RA, DEC, 180.0)
    world = cf.CelestialFrame(reference_frame=coordinates.ICRS(), name="world")
    wcs = WCS([(cf.Frame2D(name="detector", unit=(units.pix, units.pix)), transform), (world, None)])
    wcs.bounding_box = (-0.5, 24.5), (-0.5, 19.5)
    keywords = fits_keywords(grid_from_wcs({"wcs": wcs}, SCALE**2))
    assert keywords["CTYPE1"] == "RA---TAN"
    assert keywords["CD2_2"] == pytest.approx(step, rel=1e-6)
    x, y = np.array([0.0, 24.0]), np.array([0.0, 19.0])
    np.testing.assert_allclose(FitsWCS(Header(keywords)).all_pix2world(x, y, 0), wcs(x, y), rtol=0, atol=1e-8)


# The part of a grid that is covered


def outlines(grid, *footprints):
    return [to_pixels(grid, *outline.T).T for outline in grid_footprint(footprints, grid)]


def sky_box(grid, x0, y0, x1, y1):
    return np.stack(grid.wcs(np.array([x0, x0, x1, x1]), np.array([y0, y1, y1, y0]), with_bounding_box=False), -1)


def test_outline_of_one_input_ends_at_the_outer_pixel_edges():
    (outline,) = outlines(grid_of(), footprint(exposure()[0]))
    expected = [[0, NY - 0.5], [NX - 0.5, NY - 0.5], [NX - 0.5, 0], [0, 0]]
    np.testing.assert_allclose(outline, expected, atol=1e-3)


@pytest.mark.parametrize("parity", [-1, 1])
@pytest.mark.parametrize("centre", [(RA, DEC), (0.0, 0.0), (10.0, 90.0), (200.0, -90.0)])
def test_outline_goes_clockwise_in_the_image(parity, centre):
    """So it goes clockwise on the sky, east to the left, with parity -1, and counter-clockwise with parity 1."""
    detector = tan_projection((29.5, 19.5), centre, SCALE / 3600 * np.diag([parity, 1.0]))
    wcs = detector.gwcs((NY, NX), ((-0.5, NX - 0.5), (-0.5, NY - 0.5)))
    corners = footprint(wcs)
    grid = grid_from_footprints([corners], input_pixels(wcs, detector.pointing()), rotation=20.0)
    (outline,) = grid_footprint([corners], grid)
    # On the tangent plane, with x to the east.
    assert np.sign(signed_area(to_plane(outline, centre))) == -parity
    assert np.sign(signed_area(to_plane(corners, centre))) == -parity
    whole = abs(signed_area(to_plane(corners, centre)))
    assert whole == pytest.approx(NX * NY * SCALE**2, rel=1e-6)
    assert 0.9 * whole < abs(signed_area(to_plane(outline, centre))) <= whole


def test_outline_of_two_inputs_that_overlap_is_their_union():
    grid = grid_of()
    (outline,) = outlines(grid, sky_box(grid, 5, 5, 20, 20), sky_box(grid, 10, 10, 30, 30))
    expected = {(5, 5), (5, 20), (10, 20), (10, 30), (30, 30), (30, 10), (20, 10), (20, 5)}
    assert {tuple(vertex) for vertex in np.rint(outline).astype(int).tolist()} == expected


def test_inputs_that_do_not_overlap_have_two_outlines():
    grid = grid_of()
    assert len(outlines(grid, sky_box(grid, 5, 5, 10, 10), sky_box(grid, 20, 20, 25, 25))) == 2


def test_outline_is_within_the_bounding_box():
    grid = grid_of(output_shape=(200, 200))
    (outline,) = outlines(grid, sky_box(grid, -50, -50, 150, 150))
    assert (outline.max(axis=0) <= (NX - 0.5 + 1e-6, NY - 0.5 + 1e-6)).all()


def test_inputs_outside_the_grid_have_no_outline():
    grid = grid_of()
    assert outlines(grid, sky_box(grid, 500, 500, 510, 510)) == []


# Positions, and footprints that lie apart


def linear_grid():
    """A grid of the user that is no single FITS transform."""
    step = SCALE / 3600
    transform = Shift(-10.0) & Shift(-12.0) | Scale(-step) & Scale(step) | Pix2Sky_TAN()
    transform = transform | RotateNative2Celestial(0.0, DEC, 180.0)
    world = cf.CelestialFrame(reference_frame=coordinates.ICRS(), name="world")
    wcs = WCS([(cf.Frame2D(name="detector", unit=(units.pix, units.pix)), transform), (world, None)])
    wcs.bounding_box = (-0.5, 24.5), (-0.5, 19.5)
    return grid_from_wcs({"wcs": wcs}, SCALE**2)


def grid_at_ra_0(kind):
    if kind == "user":
        return linear_grid()
    wcs, pointing = exposure(33.0, ra=0.0)
    return grid_from_footprints([footprint(wcs)], input_pixels(wcs, pointing))


@pytest.mark.parametrize("kind", ["user", "tan"])
def test_positions_are_those_of_the_wcs(kind):
    grid = grid_at_ra_0(kind)
    assert (grid.projection is None) == (kind == "user")
    y, x = np.indices((4, 3), float) * 7
    pixels = np.stack([x, y], axis=-1)
    ra, dec = grid.wcs(x, y, with_bounding_box=False)
    sky = grid.to_sky(pixels)
    assert sky.shape == (4, 3, 2)
    np.testing.assert_allclose(sky, np.stack([np.mod(ra, 360), dec], axis=-1), atol=1e-11)
    np.testing.assert_allclose(grid.to_pixel(sky), pixels, atol=1e-6)
    np.testing.assert_allclose(grid.to_pixel(sky), np.moveaxis(to_pixels(grid, ra, dec), 0, -1), atol=1e-6)


@pytest.mark.parametrize("kind", ["user", "tan"])
def test_right_ascension_is_within_0_and_360(kind):
    """10 pixels of 0.1 arcsec to the west and to the east of the reference point at 0."""
    grid = grid_at_ra_0(kind)
    reference = grid.to_pixel(np.array([0.0, DEC]))
    ra = grid.to_sky(reference + np.array([[10.0, 0.0], [-10.0, 0.0]]))[:, 0]
    assert ((ra >= 0) & (ra < 360)).all()
    assert ra.max() - ra.min() > 359.99


def box_at(ra, dec, size=60.0):
    """A square of so many arcsec."""
    half = size / 7200
    wide = half / np.cos(np.radians(dec))
    return np.array(
        [[ra - wide, dec - half], [ra - wide, dec + half], [ra + wide, dec + half], [ra + wide, dec - half]]
    )


def test_a_footprint_far_from_the_others_is_named():
    """Five diagonals of 60 arcsec squares are 424 arcsec."""
    near = {name: box_at(RA, DEC + i * 30 / 3600) for i, name in enumerate("abc")}
    assert far_footprints(near) == []
    assert far_footprints({**near, "d": box_at(RA, DEC + 400 / 3600)}) == []
    assert far_footprints({**near, "d": box_at(RA, DEC + 500 / 3600)}) == ["d"]
    assert far_footprints({"d": box_at(RA + 180, -DEC), **near, "e": box_at(RA + 1, DEC)}) == ["d", "e"]


def test_distance_is_in_diagonals_of_the_footprint_itself():
    near = {name: box_at(RA, DEC) for name in "abc"}
    assert far_footprints({**near, "d": box_at(RA, DEC + 500 / 3600, size=120)}) == []


def test_footprints_on_both_sides_of_ra_0_are_near():
    assert far_footprints({"a": box_at(359.999, 0), "b": box_at(0.001, 0), "c": box_at(0.0, 0)}) == []


def test_a_mosaic_of_tiles_is_not_far():
    """Ten tiles side by side: the outermost is 4.5 sides, 3.2 diagonals from the middle."""
    assert far_footprints({str(i): box_at(RA, DEC + i / 60) for i in range(10)}) == []


def test_one_footprint_is_not_far():
    assert far_footprints({"a": box_at(RA, DEC)}) == []


# What a grid takes over from an exposure


def test_input_pixels_are_those_of_the_exposure():
    wcs, _ = exposure()
    pointing = Pointing(0.0, 0.0, 10.0, RA, DEC, vparity=-1, v3_yangle=25.0)
    found = input_pixels(wcs, pointing)
    assert found.scale == pytest.approx(SCALE, rel=1e-7)
    assert found.area == pytest.approx(SCALE**2, rel=1e-7)
    assert (found.position_angle, found.parity) == (35.0, -1)  # 10 - vparity x 25


def test_input_pixels_without_a_bounding_box_need_the_shape():
    wcs, pointing = exposure()
    wcs.bounding_box = None
    assert input_pixels(wcs, pointing, (NY, NX)).area == pytest.approx(SCALE**2, rel=1e-7)


def test_magnified_pixels():
    found = InputPixels(0.1, 0.02, 35.0, -1).magnified(3.0)
    assert (found.scale, found.area) == pytest.approx((0.3, 0.18))
    assert (found.position_angle, found.parity) == (35.0, -1)
