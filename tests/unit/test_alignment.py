import logging
from dataclasses import replace

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.science.geometry.tangent_plane import IDENTITY, Affine, affine, to_plane, to_sky
from calflow.science.stars.alignment import Alignment, align_absolute, align_relative
from calflow.science.stars.matching_parameters import Matching
from calflow.science.stars.star_groups import ExposureStars, Group, SkyInCommon, groups_of, move

FIELD = (150.0, 2.2)
PIXEL = 0.031
SIDE = 16.0
NOISE = 0.003


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("tweakwcs").setLevel(logging.ERROR)


def rigid(x, y, degrees=0.0):
    """Return a shift, arcsec, and a rotation."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return affine(np.array([[c, -s], [s, c]]), np.array([x, y]))


def inverse(motion):
    back = np.linalg.inv(motion.matrix)
    return affine(back, -back @ motion.shift)


def stars_around(field=FIELD, number=110, radius=11.0, seed=1):
    """Return true star positions on the sky."""
    return to_sky(np.random.default_rng(seed).uniform(-radius, radius, (number, 2)), field)


def expose(true, name, needed, *, at=(0.0, 0.0), field=FIELD, group=None, hits=15, seed=None, side=SIDE, noise=NOISE):
    """Return an exposure that the motion `needed` would bring to the true positions.

    It sees the stars in a square, and hits of cosmic rays. `at` is its place in the field, arcsec.
    """
    rng = np.random.default_rng(list(name.encode()) if seed is None else seed)
    centre = tuple(to_sky(np.array(at), field).tolist())
    xy = to_plane(true, centre)
    xy = inverse(needed)(xy[np.abs(xy).max(axis=1, initial=0) < side / 2])
    xy = xy + rng.normal(0, noise, xy.shape)
    xy = np.concatenate([xy, rng.uniform(-side / 2, side / 2, (hits, 2))])
    corners = side / 2 * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    return ExposureStars(name, group or name, centre, to_sky(xy, centre), to_sky(corners, centre), PIXEL)


def error(exposure, alignment, needed):
    """Return the largest error of a corner, arcsec."""
    corners = to_plane(exposure.footprint, exposure.centre)
    return np.hypot(*(alignment.correction(corners) - needed(corners)).T).max()


NEEDED = [rigid(0, 0), rigid(0.12, -0.2, 0.002), rigid(-0.08, 0.15, -0.004), rigid(0.25, 0.03, 0.001)]
DITHERS = [(0, 0), (1.3, -0.6), (-0.9, 1.1), (0.5, 1.4)]


def four(true=None, field=FIELD, needed=NEEDED, **more):
    true = stars_around(field) if true is None else true
    return [
        expose(true, f"e{i}", motion, at=at, field=field, **more)
        for i, (motion, at) in enumerate(zip(needed, DITHERS, strict=True), start=1)
    ]


@pytest.mark.parametrize("field", [FIELD, (0.0, -40.0), (359.9999, 10.0), (80.0, 89.999), (200.0, -90.0)])
def test_pointing_errors_are_found_anywhere_on_the_sky(field):
    exposures = four(field=field)
    found = align_relative(exposures)
    assert [each.status for each in found] == ["COMPLETE"] * 4
    assert [each.is_reference for each in found] == [True, False, False, False]
    assert found[0].correction.is_identity
    for exposure, alignment, needed in zip(exposures, found, NEEDED, strict=True):
        assert error(exposure, alignment, needed) < 0.004
        assert alignment.reference == "e1"
    assert found[2].rotation == pytest.approx(0.004, abs=0.015)
    assert found[2].scale == pytest.approx(1, abs=1e-12)
    assert found[2].shift == pytest.approx((-0.08, 0.15), abs=0.004)
    assert found[2].corner_motion == pytest.approx(np.hypot(0.08, 0.15), abs=0.005)
    assert found[2].rms < 2 * NOISE * np.sqrt(2)
    assert 20 < found[2].n_matches < 60
    assert "stars match" in found[2].reason


def test_without_chance_hits_jwsts_way_finds_the_same():
    exposures = four(hits=0)
    once, again = align_relative(exposures, robust=False), align_relative(exposures)
    for a, b, needed, exposure in zip(once, again, NEEDED, exposures, strict=True):
        assert error(exposure, a, needed) < 0.004
        assert error(exposure, a, b.correction) < 0.002


def test_order_and_members_are_kept():
    exposures = four()
    mixed = [exposures[2], exposures[0], exposures[3], exposures[1]]
    found = align_relative(mixed)
    assert [each.name for each in found] == ["e3", "e1", "e4", "e2"]
    assert [each.is_reference for each in found] == [True, False, False, False]


def test_the_same_input_gives_the_same_corrections():
    assert repr(align_relative(four())) == repr(align_relative(four()))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    x=st.floats(-1.0, 1.0),
    y=st.floats(-1.0, 1.0),
    degrees=st.floats(-0.02, 0.02),
    dec=st.floats(-89.9, 89.9),
)
def test_any_pointing_error_is_found(seed, x, y, degrees, dec):
    field = (12.0, dec)
    true = stars_around(field, seed=seed)
    needed = rigid(x, y, degrees)
    exposures = [expose(true, "a", Affine(), field=field), expose(true, "b", needed, field=field)]
    assert error(exposures[1], align_relative(exposures)[1], needed) < 0.006


# Groups of detectors


def test_detectors_of_an_exposure_share_one_motion_on_the_sky():
    """The motion in the plane of a detector 150 arcsec away is that of the first detector."""
    motion = rigid(1.5, -2.0, 0.03)
    corners = np.array([[-33, -33], [-33, 33], [33, 33], [33, -33.0]])
    for centre in [(150.04, 2.24), (149.97, 2.17), (150.0, 2.16)]:
        far = ExposureStars("far", "g", centre, np.empty((0, 2)), to_sky(corners, centre), PIXEL)
        near = replace(far, centre=FIELD)
        group = Group("g", (near, far), motion)
        inside = to_sky(np.random.default_rng(2).uniform(-33, 33, (50, 2)), centre)
        expected = to_plane(move(inside, motion, FIELD), centre)
        got = group.correction(far)(to_plane(inside, centre))
        assert np.abs(got - expected).max() < 1e-5
    assert group.correction(near) == motion


def test_detectors_are_aligned_together():
    true = np.concatenate([stars_around(to_sky(np.array([x, 0.0]), FIELD), 40, 8.0, seed=x + 50) for x in (0, 40)])
    needed = rigid(0.2, -0.1, 0.01)
    lead = (FIELD, to_sky(np.array([40.0, 0.0]), FIELD))

    def detectors(group, motion):
        one = expose(true, group + "1", motion, at=(0, 0), group=group, hits=4)
        shape = Group(group, (one,), motion)
        # The second detector needs the same motion on the sky, in its own plane.
        centre = tuple(lead[1].tolist())
        corners = SIDE / 2 * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
        two = ExposureStars(group + "2", group, centre, np.empty((0, 2)), to_sky(corners, centre), PIXEL)
        return [one, expose(true, group + "2", shape.correction(two), at=(40.0, 0), group=group, hits=4)]

    first, second = detectors("a", Affine()), detectors("b", needed)
    # Seven stars in each detector: only together they are enough.
    few = [replace(each, sky=each.sky[-18:]) for each in second]
    found = align_relative([*first, *few], Matching(minobj=16))
    assert [each.status for each in found] == ["COMPLETE"] * 4
    assert found[2].n_matches == found[3].n_matches
    assert found[2].correction != found[3].correction
    assert error(few[0], found[2], needed) < 0.005
    assert error(few[1], found[3], Group("b", (few[0],), needed).correction(few[1])) < 0.005


# What fails


def test_one_group_is_skipped():
    true = stars_around()
    exposures = [expose(true, name, Affine(), group="one") for name in "ab"]
    assert [each.status for each in align_relative(exposures)] == ["SKIPPED"] * 2
    assert align_relative([]) == []


@pytest.mark.parametrize("robust", [True, False])
def test_two_groups_with_stars_are_needed(robust):
    exposures = four()
    bare = [replace(each, sky=np.empty((0, 2))) for each in exposures[1:]]
    found = align_relative([exposures[0], *bare], robust=robust)
    assert [each.status for each in found] == ["FAILED"] * 4
    assert found[0].reason == "cannot be aligned: of 4 groups 1 have stars, 2 must have"


@pytest.mark.parametrize("robust", [True, False])
def test_a_group_without_stars_fails_alone(robust):
    exposures = four()
    exposures[1] = replace(exposures[1], sky=np.full((3, 2), np.nan))
    found = align_relative(exposures, robust=robust)
    assert [each.status for each in found] == ["COMPLETE", "FAILED", "COMPLETE", "COMPLETE"]
    assert found[1].reason == "has no stars"
    assert found[1].correction.is_identity


def test_an_exposure_that_shows_only_chance_hits_fails_alone():
    exposures = four()
    exposures[1] = expose(stars_around()[:0], "e2", Affine(), at=DITHERS[1], hits=120)
    found = align_relative(exposures)
    assert [each.status for each in found] == ["COMPLETE", "FAILED", "COMPLETE", "COMPLETE"]
    assert "chance" in found[1].reason or "minobj" in found[1].reason
    assert found[1].correction.is_identity
    assert np.isnan(found[1].rms)


def test_an_exposure_three_arcsec_off_is_found():
    needed = [NEEDED[0], NEEDED[1], rigid(3.0, 0.4, 0.002), NEEDED[3]]
    exposures = four(needed=needed)
    found = align_relative(exposures)
    for exposure, alignment, motion in zip(exposures, found, needed, strict=True):
        assert error(exposure, alignment, motion) < 0.004
    assert found[2].corner_motion == pytest.approx(np.hypot(3.0, 0.4), abs=0.01)
    once = align_relative(exposures, robust=False)
    assert once[2].status == "FAILED" or error(exposures[2], once[2], needed[2]) > 0.5


def test_a_first_exposure_that_is_off_is_moved_to_the_others():
    needed = [rigid(3.0, 0.4), rigid(0, 0), NEEDED[2], NEEDED[3]]
    exposures = four(needed=needed)
    found = align_relative(exposures)
    assert [each.is_reference for each in found] == [False, True, False, False]
    for exposure, alignment, motion in zip(exposures, found, needed, strict=True):
        assert error(exposure, alignment, motion) < 0.004


def test_a_first_exposure_without_stars_does_not_lead():
    needed = [rigid(0, 0), rigid(0, 0), NEEDED[2], NEEDED[3]]
    exposures = four(needed=needed)
    exposures[0] = expose(stars_around()[:0], "e1", Affine(), hits=60)
    found = align_relative(exposures)
    assert [each.status for each in found] == ["FAILED", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert found[1].is_reference
    assert error(exposures[3], found[3], needed[3]) < 0.004


def test_too_few_stars_fail_with_numbers():
    exposures = four(stars_around(number=25), hits=0)
    found = align_relative(exposures, Matching(minobj=40))
    assert [each.status for each in found] == ["FAILED"] * 4
    assert found[0].reason == "is matched by no other group"
    assert "fewer than minobj = 40" in found[1].reason


def far_corners(degrees):
    """Return four exposures, the third turned, which moves corners at 566 arcsec by 9.9 arcsec per degree."""
    exposures = four(needed=[*NEEDED[:2], rigid(0, 0, degrees), NEEDED[3]], hits=0)
    corners = 400 * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1.0]])
    return [replace(each, footprint=to_sky(corners, each.centre)) for each in exposures]


def test_one_group_that_would_move_too_far_fails_alone():
    found = align_relative(far_corners(2.5))
    assert [each.status for each in found] == ["COMPLETE", "COMPLETE", "FAILED", "COMPLETE"]
    # The wider search may move corners by up to 2 (4 * 2 + 0.7) arcsec.
    assert found[2].reason.startswith("would move by 24.")
    assert found[2].reason.endswith("17.40 or more is not plausible")
    assert found[2].correction.is_identity


def test_jwst_drops_all_if_one_would_move_too_far():
    found = align_relative(far_corners(1.0), robust=False)
    assert [each.status for each in found] == ["FAILED"] * 4
    assert all(each.correction.is_identity for each in found)
    assert "group e3 would move by" in found[0].reason
    assert "5.40 or more is not plausible" in found[0].reason


# Few stars


FEW = [("shift", 1), ("shift", 2), ("rshift", 2), ("rshift", 4), ("general", 3), ("general", 5)]


@pytest.mark.parametrize(("geometry", "number"), FEW)
def test_few_stars_are_enough_if_minobj_allows_them(geometry, number):
    """In a field of 16 arcsec, where one pair as near as 0.25 arcsec may be chance and three are not."""
    needed = [rigid(0, 0), rigid(0.12, -0.2), rigid(-0.08, 0.15), rigid(0.25, 0.03)]
    places = np.array([[0.0, 0.0], [4.0, 3.0], [-4.0, 3.5], [3.5, -4.0], [-3.0, -4.2]])
    exposures = four(to_sky(places[:number], FIELD), needed=needed, hits=0, noise=2e-4)
    found = align_relative(exposures, Matching(minobj=number, fitgeometry=geometry))
    assert [each.status for each in found] == ["COMPLETE"] * 4
    for exposure, alignment, motion in zip(exposures, found, needed, strict=True):
        stars = to_plane(exposure.sky, exposure.centre)
        assert np.hypot(*(alignment.correction(stars) - motion(stars)).T).max() < 1e-3


def test_one_doubtful_exposure_is_not_enough():
    needed = [rigid(0, 0), rigid(0.12, -0.2)]
    true = to_sky(np.zeros((1, 2)), FIELD)
    exposures = [expose(true, name, motion, hits=0) for name, motion in zip("ab", needed, strict=True)]
    found = align_relative(exposures, Matching(minobj=1, fitgeometry="shift"))
    assert [each.status for each in found] == ["FAILED"] * 2
    assert "chance" in found[1].reason
    assert found[1].correction.is_identity


@pytest.mark.parametrize(("geometry", "minobj"), [("shift", 1), ("rshift", 2), ("general", 3)])
@pytest.mark.parametrize("hits", [1, 3, 12])
def test_fields_without_a_common_star_are_not_aligned(geometry, minobj, hits):
    for seed in range(3):
        exposures = [expose(stars_around()[:0], f"{seed}-{i}", Affine(), hits=hits) for i in range(3)]
        found = align_relative(exposures, Matching(minobj=minobj, fitgeometry=geometry))
        assert [each.status for each in found] == ["FAILED"] * 3


# Partial overlap


def strip(places, needed=None):
    """Return exposures in a row along right ascension, on one field of stars."""
    true = to_sky(np.random.default_rng(3).uniform((-10, -9), (90, 9), (600, 2)), FIELD)
    needed = needed or [rigid(0.1 * i, -0.05 * i) for i in range(len(places))]
    return [expose(true, f"p{i}", each, at=(x, 0.0)) for i, (x, each) in enumerate(zip(places, needed, strict=True))]


def test_groups_without_overlap_with_the_first_are_aligned_by_others():
    exposures = strip([0, 20, 10, 30])  # 20 and 30 do not see what 0 sees
    found = align_relative(exposures)
    for exposure, alignment, needed in zip(
        exposures, found, [rigid(0.1 * i, -0.05 * i) for i in range(4)], strict=True
    ):
        assert alignment.status == "COMPLETE"
        assert alignment.reference == "p0"
        assert error(exposure, alignment, needed) < 0.01
    assert [each.status for each in align_relative(exposures, robust=False)] == [
        "COMPLETE",
        "FAILED",
        "COMPLETE",
        "FAILED",
    ]
    expanded = align_relative(exposures, robust=False, expand_refcat=True)
    assert [each.status for each in expanded] == ["COMPLETE"] * 4


def test_sets_that_do_not_meet_have_their_own_references():
    needed = [rigid(0, 0), rigid(0.2, 0.1), rigid(0, 0), rigid(-0.1, 0.2), rigid(0, 0)]
    exposures = strip([0, 3, 50, 53, 25], needed)
    found = align_relative(exposures)
    assert [each.reference for each in found] == ["p0", "p0", "p2", "p2", ""]
    assert [each.status for each in found] == ["COMPLETE"] * 4 + ["FAILED"]
    assert [each.is_reference for each in found] == [True, False, True, False, False]
    for exposure, alignment, motion in zip(exposures[:4], found[:4], needed[:4], strict=True):
        assert error(exposure, alignment, motion) < 0.01


def test_sky_in_common_is_the_shared_area():
    a, b, c = groups_of(strip([0, 4, 50]))
    sky = SkyInCommon([a, b, c])
    # A column of the grid is 16 / 24 arcsec wide: 12 arcsec are 18 columns.
    assert sky.with_group(b) == pytest.approx([12 * 16, 16 * 16, 0], rel=1e-6)
    assert sky.with_group(c) == pytest.approx([0, 0, 16 * 16])
    assert [sky.with_added(each) for each in (a, b, c)] == [0, 0, 0]


def test_sky_in_common_with_several_is_counted_once():
    a, b, c, d = groups_of(strip([0, 4, 8, -12]))
    sky = SkyInCommon([a])
    for other, shared in ((c, 8), (b, 12), (c, 12), (d, 16), (a, 16)):  # arcsec along right ascension
        sky.add(other)
        assert sky.with_added(a) == pytest.approx(shared * 16, rel=1e-6)


def test_sky_in_common_is_that_of_corrected_groups_and_all_detectors():
    a, b, c = groups_of(strip([0, 4, 50]))
    assert SkyInCommon([a]).with_group(replace(b, motion=rigid(-4, 0))) == pytest.approx([16 * 16])
    both = Group("both", (a.members[0], c.members[0]))
    assert SkyInCommon([both]).with_group(b) == pytest.approx([12 * 16], rel=1e-6)
    assert SkyInCommon([b]).with_group(both) == pytest.approx([12 * 16], rel=1e-6)
    assert SkyInCommon([]).with_group(a).shape == (0,)


@settings(max_examples=50, deadline=None)
@given(x=st.floats(-30, 30), y=st.floats(-30, 30), ra=st.floats(0, 360), dec=st.floats(-90, 90))
def test_sky_in_common_does_not_miss_neighbours(x, y, ra, dec):
    """Of squares of 16 arcsec, only the columns and rows of the grid that are shared count, anywhere on the sky."""
    one, other = (expose(stars_around()[:0], "a", Affine(), field=(ra, dec)) for _ in "ab")
    other = replace(other, footprint=move(other.footprint, rigid(x, y), other.centre))
    shared = SkyInCommon([Group("a", (one,))]).with_group(Group("b", (other,)))[0]
    step = 16 / 24
    sides = [max(16 - abs(offset), 0) for offset in (x, y)]
    assert np.prod([max(side - step, 0) for side in sides]) - 1e-3 <= shared <= np.prod([side + step for side in sides])
    if min(sides) == 0:
        assert shared == 0


def test_expanding_starts_with_those_that_overlap_most():
    found = align_relative(strip([0, 14, 20, 23]), expand_refcat=True)
    # 20 and 23 overlap most, and 20 overlaps more with 14.
    assert [each.is_reference for each in found] == [False, False, True, False]
    found = align_relative(strip([0, 10, 20, 23]), expand_refcat=True, enforce_user_order=True)
    assert [each.is_reference for each in found] == [True, False, False, False]


# Absolute alignment


def with_catalogue(exposures, common, **options):
    """Align exposures of `four` to a catalogue: the true positions, moved by `common`."""
    return align_absolute(exposures, align_relative(exposures), move(stars_around(), common, FIELD), **options)


@pytest.mark.parametrize("robust", [True, False])
def test_all_are_brought_to_a_catalogue(robust):
    common = rigid(1.2, -0.7, 0.003)
    exposures = four(hits=0)
    found = with_catalogue(exposures, common, robust=robust)
    for exposure, alignment, needed in zip(exposures, found, NEEDED, strict=True):
        assert alignment.status == "COMPLETE"
        motion = Group("", (replace(exposure, centre=FIELD),), common).correction(exposure).after(needed)
        assert error(exposure, alignment, motion) < 0.004
        assert "catalogue" in alignment.reason
    assert found[0].is_reference
    assert found[0].corner_motion == pytest.approx(np.hypot(1.2, 0.7), abs=0.01)


def test_detections_of_a_star_are_averaged():
    true = stars_around()
    exposures = [replace(each, centre=FIELD) for each in four(needed=[Affine()] * 4, hits=0, noise=0)]
    shifted = [replace(each, sky=move(each.sky, rigid(0.004 * i, 0), FIELD)) for i, each in enumerate(exposures)]
    weighted = [replace(each, weight=np.full(len(each.sky), 2.0)) for each in shifted]
    stars = Group("", tuple(weighted)).averaged_stars()
    assert len(stars) < len(true)
    everywhere = np.abs(to_plane(true, FIELD)).max(axis=1) < 6.3  # seen by all four
    seen = stars.xy[np.argmin(np.hypot(*(stars.xy[:, None] - to_plane(true[everywhere], FIELD)).T), axis=1)]
    assert seen == pytest.approx(np.add(to_plane(true[everywhere], FIELD), [0.006, 0]), abs=1e-8)
    assert stars.weight.sum() == pytest.approx(2 * sum(len(each.sky) for each in exposures))


def test_what_matches_neither_the_others_nor_the_catalogue_stays():
    exposures = four(hits=0)
    exposures[1] = replace(exposures[1], sky=np.empty((0, 2)))
    found = with_catalogue(exposures, rigid(0.8, 0.4))
    assert [each.status for each in found] == ["COMPLETE", "FAILED", "COMPLETE", "COMPLETE"]
    assert found[0].correction.shift == pytest.approx((0.8, 0.4), abs=0.003)
    assert found[1].correction.is_identity
    assert found[1].reason == "is not brought to the catalogue: has no stars to match"
    assert (found[1].reference, found[1].n_matches, found[1].corner_motion) == ("", 0, 0)
    assert np.isnan(found[1].rms)


def test_jwst_moves_what_has_no_stars_with_the_others_to_the_catalogue():
    exposures = four(hits=0)
    exposures[1] = replace(exposures[1], sky=np.empty((0, 2)))
    found = with_catalogue(exposures, rigid(0.8, 0.4), robust=False)
    assert [each.status for each in found] == ["COMPLETE"] * 4
    assert found[1].correction.shift == pytest.approx((0.8, 0.4), abs=0.003)


def test_what_does_not_match_the_others_is_brought_to_the_catalogue_by_itself():
    """The others see nothing of the stars of a fifth exposure, 50 arcsec away."""
    far = to_sky(np.array([50.0, 0.0]), FIELD)
    true = np.concatenate([stars_around(), stars_around(far, seed=2)])
    needed = rigid(-0.3, 0.2)
    exposures = [*four(true, hits=0), expose(true, "e5", needed, at=(50.0, 0.0), hits=0)]
    relative = align_relative(exposures)
    assert [each.status for each in relative] == ["COMPLETE"] * 4 + ["FAILED"]
    found = align_absolute(exposures, relative, true)
    assert [each.status for each in found] == ["COMPLETE"] * 5
    assert error(exposures[4], found[4], needed) < 0.004


def test_a_set_that_the_catalogue_does_not_cover_keeps_its_relative_corrections():
    needed = [rigid(0, 0), rigid(0.2, 0.1), rigid(0, 0), rigid(-0.1, 0.2)]
    exposures = strip([0, 3, 50, 53], needed)
    relative = align_relative(exposures)
    true = to_sky(np.random.default_rng(3).uniform((-10, -9), (90, 9), (600, 2)), FIELD)
    catalogue = move(true[to_plane(true, FIELD)[:, 0] < 20], rigid(0.5, 0), FIELD)
    found = align_absolute(exposures, relative, catalogue)
    assert [each.status for each in found] == ["COMPLETE", "COMPLETE", "FAILED", "FAILED"]
    assert error(exposures[1], found[1], rigid(0.7, 0.1)) < 0.01
    assert [each.correction for each in found[2:]] == [each.correction for each in relative[2:]]
    assert found[3].corner_motion == relative[3].corner_motion > 0.2


def test_one_exposure_is_brought_to_a_catalogue():
    exposure = four()[2]
    found = with_catalogue([exposure], Affine())
    assert found[0].status == "COMPLETE"
    assert error(exposure, found[0], NEEDED[2]) < 0.004


@pytest.mark.parametrize("robust", [True, False])
def test_a_catalogue_with_too_few_stars(robust):
    exposures = four()
    relative = align_relative(exposures)
    found = align_absolute(exposures, relative, stars_around(number=14), robust=robust)
    assert [each.status for each in found] == ["FAILED"] * 4
    assert "14 stars, fewer than minobj = 15" in found[2].reason
    assert found[2].correction == (relative[2].correction if robust else Affine())


@pytest.mark.parametrize("robust", [True, False])
def test_a_catalogue_of_other_stars(robust):
    exposures = four()
    relative = align_relative(exposures)
    found = align_absolute(exposures, relative, stars_around(seed=99, number=20), robust=robust)
    if robust:  # chance matches are accepted otherwise
        assert [each.status for each in found] == ["FAILED"] * 4
        assert [each.correction for each in found] == [each.correction for each in relative]


# Bad input


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (Matching(separation=0.9), r"separation is 0.9 arcsec; it must be more than sqrt\(2\) times"),
        (Matching(searchrad=0), "searchrad is 0; it must be larger than 0"),
        (Matching(tolerance=-1.0), "tolerance is -1.0; it must be larger than 0"),
        (Matching(fitgeometry="affine"), "fitgeometry is 'affine'; it must be one of shift, rshift"),
    ],
)
def test_parameters_out_of_range(how, message):
    with pytest.raises(ValueError, match=message):
        align_relative(four(), how)
    with pytest.raises(ValueError, match=message):
        align_absolute([], [], stars_around(), how=how)


def test_weights_must_be_given_for_all_stars_of_a_group():
    true = stars_around()
    a, b = (expose(true, name, Affine(), group="g") for name in "ab")
    with pytest.raises(ValueError, match="of group g some exposures have weights and some have not"):
        groups_of([a, replace(b, weight=np.ones(len(b.sky)))])
    with pytest.raises(ValueError, match="2 weights"):
        groups_of([replace(a, weight=np.ones(2))])


def test_an_alignment_says_what_its_correction_does():
    motion = affine(2 * np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([3.0, 4.0]))
    alignment = Alignment("a", "g", "COMPLETE", "", motion, reference="g")
    assert (alignment.shift, alignment.rotation, alignment.scale) == ((3, 4), -90, 2)
    assert alignment.is_reference


@pytest.mark.parametrize("degrees", [-100.0, -0.3, 0.0, 0.02, 45.0])
@pytest.mark.parametrize("centre", [(150.0, 2.2), (10.0, -75.0)])
def test_rotation_is_the_change_of_position_angles(degrees, centre):
    motion = rigid(0.0, 0.0, degrees)
    star = to_sky(np.array([1.0, 2.0]), centre)
    pole, before, after = (SkyCoord(*each, unit="deg") for each in (centre, star, move(star, motion, centre)))
    change = (pole.position_angle(after) - pole.position_angle(before)).wrap_at("180d").deg
    assert Alignment("a", "g", "COMPLETE", "", motion).rotation == pytest.approx(change, abs=1e-6)
    assert change == pytest.approx(-degrees, abs=1e-6)


def test_exposures_of_a_visit_that_move_together():
    """Dithered exposures see the same stars: each counts once for a visit, or in each exposure, and does not pull."""
    true = stars_around(number=100)
    needed = rigid(0.3, -0.2)
    places = [(0.0, 0.0), (3.0, 2.0)]
    first = [expose(true, f"a{n}", IDENTITY, at=at, group="a") for n, at in enumerate(places)]
    second = [expose(true, f"b{n}", needed, at=at, group="b") for n, at in enumerate(places)]
    found = align_relative([*first, *second])
    assert [each.status for each in found] == ["COMPLETE"] * 4
    assert all(each.correction == IDENTITY for each in found[:2])
    for exposure, alignment in zip(second, found[2:], strict=True):
        assert error(exposure, alignment, needed) < 0.002
    brought = align_absolute([*first, *second], found, true)
    for exposure, alignment in zip(second, brought[2:], strict=True):
        assert error(exposure, alignment, needed) < 0.002
