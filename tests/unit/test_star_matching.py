import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.science.geometry.tangent_plane import Affine, affine
from calflow.science.stars.star_matching import (
    DoubtfulMatchError,
    Matching,
    NoMatchError,
    PlaneStars,
    _pairs_within,
    match,
    match_once,
    nearest_pairs,
    scatter,
)

PIXEL = 0.031
# 20 stars, no two nearer than 1.1 arcsec, and no regular pattern.
STARS = np.stack(np.meshgrid(np.arange(5) * 3.1, np.arange(4) * 2.9), axis=-1).reshape(-1, 2)
STARS += np.random.default_rng(0).uniform(-0.9, 0.9, STARS.shape)


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("tweakwcs").setLevel(logging.ERROR)


def rotation(degrees, scale=1.0):
    angle = np.radians(degrees)
    return scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def scene(seed, stars, hits, motion, size=16.0, noise=0.003):
    """Return two lists of the same stars, the first moved by the inverse of `motion`, each with its own chance hits."""
    rng = np.random.default_rng(seed)
    true = rng.uniform(-size / 2, size / 2, (stars, 2))
    back = np.linalg.inv(motion.matrix)
    seen = (true - motion.shift) @ back.T
    lists = []
    for xy in (seen, true):
        positions = [xy + rng.normal(0, noise, xy.shape), rng.uniform(-size / 2, size / 2, (hits, 2))]
        lists.append(PlaneStars(rng.permutation(np.concatenate(positions))))
    return lists, seen, true


def error(solution, seen, true):
    return np.hypot(*(solution.motion(seen) - true).T).max()


def test_pairs_are_each_others_nearest():
    a = np.array([[0.0, 0.0], [0.0, 0.3], [5.0, 5.0], [9.0, 9.0]])
    b = np.array([[5.1, 5.0], [0.0, 0.1], [0.0, -0.4]])
    # (0, 0.3) is nearest to (0, 0.1), which has (0, 0) nearer; (9, 9) has none.
    of_a, of_b = nearest_pairs(a, b, 0.5)
    assert of_a.tolist() == [0, 2]
    assert of_b.tolist() == [1, 0]


def test_no_points_make_no_pairs():
    assert [len(each) for each in nearest_pairs(np.empty((0, 2)), STARS, 1.0)] == [0, 0]
    assert [len(each) for each in nearest_pairs(STARS, np.empty((0, 2)), 1.0)] == [0, 0]


@pytest.mark.parametrize("by_chance", [0, 100, 300])
def test_scatter_is_not_widened_by_chance_pairs(by_chance):
    """Quantiles of a normal distribution of 0.01 per axis, and of an even disk of radius 0.1."""
    fraction = (np.arange(300) + 0.5) / 300
    true = 0.01 * np.sqrt(-2 * np.log(1 - fraction))
    chance = 0.1 * np.sqrt((np.arange(by_chance) + 0.5) / max(by_chance, 1))
    assert scatter(np.concatenate([true, chance]), 0.1) == pytest.approx(0.01, rel=0.03)


def test_scatter_of_equal_positions_is_zero():
    assert scatter(np.zeros(5), 0.1) == 0


@pytest.mark.parametrize("matcher", [match, match_once])
@pytest.mark.parametrize(
    ("geometry", "matrix"),
    [
        ("shift", np.eye(2)),
        ("rshift", rotation(0.05)),
        ("rscale", rotation(-0.04, 1.001)),
        ("general", np.array([[1.001, 0.0004], [-0.0003, 0.9995]])),
    ],
)
def test_a_known_motion_is_found(matcher, geometry, matrix):
    motion = affine(matrix, np.array([0.31, -0.17]))
    stars = PlaneStars(motion(STARS))
    solution = matcher(PlaneStars(STARS), stars, PIXEL, Matching(fitgeometry=geometry))
    assert np.array(solution.motion.matrix) == pytest.approx(matrix, abs=1e-12)
    assert solution.motion.shift == pytest.approx(motion.shift, abs=1e-11)
    assert solution.n_matches == 20
    assert sorted(solution.matched) == list(range(20))
    assert solution.rms < 1e-11


@pytest.mark.parametrize("matcher", [match, match_once])
def test_rms_and_weights_are_those_of_a_hand_worked_shift(matcher):
    # Half of the stars are off by +0.01 in x, with weight 3; half by -0.01 with weight 1: mean +0.005.
    off = np.where(np.arange(20) % 2, 0.01, -0.01)
    moved = STARS + np.stack([off, np.zeros(20)], axis=-1)
    weight = np.where(np.arange(20) % 2, 3.0, 1.0)
    how = Matching(fitgeometry="shift")
    plain = matcher(PlaneStars(STARS), PlaneStars(moved), PIXEL, how)
    assert plain.motion.shift == pytest.approx((0, 0), abs=1e-12)
    assert plain.rms == pytest.approx(0.01)
    weighted = matcher(PlaneStars(STARS), PlaneStars(moved, weight), PIXEL, how)
    assert weighted.motion.shift == pytest.approx((0.005, 0), abs=1e-12)
    # 1/w = 1/6 + 1/6 and 1/2 + 1/2: weights 3 and 1 again.
    both = matcher(PlaneStars(STARS, 2 * weight), PlaneStars(moved, 2 * weight), PIXEL, how)
    assert both.motion.shift == pytest.approx((0.005, 0), abs=1e-12)


@pytest.mark.parametrize("matcher", [match, match_once])
def test_the_offset_may_be_given(matcher):
    how = Matching(use2dhist=False, xoffset=30.0, yoffset=-20.0)
    solution = matcher(PlaneStars(np.add(STARS, [30.2, -20.1])), PlaneStars(STARS), PIXEL, how)
    assert solution.motion.shift == pytest.approx((-30.2, 20.1))
    with pytest.raises(NoMatchError):
        matcher(PlaneStars(np.add(STARS, [33.2, -20.1])), PlaneStars(STARS), PIXEL, how)


@pytest.mark.parametrize("matcher", [match, match_once])
@pytest.mark.parametrize(("stars", "reference"), [(STARS[:0], STARS), (STARS, STARS[:0]), (STARS[:14], STARS)])
def test_too_few_stars_do_not_match(matcher, stars, reference):
    with pytest.raises(NoMatchError):
        matcher(PlaneStars(stars), PlaneStars(reference), PIXEL, Matching(minobj=15))


def test_minobj_is_told():
    with pytest.raises(NoMatchError, match=r"14 stars .* fewer than minobj = 15"):
        match(PlaneStars(STARS[:14]), PlaneStars(STARS), PIXEL, Matching(minobj=15))
    assert match(PlaneStars(STARS[:15]), PlaneStars(STARS), PIXEL, Matching(minobj=15)).n_matches == 15


@pytest.mark.parametrize("seed", range(10))
def test_chance_hits_do_not_pull_the_solution(seed):
    motion = affine(rotation(0.004), np.array([0.12, 0.2]))
    (stars, reference), seen, true = scene(seed, 20, 25, motion)
    assert error(match(stars, reference, PIXEL, Matching()), seen, true) < 0.005


def test_chance_hits_pull_a_single_match():
    """What `match` is for: 20 stars of 3 mas and 25 hits, in ten fields."""
    motion = affine(rotation(0.004), np.array([0.12, 0.2]))
    worst = 0.0
    for seed in range(10):
        (stars, reference), seen, true = scene(seed, 20, 25, motion)
        worst = max(worst, error(match_once(stars, reference, PIXEL, Matching()), seen, true))
    assert worst > 0.02


@pytest.mark.parametrize("searchrad", [2.0, 8.0])
@pytest.mark.parametrize("number", [20, 60, 200])
def test_chance_alone_is_no_match(number, searchrad):
    for seed in range(5):
        (stars, reference), _, _ = scene(seed, 0, number, Affine())
        with pytest.raises(NoMatchError):
            match(stars, reference, PIXEL, Matching(minobj=3), searchrad)


def test_chance_is_told():
    (stars, reference), _, _ = scene(1, 0, 200, Affine())
    with pytest.raises(
        DoubtfulMatchError, match=r"no match that is not chance: .* stars, .* expected by chance"
    ) as told:
        match(stars, reference, PIXEL, Matching())
    assert told.value.solution.log_chance > np.log(1e-4)


@pytest.mark.parametrize(("geometry", "least"), [("rshift", 2), ("rscale", 2), ("general", 3)])
def test_a_fit_that_needs_more_stars_than_there_are_is_told(geometry, least):
    few, told = PlaneStars(STARS[: least - 1]), f"fewer than the {least} that fitgeometry '{geometry}' needs"
    with pytest.raises(NoMatchError, match=told):
        match(few, few, PIXEL, Matching(minobj=1, fitgeometry=geometry))


def test_what_was_counted_is_told():
    """Few of the stars that there are can be pairs, and one star can be in many."""
    far = PlaneStars(np.add(STARS, [300.0, 0.0]))
    with pytest.raises(NoMatchError, match=r"has 0 pairs of stars within searchrad = 2 arcsec, fewer than minobj = 2"):
        match(far, PlaneStars(STARS), PIXEL, Matching(minobj=2))
    crowd = PlaneStars(np.random.default_rng(0).uniform(-1, 1, (50, 2)))
    with pytest.raises(NoMatchError, match=r"has 50 stars and the reference 20, fewer than minobj = 30"):
        match(crowd, PlaneStars(STARS), PIXEL, Matching(minobj=30))


# Few stars

FEW = [
    ("shift", 1),
    ("shift", 2),
    *(("rshift", n) for n in (2, 3, 4)),
    ("rscale", 2),
    *(("general", n) for n in (3, 4, 5)),
]
DENSITY = 1 / 64.0**2  # of one star in 64 x 64 arcsec


def few(seed, number, geometry, noise=2e-4):
    """Return stars, the same moved by 0.2 arcsec and 0.002 degrees with errors, and the motion."""
    motion = affine(np.eye(2) if geometry == "shift" else rotation(0.002), np.array([0.16, -0.12]))
    rng = np.random.default_rng(seed)
    stars = 60 * np.stack([np.arange(number) / number - 0.5, rng.permutation(number) / number - 0.5], axis=-1)
    stars += rng.uniform(-3, 3, stars.shape)
    return stars, motion(stars) + rng.normal(0, noise, stars.shape), motion


@pytest.mark.parametrize("noise", [2e-4, 1e-2])
@pytest.mark.parametrize(("geometry", "number"), FEW)
def test_as_many_stars_as_the_fit_needs_are_enough(geometry, number, noise):
    for seed in range(10):
        stars, moved, motion = few(seed, number, geometry, noise)
        how = Matching(minobj=number, fitgeometry=geometry)
        found = match(PlaneStars(stars), PlaneStars(moved), PIXEL, how, density=number * DENSITY)
        assert found.n_matches == number
        assert np.hypot(*(found.motion(stars) - motion(stars)).T).max() < 5 * noise
        assert np.linalg.det(found.motion.matrix) > 0


@pytest.mark.parametrize(("geometry", "number"), FEW)
def test_few_stars_of_different_fields_do_not_match(geometry, number):
    rng = np.random.default_rng(number)
    for _ in range(40):
        a, b = rng.uniform(-5, 5, (2, number, 2))
        with pytest.raises(NoMatchError):
            match(PlaneStars(a), PlaneStars(b), PIXEL, Matching(minobj=1, fitgeometry=geometry), density=number / 100)


def test_one_star_is_enough_where_stars_are_rare_and_near():
    """Of one star in a field of A a chance match as near as 0.2 arcsec is to be expected 0.126 / A times."""
    one, other = PlaneStars(np.zeros((1, 2))), PlaneStars(np.array([[0.2, 0.0]]))
    how = Matching(minobj=1, fitgeometry="shift")
    assert match(one, other, PIXEL, how, density=1 / 1500).motion.shift == pytest.approx((0.2, 0.0))
    with pytest.raises(DoubtfulMatchError, match=r"has 1 stars, 0.00013 matches like it .* more than 0.0001"):
        match(one, other, PIXEL, how, density=1 / 1020)


def test_two_stars_turn_and_do_not_mirror():
    """Two points and their mirror image fit equally well; jwst's fit is one or the other."""
    mirrored = 0
    for seed in range(20):
        stars, moved, motion = few(seed, 2, "rshift", noise=0.0)
        how = Matching(minobj=2)
        mirrored += np.linalg.det(match_once(PlaneStars(stars), PlaneStars(moved), PIXEL, how).motion.matrix) < 0
        weights = np.array([1.0, 3.0])
        found = match(PlaneStars(stars, weights), PlaneStars(moved, weights), PIXEL, how, density=2 * DENSITY)
        assert np.array(found.motion.matrix) == pytest.approx(rotation(0.002), abs=1e-9)
        assert found.motion.shift == pytest.approx(motion.shift, abs=1e-9)
    assert mirrored


def test_a_chance_match_does_not_pull_few_stars():
    """Four stars of 0.2 mas, and a hit in each list, 0.1 arcsec from each other once the four match."""
    stars, moved, motion = few(3, 4, "rshift")
    hit = np.array([[7.0, 11.0]])
    lists = np.concatenate([stars, hit]), np.concatenate([moved, np.add(motion(hit), [0.08, 0.06])])
    found = match(*map(PlaneStars, lists), PIXEL, Matching(minobj=4), density=5 * DENSITY)
    assert found.n_matches == 4
    assert np.hypot(*(found.motion(stars) - motion(stars)).T).max() < 1e-3


def test_a_crowded_field_is_matched():
    motion = affine(rotation(0.003), np.array([-0.9, 1.1]))
    (stars, reference), seen, true = scene(3, 300, 100, motion)
    solution = match(stars, reference, PIXEL, Matching())
    assert error(solution, seen, true) < 0.002
    assert 280 < solution.n_matches < 310
    assert solution.expected < 5


def test_a_rotated_exposure_is_matched():
    motion = affine(rotation(0.8), np.array([0.5, 0.4]))
    (stars, reference), seen, true = scene(4, 60, 30, motion)
    assert error(match(stars, reference, PIXEL, Matching()), seen, true) < 0.003


def test_no_solution_is_a_mirror_image():
    """Stars near a line match those of their mirror image; jwst's fit is then a mirror image."""
    x = np.random.default_rng(0).choice([-1, 1], 20) * np.linspace(0.15, 0.2, 20)
    stars = np.stack([x, 1.5 * np.arange(20)], axis=-1)
    lists = PlaneStars(stars * [-1, 1]), PlaneStars(stars)
    how = Matching(fitgeometry="general")
    assert np.linalg.det(match_once(*lists, PIXEL, how).motion.matrix) < 0
    assert np.linalg.det(match(*lists, PIXEL, how).motion.matrix) > 0


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    x=st.floats(-1.9, 1.9),
    y=st.floats(-0.6, 0.6),
    degrees=st.floats(-0.05, 0.05),
)
def test_any_small_motion_is_found(seed, x, y, degrees):
    motion = affine(rotation(degrees), np.array([x, y]))
    (stars, reference), seen, true = scene(seed, 30, 30, motion)
    assert error(match(stars, reference, PIXEL, Matching()), seen, true) < 0.006


def test_too_many_pairs_are_thinned():
    stars = np.random.default_rng(5).uniform(-10, 10, (1000, 2))
    # All of the 1000 x 100 pairs: of the longer list, every second star along x.
    some = _pairs_within(stars, stars[:100], 30.0)
    assert len(some) == 50_000
    chosen = stars[np.argsort(stars[:, 0])][::2]
    expected = (chosen[:, None] - stars[:100]).reshape(-1, 2)
    assert some[np.lexsort(some.T)] == pytest.approx(expected[np.lexsort(expected.T)], abs=1e-12)
    other_way = _pairs_within(stars[:100], stars, 30.0)
    assert other_way[np.lexsort(other_way.T)] == pytest.approx(-some[np.lexsort(-some.T)], abs=1e-12)
    # All of 1000 x 1000: every 20th star of one list.
    assert len(_pairs_within(stars, stars, 30.0)) == 50_000


def test_pairs_do_not_depend_on_the_order_of_the_lists():
    rng = np.random.default_rng(6)
    a, b = rng.uniform(-10, 10, (900, 2)), rng.uniform(-10, 10, (700, 2))
    pairs, mixed = _pairs_within(a, b, 8.0), _pairs_within(rng.permutation(a), rng.permutation(b), 8.0)
    assert 25_000 < len(pairs) <= 50_000
    assert np.array_equal(pairs[np.lexsort(pairs.T)], mixed[np.lexsort(mixed.T)])


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_long_lists_match_in_any_order(order):
    """A catalogue from faint to bright, and an exposure that sees only the bright, from bright to faint."""
    catalogue = np.random.default_rng(7).uniform(-30, 30, (3000, 2))
    bright = catalogue[:-701:-1] - [5.3, -1.2]
    found = match(PlaneStars(bright), PlaneStars(catalogue[order]), PIXEL, Matching(), 8.0)
    assert found.motion.shift == pytest.approx((5.3, -1.2), abs=1e-6)
    assert sorted(found.matched) == list(range(700))


def test_the_same_stars_give_the_same_bits():
    (stars, reference), _, _ = scene(6, 25, 25, affine(rotation(0.01), np.array([0.1, 0.1])))
    a, b = (match(stars, reference, PIXEL, Matching()) for _ in range(2))
    assert (a.motion, a.rms, a.n_matches, a.expected) == (b.motion, b.rms, b.n_matches, b.expected)
