"""Alignment: bring the stars of exposures together, and to a catalogue.

Detectors of one exposure are a group and move together. The first group with stars is the
reference and stays; the others are moved onto it (`align_relative`). Then all can be moved onto a
catalogue (`align_absolute`). A correction is an affine map of the plane that touches the sky at
the exposure's own reference point.

With ``robust=False`` this is the procedure of the JWST pipeline (jwst 3.0.0 with tweakwcs), whose
corrections these functions give. With ``robust=True``

- stars are matched by `star_matching.match`, which chance matches do not pull;
- a group that does not match the reference is tried with all groups that do, and then by a search
  `WIDE_SEARCH` times as wide;
- groups whose matches may each be chance (one star in a small field) are accepted if they cannot all be
  (`science.stars.chance`);
- a group that fails, fails alone: jwst drops all corrections if one is too large;
- if no group matches the first, the next one leads, so that one exposure without stars or with a
  wrong pointing does not spoil the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calflow.science.geometry.tangent_plane import IDENTITY, Affine
from calflow.science.parameters import check_parameters
from calflow.science.stars.chance import MAX_CHANCE, accepted_together
from calflow.science.stars.matching_parameters import CatalogMatching, GroupOrder, Matching, Robustness
from calflow.science.stars.star_groups import Catalogue, ExposureStars, Group, SkyInCommon, groups_of
from calflow.science.stars.star_matching import (
    DoubtfulMatchError,
    NoMatchError,
    Solution,
    match,
    match_once,
)

# Search radius, in units of searchrad, for groups that do not match otherwise.
WIDE_SEARCH = 4
# Largest rms of a fit of exposures to each other, pixels.
MAX_RMS = 1.0

COMPLETE, FAILED, SKIPPED = "COMPLETE", "FAILED", "SKIPPED"


@dataclass(frozen=True)
class Alignment:
    """How one exposure was aligned.

    Attributes
    ----------
    name, group : str
    status : {"COMPLETE", "FAILED", "SKIPPED"}
    reason : str
        In one line, with numbers; a predicate of the group.
    correction : Affine
        What is to be applied, in the plane of the exposure. The identity for what was not
        aligned, and for the reference, unless `align_absolute` moved them.
    reference : str
        Group that leads the set this one was aligned in; empty if none.
    rms : float
        Root of the mean squared distance between the stars of the fit, arcsec; NaN without a fit.
    n_matches : int
        Stars in the fit of the group.
    corner_motion : float
        Largest motion of a corner of the exposure, arcsec.
    """

    name: str
    group: str
    status: str
    reason: str
    correction: Affine = IDENTITY
    reference: str = ""
    rms: float = np.nan
    n_matches: int = 0
    corner_motion: float = 0.0

    @property
    def is_reference(self) -> bool:
        """Whether others were aligned with this one."""
        return self.group == self.reference

    @property
    def shift(self) -> tuple[float, float]:
        """Motion of the reference point to the east and north, arcsec."""
        return self.correction.shift

    @property
    def rotation(self) -> float:
        """Change of position angles (from north to east), degrees."""
        (a, b), (c, d) = self.correction.matrix
        return float(np.degrees(np.arctan2(b - c, a + d)))

    @property
    def scale(self) -> float:
        """Change of scale, geometric mean of both axes."""
        (a, b), (c, d) = self.correction.matrix
        return float(np.sqrt(abs(a * d - b * c)))


def align_relative(
    exposures: Sequence[ExposureStars],
    how: Matching | None = None,
    *,
    expand_refcat: bool = GroupOrder.expand_refcat,
    enforce_user_order: bool = GroupOrder.enforce_user_order,
    robust: bool = Robustness.robust,
) -> list[Alignment]:
    """Align exposures with each other.

    Parameters
    ----------
    exposures : sequence of ExposureStars
    how : Matching, optional
        How stars are matched and fitted; None: the defaults.
    expand_refcat : bool
        Add the stars of each group that was aligned to the reference, and take the groups by
        their overlap with it: of the two that overlap most, the one with more overlap leads.
    enforce_user_order : bool
        With `expand_refcat`, take the groups in the order given nevertheless.
    robust : bool
        See the module; False: as jwst.

    Returns
    -------
    list of Alignment
        One for each exposure, in the same order. SKIPPED if there is only one group.

    Raises
    ------
    ValueError
        If a parameter is out of range; if not all exposures of a group have weights or none.
    """
    how = Matching() if how is None else how
    _check(how)
    groups = groups_of(exposures)
    if len(groups) < 2:
        reason = "is the only group: there is nothing to align it with"
        return [Alignment(each.name, each.group, SKIPPED, reason) for each in exposures]
    with_stars = [each for each in groups if len(each.catalogue())]
    if len(with_stars) < 2:
        reason = f"cannot be aligned: of {len(groups)} groups {len(with_stars)} have stars, 2 must have"
        return [Alignment(each.name, each.group, FAILED, reason) for each in exposures]
    by_overlap = expand_refcat and not enforce_user_order
    align = _align_robustly if robust else _align_once
    done = {each.name: replace(each, reason="has no stars") for each in groups}
    done |= {each.name: each for each in align(with_stars, how, expand_refcat, by_overlap)}
    return [_relative(each, done[each.group]) for each in exposures]


def align_absolute(
    exposures: Sequence[ExposureStars],
    relative: Sequence[Alignment],
    sky: np.ndarray,
    weight: np.ndarray | None = None,
    how: Matching | None = None,
    *,
    robust: bool = Robustness.robust,
) -> list[Alignment]:
    """Align exposures to a catalogue, after they were aligned with each other.

    Parameters
    ----------
    exposures : sequence of ExposureStars
    relative : sequence of Alignment
        What `align_relative` returned for them.
    sky : float array, shape (n, 2)
        Right ascension and declination of the catalogue, degrees.
    weight : float array, shape (n,), or None
        Weights of the catalogue in the fit.
    how : Matching, optional
        How stars are matched and fitted; None: the defaults of `CatalogMatching`.
    robust : bool
        False, as jwst: all exposures move together, those that failed before as well. True: those
        that were aligned with each other move together, the others group by group. What cannot be
        brought to the catalogue is FAILED and keeps its relative correction: none, if that failed
        as well.

    Returns
    -------
    list of Alignment
        One for each exposure, with relative and absolute correction combined. (jwst drops the
        relative one if the catalogue has fewer than ``how.minobj`` stars.)

    Raises
    ------
    ValueError
        As `align_relative`.
    """
    how = CatalogMatching() if how is None else how
    _check(how)
    reference = Catalogue(np.reshape(sky, (-1, 2)), weight)
    moved = [each.moved(before.correction) for each, before in zip(exposures, relative, strict=True)]
    sets = [_to_catalogue(each, reference, how, robust) for each in _sets(moved, relative, robust)]
    if not robust and len(reference) < how.minobj:
        relative = [replace(each, correction=IDENTITY) for each in relative]
    own = {member.name: each for each in sets for member in each.members}
    return [
        _absolute(exposure, now, before, own[exposure.name])
        for exposure, now, before in zip(exposures, moved, relative, strict=True)
    ]


def _align_once(groups: list[Group], how: Matching, expand: bool, by_overlap: bool) -> list[Group]:
    """Align as jwst: one reference, one try, and nothing if a motion is too large."""
    lead = _lead(groups, by_overlap)
    rest = [each for each in groups if each is not lead]
    done, failed = [replace(lead, reference=lead.name)], []
    reference = lead.catalogue()
    sky = SkyInCommon(rest if by_overlap else [])
    sky.add(lead)
    while rest:
        group = _next(rest, sky, by_overlap)
        rest.remove(group)
        try:
            solution = match_once(group.stars(), reference.seen_from(group.centre), group.pixel_scale, how)
        except NoMatchError as error:
            failed.append(replace(group, reason=str(error)))
            continue
        group = replace(group, motion=solution.motion, solution=solution, reference=lead.name)
        done.append(group)
        sky.add(group)
        if expand:
            reference = reference.with_others(group.corrected_catalogue(), solution.matched)
    worst = max(done, key=Group.corner_motion)
    if worst.corner_motion() < _too_far(how, how.searchrad):
        return done + failed
    reason = f"is not aligned: group {worst.name} {_too_far_text(worst, how, how.searchrad)}"
    return [replace(_as_given(each), reason=reason) for each in groups]


def _align_robustly(groups: list[Group], how: Matching, expand: bool, by_overlap: bool) -> list[Group]:
    """Align, and leave out what does not fit.

    Groups are gathered to sets that match within the search radius. The first set of two or more
    is the main one: a first group that nothing matches does not lead it. Groups outside it are
    then searched for more widely. Sets that have no star in common with it keep their own leads.
    """
    lead = _lead(groups, by_overlap)
    rest = [lead, *(each for each in groups if each is not lead)]
    trials = len(groups) * (len(groups) - 1) // 2  # each group may be compared with each other
    sets = []
    while rest:
        gathered, rest = _gather([replace(rest[0], reference=rest[0].name)], rest[1:], how, expand, by_overlap, trials)
        sets.append(gathered)
    main = next((each for each in sets if len(each) > 1), sets[0])
    outside = [_as_given(each) for gathered in sets if gathered is not main for each in gathered]
    if how.use2dhist:
        main, outside = _gather(main, outside, how, True, by_overlap, trials, WIDE_SEARCH * how.searchrad)
    if len(main) == 1:
        return [replace(_as_given(main[0]), reason="is matched by no other group"), *outside]
    left = {each.name: each for each in outside}
    for gathered in sets:
        together = [each for each in gathered if each.name in left]
        if len(together) > 1 and together[0] is gathered[0]:
            left |= {each.name: each for each in together}
    return [*main, *left.values()]


def _gather(
    done: list[Group],
    rest: list[Group],
    how: Matching,
    expand: bool,
    by_overlap: bool,
    trials: int,
    searchrad: float | None = None,
) -> tuple[list[Group], list[Group]]:
    """Align groups with those done, until no more can be.

    They are first matched with the first of `done`, unless `expand`; then with the stars of all
    that were aligned so far. Those whose match may be chance wait until all others are done.

    Returns
    -------
    (done, rest), and the rest say why.
    """
    done, rest = list(done), list(rest)
    searchrad = how.searchrad if searchrad is None else searchrad
    sky = SkyInCommon(rest if by_overlap else [])
    for each in done:
        sky.add(each)
    growing, joined = expand, True
    while rest and joined:
        reference = done[0].catalogue()
        for each in done[1:] if growing else []:
            reference = reference.with_group(each, how.tolerance)
        joined, failed, doubtful = False, [], []
        while rest:
            group = _next(rest, sky, by_overlap)
            rest.remove(group)
            try:
                moved = _align(group, reference, how, searchrad, MAX_CHANCE / trials)
            except NoMatchError as error:
                failed.append(replace(group, reason=str(error)))
                continue
            if moved.reason:
                failed.append(replace(group, reason=moved.reason))
                doubtful.append(moved)
                continue
            joined = True
            done.append(replace(moved, reference=done[0].name))
            sky.add(moved)
            if growing:
                reference = reference.with_group(moved, how.tolerance)
        if not joined:
            for each in _together(doubtful, trials, confirmed=len(done) > 1):
                joined = True
                done.append(replace(each, reference=done[0].name, reason=""))
                sky.add(each)
        known = {each.name for each in done}
        rest, growing = [each for each in failed if each.name not in known], True
    return done, rest


def _together(doubtful: list[Group], trials: int, confirmed: bool) -> list[Group]:
    """Return the groups whose matches, which may each be chance, are accepted because there are several."""
    ordered = sorted(doubtful, key=_log_chance)
    return ordered[: accepted_together(list(map(_log_chance, ordered)), trials, confirmed)]


def _log_chance(group: Group) -> float:
    return group.solution.log_chance if group.solution else 0.0


def _align(group: Group, reference: Catalogue, how: Matching, searchrad: float, max_chance: float) -> Group:
    """Return a group with its motion, if that is plausible; with a reason against it, if it may be chance."""
    seen, doubt = reference.seen_from(group.centre), ""
    try:
        solution = match(group.stars(), seen, group.pixel_scale, how, searchrad, group.density_of(seen), max_chance)
    except DoubtfulMatchError as error:
        solution, doubt = error.solution, str(error)
    rms = solution.rms / group.pixel_scale
    if rms > MAX_RMS:
        raise NoMatchError(
            f"has {solution.n_matches} stars that match with an rms of {rms:.2f} pixels, more than {MAX_RMS:g}"
        )
    group = replace(group, motion=solution.motion, solution=solution, reason=doubt)
    if group.corner_motion() >= _too_far(how, searchrad):
        raise NoMatchError(_too_far_text(group, how, searchrad))
    return group


def _too_far(how: Matching, searchrad: float) -> float:
    """Return the motion of a corner from which on it is not plausible, arcsec (jwst's limit)."""
    largest = searchrad if how.use2dhist else max(abs(how.xoffset), abs(how.yoffset))
    return 2 * (largest + how.tolerance)


def _too_far_text(group: Group, how: Matching, searchrad: float) -> str:
    limit = _too_far(how, searchrad)
    return f"would move by {group.corner_motion():.2f} arcsec, {limit:.2f} or more is not plausible"


def _lead(groups: list[Group], by_overlap: bool) -> Group:
    """Return the first, or of the two that overlap most the one that overlaps more with all."""
    if not by_overlap or len(groups) == 2:
        return groups[0]
    sky = SkyInCommon(groups)
    area = np.stack([sky.with_group(each) for each in groups], axis=1)
    np.fill_diagonal(area, 0.0)
    i, j = np.unravel_index(np.argmax(area), area.shape)
    return groups[i] if area[i].sum() >= area[j].sum() else groups[j]


def _next(rest: list[Group], sky: SkyInCommon, by_overlap: bool) -> Group:
    """Return the group to align next: in order, or the one that overlaps most with those done."""
    return max(rest, key=sky.with_added) if by_overlap else rest[0]


def _as_given(group: Group) -> Group:
    return replace(group, motion=IDENTITY, reference="", solution=None)


def _relative(exposure: ExposureStars, group: Group) -> Alignment:
    if group.reference == group.name:
        return Alignment(exposure.name, group.name, COMPLETE, "is the reference", reference=group.name)
    if group.solution is None:
        return Alignment(exposure.name, group.name, FAILED, group.reason)
    correction = group.correction(exposure)
    return Alignment(
        exposure.name,
        group.name,
        COMPLETE,
        f"is aligned with group {group.reference}: {_text(group.solution)}",
        correction,
        group.reference,
        group.solution.rms,
        group.solution.n_matches,
        exposure.corner_motion(correction),
    )


def _sets(exposures: list[ExposureStars], relative: Sequence[Alignment], robust: bool) -> list[Group]:
    """Return what moves together to a catalogue."""
    if not robust:
        return [Group("all", tuple(exposures))]
    sets: dict[str, list[ExposureStars]] = {}
    for each, before in zip(exposures, relative, strict=True):
        sets.setdefault(before.reference or before.group, []).append(each)
    return [Group(name, tuple(members)) for name, members in sets.items()]


def _to_catalogue(group: Group, reference: Catalogue, how: Matching, robust: bool) -> Group:
    """Return exposures that move together with their motion to a catalogue, or with the reason why not."""
    if len(reference) < how.minobj:
        reason = f"is not brought to the catalogue, which has {len(reference)} stars, fewer than minobj = {how.minobj}"
        return replace(group, reason=reason)
    stars = group.averaged_stars() if robust else group.stars()
    seen = reference.seen_from(group.centre)
    searches = [how.searchrad, WIDE_SEARCH * how.searchrad] if robust and how.use2dhist else [how.searchrad]
    for searchrad in searches:
        try:
            if robust:
                solution = match(stars, seen, group.pixel_scale, how, searchrad, group.density_of(seen))
            else:
                solution = match_once(stars, seen, group.pixel_scale, how)
        except NoMatchError as error:
            group = replace(group, reason=f"is not brought to the catalogue: {error}")
            continue
        reason = f"is brought to the catalogue: {_text(solution)}"
        return replace(group, motion=solution.motion, solution=solution, reason=reason)
    return group


def _absolute(exposure: ExposureStars, now: ExposureStars, before: Alignment, own: Group) -> Alignment:
    """Combine the relative and the absolute correction of an exposure."""
    if own.solution is None:
        motion = exposure.corner_motion(before.correction)
        return replace(before, status=FAILED, reason=own.reason, rms=np.nan, n_matches=0, corner_motion=motion)
    correction = own.correction(now).after(before.correction)
    return replace(
        before,
        status=COMPLETE,
        reason=own.reason,
        correction=correction,
        rms=own.solution.rms,
        n_matches=own.solution.n_matches,
        corner_motion=exposure.corner_motion(correction),
    )


def _text(solution: Solution) -> str:
    chance = "" if np.isnan(solution.expected) else f" ({solution.expected:.1f} expected by chance)"
    number = "1 star matches" if solution.n_matches == 1 else f"{solution.n_matches} stars match"
    return f"{number}{chance}, rms {1000 * solution.rms:.1f} mas"


def _check(how: Matching) -> None:
    check_parameters(how)
    if how.separation <= np.sqrt(2) * how.tolerance:
        raise ValueError(
            f"separation is {how.separation:g} arcsec; it must be more than sqrt(2) times the tolerance of "
            f"{how.tolerance:g}, so that no star can match two"
        )
