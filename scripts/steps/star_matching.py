"""Star matching: which stars of two lists are the same, and the motion that brings them together.

Both lists are positions in one tangent plane, arcsec, xi to the east and eta to the north. The
result is the affine map that moves the stars of the exposure onto those of the reference.

`match_once` is the procedure of the JWST pipeline (jwst 3.0.0 with tweakwcs): an offset from a
histogram, one match within a tolerance, one fit. A match by chance (of a cosmic ray, say) that
the clipping leaves in pulls the solution. `match` is our own: it follows several offsets, shrinks
the tolerance to what the residuals say, and accepts only what chance does not explain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from steps.tangent_plane import Affine, affine

# Stars that determine a fit of each geometry.
MIN_STARS = {"shift": 1, "rshift": 2, "rscale": 2, "general": 3}
# Widths, in pixels, at which the differences of positions are searched for a crowd of equal ones:
# sharp for many stars and no rotation, wide for a rotated exposure.
CROWD_RADII = (1.0, 3.0, 10.0)
# Crowds that are followed at each width. Chance may make the densest, the true one is then next.
CROWDS = 3
# Radius within which stars match, in standard deviations (per axis) of the residuals.
RADIUS_SIGMAS = 5.0
# The radius is never less than this, pixels: residuals may be (nearly) 0 for a few stars.
MIN_RADIUS = 0.05
MAX_ROUNDS = 30
# A solution is accepted if chance makes one like it in fewer than this fraction of all fields.
MAX_CHANCE = 1e-4
# Pairs of stars that are looked at in a search; lists that make more are thinned.
MAX_PAIRS = 50_000


class NoMatchError(Exception):
    """The stars cannot be matched; the text says why, as the predicate of the exposure."""


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
class Matching:
    """How stars are matched and fitted. Defaults as in jwst; lengths in arcsec.

    Attributes
    ----------
    minobj : int
        Fewest stars that must match within `tolerance`.
    fitgeometry : {"shift", "rshift", "rscale", "general"}
        Freedom of the fit: shift; and rotation; and scale; any affine map.
    nclip, sigma : int, float
        Times that residuals of `sigma` times their rms or more are left out of the fit.
    searchrad : float
        Largest offset that is searched for.
    use2dhist : bool
        Search for the offset; else it is `xoffset`, `yoffset`.
    separation : float
        Of stars nearer to each other than this, only one is used by `match_once`.
    tolerance : float
        Largest distance of stars that match, once the offset is taken off.
    xoffset, yoffset : float
        Exposure minus reference, if it is not searched for.
    """

    minobj: int = 15
    fitgeometry: str = "rshift"
    nclip: int = 3
    sigma: float = 3.0
    searchrad: float = 2.0
    use2dhist: bool = True
    separation: float = 1.0
    tolerance: float = 0.7
    xoffset: float = 0.0
    yoffset: float = 0.0


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
    """

    motion: Affine
    rms: float
    n_matches: int
    matched: np.ndarray
    expected: float = np.nan


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
    return _fit(stars, reference, of_stars, of_reference, how)


def match(
    stars: PlaneStars, reference: PlaneStars, pixel_scale: float, how: Matching, searchrad: float | None = None
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

    Returns
    -------
    Solution
        Of all that were followed, the one that chance explains least.

    Raises
    ------
    NoMatchError
        If no solution has ``how.minobj`` stars within ``how.tolerance``, or chance explains the
        best one.

    Notes
    -----
    The differences of all positions within `searchrad` are searched for crowds. Each gives an
    offset. From there, stars that are each other's nearest within a radius are paired and fitted,
    and the radius becomes `RADIUS_SIGMAS` times the width of the residuals, until nothing
    changes. The width is that of a normal distribution on an even background of pairs by chance
    (`scatter`), so these do not widen it.

    A fit with k pairs, of which m determine it, is what chance makes if k - m further pairs lie
    within the radius r. Pairs within r by chance are as many as the area and the density of pairs
    around say. That is to be multiplied by the number of m-tuples of pairs that could have been
    the start. If the result is less than `MAX_CHANCE` the solution is accepted.
    """
    if not len(stars) or not len(reference):
        raise NoMatchError("has no stars to match")
    searchrad = how.searchrad if searchrad is None else searchrad
    offset = (0.0, 0.0) if how.use2dhist else (how.xoffset, how.yoffset)
    pairs = _pairs_within(stars.xy - offset, reference.xy, searchrad if how.use2dhist else how.tolerance)
    if len(pairs) < how.minobj:
        raise NoMatchError(f"has {len(pairs)} stars that could match, fewer than minobj = {how.minobj}")
    starts = _starts(pairs, pixel_scale, how)
    followed = [_follow(stars, reference, start, radius, pixel_scale, how, len(pairs)) for start, radius in starts]
    found = [each for each in followed if each is not None]
    if not found:
        raise NoMatchError(f"has no stars that match within searchrad = {searchrad:g} arcsec")
    log_chance, within, best = min(found, key=lambda each: each[0])
    if within < how.minobj:
        raise NoMatchError(
            f"has {within} stars that match within {how.tolerance:g} arcsec, fewer than minobj = {how.minobj}"
        )
    if log_chance > np.log(MAX_CHANCE):
        raise NoMatchError(
            f"has no match that is not chance: the best within searchrad = {searchrad:g} arcsec has "
            f"{best.n_matches} stars, {best.expected:.1f} expected by chance"
        )
    return best


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


def _starts(pairs: np.ndarray, pixel_scale: float, how: Matching) -> list[tuple[Affine, float]]:
    """Return shifts to start from, each with a radius to match within."""
    from scipy.spatial import cKDTree

    if not how.use2dhist:
        return [(Affine(shift=(-how.xoffset, -how.yoffset)), how.tolerance)]
    starts = [(Affine(), how.tolerance)]
    if not len(pairs):
        return starts
    tree = cKDTree(pairs)
    for radius in sorted({min(pixels * pixel_scale, how.tolerance) for pixels in CROWD_RADII}):
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
    n_pairs: int,
) -> tuple[float, int, Solution] | None:
    """Improve a motion until it stays as it is.

    Returns
    -------
    (log of the number of such solutions by chance, stars within the tolerance, solution), or
    None if too few stars are left to fit.
    """
    fewest = MIN_STARS[how.fitgeometry]
    previous = None
    for _ in range(MAX_ROUNDS):
        moved = motion(stars.xy)
        i, j = nearest_pairs(moved, reference.xy, radius)
        if len(i) <= fewest:
            return None
        try:
            motion = _fit(stars, reference, i, j, how, nclip=0).motion
        except NoMatchError:
            return None
        key = i.tobytes() + j.tobytes()
        if key == previous:
            break
        previous = key
        width = scatter(np.hypot(*(motion(stars.xy[i]) - reference.xy[j]).T), radius)
        radius = np.clip(RADIUS_SIGMAS * width, max(radius / 2, MIN_RADIUS * pixel_scale), how.tolerance)
    try:
        solution = _fit(stars, reference, i, j, how)
    except NoMatchError:
        return None
    if np.linalg.det(solution.motion.matrix) <= 0:  # a mirror image
        return None
    moved = solution.motion(stars.xy)
    around = _number_within(moved, reference.xy, 2 * how.tolerance) - len(i)
    # Half a pair more than there are: where no other star is near, one could yet be.
    expected = (max(around, 0) + 0.5) * radius**2 / ((2 * how.tolerance) ** 2 - radius**2)
    within = len(nearest_pairs(moved, reference.xy, how.tolerance)[0])
    trials = np.log(max(n_pairs, 1)) + (fewest - 1) * np.log(max(within, 1))
    log_chance = trials + _log_poisson_tail(len(i) - fewest, expected)
    return log_chance, within, replace(solution, expected=expected)


def _number_within(a: np.ndarray, b: np.ndarray, radius: float) -> int:
    from scipy.spatial import cKDTree

    return int(cKDTree(a).count_neighbors(cKDTree(b), radius))


def _log_poisson_tail(k: int, expected: float) -> float:
    """Return an upper bound of the log of the probability of k or more (Chernoff 1952)."""
    if k <= expected:
        return 0.0
    return float(k - expected - k * np.log(k / expected))


def _fit(
    stars: PlaneStars,
    reference: PlaneStars,
    i: np.ndarray,
    j: np.ndarray,
    how: Matching,
    nclip: int | None = None,
) -> Solution:
    """Fit the motion of the stars `i` to the stars `j` of the reference."""
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
            nclip=how.nclip if nclip is None else nclip,
            sigma=(how.sigma, "rmse"),
        )
    except (NotEnoughPointsError, SingularMatrixError, ValueError) as error:
        raise NoMatchError(f"has {len(i)} stars that match, which determine no fit: {error}") from error
    matrix = fit["matrix_ld"]
    shift = fit["shift_ld"] + fit["center_ld"] - matrix @ fit["center_ld"]
    return Solution(affine(matrix, shift), float(fit["rmse"]), int(np.count_nonzero(fit["fitmask"])), i)
