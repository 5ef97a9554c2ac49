"""The sky of an exposure: where other exposures overlap it, and all over it.

Detectors read at the same time form a group, which has one sky. The sky of an exposure is
measured in its overlap with each other group: in the pixels inside its footprint and that of any
member of the group. What comes out is a few numbers for `science.sky.skymatch`, so no more than one
exposure need be in memory.

The pixels are those that jwst's skymatch step takes, so that the levels agree: the vertices of the
overlap are rounded to whole pixels, and the polygon between them is filled, its rim included.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from calflow.science.geometry.polygons import outlines
from calflow.science.geometry.tangent_plane import to_plane, to_sky
from calflow.science.sky.sky_statistics import SkyStatistic

# Decimals of vertices, pixels.
VERTEX_DECIMALS = 6


@dataclass(frozen=True)
class ExposureSky:
    """The sky of one exposure.

    Attributes
    ----------
    whole : SkyStatistic or None
        In all of the exposure; None if it has no usable pixels.
    overlaps : dict of group name to SkyStatistic
        In the overlap with each other group that has usable pixels in it.
    """

    whole: SkyStatistic | None
    overlaps: dict[str, SkyStatistic]


def exposure_sky(
    sci: np.ndarray,
    usable: np.ndarray,
    overlaps: Mapping[str, Sequence[np.ndarray]],
    statistic: Callable[[np.ndarray], SkyStatistic | None],
) -> ExposureSky:
    """Measure the sky of an exposure in its overlaps with other groups, and all over it.

    Parameters
    ----------
    sci : float array, shape (ny, nx)
    usable : bool array, shape (ny, nx)
        True for the pixels to use: unflagged and finite.
    overlaps : mapping of group name to polygons
        As of `pixel_overlaps`.
    statistic : function of pixel values, shape (n,)
        `science.sky.sky_statistics.sky_statistic` with its options.

    Raises
    ------
    ValueError
        If `sci` and `usable` differ in shape.
    """
    if sci.shape != usable.shape:
        raise ValueError(f"the mask of usable pixels has shape {usable.shape}, the image {sci.shape}")
    found = {}
    for name, polygons in overlaps.items():
        inside = np.zeros(sci.shape, bool)
        for corners in polygons:
            fill_polygon(inside, corners)
        sky = statistic(sci[usable & inside])
        if sky is not None:
            found[name] = sky
    return ExposureSky(statistic(sci[usable]), found)


def pixel_overlaps(
    footprint: np.ndarray,
    groups: Mapping[str, Sequence[np.ndarray]],
    to_pixel: Callable[[np.ndarray], np.ndarray],
) -> dict[str, list[np.ndarray]]:
    """Return where other groups overlap an exposure, as polygons between whole pixels of it.

    A motion that is small against a pixel seldom changes them, so nothing need be measured again for it.

    Parameters
    ----------
    footprint : float array, shape (n, 2)
        Outline of the exposure on the sky, right ascension and declination in degrees: the outer
        corners of its pixels, and points on its edges if these are bent.
    groups : mapping of group name to footprints of its members
        The other groups; not the exposure's own.
    to_pixel : function of sky positions, shape (n, 2), degrees
        Returns their pixel positions x, y in this exposure, shape (n, 2), from 0 at the centre of
        the first pixel, also outside it.

    Returns
    -------
    dict of group name to list of int array, shape (n, 2)
        Vertices x, y of the overlaps with each member of the group, as of `whole_pixels`. A group that does
        not overlap is left out.

    Raises
    ------
    ValueError
        If a footprint has vertices without a position, or `to_pixel` has none for an overlap.
    """
    overlaps = {}
    for name, members in groups.items():
        polygons = [part for member in members for part in sky_overlap(footprint, member)]
        if polygons:
            overlaps[name] = [_in_pixels(polygon, to_pixel) for polygon in polygons]
    return overlaps


def _in_pixels(polygon: np.ndarray, to_pixel: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    # As rounded: the corner of an exposure is on the edge of a pixel, but for errors of to_pixel.
    vertices = np.round(np.asarray(to_pixel(polygon), float), VERTEX_DECIMALS)
    if not np.isfinite(vertices).all():
        raise ValueError("a vertex of an overlap has no pixel position; to_pixel must give one outside the image, too")
    return whole_pixels(vertices)


def sky_overlap(footprint: np.ndarray, other: np.ndarray) -> list[np.ndarray]:
    """Return the parts of the intersection of two footprints, each float64, shape (m, 2), degrees.

    In the plane that touches the sky at the first one great circles are straight lines. The second
    is cut along the convex hull of the first: sides bent inwards lie outside the exposure, where
    there are no pixels.

    Parameters
    ----------
    footprint, other : float array, shape (n, 2)
        Right ascension and declination of the vertices, degrees.

    Raises
    ------
    ValueError
        If a footprint has fewer than three vertices, or one that is not finite.
    """
    for vertices in (footprint, other):
        if len(vertices) < 3 or not np.isfinite(vertices).all():
            raise ValueError(
                f"a footprint must have three or more finite vertices, not {np.asarray(vertices).tolist()}"
            )
    centre = _centre(footprint)
    hull = shapely.convex_hull(shapely.multipoints(to_plane(footprint, centre)))
    polygon = to_plane(other, centre)
    if not np.isfinite(polygon).all():  # on the other half of the sky
        return []
    common = shapely.intersection(hull, shapely.make_valid(shapely.polygons(polygon)))
    return [to_sky(part, centre) for part in outlines(common)]


def whole_pixels(vertices: np.ndarray) -> np.ndarray:
    """Return the vertices of a polygon rounded to whole pixels, int array of shape (n, 2).

    Parameters
    ----------
    vertices : float array, shape (n, 2)
        Pixel positions x, y. They are rounded after the lowest coordinate is moved to 0 if it is
        negative, as gwcs.region does, which jwst uses: half pixels go to the even one, counted from there.
    """
    lowest = np.minimum(vertices.min(axis=0), 0)
    return np.rint(vertices - lowest).astype(int) + np.rint(lowest).astype(int)


def fill_polygon(mask: np.ndarray, corners: np.ndarray) -> None:
    """Set the pixels of a polygon.

    Parameters
    ----------
    mask : bool array, shape (ny, nx)
        Set to True inside, in place.
    corners : int array, shape (n, 2)
        Pixels x, y, also outside the mask.

    Notes
    -----
    The rule of gwcs.region (BSD licence), which jwst uses: a row is filled from where it enters
    the polygon to where it leaves it, both rounded up, and so the lowest and the highest row. What
    has no height or no width is empty.
    """
    if np.ptp(corners[:, 0]) == 0:
        return
    for y, begin, end in np.stack(_runs(corners), axis=1).tolist():
        if 0 <= y < len(mask):
            mask[y, max(begin, 0) : max(end + 1, 0)] = True


def _runs(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row, the first and the last column of each run of pixels inside a polygon."""
    highest = corners[:, 1].max()
    rows, columns = [np.empty(0, int)], [np.empty(0, int)]
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            # A side ends before the row in which the next begins, but in the highest row none begins.
            last = max(y0, y1)
            y = np.arange(min(y0, y1), last + (last == highest))
            rows.append(y)
            columns.append(x0 - (y0 - y) * (x1 - x0) // (y1 - y0))
    y, x = np.concatenate(rows), np.concatenate(columns)
    order = np.lexsort((x, y))
    y, x = y[order], x[order]
    return y[::2], x[::2], x[1::2]


def _centre(footprint: np.ndarray) -> tuple[float, float]:
    """Return the direction of the mean of the vertices, degrees."""
    ra, dec = np.radians(np.transpose(footprint))
    x, y, z = np.mean([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))
