"""Photometry of point sources: circular apertures, a local background from an annulus, magnitudes, concentration."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

# AB magnitude of a source of 1 Jy.
AB_ZERO_POINT = 8.9
CLIP_SIGMA = 3.0
CLIP_ITERATIONS = 5
# Annulus pixels clipped at a time, so that the memory needed does not grow with the number of sources.
BLOCK_PIXELS = 1_000_000


@dataclass(frozen=True)
class Apertures:
    """The three apertures of a catalogue, and the annulus of its local background.

    Attributes
    ----------
    ee : (int, int, int)
        Encircled energies, per cent, increasing.
    radii : (float, float, float)
        Their radii, pixels.
    corrections : (float, float, float)
        What the flux in each aperture is multiplied by to give the total of a point source.
    sky_inner, sky_outer : float
        Radii of the annulus, pixels.

    Raises
    ------
    ValueError
        If the encircled energies do not increase, or a radius is not positive.
    """

    ee: tuple[int, ...]
    radii: tuple[float, ...]
    corrections: tuple[float, ...]
    sky_inner: float
    sky_outer: float

    def __post_init__(self):
        check_encircled_energies(self.ee)
        if not (min(self.radii) > 0 and 0 < self.sky_inner < self.sky_outer):
            raise ValueError(
                f"the aperture radii are {self.radii}, the annulus {self.sky_inner} to {self.sky_outer}; "
                "all must be larger than 0 and the outer radius of the annulus the larger one"
            )

    def scaled(self, pixel_scale_ratio: float) -> Apertures:
        """Return the apertures in pixels that are larger by a factor.

        Parameters
        ----------
        pixel_scale_ratio : float
            New over old pixel scale.
        """
        return replace(
            self,
            radii=tuple(radius / pixel_scale_ratio for radius in self.radii),
            sky_inner=self.sky_inner / pixel_scale_ratio,
            sky_outer=self.sky_outer / pixel_scale_ratio,
        )


def check_encircled_energies(ee: tuple[int, ...]) -> None:
    """Refuse encircled energies that are not three increasing percentages.

    Parameters
    ----------
    ee : tuple of int
        Per cent.

    Raises
    ------
    ValueError
        If there are not three, or they are not integers between 1 and 99 that increase.
    """
    in_range = all(value == int(value) and 0 < value < 100 for value in ee)
    if len(ee) != 3 or not in_range or not ee[0] < ee[1] < ee[2]:
        raise ValueError(
            f"the encircled energies are {', '.join(map(str, ee))} per cent; "
            "they must be three integers between 1 and 99, each larger than the one before"
        )


def aperture_flux(
    data: np.ndarray, error: np.ndarray | None, x: np.ndarray, y: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Sum the pixels in circular apertures, partly covered ones in proportion to their area.

    Parameters
    ----------
    data : float array, shape (ny, nx)
        NaN in an aperture makes its flux NaN.
    error : float array, shape (ny, nx), or None
        1-sigma errors, independent from pixel to pixel.
    x, y : float array, shape (n,)
        Centres, pixels from 0.
    radius : float
        Pixels.

    Returns
    -------
    flux, flux_error : float64 array, shape (n,)
        In the unit of `data`; pixels outside of the image count as 0. The errors are NaN without
        `error`; both are NaN where the centre has no finite coordinates.
    """
    from photutils.aperture import CircularAperture

    flux, flux_error = np.full((2, len(x)), np.nan)
    finite = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if not len(finite):
        return flux, flux_error
    # Not by photutils' own function, which cuts out each aperture for each plane, and which squares the area that 3.0
    # (and jwst) multiplies a variance with since 3.1.
    for i, mask in zip(finite, CircularAperture(np.column_stack([x, y])[finite], radius).to_mask(), strict=True):
        there, part = mask.get_overlap_slices(data.shape)
        if there is None:  # all of it is outside
            continue
        area = mask.data[part]
        touched = area > 0
        with np.errstate(invalid="ignore"):  # of values that are not finite
            flux[i] = (data[there] * area)[touched].sum()
            if error is not None:
                flux_error[i] = np.sqrt((error[there] ** 2 * area)[touched].sum())
    return flux, flux_error


def part_on_image(shape: tuple[int, ...], x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Return which part of the area of circular apertures lies on an image.

    Parameters
    ----------
    shape : (ny, nx)
        Of the image, which reaches to the outer edges of its pixels.
    x, y : float array, shape (n,)
        Centres, pixels from 0.
    radius : float
        Pixels.

    Returns
    -------
    float64 array, shape (n,)
        From 0 to exactly 1; NaN where the centre has no finite coordinates.
    """
    from photutils.aperture import CircularAperture

    ny, nx = shape
    part = np.where(np.isfinite(x) & np.isfinite(y), 1.0, np.nan)
    crosses = (np.abs(x - (nx - 1) / 2) + radius > nx / 2) | (np.abs(y - (ny - 1) / 2) + radius > ny / 2)
    image = np.broadcast_to(0.0, shape)  # takes no memory
    for i in np.flatnonzero(crosses & np.isfinite(part)):
        aperture = CircularAperture((x[i], y[i]), radius)
        part[i] = np.nan_to_num(aperture.area_overlap(image)) / aperture.area
    return part


def net_flux(
    flux: np.ndarray, background: np.ndarray, shape: tuple[int, ...], x: np.ndarray, y: np.ndarray, radius: float
) -> np.ndarray:
    """Return the flux in circular apertures without the background of the part of them that lies on the image.

    Parameters
    ----------
    flux, background : float array, shape (n,)
        Sums of the apertures, and the background per pixel, in one unit.
    shape : (ny, nx)
        Of the image.
    x, y : float array, shape (n,)
        Centres, pixels from 0.
    radius : float
        Pixels.
    """
    return flux - background * np.pi * radius**2 * part_on_image(shape, x, y, radius)


def local_background(
    data: np.ndarray, x: np.ndarray, y: np.ndarray, inner: float, outer: float
) -> tuple[np.ndarray, np.ndarray]:
    """Measure the background around positions: the median in an annulus, clipped at 3 sigma.

    Parameters
    ----------
    data : float array, shape (ny, nx)
        NaN: no value.
    x, y : float array, shape (n,)
        Centres, pixels from 0.
    inner, outer : float
        Radii, pixels. A pixel counts if its centre lies between them.

    Returns
    -------
    background, background_error : float64 array, shape (n,)
        Per pixel, in the unit of `data`. The error is that of the median of N pixels with a
        standard deviation s, sqrt(pi / (2 N)) s. NaN where the annulus has no value.
    """
    reach = int(np.ceil(outer)) + 1
    offset_y, offset_x = (axis.ravel() for axis in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    median, error = np.full((2, len(x)), np.nan)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    for block in np.array_split(known, len(known) * offset_x.size // BLOCK_PIXELS + 1):
        median[block], error[block] = _annulus_median(data, x[block], y[block], inner, outer, offset_x, offset_y)
    return median, error


def ab_magnitude(flux: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert fluxes in Jy to AB magnitudes.

    Parameters
    ----------
    flux, error : float array, shape (n,)
        Fluxes and their 1-sigma errors, Jy.

    Returns
    -------
    magnitude, magnitude_error : float array
        -2.5 log10(flux) + 8.9 and 2.5 log10(1 + error / flux); NaN for a flux that is not positive.
    """
    positive = np.where(np.asarray(flux) > 0, flux, np.nan)
    return -2.5 * np.log10(positive) + AB_ZERO_POINT, 2.5 * np.log10(1 + error / positive)


def _annulus_median(data, x, y, inner, outer, offset_x, offset_y):
    from astropy.stats import sigma_clip

    ny, nx = data.shape
    column = np.rint(x).astype(int)[:, None] + offset_x
    row = np.rint(y).astype(int)[:, None] + offset_y
    distance = np.hypot(column - x[:, None], row - y[:, None])
    used = (distance > inner) & (distance < outer) & (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
    values = data[np.clip(row, 0, ny - 1), np.clip(column, 0, nx - 1)].astype(np.float64)
    used &= np.isfinite(values)
    values[~used] = 0
    values = sigma_clip(np.ma.array(values, mask=~used), sigma=CLIP_SIGMA, maxiters=CLIP_ITERATIONS, axis=1)
    number = values.count(axis=1)
    median = np.ma.median(values, axis=1).filled(np.nan)
    deviation = values.std(axis=1).filled(np.nan)
    return median, np.sqrt(np.pi / (2 * np.maximum(number, 1))) * deviation
