"""Star matching: which stars of two lists are the same, and the motion that brings them together.

Both lists are positions in one tangent plane, arcsec, xi to the east and eta to the north. The
result is the affine map that moves the stars of the exposure onto those of the reference.

`match_once` is the procedure of the JWST pipeline (jwst 3.0.0 with tweakwcs): an offset from a
histogram, one match within a tolerance, one fit. A match by chance (of a cosmic ray, say) that
the clipping leaves in pulls the solution. `match` is our own: it follows several offsets, shrinks
the tolerance to what the residuals say, and accepts only what chance does not explain (`science.stars.chance`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calflow.science.geometry.tangent_plane import Affine, affine
from calflow.science.stars.chance import MAX_CHANCE, FittedPairs
from calflow.science.stars.matching_parameters import Matching

# Stars that determine a fit of each geometry.
MIN_STARS = {"shift": 1, "rshift": 2, "rscale": 2, "general": 3}
# Numbers that a fit of each geometry finds.
FREE_NUMBERS = {"shift": 2, "rshift": 3, "rscale": 4, "general": 6}
# Widths, in pixels, at which the differences of positions are searched for a crowd of equal ones:
# sharp for many stars and no rotation, wide for a rotated exposure.
CROWD_RADII = (1.0, 3.0, 10.0)
# The same for few stars, where a single chance match as near as a pixel is not outvoted.
FEW_CROWD_RADII = (0.3, *CROWD_RADII)
# Crowds that are followed at each width. Chance may make the densest, the true one is then next.
CROWDS = 3
# Radius within which stars match, in standard deviations (per axis) of the residuals.
RADIUS_SIGMAS = 5.0
# The radius is never less than this, pixels: residuals may be (nearly) 0 for a few stars.
MIN_RADIUS = 0.05
MAX_ROUNDS = 30
# So many stars are fitted well with a radius that is wider than it need be, and keeps stars of larger errors in. Of
# fewer, one match by chance pulls the fit.
FEW_STARS = 15
# A radius that changes by less than this fraction stays as it is.
RADIUS_PRECISION = 0.01
# Pairs of stars that are looked at in a search; lists that make more are thinned.
MAX_PAIRS = 50_000


class NoMatchError(Exception):
    """The stars cannot be matched; the text says why, as the predicate of the exposure."""


class DoubtfulMatchError(NoMatchError):
    """The best match may be chance.

    Attributes
    ----------
    solution : Solution
    """

    def __init__(self, text: str, solution: Solution):
        super().__init__(text)
        self.solution = solution


@dataclass(frozen=True)
class PlaneStars:
    """Stars in a tangent plane.

    Attributes
    ----------
    xy : float64 array, shape (n, 2)
        Positions, arcsec.
    weight : float array, shape (n,), or None
        Weights in the fit, inverse variances; None: all equal.
    """

    xy: np.ndarray
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.xy)


@dataclass(frozen=True)
class Solution:
    """How a star list is brought to another.

    Attributes
    ----------
    motion : Affine
        Maps positions of the exposure to those of the reference.
    rms : float
        Root of the mean squared distance between the stars of the fit, arcsec.
    n_matches : int
        Stars in the fit.
    matched : int array, shape (m,)
        Stars of the exposure that match one of the reference, those left out of the fit as well.
    expected : float
        Matches expected by chance among those of the fit; NaN if not known.
    log_chance : float
        Log of the expected number of such fits by chance; NaN if not known.
    """

    motion: Affine
    rms: float
    n_matches: int
    matched: np.ndarray
    expected: float = np.nan
    log_chance: float = np.nan


def match_once(stars: PlaneStars, reference: PlaneStars, pixel_scale: float, how: Matching) -> Solution:
    """Match and fit once, as jwst does.

    Parameters
    ----------
    stars, reference : PlaneStars
        The exposure and what it is brought to.
    pixel_scale : float
        Width of the bins of the histogram, arcsec.
    how : Matching

    Returns
    -------
    Solution

    Raises
    ------
    NoMatchError
        If fewer than ``how.minobj`` stars match, or they determine no fit.
    """
    from astropy.table import Table
    from tweakwcs.matchutils import MatchSourceConfusionError, XYXYMatch

    if not len(stars) or not len(reference):
        raise NoMatchError("has no stars to match")
    matcher = XYXYMatch(
        searchrad=how.searchrad,
        separation=how.separation,
        use2dhist=how.use2dhist,
        xoffset=how.xoffset,
        yoffset=how.yoffset,
        tolerance=how.tolerance,
    )
    tables = [Table(each.xy, names=("TPx", "TPy")) for each in (reference, stars)]
    try:
        of_reference, of_stars = matcher(*tables, tp_pscale=pixel_scale, tp_units="arcsec")
    except MatchSourceConfusionError as error:
        raise NoMatchError(f"has stars that match several others: {error}") from error
    if len(of_stars) < how.minobj:
        raise NoMatchError(f"has {len(of_stars)} stars that match, fewer than minobj = {how.minobj}")
    return _fit(stars, reference, of_stars, of_reference, how, how.nclip)


def match(
    stars: PlaneStars,
    reference: PlaneStars,
    pixel_scale: float,
    how: Matching,
    searchrad: float | None = None,
    density: float | None = None,
    max_chance: float = MAX_CHANCE,
) -> Solution:
    """Match and fit again and again, with a tolerance that shrinks to what the residuals say.

    Parameters
    ----------
    stars, reference : PlaneStars
        The exposure and what it is brought to.
    pixel_scale : float
        Arcsec.
    how : Matching
        ``how.separation`` is not used: a tight tolerance keeps close stars apart.
    searchrad : float, optional
        Instead of ``how.searchrad``, arcsec.
    density : float, optional
        Stars of the reference per square arcsec of the sky that the exposure shows. None: as the
        extent of the lists says, of two search radii at the least.
    max_chance : float
        A solution is accepted if fewer than this number like it are expected by chance, however few stars it has.

    Returns
    -------
    Solution
        Of all that were followed, the one that chance explains least.

    Raises
    ------
    NoMatchError
        If no solution has ``how.minobj`` stars within ``how.tolerance``.
    DoubtfulMatchError
        If chance explains the best one.

    Notes
    -----
    The differences of all positions within `searchrad` are searched for crowds. Each gives an
    offset. From there, stars that are each other's nearest within a radius are paired and fitted,
    and the radius becomes `RADIUS_SIGMAS` times the width of the residuals, until nothing
    changes. The width is that of a normal distribution on an even background of pairs by chance
    (`scatter`), so these do not widen it.

    `science.stars.chance` tells how many solutions like it are expected by chance.
    """
    if not len(stars) or not len(reference):
        raise NoMatchError("has no stars to match")
    if min(len(stars), len(reference)) < how.minobj:
        raise NoMatchError(
            f"has {len(stars)} stars and the reference {len(reference)}, fewer than minobj = {how.minobj}"
        )
    if min(len(stars), len(reference)) < MIN_STARS[how.fitgeometry]:
        raise NoMatchError(
            f"has {len(stars)} stars and the reference {len(reference)}, fewer than the "
            f"{MIN_STARS[how.fitgeometry]} that fitgeometry {how.fitgeometry!r} needs"
        )
    searchrad = how.searchrad if searchrad is None else searchrad
    density = _density(stars, reference, searchrad) if density is None else density
    pairs = _pairs_within(stars.xy - _offset(how), reference.xy, searchrad if how.use2dhist else how.tolerance)
    if len(pairs) < how.minobj:
        raise NoMatchError(
            f"has {len(pairs)} pairs of stars within searchrad = {searchrad:g} arcsec, fewer than minobj = {how.minobj}"
        )
    judged: list[tuple[int, Solution]] = []
    for settled, crowd_radii in ((False, CROWD_RADII), (True, FEW_CROWD_RADII)):
        for start, radius in _starts(pairs, crowd_radii, pixel_scale, how):
            followed = _follow(stars, reference, start, radius, pixel_scale, how, settled)
            if followed is not None:
                judged.append(_judge(stars, reference, followed, how, density, len(pairs)))
        if not judged:
            raise NoMatchError(f"has no stars that match within searchrad = {searchrad:g} arcsec")
        within, best = min(judged, key=lambda each: each[1].log_chance)
        accepted = within >= how.minobj and best.log_chance <= np.log(max_chance)
        if accepted and (settled or best.n_matches >= FEW_STARS):
            return best
    if within < how.minobj:
        raise NoMatchError(
            f"has {within} stars that match within {how.tolerance:g} arcsec, fewer than minobj = {how.minobj}"
        )
    raise DoubtfulMatchError(
        f"has no match that is not chance: the best within searchrad = {searchrad:g} arcsec has {best.n_matches} "
        f"stars, {np.exp(best.log_chance):.2g} matches like it are expected by chance, more than {max_chance:.2g}",
        best,
    )


def nearest_pairs(a: np.ndarray, b: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the points that are each other's nearest within a radius.

    Parameters
    ----------
    a, b : float array, shape (n, 2), (m, 2)
    radius : float

    Returns
    -------
    of_a, of_b : int array, shape (k,)
        Indices of the pairs, in the order of `a`.
    """
    from scipy.spatial import cKDTree

    if not len(a) or not len(b):
        return np.empty(0, int), np.empty(0, int)
    distance, to_b = cKDTree(b).query(a, distance_upper_bound=radius)
    of_a = np.flatnonzero(np.isfinite(distance))
    of_b = to_b[of_a]
    _, back = cKDTree(a).query(b[of_b])
    mutual = back == of_a
    return of_a[mutual], of_b[mutual]


def scatter(distance: np.ndarray, radius: float) -> float:
    """Return the standard deviation per axis of residuals, some of which are chance.

    Parameters
    ----------
    distance : float array, shape (n,)
        Lengths of the residuals.
    radius : float
        All that were within it were taken.

    Returns
    -------
    float
        Of the two-dimensional normal distribution that, with a part spread evenly over the disk,
        explains the lengths best (expectation maximisation).
    """
    square = np.square(distance)
    variance, fraction = np.median(square) / (2 * np.log(2)), 0.8
    for _ in range(50):
        if variance <= 0:
            return 0.0
        # Densities per area; the disk's is 1 / (pi radius^2).
        normal = fraction / (2 * np.pi * variance) * np.exp(-square / (2 * variance))
        true = normal / (normal + (1 - fraction) / (np.pi * radius**2))
        before, variance, fraction = variance, np.sum(true * square) / (2 * np.sum(true)), np.mean(true)
        if abs(variance - before) <= 1e-3 * before:
            break
    return float(np.sqrt(variance))


def _pairs_within(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """Return a - b of all pairs nearer than a radius, shape (n, 2).

    If there are more than `MAX_PAIRS`, of those of some stars of the longer list, evenly chosen
    along x: its order, by brightness or place, does not matter.
    """
    from scipy.spatial import cKDTree

    while (number := _number_within(a, b, radius)) > MAX_PAIRS:
        every = -(-number // MAX_PAIRS)
        if len(a) > len(b):
            a = _thinned(a, every)
        else:
            b = _thinned(b, every)
    near = cKDTree(a).query_ball_tree(cKDTree(b), radius)
    of_a = np.repeat(np.arange(len(a)), [len(each) for each in near])
    of_b = np.array([i for each in near for i in each], dtype=int)
    return a[of_a] - b[of_b]


def _thinned(points: np.ndarray, every: int) -> np.ndarray:
    """Return one point of so many, in order along x (and y)."""
    return points[np.lexsort(points.T[::-1])][::every]


def _starts(
    pairs: np.ndarray, crowd_radii: tuple[float, ...], pixel_scale: float, how: Matching
) -> list[tuple[Affine, float]]:
    """Return shifts to start from, each with a radius to match within."""
    from scipy.spatial import cKDTree

    if not how.use2dhist:
        return [(Affine(shift=(-how.xoffset, -how.yoffset)), how.tolerance)]
    starts = [(Affine(), how.tolerance)]
    # Of equal crowds the one with the smallest offset comes first: pointings are nearly right.
    pairs = pairs[np.argsort(np.hypot(*pairs.T), kind="stable")]
    tree = cKDTree(pairs)
    for radius in sorted({min(pixels * pixel_scale, how.tolerance) for pixels in crowd_radii}):
        crowd = tree.query_ball_point(pairs, radius, return_length=True)
        for _ in range(CROWDS):
            here = np.argmax(crowd)
            if crowd[here] < 1:
                break
            offset = pairs[tree.query_ball_point(pairs[here], radius)].mean(axis=0)
            starts.append((Affine(shift=(-offset[0], -offset[1])), min(3 * radius, how.tolerance)))
            crowd[tree.query_ball_point(pairs[here], 3 * radius)] = 0
    return starts


def _follow(
    stars: PlaneStars,
    reference: PlaneStars,
    motion: Affine,
    radius: float,
    pixel_scale: float,
    how: Matching,
    settled: bool,
) -> tuple[Solution, np.ndarray, float] | None:
    """Improve a motion until it stays as it is, and if `settled` the radius too.

    Returns
    -------
    (solution, stars of the reference that match, radius), or None if too few stars are left to fit.
    """
    previous = None
    for _ in range(MAX_ROUNDS):
        i, j = nearest_pairs(motion(stars.xy), reference.xy, radius)
        if len(i) < MIN_STARS[how.fitgeometry]:
            return None
        try:
            motion = _fit_unmirrored(stars, reference, i, j, how, nclip=0).motion
        except NoMatchError:
            return None
        width = scatter(np.hypot(*(motion(stars.xy[i]) - reference.xy[j]).T), radius)
        following = np.clip(RADIUS_SIGMAS * width, max(radius / 2, MIN_RADIUS * pixel_scale), how.tolerance)
        key = i.tobytes() + j.tobytes()
        if key == previous and (not settled or abs(following - radius) < RADIUS_PRECISION * radius):
            break
        previous, radius = key, following
    try:
        solution = _fit_unmirrored(stars, reference, i, j, how, how.nclip)
    except NoMatchError:
        return None
    return solution, j, float(radius)


def _judge(
    stars: PlaneStars,
    reference: PlaneStars,
    followed: tuple[Solution, np.ndarray, float],
    how: Matching,
    density: float,
    searched: int,
) -> tuple[int, Solution]:
    """Return how many stars match within the tolerance, and the solution with its chance."""
    solution, j, radius = followed
    moved = solution.motion(stars.xy)
    within = len(nearest_pairs(moved, reference.xy, how.tolerance)[0])
    around = max(_number_within(moved, reference.xy, 2 * how.tolerance) - len(j), 0)
    disk = np.pi * (2 * how.tolerance) ** 2
    # Half a pair more than there are, or what the whole field says if that is less: where no other
    # star is near, one could yet be.
    near = (around + min(0.5, len(stars) * density * disk)) / (disk - np.pi * radius**2)
    apart = stars.xy[solution.matched] - _offset(how) - reference.xy[j]
    needed = MIN_STARS[how.fitgeometry]
    pairs = FittedPairs(
        number=len(j),
        needed=needed,
        spare=2 * needed - FREE_NUMBERS[how.fitgeometry],
        radius=radius,
        farthest=float(np.hypot(*apart.T).max()),
        density=max(near, len(stars) * density),
        expected=near * np.pi * radius**2,
        within=within,
        searched=searched,
    )
    return within, replace(solution, expected=pairs.expected, log_chance=pairs.log_chance())


def _offset(how: Matching) -> np.ndarray:
    """Return the offset that is taken off the stars of the exposure before they are matched, arcsec."""
    return np.zeros(2) if how.use2dhist else np.array([how.xoffset, how.yoffset])


def _density(stars: PlaneStars, reference: PlaneStars, searchrad: float) -> float:
    """Return the stars of the reference per square arcsec of the rectangle around both lists."""
    sides = np.ptp(np.concatenate([stars.xy, reference.xy]), axis=0)
    return len(reference) / float(np.prod(np.maximum(sides, 2 * searchrad)))


def _number_within(a: np.ndarray, b: np.ndarray, radius: float) -> int:
    from scipy.spatial import cKDTree

    return int(cKDTree(a).count_neighbors(cKDTree(b), radius))


def _fit(
    stars: PlaneStars,
    reference: PlaneStars,
    i: np.ndarray,
    j: np.ndarray,
    how: Matching,
    nclip: int,
) -> Solution:
    """Fit the motion of the stars `i` to the stars `j` of the reference, as jwst does."""
    from tweakwcs.linearfit import NotEnoughPointsError, SingularMatrixError, iter_linear_fit

    wxy = None if reference.weight is None else reference.weight[j]
    wuv = None if stars.weight is None else stars.weight[i]
    try:
        fit = iter_linear_fit(
            reference.xy[j],
            stars.xy[i],
            wxy,
            wuv,
            fitgeom=how.fitgeometry,
            nclip=nclip,
            sigma=(how.sigma, "rmse"),
        )
    except (NotEnoughPointsError, SingularMatrixError, ValueError) as error:
        raise NoMatchError(f"has {len(i)} stars that match, which determine no fit: {error}") from error
    matrix = fit["matrix_ld"]
    shift = fit["shift_ld"] + fit["center_ld"] - matrix @ fit["center_ld"]
    return Solution(affine(matrix, shift), float(fit["rmse"]), int(np.count_nonzero(fit["fitmask"])), i)


def _fit_unmirrored(
    stars: PlaneStars, reference: PlaneStars, i: np.ndarray, j: np.ndarray, how: Matching, nclip: int
) -> Solution:
    """Fit as `_fit`, but a rotation where that is a mirror image.

    Two stars and their mirror image fit equally well, and what `_fit` makes of two is up to rounding.
    """
    solution = _fit(stars, reference, i, j, how, nclip)
    turns = how.fitgeometry in ("rshift", "rscale")
    if np.linalg.det(solution.motion.matrix) > 0 and not (turns and len(i) == 2):
        return solution
    if not turns:
        raise NoMatchError(f"has {len(i)} stars that match only as a mirror image")
    weight = _weights(stars, reference, i, j)
    from_centre, to_centre = (weight @ xy for xy in (stars.xy[i], reference.xy[j]))
    u, v = ((stars.xy[i] - from_centre).T, (reference.xy[j] - to_centre).T)
    cos, sin = weight @ (u * v).sum(axis=0), weight @ (u[0] * v[1] - u[1] * v[0])
    length = np.hypot(cos, sin) if how.fitgeometry == "rshift" else weight @ np.square(u).sum(axis=0)
    if not length > 0:
        raise NoMatchError(f"has {len(i)} stars that match at one place, which determine no rotation")
    matrix = np.array([[cos, -sin], [sin, cos]]) / length
    residuals = v - matrix @ u
    rms = float(np.sqrt(weight @ np.square(residuals).sum(axis=0)))
    return Solution(affine(matrix, to_centre - matrix @ from_centre), rms, len(i), i)


def _weights(stars: PlaneStars, reference: PlaneStars, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return the weights of pairs in the fit, whose sum is 1: the inverse of the summed variances."""
    variance = np.zeros(len(i))
    with np.errstate(divide="ignore"):
        for each, k in ((stars, i), (reference, j)):
            if each.weight is not None:
                variance += 1 / each.weight[k]
        weight = 1 / variance if variance.any() else np.ones(len(i))
    return weight / weight.sum()
