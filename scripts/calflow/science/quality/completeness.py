"""How complete the catalogue of an image is: artificial sources are put into it, searched for, and measured.

Sources are found and measured by the functions of the catalogue with its parameters. The background and the noise that
these take are those of the image as it is: a source more does not change them, but all that are put in at once would.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from calflow.science.bands import Computed, Plane, bands
from calflow.science.quality.completeness_parameters import Injection
from calflow.science.quality.source_stamps import shifted
from calflow.science.sky.background_map import Background
from calflow.science.sources.aperture_photometry import Apertures, net_flux
from calflow.science.sources.catalog_parameters import CatalogParameters
from calflow.science.sources.segmentation import smooth
from calflow.science.sources.source_catalog import not_observed
from calflow.science.sources.source_detection import find_sources
from calflow.science.sources.surroundings import measure_surroundings

# Magnitudes brighter and fainter than the limits of the detection in noisy and in quiet parts of an image.
BRIGHTER, FAINTER = 2.0, 1.5
NOISY, QUIET = 95.0, 5.0  # per cent of the pixels
# A source that is found lies as near to where it was put as the radius of the second aperture, pixels at the least ...
NEAR = 1.5
# ... and if a source of the image is there, too, at most so much of the flux measured is that of the injected one.
MOST_FLUX = 2.0
# Cells of the grid of places, in the distance of two sources: they lie at random within the rest of a cell.
CELL = 1.5
# Of an image with few places.
MOST_ROUNDS = 1000


@dataclass(frozen=True, eq=False)
class SearchedImage:
    """An image, and how its sources are found and measured.

    Attributes
    ----------
    sci, wht : float array or Plane, shape (ny, nx)
        The image with its background, and its weight. NaN: no value.
    err : float array or Plane, shape (ny, nx), or None
        1-sigma errors.
    exposures : int array or Plane, shape (ny, nx), or None
        How many exposures each pixel has; None: not known.
    background : Background
        Of the image.
    sources : float array, shape (n, 2)
        Where its catalogue has sources (x, y), pixels from 0.
    parameters : CatalogParameters
        How that was made; `peakmax` in the unit of the image.
    apertures : Apertures
        In pixels of the image.
    least_flux : float
        A source whose flux, as the star finder tells it, is smaller is not in the catalogue; minus infinity if that has
        all.
    zero_point : float
        Magnitude of a source of flux 1, in the unit of the image times a pixel.
    photons : float
        As `photon_noise.photons_like_sky` returns it; infinite: no noise is added with a source.
    """

    sci: Plane
    err: Plane | None
    wht: Plane
    exposures: Plane | None
    background: Background
    sources: np.ndarray
    parameters: CatalogParameters
    apertures: Apertures
    least_flux: float
    zero_point: float
    photons: float


@dataclass(frozen=True, eq=False)
class Recovered:
    """Artificial sources, arrays of shape (n,) unless said.

    Attributes
    ----------
    place : float array, shape (n, 2)
        Where they were put (x, y), pixels from 0.
    magnitude : float array
    found : bool array
    measured : float array
        The magnitude that the catalogue would have; NaN: none.
    exposures : int array
        How many exposures their middle pixels have; 0: not known.
    """

    place: np.ndarray
    magnitude: np.ndarray
    found: np.ndarray
    measured: np.ndarray
    exposures: np.ndarray


@dataclass(frozen=True, eq=False)
class Injected:
    """Sources as they are put into an image.

    Attributes
    ----------
    place : float array, shape (n, 2)
        Pixels from 0.
    flux : float array, shape (n,)
        In the unit of the image times a pixel.
    stamp : float array, shape (m, m)
        Of a source in the middle of a pixel, of flux 1.
    seed : tuple of int
        Of their noise.
    """

    place: np.ndarray
    flux: np.ndarray
    stamp: np.ndarray
    seed: tuple[int, ...]


def recover(
    image: SearchedImage,
    stamp: np.ndarray,
    size: float,
    magnitudes: tuple[float, float],
    settings: Injection,
    kind: int,
) -> Recovered:
    """Put sources of one kind into an image, a few at a time so that none meets another, and look which are found.

    Parameters
    ----------
    image : SearchedImage
    stamp : float array, shape (m, m)
        The image of such a source in the middle of a pixel, of flux 1.
    size : float
        Its half-light radius, pixels; 0: a point.
    magnitudes : (float, float)
        Brightest and faintest.
    settings : Injection
    kind : int
        Number of the kind: another one has other places.

    Returns
    -------
    Recovered
        Fewer than are wanted if the image has few places.
    """
    random = np.random.default_rng([settings.seed, kind])
    low, high = magnitudes
    number = settings.number
    # One in each of equal parts of the range.
    magnitude = low + (high - low) * (random.permutation(number) + random.uniform(size=number)) / number
    unused = not_observed(image.wht, image.err)
    apart = len(stamp) + math.ceil(image.parameters.kernel_fwhm)
    parts, done = [], 0
    for round_ in range(MOST_ROUNDS):
        places = scattered(image.sci.shape, apart, random)
        places = places[~values_at(unused, places, True)][: number - done]
        if len(places):
            now = magnitude[done : done + len(places)]
            flux = 10 ** (-0.4 * (now - image.zero_point))
            injected = Injected(places, flux, stamp, (settings.seed, kind, round_))
            parts.append((places, now, *_found(image, injected, size), _exposures(image, places)))
            done += len(places)
        if done == number:
            break
    empty = np.empty((0, 2)), np.empty(0), np.empty(0, bool), np.empty(0), np.empty(0, int)
    return Recovered(*(np.concatenate(values) for values in zip(empty, *parts, strict=True)))


def scattered(shape: tuple[int, ...], apart: float, random: np.random.Generator) -> np.ndarray:
    """Return random places in an image, of which no two are nearer to each other than a distance in x or in y.

    Parameters
    ----------
    shape : (ny, nx)
    apart : float
        Pixels.
    random : numpy Generator

    Returns
    -------
    float array, shape (n, 2)
        x and y, pixels from 0, in random order.
    """
    ny, nx = shape
    cell = CELL * apart
    begin = random.uniform(-cell, 0, 2)
    x, y = (np.arange(start, size, cell) for start, size in zip(begin, (nx, ny), strict=True))
    corners = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    places = corners + random.uniform(0, cell - apart, corners.shape) - 0.5
    inside = (places > -0.5).all(axis=1) & (places[:, 0] < nx - 0.5) & (places[:, 1] < ny - 0.5)
    return random.permutation(places[inside])


def with_sources(image: SearchedImage, injected: Injected) -> Plane:
    """Return an image with sources in it, and with the noise of their photons.

    Parameters
    ----------
    image : SearchedImage
    injected : Injected
    """
    half = len(injected.stamp) // 2
    middle = np.rint(injected.place).astype(int)
    ny, nx = image.sci.shape

    def rows_with(rows: slice) -> np.ndarray:
        values = np.array(image.sci[rows])
        variance = (
            None
            if image.err is None or math.isinf(image.photons)
            else _empty_variance(image, image.err[rows], values, rows)
        )
        near = (middle[:, 1] + half >= rows.start) & (middle[:, 1] - half < rows.stop)
        for which in np.flatnonzero(near):
            column, row = middle[which] - half
            light = injected.flux[which] * shifted(injected.stamp, *(injected.place[which] - middle[which]))
            up = slice(max(row, rows.start), min(row + len(light), rows.stop))
            across = slice(max(column, 0), min(column + len(light), nx))
            part = slice(up.start - row, up.stop - row), slice(across.start - column, across.stop - column)
            here = slice(up.start - rows.start, up.stop - rows.start), across
            added = light[part]
            if variance is not None:
                noise = np.random.default_rng([*injected.seed, int(which)]).standard_normal(light.shape)[part]
                added = added + noise * np.sqrt(variance[here] * np.maximum(added, 0) / image.photons)
            values[here] += added
        return values

    return Computed((ny, nx), rows_with)


def _empty_variance(image: SearchedImage, error: np.ndarray, values: np.ndarray, rows: slice) -> np.ndarray:
    """Return the variance that pixels would have without sources; 0 where it is not known."""
    signal = np.maximum(values - image.background.level(rows), 0)
    return np.nan_to_num(error.astype(float) ** 2 / (1 + signal / image.photons), posinf=0.0)


def _found(image: SearchedImage, injected: Injected, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the sources are found, and the magnitudes that the catalogue would have of them."""
    data = with_sources(image, injected)
    parameters, apertures = image.parameters, image.apertures
    if parameters.starfinder != "segmentation":
        # Of the brightest of the image that are kept, those that are put in at once would take the place.
        parameters = replace(parameters, brightest=None)
    sources, _ = find_sources(data, None, not_observed(image.wht, image.err), parameters, image.background)
    kept = np.isfinite(sources.x) & np.isfinite(sources.y) & ~(sources.flux < image.least_flux)
    x, y, place = sources.x[kept], sources.y[kept], injected.place
    near = max(NEAR, math.hypot(apertures.radii[1], size))
    nearest = nearest_within(np.column_stack([x, y]), place, near)
    there = np.flatnonzero(nearest >= 0)
    at = x[nearest[there]], y[nearest[there]]
    around = measure_surroundings(data, None, *at, apertures, parameters.kernel_fwhm)
    radius = apertures.radii[-1]
    flux = np.full(len(place), np.nan)
    net = net_flux(around.flux[-1], around.background, image.sci.shape, *at, radius)
    flux[there] = net * apertures.corrections[-1]
    beside = nearest_within(image.sources, place, near) >= 0
    found = (nearest >= 0) & (~beside | (flux < MOST_FLUX * injected.flux))
    with np.errstate(divide="ignore", invalid="ignore"):
        measured = image.zero_point - 2.5 * np.log10(np.where(found & (flux > 0), flux, np.nan))
    return found, measured


def _exposures(image: SearchedImage, places: np.ndarray) -> np.ndarray:
    return np.zeros(len(places), int) if image.exposures is None else values_at(image.exposures, places, 0)


def nearest_within(positions: np.ndarray, places: np.ndarray, distance: float) -> np.ndarray:
    """Return the index of the nearest position to each place; -1 if none is within a distance.

    Parameters
    ----------
    positions, places : float array, shape (n, 2) and (m, 2)
        Finite.
    distance : float

    Returns
    -------
    int array, shape (m,)
    """
    from scipy.spatial import KDTree

    if not len(positions):
        return np.full(len(places), -1)
    _, index = KDTree(positions).query(places, distance_upper_bound=distance)
    return np.where(index < len(positions), index, -1)


def values_at(plane: Plane, places: np.ndarray, otherwise: int | bool) -> np.ndarray:
    """Return the values of the pixels at places, of which no more than a band of rows is read at a time.

    Parameters
    ----------
    plane : array or Plane, shape (ny, nx)
    places : float array, shape (n, 2)
        x and y within the image, pixels from 0.
    otherwise : int or bool
        A value, whose type is that of the values.
    """
    x, y = np.rint(places).astype(int).T
    found = np.full(len(places), otherwise)
    for rows in bands(plane.shape[0]):
        here = np.flatnonzero((y >= rows.start) & (y < rows.stop))
        if len(here):
            found[here] = plane[rows][y[here] - rows.start, x[here]]
    return found


def magnitudes_about_limit(image: SearchedImage, stamp: np.ndarray) -> tuple[float, float]:
    """Return magnitudes between which sources of a kind begin to be lost, and are lost.

    Without noise of its own, a source is found if as many pixels of it are above the threshold as it must have.

    Parameters
    ----------
    image : SearchedImage
    stamp : float array, shape (m, m)
        Of such a source, of flux 1.
    """
    parameters = image.parameters
    unused = not_observed(image.wht, image.err)
    every = max(1, int(math.sqrt(math.prod(image.sci.shape) / 1e6)))
    values = np.concatenate(
        [
            image.background.rms(rows)[::every, ::every][~unused[rows][::every, ::every]]
            for rows in bands(image.sci.shape[0])
        ]
    )
    values = values[values > 0]
    quiet, noisy = np.percentile(values, [QUIET, NOISY]) if len(values) else (1.0, 1.0)
    needed = min(parameters.npixels if parameters.starfinder == "segmentation" else 1, stamp.size)
    wide = np.pad(stamp, math.ceil(2 * parameters.kernel_fwhm))
    height = np.sort(smooth(wide, np.zeros(wide.shape, bool), parameters.kernel_fwhm), axis=None)[-needed]
    height = max(float(height), 1e-6 * float(stamp.max()))
    bright, faint = (
        image.zero_point - 2.5 * math.log10(parameters.snr_threshold * rms / height) for rms in (noisy, quiet)
    )
    return bright - BRIGHTER, faint + FAINTER
