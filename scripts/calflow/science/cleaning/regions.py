"""Regions as SAOImage DS9 writes them: circles, ellipses, boxes, annuli and polygons, in pixels or on the sky.

Read are the lines of DS9's region format, in the systems image, physical (taken for image), fk5 and icrs (the same
here), with sizes in pixels, degrees, ', " or radians, positions in degrees or sexagesimal, and ``-`` before what is cut
out of the others. Lines, points, texts and the like have no area and are refused.

Source: https://ds9.si.edu/doc/ref/region.html
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calflow.science.cleaning.shipped import RATE

Positions = Callable[[np.ndarray, np.ndarray], np.ndarray]

SKY_SYSTEMS = ("fk5", "icrs", "j2000")
PIXEL_SYSTEMS = ("image", "physical")
OTHER_SYSTEMS = ("fk4", "b1950", "galactic", "ecliptic", "linear", "amplifier", "detector", "wcs", "cpanda", "tile")
# After its position a shape has so many sizes, then perhaps an angle.
CIRCLE, ELLIPSE, BOX, ANNULUS, POLYGON = "circle", "ellipse", "box", "annulus", "polygon"
SIZES = {CIRCLE: 1, ELLIPSE: 2, BOX: 2, ANNULUS: 2}
WITH_ANGLE = (ELLIPSE, BOX)
_ITEM = re.compile(r"(?P<sign>[+-]?)\s*(?P<shape>[a-z]+)\s*\(?(?P<numbers>[^()]*)\)?", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_UNITS = {"d": 1.0, "'": 1 / 60, '"': 1 / 3600, "r": math.degrees(1.0)}
# Sky positions of every so many pixels tell which part of an exposure a region may reach.
COARSE = 32
# Rows that are worked on at a time: they stay in the cache of the processor.
ROWS = 32


@dataclass(frozen=True)
class Region:
    """A region, in pixels or on the sky.

    Attributes
    ----------
    shape : str
        ``circle``, ``ellipse``, ``box``, ``annulus`` or ``polygon``.
    on_sky : bool
        Whether positions are right ascension and declination, and sizes angles, in degrees; else pixels, positions
        counted from 0.
    points : tuple of (float, float)
        The centre, or the corners of a polygon.
    sizes : tuple of float
        Radius of a circle; semi-axes of an ellipse; sides of a box; inner and outer radius of an annulus.
    angle : float
        By which an ellipse or a box is turned, degrees: from x to y; on the sky from west to north.
    excluded : bool
        Whether it is cut out of the others.
    """

    shape: str
    on_sky: bool
    points: tuple[tuple[float, float], ...]
    sizes: tuple[float, ...] = ()
    angle: float = 0.0
    excluded: bool = False


def read_regions(text: str) -> list[Region]:
    """Return the regions in the text of a DS9 region file.

    Parameters
    ----------
    text : str

    Raises
    ------
    ValueError
        With the number of the line and what is wrong with it; also if there is nothing that is not excluded.
    """
    regions = []
    system = "physical"  # as DS9 takes it if none is given
    for number, line in enumerate(text.splitlines(), start=1):
        for item in re.split(r";", line.partition("#")[0]):
            item = item.strip()
            word = item.split("(")[0].split(maxsplit=1)[0].lower() if item else ""
            try:
                if not word or word == "global":
                    continue
                if item.lower() in (*SKY_SYSTEMS, *PIXEL_SYSTEMS):
                    system = item.lower()
                elif word in OTHER_SYSTEMS:
                    raise ValueError(f"the system {word} is not read: save the regions as image, fk5 or icrs")
                else:
                    regions.append(_region(item, system in SKY_SYSTEMS))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
    if all(region.excluded for region in regions):
        raise ValueError("it has no region" + (" that is not excluded" if regions else ""))
    return regions


def region_mask(regions: Sequence[Region], shape: tuple[int, int], sky: Positions | None = None) -> np.ndarray:
    """Return which pixels lie in regions, by their centres.

    Parameters
    ----------
    regions : sequence of Region
        Those that are excluded are cut out of all others.
    shape : (ny, nx)
    sky : callable or None
        From pixels x, y (0-based) to right ascension and declination, degrees, shape (..., 2); for regions on the sky.

    Returns
    -------
    bool array, shape (ny, nx)
        True: in a region.

    Raises
    ------
    ValueError
        If a region is on the sky, and `sky` is None.
    """
    inside, outside = np.zeros(shape, bool), np.zeros(shape, bool)
    for region in regions:
        if region.on_sky and sky is None:
            raise ValueError("regions on the sky need world coordinates, which the exposure has not got")
        part = _reach(region, shape, sky)
        mask = (outside if region.excluded else inside)[part]
        # Rows and columns of pixels by themselves: most of what follows is the same along one of them.
        y, x = (np.arange(each.start, each.stop, dtype=float) for each in part)
        for start in range(0, len(y), ROWS):
            rows = y[start : start + ROWS, None]
            at_y, at_x = np.broadcast_arrays(rows, x) if region.on_sky else (rows, x)
            mask[start : start + ROWS] |= _contains(region, *_plane(region, at_x, at_y, sky))
    return inside & ~outside


def check_regions(place: str, regions: str) -> None:
    """Refuse a region file that cannot be used.

    Parameters
    ----------
    place : str
        ``rate`` or ``cal``: where it is used.
    regions : str
        The text of the file.

    Raises
    ------
    ValueError
        As by `read_regions`; and if there are regions on the sky for exposures that have no world coordinates yet.
    """
    if any(region.on_sky for region in read_regions(regions)) and place == RATE:
        raise ValueError("regions on the sky need the world coordinates of stage 2: mask them in extra_steps.cal")


def _plane(region: Region, x: np.ndarray, y: np.ndarray, sky: Positions | None) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels in the plane in which a region is drawn, relative to its first point."""
    if not region.on_sky or sky is None:
        return x - region.points[0][0], y - region.points[0][1]
    return _to_plane(sky(x, y), region.points[0])


def _to_plane(positions: np.ndarray, centre: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return positions in the plane that touches the sky at a point, degrees to the west and to the north.

    Beyond 90 degrees from there: NaN.
    """
    ra, dec = np.moveaxis(np.radians(positions), -1, 0)
    ra0, dec0 = np.radians(centre)
    along = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    west = -np.cos(dec) * np.sin(ra - ra0)
    north = np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)
    scale = np.degrees(1 / np.where(along > 0, along, np.nan))
    return west * scale, north * scale


def _contains(region: Region, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Tell which points of its plane lie in a region."""
    if region.shape == POLYGON:
        return _in_polygon(_corners(region), u, v)
    cos, sin = math.cos(math.radians(region.angle)), math.sin(math.radians(region.angle))
    along, across = u * cos + v * sin, v * cos - u * sin
    if region.shape == BOX:
        return (np.abs(along) <= region.sizes[0] / 2) & (np.abs(across) <= region.sizes[1] / 2)
    if region.shape == ELLIPSE:
        a, b = region.sizes
        return np.square(along / a) + np.square(across / b) <= 1
    distance = np.hypot(u, v)
    inner, outer = (0.0, *region.sizes)[-2:]
    return (distance <= outer) & (distance >= inner)


def _corners(region: Region) -> np.ndarray:
    """Return the corners of a polygon in its plane, shape (n, 2)."""
    points = np.array(region.points)
    if region.on_sky:
        return np.stack(_to_plane(points, region.points[0]), axis=-1)
    return points - points[0]


def _in_polygon(corners: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Tell which points lie in a polygon: a ray from there crosses its sides an odd number of times."""
    inside = np.zeros(np.broadcast_shapes(np.shape(u), np.shape(v)), bool)
    for (u0, v0), (u1, v1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if v0 != v1:
            inside ^= ((v0 > v) != (v1 > v)) & (u < u0 + (v - v0) * (u1 - u0) / (v1 - v0))
    return inside


def _reach(region: Region, shape: tuple[int, int], sky: Positions | None) -> tuple[slice, slice]:
    """Return the part of an image outside which a region has no pixel."""
    # The larger side of a box is longer than half of its diagonal.
    radius = float(np.hypot(*_corners(region).T).max()) if region.shape == POLYGON else max(region.sizes)
    if not region.on_sky:
        (x, y), radius = region.points[0], radius + 1
        low, high = np.array([y, x]) - radius, np.array([y, x]) + radius
    else:
        y, x = np.meshgrid(*(np.unique(np.append(np.arange(0, n, COARSE), n - 1)) for n in shape), indexing="ij")
        u, v = _plane(region, x.astype(float), y.astype(float), sky)
        near = _near(u, v, radius)
        if not near.any():
            return slice(0, 0), slice(0, 0)
        low, high = (np.array([axis[near].min(), axis[near].max()]) for axis in (y, x))
        low, high = np.array([low[0], high[0]]) - COARSE, np.array([low[1], high[1]]) + COARSE
    ends = [
        (int(np.clip(math.floor(a), 0, n)), int(np.clip(math.ceil(b) + 1, 0, n)))
        for a, b, n in zip(low, high, shape, strict=True)
    ]
    return slice(*ends[0]), slice(*ends[1])


def _near(u: np.ndarray, v: np.ndarray, radius: float) -> np.ndarray:
    """Tell which points of a coarse grid are at a corner of a cell that a circle around 0 may reach."""
    sides = [np.hypot(np.diff(u, axis=axis), np.diff(v, axis=axis)) for axis in (0, 1)]
    cell = sum(float(np.nanmax(side, initial=0.0)) for side in sides)
    return np.hypot(u, v) <= radius + cell


# Reading ------------------------------------------------------------------------------------------------


def _region(item: str, on_sky: bool) -> Region:
    """Read what stands between two semicolons."""
    found = _ITEM.fullmatch(item)
    shape = found["shape"].lower() if found else ""
    if not found or shape not in (*SIZES, POLYGON):
        known = ", ".join((*SIZES, POLYGON))
        raise ValueError(f"{item!r} is no region with an area: known are {known}")
    words = found["numbers"].replace(",", " ").split()
    excluded = found["sign"] == "-"
    if shape == POLYGON:
        if len(words) < 6 or len(words) % 2:
            raise ValueError("a polygon has three corners or more, with two numbers each")
        return Region(shape, on_sky, tuple(_points(words, on_sky)), excluded=excluded)
    sizes, angles = words[2 : 2 + SIZES[shape]], words[2 + SIZES[shape] :]
    if len(sizes) < SIZES[shape] or len(angles) > (shape in WITH_ANGLE):
        angle = " and an angle" if shape in WITH_ANGLE else ""
        raise ValueError(f"a {shape} has a position and {SIZES[shape]} size{'s'[: SIZES[shape] - 1]}{angle}")
    found_sizes = tuple(_size(word, on_sky) for word in sizes)
    if min(found_sizes) < 0 or (max(found_sizes) == 0 or (shape != ANNULUS and min(found_sizes) == 0)):
        raise ValueError(f"the sizes of a {shape} are larger than 0")
    (centre,) = _points(words[:2], on_sky)
    turned = _number(angles[0].removesuffix("d")) if angles else 0.0
    return Region(shape, on_sky, (centre,), found_sizes, turned, excluded)


def _points(words: Sequence[str], on_sky: bool) -> Iterator[tuple[float, float]]:
    for x, y in zip(words[::2], words[1::2], strict=True):
        if on_sky:
            ra = _number(x.removesuffix("d")) if ":" not in x and "h" not in x else 15 * _sexagesimal(x)
            dec = _number(y.removesuffix("d")) if re.fullmatch(rf"{_NUMBER.pattern}d?", y) else _sexagesimal(y)
            if not -90 <= dec <= 90:
                raise ValueError(f"{y} is no declination")
            yield ra, dec
        else:
            yield _number(x.rstrip("ip")) - 1, _number(y.rstrip("ip")) - 1  # DS9 counts pixels from 1


def _size(word: str, on_sky: bool) -> float:
    """Return a size, in degrees or in pixels."""
    unit = word[-1:]
    if on_sky and unit in _UNITS:
        return _number(word[:-1]) * _UNITS[unit]
    if on_sky and unit in ("i", "p"):
        raise ValueError(f"{word} is a size in pixels of a region on the sky: give an angle")
    if not on_sky and unit in _UNITS:
        raise ValueError(f"{word} is an angle, the size of a region in pixels: save the regions as fk5 or icrs")
    return _number(word.rstrip("ip"))


def _number(word: str) -> float:
    if not _NUMBER.fullmatch(word):
        raise ValueError(f"{word!r} is no number")
    return float(word)


def _sexagesimal(word: str) -> float:
    """Return what stands as 12:34:56.7 or 12h34m56.7s, in units of the first."""
    parts = [part for part in re.split(r"[:hdms]", word.strip()) if part]
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"{word!r} is no position")
    whole, *rest = map(_number, parts)
    fraction = sum(value / 60**power for power, value in enumerate(rest, start=1))
    return whole - fraction if parts[0].startswith("-") else whole + fraction
