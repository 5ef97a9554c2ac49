"""What artificial sources look like: point sources by the stars of an image or by encircled energies, and galaxies.

A stamp has an odd side and its source in the middle of its middle pixel. The sum in the third aperture of the catalogue
times its aperture correction is 1: a point source of a magnitude is one of which the catalogue says that magnitude.
"""

import math
from dataclasses import dataclass

import numpy as np

from calflow.science.bands import Plane, bands
from calflow.science.quality.robust import SIGMA_OF_MAD
from calflow.science.sources.aperture_photometry import Apertures, aperture_flux

# Stars whose median is taken, at the most; fewer than the least are not trusted.
MOST_STARS, LEAST_STARS = 60, 5
# The most crowded of bright stars have no neighbour with this part of their flux, or more.
NEIGHBOUR = 0.1
# Stars whose concentration differs by more deviations from the median of them are something else.
SAME_CONCENTRATION = 3.0
# A star is this many times as bright as the noise in its aperture.
LEAST_SIGNAL = 20.0
FINE = 10  # points along a pixel by which profiles are integrated
# Of an exponential profile: the half-light radius in scale lengths; light beyond so many of these radii is left out.
EXPONENTIAL, ENDS = 1.6783, 4.0


@dataclass(frozen=True, eq=False)
class Stars:
    """Sources of a catalogue that may be stars, float arrays of shape (n,).

    Attributes
    ----------
    x, y : float array
        Pixels from 0.
    flux : float array
        All of a source, in the unit of the image times a pixel.
    background : float array
        Around it, in the unit of the image.
    concentration : float array
        Flux in a large aperture over that in a small one.
    signal : float array
        Flux over its error; NaN: not known.
    extended : bool array
    """

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    background: np.ndarray
    concentration: np.ndarray
    signal: np.ndarray
    extended: np.ndarray


def stacked_stars(sci: Plane, stars: Stars, apertures: Apertures) -> tuple[np.ndarray, int] | None:
    """Return the median of the stars of an image as a stamp, and how many they are.

    Parameters
    ----------
    sci : float array or Plane, shape (ny, nx)
        The image. A star with a pixel without value is not used.
    stars : Stars
        The sources of its catalogue.
    apertures : Apertures
        In pixels of the image.

    Returns
    -------
    (stamp, number) or None
        None: there are too few.
    """
    half = half_side(apertures)
    chosen = _isolated(stars, half)
    stamps = []
    for which, cutout in _cutouts(sci, stars.x[chosen], stars.y[chosen], half + 1):
        star = chosen[which]
        if np.isfinite(cutout).all():
            values = (cutout - stars.background[star]) / stars.flux[star]
            stamps.append(shifted(values, *(np.rint([stars.x[star], stars.y[star]]) - [stars.x[star], stars.y[star]])))
        if len(stamps) == MOST_STARS:
            break
    if len(stamps) < LEAST_STARS:
        return None
    return normalised(np.median(stamps, axis=0)[1:-1, 1:-1], apertures), len(stamps)


def moffat_of_apertures(apertures: Apertures) -> np.ndarray:
    """Return the stamp of a Moffat profile with the encircled energies of the two larger apertures.

    Where the light is more concentrated than a Moffat profile can be, it is the Gaussian of the second aperture. These
    energies are those of images, so that the response of a pixel is in them, and the profile is not integrated over it.

    Parameters
    ----------
    apertures : Apertures
        In pixels of the image.
    """
    inner, outer = apertures.radii[1:]
    half = half_side(apertures)
    left = [1 - ee / 100 for ee in apertures.ee[1:]]
    # Beyond radius r is (1 + (r / a)^2)^(1 - beta) of the light: of two radii the ratio of logarithms tells a.
    ratio = math.log(left[1]) / math.log(left[0])
    if (outer / inner) ** 2 <= ratio * 1.001:
        sigma = inner / math.sqrt(-2 * math.log(left[0]))
        return normalised(np.exp(-_square_of_radius(half, 1) / (2 * sigma**2)), apertures)
    low, high = -6.0, 6.0  # of the logarithm of a over the inner radius
    for _ in range(60):
        middle = (low + high) / 2
        width = inner * math.exp(middle)
        less = math.log1p((outer / width) ** 2) / math.log1p((inner / width) ** 2) < ratio
        low, high = (middle, high) if less else (low, middle)
    beta = 1 - math.log(left[0]) / math.log1p((inner / width) ** 2)
    return normalised((1 + _square_of_radius(half, 1) / width**2) ** -beta, apertures)


def galaxy(point: np.ndarray, half_light_radius: float) -> np.ndarray:
    """Return the stamp of a round exponential galaxy, all of whose light is 1 where that of the point source is.

    Parameters
    ----------
    point : float array, shape (n, n)
        The stamp of a point source.
    half_light_radius : float
        Before it is smeared, pixels.
    """
    scale = half_light_radius / EXPONENTIAL
    reach, side = reach_of_galaxy(half_light_radius), 2 * reach_of_galaxy(half_light_radius) + 1
    steps = max(1, math.ceil(FINE / max(1.0, scale)))
    fine = np.exp(-np.sqrt(_square_of_radius(reach, steps)) / scale)
    profile = fine.reshape(side, steps, side, steps).mean(axis=(1, 3))
    shape = (len(profile) + len(point) - 1,) * 2
    product = np.fft.rfft2(profile / profile.sum(), shape) * np.fft.rfft2(point, shape)
    return np.fft.irfft2(product, shape)


def reach_of_galaxy(half_light_radius: float) -> int:
    """Return how far the light of a galaxy reaches from its middle pixel, before it is smeared; pixels.

    Parameters
    ----------
    half_light_radius : float
        Pixels.
    """
    return math.ceil(ENDS * half_light_radius)


def shifted(stamp: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Return a stamp whose source lies by a part of a pixel to the right and up; beyond its edge is nothing.

    Parameters
    ----------
    stamp : float array, shape (n, n)
    dx, dy : float
        Pixels.
    """
    from scipy.ndimage import shift

    return shift(stamp, (dy, dx), order=3, mode="constant")


def normalised(stamp: np.ndarray, apertures: Apertures) -> np.ndarray:
    """Return a stamp of which the catalogue would say that all of its light is 1.

    Parameters
    ----------
    stamp : float array, shape (n, n)
    apertures : Apertures
        In pixels of the image.
    """
    middle = np.array([len(stamp) // 2], float)
    total = aperture_flux(stamp, None, middle, middle, apertures.radii[-1])[0][0] * apertures.corrections[-1]
    return stamp / total


def full_width(stamp: np.ndarray) -> float:
    """Return the full width at half maximum, pixels: the diameter of a circle as large as what is above it.

    Parameters
    ----------
    stamp : float array, shape (n, n)
    """
    from scipy.ndimage import zoom

    fine = zoom(stamp, FINE, order=3, grid_mode=True, mode="nearest")
    return 2 * math.sqrt(np.count_nonzero(fine > fine.max() / 2) / math.pi) / FINE


def half_side(apertures: Apertures) -> int:
    """Return how far a stamp reaches from its middle pixel: as far as to the annulus of the background.

    Parameters
    ----------
    apertures : Apertures
        In pixels of the image.
    """
    return math.ceil(max(apertures.sky_inner, 1.5 * apertures.radii[-1]))


def _isolated(stars: Stars, reach: int) -> np.ndarray:
    """Return the indices of the stars that may be taken, from the brightest on."""
    from scipy.spatial import KDTree

    known = np.isfinite(stars.x) & np.isfinite(stars.y) & np.isfinite(stars.concentration) & (stars.flux > 0)
    bright = np.flatnonzero(known & ~stars.extended & ~(stars.signal < LEAST_SIGNAL) & np.isfinite(stars.background))
    if not len(bright):
        return bright
    index = stars.concentration[bright]
    deviation = np.abs(index - np.median(index))
    bright = bright[deviation <= SAME_CONCENTRATION * SIGMA_OF_MAD * np.median(deviation) + 1e-12]
    everything = np.flatnonzero(known)
    tree = KDTree(np.column_stack([stars.x, stars.y])[everything])
    around = tree.query_ball_point(np.column_stack([stars.x, stars.y])[bright], 2 * reach)
    alone = [
        star
        for star, near in zip(bright, around, strict=True)
        if all(n == star or stars.flux[n] < NEIGHBOUR * stars.flux[star] for n in everything[near])
    ]
    return np.array(sorted(alone, key=lambda star: -stars.flux[star])[: 2 * MOST_STARS], int)


def _cutouts(sci: Plane, x: np.ndarray, y: np.ndarray, half: int) -> list[tuple[int, np.ndarray]]:
    """Return the pixels around positions, in their order; none of a position too near to the edge."""
    (ny, nx), found = sci.shape, []
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    inside = (column >= half) & (row >= half) & (column < nx - half) & (row < ny - half)
    for band in bands(ny):
        here = np.flatnonzero(inside & (row >= band.start) & (row < band.stop))
        if len(here):
            first = max(band.start - half, 0)
            values = sci[slice(first, min(band.stop + half, ny))]
            for which in here:
                top, left = row[which] - half - first, column[which] - half
                found.append((int(which), values[top : top + 2 * half + 1, left : left + 2 * half + 1].astype(float)))
    return sorted(found, key=lambda each: each[0])


def _square_of_radius(half: int, steps: int) -> np.ndarray:
    """Return the squares of the distances from the middle pixel of points, so many along each pixel."""
    points = (np.arange((2 * half + 1) * steps) + 0.5) / steps - half - 0.5
    return points[:, None] ** 2 + points**2
