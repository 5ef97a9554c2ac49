"""Star groups: the stars of the detectors of one exposure, which move together on the sky."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calflow.science.geometry.polygons import contains, signed_area
from calflow.science.geometry.tangent_plane import IDENTITY, Affine, affine, to_plane, to_sky
from calflow.science.stars.star_matching import PlaneStars, Solution, nearest_pairs

# Detections in several exposures nearer to each other than this are one star, pixels.
SAME_STAR = 1.0
# Points along each side of a footprint that estimate how much of it lies in another.
OVERLAP_POINTS = 24


@dataclass(frozen=True)
class ExposureStars:
    """What alignment knows of one exposure of one detector.

    Attributes
    ----------
    name, group : str
        All exposures of a group share one motion.
    centre : (ra, dec)
        Where the plane of its correction touches the sky, degrees.
    sky : float64 array, shape (n, 2)
        Right ascension and declination of its stars, not corrected, degrees. Stars with a
        position that is not finite are not used.
    footprint : float64 array, shape (4, 2)
        Right ascension and declination of its corners in order, not corrected, degrees.
    pixel_scale : float
        Arcsec.
    weight : float array, shape (n,), or None
        Weights of the stars in the fit; None: all equal.
    """

    name: str
    group: str
    centre: tuple[float, float]
    sky: np.ndarray
    footprint: np.ndarray
    pixel_scale: float
    weight: np.ndarray | None = None

    def moved(self, correction: Affine) -> ExposureStars:
        """Return the exposure after a correction in its own plane.

        Parameters
        ----------
        correction : Affine
            In arcsec.
        """
        sky, footprint = (move(each, correction, self.centre) for each in (self.sky, self.footprint))
        return replace(self, sky=sky, footprint=footprint)

    def corner_motion(self, correction: Affine) -> float:
        """Return how far a correction in its own plane moves the corner it moves most, arcsec.

        Parameters
        ----------
        correction : Affine
            In arcsec.
        """
        corners = to_plane(self.footprint, self.centre)
        return float(np.hypot(*(correction(corners) - corners).T).max())


@dataclass(frozen=True)
class Group:
    """Exposures that move together.

    Attributes
    ----------
    name : str
    members : tuple of ExposureStars
        Of one exposure of the telescope.
    motion : Affine
        Their motion, in the plane of the first member.
    reference : str
        Group that leads the set this one was aligned in; empty if none.
    solution : Solution or None
        How it was aligned; None if it was not, or leads.
    reason : str
        Why it was not.
    """

    name: str
    members: tuple[ExposureStars, ...]
    motion: Affine = IDENTITY
    reference: str = ""
    solution: Solution | None = None
    reason: str = ""

    @property
    def centre(self) -> tuple[float, float]:
        """Where the plane of its motion touches the sky."""
        return self.members[0].centre

    @property
    def pixel_scale(self) -> float:
        """Arcsec."""
        return self.members[0].pixel_scale

    def catalogue(self) -> Catalogue:
        """Return its stars, not corrected."""
        sky = np.concatenate([np.reshape(each.sky, (-1, 2)) for each in self.members])
        weights = [each.weight for each in self.members if each.weight is not None and len(each.sky)]
        weight = np.concatenate(weights) if weights else None
        good = np.isfinite(sky).all(axis=1)
        return Catalogue(sky[good], None if weight is None else weight[good])

    def corrected_catalogue(self) -> Catalogue:
        """Return its stars, corrected."""
        stars = self.catalogue()
        return Catalogue(move(stars.sky, self.motion, self.centre), stars.weight)

    def stars(self) -> PlaneStars:
        """Return its stars in its plane, not corrected."""
        return self.catalogue().seen_from(self.centre)

    def density_of(self, reference: PlaneStars) -> float:
        """Return how many stars of its plane the group shows, of one at least, per square arcsec of its footprint.

        Parameters
        ----------
        reference : PlaneStars
            Stars in the plane at the group's centre.
        """
        outlines = [to_plane(each.footprint, self.centre) for each in self.members]
        inside = sum(np.count_nonzero(contains(each, reference.xy)) for each in outlines)
        return max(inside, 1) / sum(abs(signed_area(each)) for each in outlines)

    def averaged_stars(self) -> PlaneStars:
        """Return its stars in its plane, not corrected; of those that several members saw, the mean.

        Weights of a star that several members saw are added.
        """
        lists = [Group(each.name, (each,)).catalogue().seen_from(self.centre) for each in self.members]
        total, number = np.empty((0, 2)), np.empty(0)
        weight = None if self.catalogue().weight is None else np.empty(0)
        for stars in lists:
            i, j = nearest_pairs(stars.xy, total / number[:, None], SAME_STAR * self.pixel_scale)
            total[j] += stars.xy[i]
            number[j] += 1
            new = np.ones(len(stars), bool)
            new[i] = False
            total = np.concatenate([total, stars.xy[new]])
            number = np.concatenate([number, np.ones(np.count_nonzero(new))])
            if weight is not None and stars.weight is not None:
                weight[j] += stars.weight[i]
                weight = np.concatenate([weight, stars.weight[new]])
        return PlaneStars(total / number[:, None], weight)

    def corner_motion(self) -> float:
        """Return how far the corner moves that moves most, arcsec."""
        return max(each.corner_motion(self.correction(each)) for each in self.members)

    def correction(self, member: ExposureStars) -> Affine:
        """Return the motion in the plane of a member (or of any exposure).

        The motion is no affine map of another plane exactly. This one is right at the corners of
        the exposure to better than 1e-6 arcsec per arcsec of motion, as far as 200 arcsec apart.

        Parameters
        ----------
        member : ExposureStars
            In whose plane the motion is wanted.
        """
        if member.centre == self.centre:
            return self.motion
        sky = np.concatenate([member.footprint, [member.centre]])
        before = to_plane(sky, member.centre)
        after = to_plane(move(sky, self.motion, self.centre), member.centre)
        # The motion of the points, not the points: the small numbers keep their digits.
        terms = np.concatenate([before, np.ones((len(before), 1))], axis=1)
        *columns, shift = np.linalg.lstsq(terms, after - before, rcond=None)[0]
        return affine(np.eye(2) + np.transpose(columns), shift)


@dataclass(frozen=True)
class Catalogue:
    """Stars on the sky.

    Attributes
    ----------
    sky : float64 array, shape (n, 2)
        Right ascension and declination, degrees.
    weight : float array, shape (n,), or None
    """

    sky: np.ndarray
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.sky)

    def seen_from(self, centre: tuple[float, float]) -> PlaneStars:
        """Return the stars in the plane at a centre; those on the other half of the sky are left out.

        Parameters
        ----------
        centre : (ra, dec)
            Where the plane touches the sky, degrees.
        """
        xy = to_plane(self.sky, centre)
        seen = np.isfinite(xy).all(axis=-1)
        return PlaneStars(xy[seen], None if self.weight is None else self.weight[seen])

    def with_others(self, other: Catalogue, known: np.ndarray) -> Catalogue:
        """Return it with the stars of another, but for those `known` (indices).

        If only one of the two has weights, those of the other are 1.

        Parameters
        ----------
        other : Catalogue
            Whose stars are added.
        known : int array, shape (k,)
            Those of its stars that are left out.
        """
        new = np.ones(len(other), bool)
        new[known] = False
        weight = None
        if self.weight is not None or other.weight is not None:
            ours, theirs = (np.ones(len(each)) if each.weight is None else each.weight for each in (self, other))
            weight = np.concatenate([ours, theirs[new]])
        return Catalogue(np.concatenate([self.sky, other.sky[new]]), weight)

    def with_group(self, group: Group, tolerance: float) -> Catalogue:
        """Return it with the stars of a group, but for those within a tolerance (arcsec) of one it has.

        Parameters
        ----------
        group : Group
            Whose stars are added.
        tolerance : float
            Nearer than this they are the same star, arcsec.
        """
        stars = group.corrected_catalogue()
        known, _ = nearest_pairs(stars.seen_from(group.centre).xy, self.seen_from(group.centre).xy, tolerance)
        return self.with_others(stars, known)


def groups_of(exposures: Sequence[ExposureStars]) -> list[Group]:
    """Return the groups of exposures, in the order of their first members.

    Parameters
    ----------
    exposures : sequence of ExposureStars

    Raises
    ------
    ValueError
        If some exposures of a group have weights and some have not, or not one for each star.
    """
    for each in exposures:
        if each.weight is not None and len(each.weight) != len(each.sky):
            raise ValueError(f"{each.name} has {len(each.sky)} stars and {len(each.weight)} weights")
    members: dict[str, list[ExposureStars]] = {}
    for each in exposures:
        members.setdefault(each.group, []).append(each)
    for name, group in members.items():
        if len({each.weight is None for each in group if len(each.sky)}) > 1:
            raise ValueError(f"of group {name} some exposures have weights and some have not; all or none must")
    return [Group(name, tuple(group)) for name, group in members.items()]


def move(sky: np.ndarray, motion: Affine, centre: tuple[float, float]) -> np.ndarray:
    """Return sky positions, degrees, after a motion in the plane at a centre.

    Parameters
    ----------
    sky : float array, shape (n, 2)
        Right ascension and declination, degrees.
    motion : Affine
        In the plane, arcsec.
    centre : (ra, dec)
        Where the plane touches the sky, degrees.

    Returns
    -------
    float64 array, shape (n, 2)
    """
    if motion.is_identity:
        return sky
    return to_sky(motion(to_plane(sky, centre)), centre)


class SkyInCommon:
    """How much sky groups have in common with others, square arcsec.

    Counted on a grid of points: good to a few percent, enough to put groups in order.

    Parameters
    ----------
    groups : sequence of Group
    """

    def __init__(self, groups: Sequence[Group]):
        self._groups = list(groups)
        self._corners = [[_outline(member, each, each.centre) for member in each.members] for each in groups]
        self._points = [[_grid(corners) for corners in each] for each in self._corners]
        circles = [_circle(each) for each in groups]
        self._centres = np.reshape([centre for centre, _ in circles], (-1, 3))
        self._radii = np.array([radius for _, radius in circles])
        self._inside = [np.zeros((len(each), OVERLAP_POINTS**2), bool) for each in self._points]
        self._area = {each.name: 0.0 for each in groups}

    def with_group(self, other: Group) -> np.ndarray:
        """Return what each group has in common with one other, shape (n,).

        Parameters
        ----------
        other : Group
        """
        area = np.zeros(len(self._groups))
        for k in self._near(other):
            area[k] = self._area_of(k, self._covered(k, other))
        return area

    def add(self, other: Group) -> None:
        """Add a group to those whose sky together `with_added` tells.

        Parameters
        ----------
        other : Group
        """
        for k in self._near(other):
            if not self._inside[k].all():
                self._inside[k] |= self._covered(k, other)
                self._area[self._groups[k].name] = self._area_of(k, self._inside[k])

    def with_added(self, group: Group) -> float:
        """Return what a group has in common with all that were added.

        Parameters
        ----------
        group : Group
        """
        return self._area[group.name]

    def _near(self, other: Group) -> np.ndarray:
        """Return the indices of the groups that are not too far away to have sky in common."""
        centre, radius = _circle(other)
        return np.flatnonzero(_angle(self._centres, centre) <= self._radii + radius + 1e-9)

    def _covered(self, k: int, other: Group) -> np.ndarray:
        """Return which points of a group lie in another, shape (members, points)."""
        centre = self._groups[k].centre
        outlines = [_outline(member, other, centre) for member in other.members]
        inside = np.zeros_like(self._inside[k])
        for outline in outlines:
            if np.isfinite(outline).all():
                for covered, points in zip(inside, self._points[k], strict=True):
                    covered |= contains(outline, points)
        return inside

    def _area_of(self, k: int, inside: np.ndarray) -> float:
        pairs = zip(inside, self._corners[k], strict=True)
        return sum(float(each.mean()) * abs(signed_area(corners)) for each, corners in pairs)


def _grid(corners: np.ndarray) -> np.ndarray:
    """Return points spread evenly over a quadrilateral, shape (OVERLAP_POINTS ** 2, 2)."""
    steps = (np.arange(OVERLAP_POINTS) + 0.5) / OVERLAP_POINTS
    u, v = (each.reshape(-1, 1) for each in np.meshgrid(steps, steps))
    a, b, c, d = corners
    return (1 - u) * ((1 - v) * a + v * b) + u * ((1 - v) * d + v * c)


def _circle(group: Group) -> tuple[np.ndarray, float]:
    """Return the centre (unit vector) and radius (radians) of a circle on the sky around a group, corrected."""
    sky = np.concatenate([move(each.footprint, group.motion, group.centre) for each in group.members])
    ra, dec = np.radians(sky).T
    corners = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
    centre = corners.sum(axis=0)
    centre /= np.hypot(np.hypot(*centre[:2]), centre[2])
    return centre, float(_angle(corners, centre).max())


def _angle(vectors: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Return the angles between unit vectors, shape (n, 3), and another, radians."""
    half = np.sqrt(np.square(vectors - vector).sum(axis=-1)) / 2
    return 2 * np.arcsin(np.minimum(half, 1.0))


def _outline(member: ExposureStars, group: Group, centre: tuple[float, float]) -> np.ndarray:
    return to_plane(move(member.footprint, group.motion, group.centre), centre)
