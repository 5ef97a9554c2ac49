"""What pixels around positions tell, whether they belong to the source or not: apertures, annuli, sharpness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calflow.science.bands import Plane, bands
from calflow.science.sources.aperture_photometry import Apertures, aperture_flux, local_background
from calflow.science.sources.sharpness import reach_of_kernel, sharpness_and_roundness


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What was measured around positions; NaN where one is not finite.

    Attributes
    ----------
    background, background_error : float64 array, shape (n,)
        As of `aperture_photometry.local_background`.
    flux, flux_error : float64 array, shape (number of apertures, n)
        As of `aperture_photometry.aperture_flux`.
    sharpness, roundness : float64 array, shape (n,)
        As of `sharpness.sharpness_and_roundness`.
    """

    background: np.ndarray
    background_error: np.ndarray
    flux: np.ndarray
    flux_error: np.ndarray
    sharpness: np.ndarray
    roundness: np.ndarray


def measure_surroundings(
    data: Plane, error: Plane | None, x: np.ndarray, y: np.ndarray, apertures: Apertures, kernel_fwhm: float
) -> Surroundings:
    """Measure the image around positions, band by band.

    Parameters
    ----------
    data : float array or Plane, shape (ny, nx)
        With its background. NaN: no value.
    error : float array or Plane, shape (ny, nx), or None
        1-sigma errors.
    x, y : float64 array, shape (n,)
        Pixels from 0.
    apertures : Apertures
        In pixels of the image.
    kernel_fwhm : float
        As of `sharpness.sharpness_and_roundness`.
    """
    found = Surroundings(*np.full((2, len(x)), np.nan), *np.full((2, 3, len(x)), np.nan), *np.full((2, len(x)), np.nan))
    n_rows = data.shape[0]
    # Two more: positions lie between pixels, and a pixel counts that an aperture touches.
    reach = int(np.ceil(max(*apertures.radii, apertures.sky_outer, reach_of_kernel(kernel_fwhm)))) + 2
    known = np.isfinite(x) & np.isfinite(y)
    nearest = np.clip(np.rint(np.where(known, y, 0)), 0, n_rows - 1)
    for band in bands(n_rows):
        here = np.flatnonzero(known & (nearest >= band.start) & (nearest < band.stop))
        if not len(here):
            continue
        rows = slice(max(band.start - reach, 0), min(band.stop + reach, n_rows))
        image = data[rows]
        at = x[here], y[here] - rows.start
        annulus = local_background(image, *at, apertures.sky_inner, apertures.sky_outer)
        found.background[here], found.background_error[here] = annulus
        found.sharpness[here], found.roundness[here] = sharpness_and_roundness(image, *at, kernel_fwhm)
        errors = None if error is None else error[rows]
        for number, radius in enumerate(apertures.radii):
            found.flux[number, here], found.flux_error[number, here] = aperture_flux(image, errors, *at, radius)
    return found
