import numpy as np
import pytest
from astropy.modeling.models import Mapping, Polynomial2D, Scale, Shift
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.instruments.jwst.wcs_correction import correct_wcs
from calflow.science.geometry import wcs_correction
from calflow.science.geometry.assign_wcs import build_wcs
from calflow.science.geometry.geometry import geometry_of
from calflow.science.geometry.pointing import Pointing
from calflow.science.geometry.sky_rotation import NO_ROTATION, rotation_between, to_cartesian
from calflow.science.geometry.tan_projection import TanProjection, projection_of
from calflow.science.geometry.tangent_plane import IDENTITY, Affine, affine, to_plane, to_sky
from calflow.science.windows import Window

NY, NX = 100, 140


TURN = rotation_between(np.array([80.0, -70.0]), np.array([80.05, -70.01]))


def exposure(roll=30.0, ra=80.0, dec=-70.0, va_scale=None, parity=-1):
    """The WCS and the pointing of 140 x 100 pixels of 0.1 arcsec, 400 arcsec off the axis, with distortion."""
    pointing = Pointing(-80.0, -400.0, roll, ra, dec, va_scale=va_scale)
    to_centre = Shift(-NX / 2) & Shift(-NY / 2)
    bend = Mapping((0, 1, 0, 1)) | Polynomial2D(2, c1_0=1, c2_0=1e-4) & Polynomial2D(2, c0_1=1, c1_1=2e-4)
    to_telescope = Scale(0.1 * parity) & Scale(0.1) | Shift(-80.0) & Shift(-400.0)
    model = to_centre | bend | to_telescope
    model.inverse = (to_centre | to_telescope).inverse
    window = Window(1, 1, NX, NY)
    return build_wcs(model, pointing, window, window), pointing


def rotation(degrees, scale=1.0, shift=(0.0, 0.0)):
    cos, sin = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return affine(np.array([[cos, -sin], [sin, cos]]), np.array(shift))


def sky_of(wcs):
    y, x = np.indices((NY, NX), float)[:, ::9, ::9]
    return np.stack(wcs(x, y, with_bounding_box=False), axis=-1)


def motion(wcs, corrected, pointing):
    """Return the motion of pixels in the tangent plane at the reference point, arcsec."""
    centre = pointing.ra_ref, pointing.dec_ref
    return to_plane(sky_of(corrected), centre) - to_plane(sky_of(wcs), centre)


CORRECTIONS = [
    Affine(shift=(0.3, -0.2)),
    rotation(0.05, shift=(1.0, 2.0)),
    rotation(-0.02, scale=1.0003, shift=(-0.5, 0.1)),
    Affine(((1.0001, 2e-5), (-3e-5, 0.9998)), (0.1, 0.0)),
]


def test_a_shift_moves_to_the_east_and_to_the_north():
    wcs, pointing = exposure()
    moved = motion(wcs, correct_wcs(wcs, pointing, Affine(shift=(0.3, -0.2))), pointing)
    np.testing.assert_allclose(moved, np.broadcast_to([0.3, -0.2], moved.shape), atol=1e-9)


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize(
    "place", [{}, {"roll": 250.0, "ra": 0.0001, "dec": 0.0}, {"dec": 89.999}, {"va_scale": 1.00008}]
)
def test_the_gwcs_and_the_geometry_agree(correction, place):
    """To 1e-6 mas beyond what they differ by without a correction."""
    wcs, pointing = exposure(**place)
    centre = pointing.ra_ref, pointing.dec_ref
    geometry = geometry_of(wcs, (NY, NX), pointing)
    y, x = np.indices((NY, NX), float)[:, ::9, ::9]

    def difference(wcs, geometry):
        return to_plane(geometry.sky(x, y), centre) - to_plane(sky_of(wcs), centre)

    before = difference(wcs, geometry)
    after = difference(correct_wcs(wcs, pointing, correction), geometry.corrected(correction))
    assert np.abs(before).max() < 4e-9
    assert np.abs(after - before).max() < 1e-9


def test_the_correction_is_a_frame_of_its_own():
    wcs, pointing = exposure()
    corrected = correct_wcs(wcs, pointing, CORRECTIONS[1])
    frames = wcs.available_frames
    index = frames.index("v2v3vacorr") + 1
    assert corrected.available_frames == [*frames[:index], "v2v3corr", *frames[index:]]
    assert corrected.bounding_box == wcs.bounding_box


def test_the_given_wcs_is_not_changed():
    wcs, pointing = exposure()
    frames, before = wcs.available_frames, sky_of(wcs)
    correct_wcs(wcs, pointing, CORRECTIONS[1], TURN)
    assert wcs.available_frames == frames
    np.testing.assert_array_equal(sky_of(wcs), before)


def test_nothing_to_correct():
    wcs, pointing = exposure()
    assert correct_wcs(wcs, pointing, IDENTITY) is wcs


@pytest.mark.parametrize("va_scale", [None, 1.00008])
def test_corrections_one_after_the_other_are_one_in_the_end(va_scale):
    wcs, pointing = exposure(va_scale=va_scale)
    first, second = CORRECTIONS[2], CORRECTIONS[1]
    twice = correct_wcs(correct_wcs(wcs, pointing, first), pointing, second)
    once = correct_wcs(wcs, pointing, second.after(first))
    assert twice.available_frames == once.available_frames
    assert np.abs(motion(once, twice, pointing)).max() < 1e-9


def test_the_inverse_is_corrected_too():
    """Of the plain camera, whose inverse is exact."""
    pointing = Pointing(0.0, 0.0, 30.0, 80.0, -70.0)
    window = Window(1, 1, NX, NY)
    wcs = build_wcs(Shift(-70) & Shift(-50) | Scale(-0.1) & Scale(0.1), pointing, window, window)
    corrected = correct_wcs(wcs, pointing, CORRECTIONS[1], TURN)
    sky = corrected(np.array([3.0, 100.0]), np.array([5.0, 90.0]))
    np.testing.assert_allclose(corrected.invert(*sky), [[3.0, 100.0], [5.0, 90.0]], atol=1e-5)


# Moving targets


def distances(sky):
    """Return the distances of all positions from the first one, arcsec."""
    vectors = to_cartesian(sky.reshape(-1, 2))
    return 3600 * np.degrees(np.linalg.norm(vectors - vectors[0], axis=-1))


@settings(max_examples=30, deadline=None)
@given(
    ra=st.sampled_from([0.0, 1e-5, 359.99999]) | st.floats(0, 360, exclude_max=True),
    dec=st.sampled_from([-90.0, -89.9999, 89.9999, 90.0]) | st.floats(-90, 90),
    roll=st.floats(0, 360),
    parity=st.sampled_from([-1, 1]),
    offset=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
)
def test_a_moving_target_leaves_the_field_as_it_is(ra, dec, roll, parity, offset):
    """The gwcs, its inverse, and the geometry, to 1e-6 arcsec and 1e-5 pixel."""
    wcs, pointing = exposure(roll=roll, ra=ra, dec=dec, parity=parity)
    turn = rotation_between(np.array([ra, dec]), to_sky(np.array(offset), (ra, dec)))
    moved = correct_wcs(wcs, pointing, IDENTITY, turn)
    assert np.abs(distances(sky_of(moved)) - distances(sky_of(wcs))).max() < 1e-6
    assert np.degrees(np.abs(to_cartesian(sky_of(moved)) - to_cartesian(turn(sky_of(wcs)))).max()) * 3600 < 1e-8
    geometry = geometry_of(wcs, (NY, NX), pointing).corrected(IDENTITY, turn)
    y, x = np.indices((NY, NX), float)[:, ::9, ::9]
    assert np.degrees(np.abs(to_cartesian(geometry.sky(x, y)) - to_cartesian(sky_of(moved))).max()) * 3600 < 1e-8


def test_constant_differences_of_coordinates_would_bend_the_field():
    """What jwst does: at declination 60 and 85, a field of 2 arcmin, a motion of 1 arcmin to the east and north."""
    for dec, bent in ((60.0, 0.03), (85.0, 0.2)):
        field = to_sky(60 * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]), (80.0, dec))
        target = to_sky(60 * np.array([1.0, 1.0]) / np.sqrt(2), (80.0, dec))
        added = field + (target - [80.0, dec])
        difference = np.abs(distances(added) - distances(field)).max()
        assert 0.5 * bent < difference < 2 * bent
        turned = rotation_between(np.array([80.0, dec]), target)(field)
        assert np.abs(distances(turned) - distances(field)).max() < 1e-9


def test_a_moving_target_has_the_last_frame():
    wcs, pointing = exposure()
    moved = correct_wcs(wcs, pointing, IDENTITY, TURN)
    assert moved.available_frames == [*wcs.available_frames, "moving_target"]
    assert moved.available_frames[-2] == "world"
    assert moved.output_frame.reference_frame.name == "icrs"
    assert moved.bounding_box == wcs.bounding_box


def test_a_correction_and_a_moving_target_as_in_the_geometry():
    wcs, pointing = exposure()
    centre = pointing.ra_ref, pointing.dec_ref
    geometry = geometry_of(wcs, (NY, NX), pointing).corrected(CORRECTIONS[1], TURN)
    y, x = np.indices((NY, NX), float)[:, ::9, ::9]
    sky = sky_of(correct_wcs(wcs, pointing, CORRECTIONS[1], TURN))
    assert np.abs(to_plane(geometry.sky(x, y), centre) - to_plane(sky, centre)).max() < 4e-9


@pytest.mark.parametrize("turn", [NO_ROTATION, TURN])
@pytest.mark.parametrize("correction", [IDENTITY, *CORRECTIONS])
def test_a_tan_projection_stays_one(correction, turn):
    projection = TanProjection((60.0, 30.0), (80.0, -70.0), 0.1 / 3600, ((-1.0, 0.0), (0.0, 1.0)))
    wcs = projection.gwcs((NY, NX), ((-0.5, NX - 0.5), (-0.5, NY - 0.5)))
    pointing = projection.pointing()
    corrected = correct_wcs(wcs, pointing, correction, turn)
    wanted = geometry_of(wcs, (NY, NX), pointing).corrected(correction, turn)
    y, x = np.indices((NY, NX), float)[:, ::9, ::9]
    assert np.abs(to_plane(wanted.sky(x, y), (80.0, -70.0)) - to_plane(sky_of(corrected), (80.0, -70.0))).max() < 1e-8
    assert projection_of(corrected) is not None
    assert corrected.bounding_box == wcs.bounding_box


def test_a_family_without_a_telescope_frame_corrects_tan_projections_alone():
    wcs, pointing = exposure()
    with pytest.raises(ValueError, match="are no TAN projection"):
        wcs_correction.correct_wcs(wcs, pointing, CORRECTIONS[0])
