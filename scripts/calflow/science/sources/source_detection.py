"""The sources of a combined image: where they are, and what their own pixels tell."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from calflow.science.bands import Plane, bands, whole
from calflow.science.sky.background_map import NoBackground, measure_background
from calflow.science.sources.catalog_parameters import CatalogParameters
from calflow.science.sources.segmentation import detect_sources
from calflow.science.stars.star_finding import DEFAULT_KRON_PARAMS


@dataclass(frozen=True, eq=False)
class Sources:
    """Sources, float64 arrays of shape (n,) unless said; NaN for what a star finder does not measure.

    Attributes
    ----------
    label : int array
        1, 2, ...
    x, y : float64 array
        Centroids, pixels from 0.
    flux, flux_error : float64 array
        Flux of the pixels of the source, or that of the star finder, in the unit of the image.
    area : float64 array
        Number of pixels.
    semimajor, semiminor : float64 array
        Standard deviations along the axes, pixels.
    ellipticity : float64 array
        1 minus the ratio of the axes.
    orientation : float64 array
        Angle of the major axis from the x axis, counter-clockwise, degrees, from 0 to 360.
    box : float64 array, shape (n, 4)
        Lower and upper edge in x, lower and upper edge in y of the pixels. As in photutils 3.0.0
        (and so in jwst), the upper edges lie one pixel further out than those of the last pixels.
    """

    label: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    flux_error: np.ndarray
    area: np.ndarray
    semimajor: np.ndarray
    semiminor: np.ndarray
    ellipticity: np.ndarray
    orientation: np.ndarray
    box: np.ndarray

    def __len__(self) -> int:
        """Return the number of sources."""
        return len(self.label)


def find_sources(
    data: Plane, error: Plane | None, mask: np.ndarray, parameters: CatalogParameters
) -> tuple[Sources, np.ndarray | None]:
    """Find the sources of an image.

    Parameters
    ----------
    data : float array or Plane, shape (ny, nx)
        The image with its background. NaN: no value.
    error : float array or Plane, shape (ny, nx), or None
        1-sigma errors.
    mask : bool array, shape (ny, nx)
        True: nothing was observed.
    parameters : CatalogParameters
        Here `peakmax` is in the unit of `data`.

    Returns
    -------
    sources : Sources
    segments : uint32 array, shape (ny, nx), or None
        Label of the source of each pixel, 0 for none; None if the star finder knows no pixels of
        sources.
    """
    segments = np.zeros(data.shape, np.uint32) if parameters.starfinder == "segmentation" else None
    subtracted = whole(data)
    try:
        background = measure_background(subtracted, None, parameters.bkg_boxsize, coverage_mask=mask)
    except NoBackground:
        return none_found(), segments
    for rows in bands(len(subtracted)):
        subtracted[rows] -= background.level(rows)

    def threshold(rows):
        return parameters.snr_threshold * background.rms(rows)

    if segments is None:
        # Where nothing was observed the noise is 0. jwst takes that along: with large gaps its threshold is 0.
        observed = [threshold(rows)[~mask[rows]] for rows in bands(len(mask))]
        return _find_stars(subtracted, float(np.median(np.concatenate(observed))), mask, parameters), None
    found, convolved = detect_sources(
        subtracted,
        threshold,
        mask,
        kernel_fwhm=parameters.kernel_fwhm,
        npixels=parameters.npixels,
        connectivity=parameters.connectivity,
        deblend=parameters.deblend,
        nlevels=parameters.nlevels,
        contrast=parameters.contrast,
        multithresh_mode=parameters.multithresh_mode,
    )
    if found is None:
        return none_found(), segments
    sources = _measure_segments(found, subtracted, convolved, error, mask, parameters)
    return sources, found.data.astype(np.uint32)


def none_found() -> Sources:
    """Return no sources."""
    return _only_positions(*np.empty((4, 0)))


def _measure_segments(found, subtracted, convolved, error, mask, parameters) -> Sources:
    from photutils.segmentation import SourceCatalog

    measured = SourceCatalog(
        subtracted,
        found,
        convolved_data=convolved,
        error=None if error is None else whole(error),
        mask=mask,
        local_bkg_width=parameters.localbkg_width,
        aperture_mask_method=parameters.apermask_method,
        kron_params=parameters.kron_params or DEFAULT_KRON_PARAMS,
    )

    def column(name):
        values = getattr(measured, name)
        return np.atleast_1d(getattr(values, "value", values)).astype(np.float64)

    orientation = column("orientation")
    return Sources(
        label=found.labels,
        x=column("x_centroid"),
        y=column("y_centroid"),
        flux=column("segment_flux"),
        flux_error=column("segment_flux_err"),
        area=column("area"),
        semimajor=column("semimajor_axis"),
        semiminor=column("semiminor_axis"),
        ellipticity=column("ellipticity"),
        # photutils 3.0 (as jwst) gives 0 to 360, 3.1 gives -90 to 90.
        orientation=np.where(orientation < 0, orientation + 360, orientation),
        box=np.array([(x.start - 0.5, x.stop + 0.5, y.start - 0.5, y.stop + 0.5) for y, x in found.slices]),
    )


def _find_stars(subtracted, threshold, mask, parameters) -> Sources:
    from photutils.detection import DAOStarFinder, IRAFStarFinder
    from photutils.utils.exceptions import NoDetectionsWarning

    finder = (IRAFStarFinder if parameters.starfinder == "iraf" else DAOStarFinder)(
        threshold,
        parameters.kernel_fwhm,
        sigma_radius=parameters.sigma_radius,
        min_separation=parameters.min_separation,
        sharpness_range=(parameters.sharplo, parameters.sharphi),
        roundness_range=(parameters.roundlo, parameters.roundhi),
        n_brightest=parameters.brightest,
        peak_max=parameters.peakmax,
    )
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        stars = finder(subtracted, mask=mask)
    if stars is None:
        return none_found()
    sources = _only_positions(*(np.asarray(stars[name]) for name in ("id", "x_centroid", "y_centroid", "flux")))
    if "orientation" not in stars.colnames:
        return sources
    return replace(sources, orientation=np.asarray(stars["orientation"].value))


def _only_positions(label, x, y, flux) -> Sources:
    """Return sources of which only this is known."""
    nan = np.full(len(x), np.nan)
    return Sources(label.astype(int), x, y, flux, nan, nan, nan, nan, nan, nan, np.full((len(x), 4), np.nan))
