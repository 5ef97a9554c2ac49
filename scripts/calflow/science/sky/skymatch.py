"""Sky levels of exposures that overlap: as equal as can be where they do.

From what was measured in each exposure (`science.sky.sky_overlaps`), one level is found for each group
of detectors that were read at the same time. To subtract it is left to others.

Source of the formulas: the JWST calibration pipeline's skymatch step (jwst 3.0.0), whose levels
these are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calflow.science.parameters import check_values
from calflow.science.sky.sky_parameters import SkyMatching
from calflow.science.sky.sky_statistics import SkyStatistic

NO_OVERLAP = "no overlap with another exposure that has usable pixels"
# The solution is corrected by its residuals this many times; each gains some digits.
REFINEMENTS = 3


@dataclass(frozen=True)
class SkyMeasurement:
    """The sky that was measured in one exposure.

    Attributes
    ----------
    name : str
        Of the exposure.
    group : str
        The exposures of a group get one level (not by the method user).
    whole : SkyStatistic or None
        In all of the exposure.
    overlaps : mapping of group name to SkyStatistic or None
        In the overlap with other groups.
    """

    name: str
    group: str
    whole: SkyStatistic | None
    overlaps: Mapping[str, SkyStatistic | None]


@dataclass(frozen=True)
class SkyLevel:
    """The sky level of one exposure.

    Attributes
    ----------
    name, group : str
    level : float or None
        What to subtract, in the unit of the pixels; None if there is no telling.
    status : {"COMPLETE", "SKIPPED"}
        SKIPPED if there is no level.
    n_pixels : int
        Number of pixels of this exposure that were used, once for each overlap they are in.
    reason : str
        Why there is no level, or what to mind; empty if all is well.
    """

    name: str
    group: str
    level: float | None
    status: str
    n_pixels: int
    reason: str = ""


@dataclass(frozen=True)
class _Equations:
    """Differences of the levels of two groups: ``level[first] - level[second]``, and their weights."""

    first: np.ndarray
    second: np.ndarray
    difference: np.ndarray
    weight: np.ndarray


def match_sky(
    measurements: Sequence[SkyMeasurement],
    *,
    skymethod: str = SkyMatching.skymethod,
    match_down: bool = SkyMatching.match_down,
    user_levels: Sequence[tuple[str, float]] | None = None,
) -> list[SkyLevel]:
    """Find the sky levels of all exposures.

    Parameters
    ----------
    measurements : sequence of SkyMeasurement
    skymethod : {"match", "global+match", "global", "local", "user"}
        match: least squares of the differences in all overlaps of two groups; one level is 0, only
        differences have a meaning. global+match: the same and a common number, with which the
        lowest sky that match leaves becomes 0. local: the sky of the exposure; in a group, the
        lowest of its members. global: the lowest of all. user: as given.
    match_down : bool
        For match: True, the lowest level is 0; False, the highest is.
    user_levels : sequence of (name, level)
        For user: each exposure once, named as in `measurements`.

    Returns
    -------
    list of SkyLevel
        In the order of `measurements`. A group that overlaps no other is SKIPPED by match, and gets
        the common number alone by global+match. Sets of groups that no overlap ties together share
        one zero point, though their levels cannot be compared; the reason says so.

    Raises
    ------
    ValueError
        If the method is none of these, if names are missing, unknown or repeated, if a level given
        is not finite, or if an overlap is with a group that has no exposure.
    """
    check_values(SkyMatching, skymethod=skymethod)
    repeated = _repeated(measurement.name for measurement in measurements)
    if repeated:
        raise ValueError(f"each exposure must have its own name; repeated are {', '.join(repeated)}")
    if skymethod == "user":
        return _as_given(measurements, user_levels or ())
    if skymethod == "match":
        return _matched(measurements, match_down)
    if skymethod == "global+match":
        return _with_common_level(measurements, _matched(measurements, match_down))
    return _of_whole_exposures(measurements, common=skymethod == "global")


def _as_given(measurements: Sequence[SkyMeasurement], user_levels: Sequence[tuple[str, float]]) -> list[SkyLevel]:
    given = dict(user_levels)
    names = [measurement.name for measurement in measurements]
    problems = [f"{name} is given more than once" for name in _repeated(name for name, _ in user_levels)]
    problems += [f"{name} has no level" for name in names if name not in given]
    problems += [f"{name} is no exposure" for name in given if name not in names]
    problems += [f"the level of {name} is {level}" for name, level in given.items() if not np.isfinite(level)]
    if problems:
        raise ValueError(f"each exposure needs one finite sky level, but {'; '.join(problems)}")
    return [SkyLevel(m.name, m.group, float(given[m.name]), "COMPLETE", 0) for m in measurements]


def _of_whole_exposures(measurements: Sequence[SkyMeasurement], common: bool) -> list[SkyLevel]:
    lowest = _lowest_skies(measurements)
    if common and lowest:
        lowest = dict.fromkeys((m.group for m in measurements), min(lowest.values()))
    return [_level(m, lowest.get(m.group), m.whole.n if m.whole else 0, "no usable pixels") for m in measurements]


def _matched(measurements: Sequence[SkyMeasurement], match_down: bool) -> list[SkyLevel]:
    groups = list(dict.fromkeys(m.group for m in measurements))
    equations = _equations(measurements, groups)
    sets = _connected_sets(equations)
    solution = dict(zip(groups, _solve(equations, sets, len(groups)).tolist(), strict=True))
    tied = {groups[i] for members in sets for i in members}
    extreme = min if match_down else max
    zero = extreme((solution[group] for group in tied), default=0.0)
    mind = ""
    if len(sets) > 1:
        mind = f"overlaps tie the exposures together in {len(sets)} sets; levels of different sets cannot be compared"
    levels = []
    for measurement in measurements:
        n_pixels = sum(sky.n for sky in measurement.overlaps.values() if sky)
        level = solution[measurement.group] - zero if measurement.group in tied else None
        levels.append(_level(measurement, level, n_pixels, NO_OVERLAP, mind))
    return levels


def _with_common_level(measurements: Sequence[SkyMeasurement], matched: Sequence[SkyLevel]) -> list[SkyLevel]:
    lowest = _lowest_skies(measurements)
    if not lowest:
        return list(matched)
    levels = {found.group: found.level or 0.0 for found in matched}
    common = min(sky - levels[group] for group, sky in lowest.items())
    return [replace(found, level=levels[found.group] + common, status="COMPLETE") for found in matched]


def _level(measurement: SkyMeasurement, level: float | None, n_pixels: int, why_none: str, mind: str = "") -> SkyLevel:
    if level is None:
        return SkyLevel(measurement.name, measurement.group, None, "SKIPPED", 0, why_none)
    return SkyLevel(measurement.name, measurement.group, level, "COMPLETE", n_pixels, mind)


def _lowest_skies(measurements: Sequence[SkyMeasurement]) -> dict[str, float]:
    """Return the lowest sky of the members of each group that has any."""
    lowest: dict[str, float] = {}
    for m in measurements:
        if m.whole:
            lowest[m.group] = min(m.whole.value, lowest.get(m.group, np.inf))
    return lowest


def _equations(measurements: Sequence[SkyMeasurement], groups: Sequence[str]) -> _Equations:
    """Return one equation for each two groups with a sky in both sides of their overlap."""
    number = {group: i for i, group in enumerate(groups)}
    pixels: dict[tuple[int, int], int] = {}
    total: dict[tuple[int, int], float] = {}
    for measurement in measurements:
        for other, sky in measurement.overlaps.items():
            if other not in number:
                raise ValueError(f"{measurement.name} overlaps group {other!r}, of which there is no exposure")
            if sky:
                sides = number[measurement.group], number[other]
                pixels[sides] = pixels.get(sides, 0) + sky.n
                total[sides] = total.get(sides, 0.0) + sky.n * sky.value
    pairs = sorted((i, j) for i, j in pixels if i < j and (j, i) in pixels)
    sky_difference = [total[i, j] / pixels[i, j] - total[j, i] / pixels[j, i] for i, j in pairs]
    weight = [(pixels[i, j] + pixels[j, i]) / 2 for i, j in pairs]
    first, second = np.array(pairs, int).reshape(-1, 2).T
    return _Equations(first, second, np.array(sky_difference), np.array(weight))


def _connected_sets(equations: _Equations) -> list[list[int]]:
    """Return the groups in equations, in sets that equations tie together."""
    neighbours: dict[int, list[int]] = {}
    for i, j in zip(equations.first.tolist(), equations.second.tolist(), strict=True):
        neighbours.setdefault(i, []).append(j)
        neighbours.setdefault(j, []).append(i)
    sets: list[list[int]] = []
    seen: set[int] = set()
    for start in sorted(neighbours):
        if start in seen:
            continue
        members = {start: None}
        waiting = [start]
        while waiting:
            new = [other for other in neighbours[waiting.pop()] if other not in members]
            members.update(dict.fromkeys(new))
            waiting += new
        seen.update(members)
        sets.append(sorted(members))
    return sets


def _solve(equations: _Equations, sets: Sequence[Sequence[int]], n_groups: int) -> np.ndarray:
    """Return the solution of least squares with the smallest norm, shape (n_groups,).

    jwst inverts the matrix of the equations. This is the same, but takes memory for the groups
    only: the normal equations, with one level of each set at 0, which then is moved to the mean.
    """
    i, j = equations.first, equations.second
    square = np.square(equations.weight / np.max(equations.weight, initial=1.0))
    normal = np.zeros((n_groups, n_groups))
    normal[i, j] = normal[j, i] = -square
    np.fill_diagonal(normal, -normal.sum(axis=1))
    solution = np.zeros(n_groups)
    for members in sets:
        free = members[1:]
        inverse = np.linalg.inv(normal[np.ix_(free, free)])
        for _ in range(1 + REFINEMENTS):
            residual = square * (equations.difference - (solution[i] - solution[j]))
            right = np.bincount(i, residual, n_groups) - np.bincount(j, residual, n_groups)
            solution[free] += inverse @ right[free]
        solution[members] -= solution[members].mean()
    return solution


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, number in Counter(names).items() if number > 1]
