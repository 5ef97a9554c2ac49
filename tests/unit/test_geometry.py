"""The geometry of an exposure against the gwcs it is made of."""

import numpy as np
import pytest
from astropy.modeling import custom_model
from astropy.modeling.models import Identity, Mapping, Polynomial2D, Scale, Shift
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.instruments.jwst.wcs_correction import correct_wcs
from calflow.science.geometry.assign_wcs import build_wcs
from calflow.science.geometry.footprints import footprint
from calflow.science.geometry.geometry import Geometry, geometry_of, outline
from calflow.science.geometry.output_grid import InputPixels, grid_from_footprints
from calflow.science.geometry.pointing import Pointing
from calflow.science.geometry.sky_rotation import SkyRotation
from calflow.science.geometry.smooth_map import NotSmooth, SmoothMap
from calflow.science.geometry.tangent_plane import Affine, affine, to_plane, to_sky
from calflow.science.windows import Window

SHAPE = NY, NX = 80, 120
SCALE = 0.1


PIXELS = InputPixels(SCALE, SCALE**2, 30.0, -1)


def exposure(bend=3.0, pointing=None, middle=None, exact_inverse=True):
    """The WCS and the pointing of 120 x 80 pixels of 0.1 arcsec; `bend` pixels of distortion at the left and right.

    With an exact inverse, or one that knows nothing of the distortion.
    """
    pointing = pointing or Pointing(12.0, -400.0, 30.0, 80.0, -70.0)
    to_centre = Shift(-NX / 2) & Shift(-NY / 2)
    # y + size x^2: a distortion that is solved for y.
    size = bend / (NX / 2) ** 2
    stretch, unstretch = (
        Mapping((0, 1, 0)) | Identity(1) & Polynomial2D(2, c1_0=1, c0_2=sign * size) for sign in (1, -1)
    )
    to_telescope = Scale(-SCALE) & Scale(SCALE) | Shift(12.0) & Shift(-400.0)
    model = to_centre | stretch | (middle or Identity(2)) | to_telescope
    model.inverse = to_telescope.inverse | (unstretch if exact_inverse else Identity(2)) | to_centre.inverse
    window = Window(1, 1, NX, NY)
    return build_wcs(model, pointing, window, window), pointing


def geometry(**options):
    wcs, pointing = exposure(**options)
    return geometry_of(wcs, SHAPE, pointing)


def plain():
    """A map that is known in numbers: 0.1 arcsec per pixel, x to the west, pixel (60, 40) at (ra, dec) = (10, 0)."""
    # x = 59.5 + 60 u, y = 39.5 + 40 v: -0.1 (x - 60) = 0.05 - 6 u, 0.1 (y - 40) = -0.05 + 4 v
    forward, inverse = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    forward[0, :, 0] = 0.05, -6
    forward[:, 0, 1] = -0.05, 4
    # The plane within 1 arcsec: x = 60 - 10 xi, y = 40 + 10 eta
    inverse[0, :, 0] = 60, -10
    inverse[:, 0, 1] = 40, 10
    x_range, y_range = (-0.5, NX - 0.5), (-0.5, NY - 0.5)
    unit = -1.0, 1.0
    return Geometry(SHAPE, (10.0, 0.0), SmoothMap(x_range, y_range, forward), SmoothMap(unit, unit, inverse), PIXELS)


def distance(sky, other, centre):
    """Largest distance, arcsec."""
    return np.abs(to_plane(sky, centre) - to_plane(other, centre)).max()


POINTINGS = [
    Pointing(12.0, -400.0, 30.0, 80.0, -70.0),
    Pointing(12.0, -400.0, 200.0, 0.0005, 10.0),  # both sides of right ascension 0
    Pointing(12.0, -400.0, 30.0, 80.0, 89.9995),  # with the pole
    Pointing(12.0, -400.0, 30.0, 80.0, -70.0, va_scale=1.00005),
]


@pytest.mark.parametrize("pointing", POINTINGS)
def test_the_same_as_the_gwcs(pointing):
    wcs, pointing = exposure(pointing=pointing)
    found = geometry_of(wcs, SHAPE, pointing)
    y, x = np.indices(SHAPE, float)
    expected = np.stack(wcs(x, y), axis=-1)
    assert distance(found.sky(x, y), expected, found.centre) < 4e-9
    assert ((found.sky(x, y)[..., 0] >= 0) & (found.sky(x, y)[..., 0] < 360)).all()


def test_shape_centre_and_bounds():
    found = geometry()
    assert (found.shape, found.centre) == (SHAPE, (80.0, -70.0))
    assert found.bounds == ((-0.5, NX - 0.5), (-0.5, NY - 0.5))
    assert found.correction.is_identity
    assert found.rotation.is_identity


def test_bounds_are_those_of_the_bounding_box():
    wcs, pointing = exposure()
    wcs.bounding_box = (3.5, 99.5), (-0.5, 60.5)
    found = geometry_of(wcs, SHAPE, pointing)
    assert found.bounds == ((3.5, 99.5), (-0.5, 60.5))
    assert distance(found.footprint(), footprint(wcs), found.centre) < 1e-8


def test_without_a_bounding_box_all_pixels_count():
    wcs, pointing = exposure()
    wcs.bounding_box = None
    assert geometry_of(wcs, SHAPE, pointing).bounds == ((-0.5, NX - 0.5), (-0.5, NY - 0.5))


def test_footprint_is_that_of_the_gwcs():
    wcs, pointing = exposure()
    found = geometry_of(wcs, SHAPE, pointing)
    assert distance(found.footprint(), footprint(wcs), found.centre) < 1e-8


@pytest.mark.parametrize(("east", "north", "degrees"), [(3.0, -2.0, 0.1), (48.0, 75.0, 25.7), (1080.0, 720.0, -60.0)])
def test_a_wcs_that_was_moved_away_from_its_header(east, north, degrees):
    """As `adjust_wcs` of jwst does: up to 18 arcmin away from RA_REF, DEC_REF, which stay what they were."""
    wcs, pointing = exposure()
    centre = pointing.ra_ref, pointing.dec_ref
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    motion = affine(np.array([[c, s], [-s, c]]), np.array([east, north]))
    moved = geometry_of(correct_wcs(wcs, pointing, motion), SHAPE, pointing)
    corners = to_sky(motion(to_plane(footprint(wcs), centre)), centre)
    assert distance(moved.footprint(), corners, centre) < 1e-4
    assert moved.pixels.scale == pytest.approx(SCALE, rel=0.1)
    grid = grid_from_footprints([moved.footprint()], moved.input_pixels())
    pixels = grid.to_pixel(moved.footprint())
    assert pixels.min() > -0.5
    assert (pixels.max(axis=0) < np.array(grid.shape)[::-1] + 0.5).all()
    assert max(grid.shape) < 1.5 * (NX + NY)


def test_a_wcs_that_is_not_smooth_is_told():
    @custom_model
    def ripple(x, amplitude=0.1, period=3.0):
        return x + amplitude * np.sin(2 * np.pi * x / period)

    with pytest.raises(NotSmooth, match="terms per axis"):
        geometry(middle=ripple() & Identity(1))


def test_pixels_have_their_scale_area_and_orientation():
    """Roll 30 and V3I_YANG 5, parity -1: 35 degrees. The distortion does not change areas."""
    found = geometry(pointing=Pointing(12.0, -400.0, 30.0, 80.0, -70.0, vparity=-1, v3_yangle=5.0)).pixels
    assert found.scale == pytest.approx(SCALE, rel=1e-4)
    assert found.area == pytest.approx(SCALE**2, rel=1e-5)
    assert (found.position_angle, found.parity) == (35.0, -1)


# The inverse


@pytest.mark.parametrize("pointing", POINTINGS)
def test_pixels_of_sky_positions(pointing):
    found = geometry(pointing=pointing)
    x, y = np.meshgrid(np.linspace(-0.5, NX - 0.5, 13), np.linspace(-0.5, NY - 0.5, 9))
    pixels = np.stack([x.ravel(), y.ravel()], axis=-1)
    np.testing.assert_allclose(found.pixel(found.sky(*pixels.T)), pixels, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    x=st.floats(-0.5, NX - 0.5),
    y=st.floats(-0.5, NY - 0.5),
    turn=st.floats(-0.01, 0.01),
    shift=st.tuples(st.floats(-5, 5), st.floats(-5, 5)),
    vector=st.tuples(*[st.floats(-0.01, 0.01)] * 3),
)
def test_there_and_back_with_a_correction(x, y, turn, shift, vector):
    correction = Affine(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))), shift)
    found = DISTORTED.corrected(correction, SkyRotation(vector))
    assert found.pixel(found.sky(np.array([x]), np.array([y])))[0] == pytest.approx((x, y), abs=1e-6)


DISTORTED = geometry(bend=5.0)


def test_inverse_of_the_plain_map():
    """5 arcsec to the west and 2 to the north: 50 and 20 pixels."""
    np.testing.assert_allclose(plain().pixel(np.array([10.0 - 5 / 3600, 2 / 3600])), [110.0, 60.0], atol=1e-6)


def test_the_inverse_is_that_of_the_wcs_even_if_it_is_wrong():
    """As in jwst: pixels of an overlap are to be the same. Here the inverse ignores 3 pixels at the right edge."""
    found = geometry(exact_inverse=False)
    right = found.pixel(found.sky(np.array([120.0]), np.array([40.0])))
    np.testing.assert_allclose(right, [[120.0, 43.0]], atol=1e-5)


def test_inverse_of_no_and_of_nan_positions():
    found = geometry()
    assert found.pixel(np.empty((0, 2))).shape == (0, 2)
    x, y = np.array([5.0, 20.0]), np.array([7.0, 8.0])
    sky = found.sky(x, y)
    sky[0] = np.nan
    pixels = found.pixel(sky)
    assert np.isnan(pixels[0]).all()
    np.testing.assert_allclose(pixels[1], [20.0, 8.0], atol=1e-6)


def test_inverse_of_an_array_of_positions():
    found = geometry()
    y, x = np.indices((3, 4), float)
    np.testing.assert_allclose(found.pixel(found.sky(x, y)), np.stack([x, y], axis=-1), atol=1e-6)


def test_positions_on_the_other_side_of_the_sky_have_no_pixel():
    assert np.isnan(geometry().pixel(np.array([[260.0, 70.0]]))).all()


# Corrections


def test_plane_of_the_plain_map():
    np.testing.assert_allclose(plain().plane(np.array([60.0, 50.0]), np.array([40.0, 45.0])), [[0, 0], [1, 0.5]])


def test_a_correction_acts_in_the_tangent_plane():
    quarter_turn = affine(np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([3.0, 0.0]))
    found = plain().corrected(quarter_turn)
    # (1, 0.5) is turned to (-0.5, 1), then 3 is added.
    np.testing.assert_allclose(found.plane(np.array([50.0]), np.array([45.0])), [[2.5, 1.0]])
    # On the equator, 2.5 and 1 arcsec are degrees / 3600 but for the projection, 1e-10 of it.
    np.testing.assert_allclose(found.sky(50.0, 45.0), [10 + 2.5 / 3600, 1 / 3600], atol=1e-12)


def test_a_correction_replaces_the_one_before():
    found = (
        plain().corrected(Affine(shift=(1.0, 0.0)), SkyRotation((0.1, 0.0, 0.0))).corrected(Affine(shift=(0.0, 2.0)))
    )
    assert found.correction == Affine(shift=(0.0, 2.0))
    assert found.rotation.is_identity


def test_the_sky_is_turned_after_the_correction():
    found = geometry()
    moved = found.corrected(found.correction, SkyRotation((0.0, 0.0, 0.25)))
    x, y = np.array([0.0, 100.0]), np.array([0.0, 70.0])
    np.testing.assert_allclose(moved.sky(x, y), found.sky(x, y) + np.array([0.25, 0.0]), atol=1e-12)
    np.testing.assert_allclose(moved.pixel(moved.sky(x, y)), np.stack([x, y], axis=-1), atol=1e-6)


def test_right_ascension_stays_within_0_and_360():
    moved = plain().corrected(Affine(), SkyRotation((0.0, 0.0, -11.0)))
    assert moved.sky(60.0, 40.0) == pytest.approx([359.0, 0.0], abs=1e-12)


@pytest.mark.parametrize("matrix", [((4.0, 0.0), (0.0, 1.0)), ((0.0, 4.0), (-1.0, 0.0)), ((-4.0, 0.0), (7.0, 1.0))])
def test_a_correction_changes_the_size_of_the_pixels(matrix):
    """By a determinant of 4, or -4: the area is 4 times, the scale twice as large."""
    found = plain().corrected(Affine(matrix)).input_pixels()
    assert found.scale == pytest.approx(0.2)
    assert found.area == pytest.approx(0.04)
    assert (found.position_angle, found.parity) == (plain().pixels.position_angle, -1)
    assert plain().input_pixels() == plain().pixels


# Outlines


def test_corners_go_round_from_the_lowest_by_y():
    pixels = plain().pixel(plain().footprint())
    expected = [[-0.5, -0.5], [-0.5, 79.5], [119.5, 79.5], [119.5, -0.5]]
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


def test_an_outline_without_a_step_is_the_footprint():
    found = geometry()
    np.testing.assert_array_equal(outline(found), found.footprint())


def test_an_outline_has_points_at_the_step_size():
    """120 x 80 pixels and steps of 40: 3 and 2 steps per side, every corner once."""
    found = plain()
    pixels = found.pixel(outline(found, 40))
    expected = [
        *[[-0.5, -0.5], [-0.5, 39.5], [-0.5, 79.5]],
        *[[39.5, 79.5], [79.5, 79.5], [119.5, 79.5]],
        *[[119.5, 39.5], [119.5, -0.5]],
        *[[79.5, -0.5], [39.5, -0.5]],
    ]
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


def test_a_step_larger_than_the_image_leaves_the_corners():
    found = geometry()
    np.testing.assert_allclose(outline(found, 1000), found.footprint(), atol=1e-12)


def test_an_outline_follows_the_correction():
    moved = plain().corrected(Affine(shift=(3600.0, 0.0)))
    assert (outline(moved, 50)[:, 0] > 10.99).all()
