"""Draws stars and galaxies into an image, each on a stamp as small as its light allows."""

from functools import cache

import numpy as np
from astropy.table import Table
from scipy.optimize import nnls
from scipy.special import erf, gammaincinv

from calflow.simulation.geometry import Geometry
from calflow.simulation.instruments import Instrument

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
# Width of a pixel's own response, added to a galaxy's: a unit box has this variance.
PIXEL_VARIANCE = 1 / 12
# Stamps end where a Gaussian has fallen to 4e-6 of its peak.
STAMP_SIGMAS = 5.0


def psf_sigmas(instrument: Instrument) -> list[tuple[float, float]]:
    """Return the Gaussians of the point spread function: (part of the light, sigma in pixels).

    Parameters
    ----------
    instrument : Instrument
        With its telescope and filter.
    """
    core = instrument.fwhm / FWHM_PER_SIGMA
    return [(part, core * width) for part, width in instrument.psf]


def peak_fraction(instrument: Instrument) -> float:
    """Return the part of a star's light that falls into the pixel it is centred on.

    Parameters
    ----------
    instrument : Instrument
        With its telescope and filter.
    """
    return sum(part * erf(0.5 / (np.sqrt(2) * sigma)) ** 2 for part, sigma in psf_sigmas(instrument))


def render_sources(sources: Table, geometry: Geometry) -> np.ndarray:
    """Return the image of the sources in one exposure, without sky.

    A pixel's brightness is the light that reaches it over its area on the sky, so that the sum of
    brightness times pixel area is a source's flux wherever it lies on the detector.

    Parameters
    ----------
    sources : Table
        As `simulation.scene.make_sources` gives it.
    geometry : Geometry

    Returns
    -------
    float64 array, shape (ny, nx)
        MJy/sr.
    """
    instrument = geometry.optics.instrument
    image = np.zeros((geometry.window.ny, geometry.window.nx))
    x, y = geometry.to_pixel(sources["ra"].data, sources["dec"].data)
    scale = _sky_to_pixel_matrices(sources, geometry)
    for i in range(len(sources)):
        light = sources["flux"][i]
        if sources["type"][i] == "star":
            for part, sigma in psf_sigmas(instrument):
                _draw_star(image, part * light, x[i], y[i], sigma)
        else:
            for part, covariance in _galaxy_parts(sources[i], scale[i]):
                for psf_part, sigma in psf_sigmas(instrument):
                    wide = covariance + np.eye(2) * (sigma**2 + PIXEL_VARIANCE)
                    _draw_gaussian(image, part * psf_part * light, x[i], y[i], wide)
    image *= 1e-6 / instrument.pixel_area_sr
    image /= geometry.optics.relative_area(geometry.window)
    return image


def _sky_to_pixel_matrices(sources: Table, geometry: Geometry) -> np.ndarray:
    """Return the matrices from arcsec (east, north) at each source to pixels (x, y), shape (n, 2, 2)."""
    ra, dec = sources["ra"].data, sources["dec"].data
    step = 0.01 / 3600
    x, y = geometry.to_pixel(ra, dec)
    x_east, y_east = geometry.to_pixel(ra + step / np.cos(np.radians(dec)), dec)
    x_north, y_north = geometry.to_pixel(ra, dec + step)
    columns = np.array([[x_east - x, x_north - x], [y_east - y, y_north - y]]) / (step * 3600)
    return np.moveaxis(columns, -1, 0)


def _draw_star(image: np.ndarray, light: float, x: float, y: float, sigma: float) -> None:
    """Add a round Gaussian, integrated exactly over the pixels."""
    rows, columns = _stamp(image.shape, x, y, STAMP_SIGMAS * sigma, STAMP_SIGMAS * sigma)
    if rows is None:
        return
    profiles = []
    for part, centre in ((rows, y), (columns, x)):
        edges = np.arange(part.start, part.stop + 1) - 0.5 - centre
        profiles.append(np.diff(erf(edges / (np.sqrt(2) * sigma))) / 2)
    image[rows, columns] += light * np.outer(*profiles)


def _draw_gaussian(image: np.ndarray, light: float, x: float, y: float, covariance: np.ndarray) -> None:
    """Add an elliptical Gaussian, evaluated at the pixel centres."""
    reach_x, reach_y = STAMP_SIGMAS * np.sqrt(np.diag(covariance))
    rows, columns = _stamp(image.shape, x, y, reach_x, reach_y)
    if rows is None:
        return
    (a, b), (_, c) = np.linalg.inv(covariance)
    dx = np.arange(columns.start, columns.stop) - x
    dy = (np.arange(rows.start, rows.stop) - y)[:, None]
    # float32 is enough for the shape of one galaxy: its rounding is 1e-7 of the peak.
    exponent = ((-0.5 * a * dx * dx) + (-b * dy) * dx + (-0.5 * c * dy * dy)).astype(np.float32)
    image[rows, columns] += np.exp(exponent) * np.float32(light / (2 * np.pi * np.sqrt(np.linalg.det(covariance))))


def _stamp(shape, x: float, y: float, reach_x: float, reach_y: float):
    """Return the row and column slices within reach of a position, or (None, None) outside the image."""
    ny, nx = shape
    rows = slice(max(0, int(y - reach_y)), min(ny, int(y + reach_y) + 2))
    columns = slice(max(0, int(x - reach_x)), min(nx, int(x + reach_x) + 2))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None, None
    return rows, columns


def _galaxy_parts(source, scale: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Return a galaxy as Gaussians: (part of the light, covariance in pixels squared)."""
    angle = np.radians(source["position_angle"])
    major, minor = np.array([np.sin(angle), np.cos(angle)]), np.array([np.cos(angle), -np.sin(angle)])
    radius = source["radius"]
    shape = radius**2 * (np.outer(major, major) + source["axis_ratio"] ** 2 * np.outer(minor, minor))
    in_pixels = scale @ shape @ scale.T
    return [(part, sigma**2 * in_pixels) for part, sigma in sersic_gaussians(float(source["sersic_index"]))]


@cache
def sersic_gaussians(index: float) -> tuple[tuple[float, float], ...]:
    """Return a Sersic profile of half-light radius 1 as a sum of Gaussians, after Hogg & Lang (2013).

    Parameters
    ----------
    index : float
        The Sersic index.

    Returns
    -------
    tuple of (part of the light, sigma)
        The parts add up to 1. The profile ends smoothly at about eight half-light radii.
    """
    steepness = gammaincinv(2 * index, 0.5)
    radii = np.geomspace(0.02, 8.0, 200)
    profile = np.exp(-steepness * (radii ** (1 / index) - 1))
    sigmas = np.geomspace(0.05, 4.0, 9)
    # Weighted by radius: what counts is light, of which a ring has more than the centre.
    weight = np.sqrt(radii) / profile**0.5
    basis = np.exp(-0.5 * (radii[:, None] / sigmas) ** 2)
    amplitudes, _ = nnls(basis * weight[:, None], profile * weight)
    light = amplitudes * sigmas**2
    return tuple((float(part), float(sigma)) for part, sigma in zip(light / light.sum(), sigmas, strict=True) if part)
