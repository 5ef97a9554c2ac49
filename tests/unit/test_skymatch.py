import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.sky.sky_statistics import SkyStatistic
from calflow.science.sky.skymatch import SkyMeasurement, match_sky


def measurement(name, overlaps=None, whole=None, group=None):
    """Return a measurement; overlaps maps a group to (value, number of pixels), or to a value of 100 pixels."""

    def statistic(sky):
        if sky is None:
            return None
        return SkyStatistic(*sky) if isinstance(sky, tuple) else SkyStatistic(sky, 100)

    overlaps = {other: statistic(sky) for other, sky in (overlaps or {}).items()}
    return SkyMeasurement(name, group or name, statistic(whole), overlaps)


def levels(measurements, **options):
    return [found.level for found in match_sky(measurements, **options)]


def pairwise(differences, pixels=None):
    """Return the measurements of exposures that differ in overlaps by {"ab": difference}, of so many pixels."""
    names = sorted(set("".join(differences)))
    overlaps = {name: {} for name in names}
    for (first, second), difference in differences.items():
        n = (pixels or {}).get(first + second, 100)
        overlaps[first][second] = (10.0 + difference, n)
        overlaps[second][first] = (10.0, n)
    return [measurement(name, overlaps[name]) for name in names]


def with_pseudo_inverse(measurements):
    """Solve the equations of `steps.skymatch` as jwst does; each exposure is a group."""
    names = [m.name for m in measurements]
    rows, right = [], []
    for i, one in enumerate(measurements):
        for j, other in enumerate(measurements[:i]):
            if other.name in one.overlaps:
                here, there = one.overlaps[other.name], other.overlaps[one.name]
                weight = (here.n + there.n) / 2
                rows.append([weight * ((k == i) - (k == j)) for k in range(len(names))])
                right.append(weight * (here.value - there.value))
    solution = np.linalg.pinv(np.array(rows), rcond=1e-12) @ right
    return solution - solution.min()


def test_two_exposures_differ_as_their_overlap():
    pair = pairwise({"ab": 2.5})
    assert levels(pair) == pytest.approx([2.5, 0])
    assert levels(pair, match_down=False) == pytest.approx([0, -2.5])
    found = match_sky(pair)[0]
    assert (found.name, found.group, found.status, found.n_pixels, found.reason) == ("a", "a", "COMPLETE", 100, "")


def test_reference_has_level_zero_exactly():
    assert levels(pairwise({"ab": 0.1, "bc": 0.2, "ac": 0.7}))[2] == 0.0


def test_contradiction_is_shared_by_all_overlaps():
    """a - b = 1, b - c = 1, a - c = 3: each is changed by a third."""
    assert levels(pairwise({"ab": 1, "bc": 1, "ac": 3})) == pytest.approx([8 / 3, 4 / 3, 0])


def test_overlap_counts_by_the_square_of_its_pixels():
    """The chain a - b - c misses a - c = 3 by 1. Of that 1/9, 4/9 and 4/9 for squared weights of 4, 1, 1."""
    found = levels(pairwise({"ab": 1, "bc": 1, "ac": 3}, {"ab": 200}))
    assert found == pytest.approx([1 + 1 / 9 + 1 + 4 / 9, 1 + 4 / 9, 0])


def test_weight_is_the_mean_of_both_numbers_of_pixels():
    """The same as before, with 300 pixels on one side and 100 on the other."""
    found = levels(
        [
            measurement("a", {"b": (11.0, 300), "c": 13.0}),
            measurement("b", {"a": (10.0, 100), "c": 11.0}),
            measurement("c", {"b": 10.0, "a": 10.0}),
        ]
    )
    assert found == pytest.approx([1 + 1 / 9 + 1 + 4 / 9, 1 + 4 / 9, 0])


def test_group_has_the_mean_of_its_pixels():
    """Group g: (1 * 100 + 4 * 200) / 300 = 3 in the overlap with h, where h has 5."""
    found = match_sky(
        [
            measurement("g1", {"h": (1.0, 100)}, group="g"),
            measurement("h1", {"g": (5.0, 300)}, group="h"),
            measurement("g2", {"h": (4.0, 200)}, group="g"),
            measurement("g3", {}, group="g"),
        ]
    )
    assert [level.level for level in found] == pytest.approx([0, 2, 0, 0])
    assert [level.n_pixels for level in found] == [100, 300, 200, 0]
    assert {level.status for level in found} == {"COMPLETE"}


@given(st.integers(0, 100_000))
def test_solution_is_that_of_the_pseudo_inverse(seed):
    rng = np.random.default_rng(seed)
    names = "abcdefgh"[: rng.integers(2, 9)]
    pairs = [a + b for a in names for b in names if a < b]
    pairs = [pair for pair in pairs if rng.random() < 0.5] or pairs[:1]
    pixels = {pair: int(10 ** rng.uniform(3, 6)) for pair in pairs}
    measured = pairwise({pair: rng.normal() for pair in pairs}, pixels)
    assert levels(measured) == pytest.approx(with_pseudo_inverse(measured), abs=1e-7)


def test_sets_that_one_pixel_ties_together():
    """Two groups of four with overlaps of 4 million pixels, and one of a single pixel between them."""
    overlaps = {a + b: 0.0 for names in ("abcd", "efgh") for a in names for b in names if a < b}
    found = levels(pairwise(overlaps | {"ae": 7.0}, dict.fromkeys(overlaps, 4_000_000) | {"ae": 1}))
    assert found == pytest.approx([7] * 4 + [0] * 4, abs=1e-6)


def test_long_chain_adds_up():
    n = 300
    chain = [measurement(f"e{i}", {f"e{j}": float(i) for j in (i - 1, i + 1) if 0 <= j < n}) for i in range(n)]
    assert levels(chain) == pytest.approx(np.arange(n), abs=1e-9)


def test_exposure_without_overlap_is_skipped():
    found = match_sky([*pairwise({"ab": 1}), measurement("c", {}, whole=5.0)])
    assert [level.level for level in found] == [pytest.approx(1), 0, None]
    assert found[2].status == "SKIPPED"
    assert found[2].reason == "no overlap with another exposure that has usable pixels"
    assert found[0].reason == ""


@pytest.mark.parametrize(
    "measured", [[measurement("a", whole=1.0)], [measurement(n, whole=1.0, group="g") for n in "ab"]]
)
def test_single_group_is_skipped(measured):
    assert {level.status for level in match_sky(measured)} == {"SKIPPED"}


def test_overlap_with_a_sky_on_one_side_only_does_not_count():
    for other in ({"a": None}, {}):
        found = match_sky([measurement("a", {"b": 1.0}), measurement("b", other)])
        assert [level.status for level in found] == ["SKIPPED", "SKIPPED"]


def test_sets_that_nothing_ties_together_share_one_zero_point():
    """Each set has the mean 0 (a, b at 1, -1; c, d at 3, -3), then the lowest becomes 0."""
    found = match_sky(pairwise({"ab": 2, "cd": 6}))
    assert [level.level for level in found] == pytest.approx([4, 2, 6, 0])
    assert {level.reason for level in found} == {
        "overlaps tie the exposures together in 2 sets; levels of different sets cannot be compared"
    }


SKIES = [
    measurement("g1", {"h": 3.0}, whole=(3.5, 11), group="g"),
    measurement("g2", {"h": 3.0}, whole=(3.0, 12), group="g"),
    measurement("h1", {"g": 5.0}, whole=(5.5, 13), group="h"),
    measurement("i1", {}, whole=(4.0, 14), group="i"),
    measurement("j1", {}, group="j"),
]


def test_local_is_the_lowest_of_the_group():
    found = match_sky(SKIES, skymethod="local")
    assert [level.level for level in found] == [3.0, 3.0, 5.5, 4.0, None]
    assert [level.n_pixels for level in found] == [11, 12, 13, 14, 0]
    assert (found[4].status, found[4].reason) == ("SKIPPED", "no usable pixels")


def test_global_is_the_lowest_of_all():
    assert levels(SKIES, skymethod="global") == [3.0] * 5


@pytest.mark.parametrize(("match_down", "expected"), [(True, [3, 3, 5, 3, 3]), (False, [2, 2, 4, 4, 4])])
def test_global_and_match_leaves_the_lowest_sky_at_zero(match_down, expected):
    """Down, g has 0, h 2, and 3, 3.5 and (i) 4 are left: 3 are added. Up, 5, 5.5 and 4 are left: 4 are added."""
    found = match_sky(SKIES, skymethod="global+match", match_down=match_down)
    assert [level.level for level in found] == pytest.approx(expected)
    assert found[3].reason.startswith("no overlap")


@pytest.mark.parametrize("skymethod", ["match", "global+match", "global", "local"])
def test_no_usable_pixels_at_all(skymethod):
    found = match_sky([measurement("a"), measurement("b")], skymethod=skymethod)
    assert [(level.level, level.status) for level in found] == [(None, "SKIPPED")] * 2


@pytest.mark.parametrize("skymethod", ["match", "global+match", "global", "local", "user"])
def test_no_exposures(skymethod):
    assert match_sky([], skymethod=skymethod) == []


def test_user_levels_are_taken_as_they_are():
    """Also different ones in a group."""
    given = [("i1", 1), ("g2", -2.0), ("g1", 0.5), ("h1", 3.0), ("j1", 0)]
    found = match_sky(SKIES, skymethod="user", user_levels=given)
    assert [level.level for level in found] == [0.5, -2.0, 3.0, 1.0, 0.0]
    assert {level.status for level in found} == {"COMPLETE"}


def test_all_problems_of_user_levels_are_named():
    given = [("g1", 1.0), ("g1", 2.0), ("h1", np.nan), ("k1", 1.0), ("i1", 1.0)]
    with pytest.raises(ValueError, match="each exposure needs one finite sky level") as error:
        match_sky(SKIES, skymethod="user", user_levels=given)
    text = str(error.value)
    for problem in ("g1 is given more than once", "g2 has no level", "j1 has no level", "k1 is no exposure"):
        assert problem in text
    assert "the level of h1 is nan" in text


def test_user_without_levels():
    with pytest.raises(ValueError, match="a has no level"):
        match_sky([measurement("a")], skymethod="user")


def test_unknown_method_is_named():
    with pytest.raises(ValueError, match="'median'; it must be one of match, "):
        match_sky(SKIES, skymethod="median")


def test_repeated_name_is_refused():
    with pytest.raises(ValueError, match="repeated are a"):
        match_sky([measurement("a"), measurement("a"), measurement("b")])


def test_overlap_with_a_group_of_no_exposure_is_refused():
    with pytest.raises(ValueError, match="a overlaps group 'z', of which there is no exposure"):
        match_sky([measurement("a", {"z": 1.0})])
