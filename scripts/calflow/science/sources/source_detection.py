"""The sources of a combined image: where they are, and what their own pixels tell."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields, replace

import numpy as np

from calflow.science.bands import Computed, Plane, bands, whole
from calflow.science.sky.background_map import Background, NoBackground, measure_background
from calflow.science.sources.catalog_parameters import CatalogParameters
from calflow.science.sources.segmentation import smoothed, taken_apart
from calflow.science.sources.segments import Rows, Segments, origin
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
    data: Plane, error: Plane | None, mask: Plane, parameters: CatalogParameters, background: Background | None = None
) -> tuple[Sources, Segments | None]:
    """Find the sources of an image.

    Parameters
    ----------
    data : float array or Plane, shape (ny, nx)
        The image with its background. NaN: no value.
    error : float array or Plane, shape (ny, nx), or None
        1-sigma errors.
    mask : bool array or Plane, shape (ny, nx)
        True: nothing was observed.
    parameters : CatalogParameters
        Here `peakmax` is in the unit of `data`.
    background : Background or None
        What is subtracted, and the noise of which the threshold is a multiple; None: those of `data`, measured here.

    Returns
    -------
    sources : Sources
    segments : Segments, shape (ny, nx), or None
        Label of the source of each pixel, 0 for none; None if the star finder knows no pixels of
        sources.
    """
    by_segments = parameters.starfinder == "segmentation"
    try:
        if background is None:
            background = measure_background(data, None, parameters.bkg_boxsize, coverage_mask=mask)
    except NoBackground:
        return none_found(), Segments(data.shape) if by_segments else None

    def subtract(rows):
        values = np.array(data[rows])
        values -= background.level(rows)
        return values

    def threshold(rows):
        return parameters.snr_threshold * background.rms(rows)

    subtracted = Computed(data.shape, subtract)
    if by_segments:
        return _find_segments(subtracted, threshold, error, mask, parameters)
    # Where nothing was observed the noise is 0. jwst takes that along: with large gaps its threshold is 0.
    observed = [threshold(rows)[~mask[rows]] for rows in bands(data.shape[0])]
    median = float(np.median(np.concatenate(observed)))
    return _find_stars(whole(subtracted), median, whole(mask), parameters), None


def none_found() -> Sources:
    """Return no sources."""
    return _only_positions(*np.empty((4, 0)))


def _find_segments(subtracted, threshold, error, mask, parameters) -> tuple[Sources, Segments]:
    """Find sources as connected pixels, band by band; each is measured when all of its rows are there."""
    ny, nx = subtracted.shape
    convolved = smoothed(subtracted, mask, parameters.kernel_fwhm)
    limit = Computed((ny, nx), threshold)

    def read(band):
        # Smoothing reads rows of the band before, which are dropped when this band is read by itself.
        smooth = convolved[band]
        planes = {"data": subtracted[band], "convolved": smooth, "mask": mask[band]}
        with np.errstate(invalid="ignore"):  # of NaN
            planes["above"] = (planes["convolved"] > limit[band]) & ~planes["mask"]
        return planes if error is None else planes | {"error": error[band]}

    segments, found = Segments((ny, nx)), [none_found()]
    first, apart = [np.empty(0, np.int64)], [np.empty(0, bool)]
    rows, n_found = None, 0
    for band in bands(ny) if parameters.works_in_bands else [slice(0, ny)]:
        rows = Rows(0, read(band)) if rows is None else rows.followed_by(read(band))
        labels = rows.take_whole(parameters.npixels, parameters.connectivity, band.stop == ny)
        if labels.any():
            parts, sources = _measured(rows, labels, parameters)
            rows.number(parts, n_found)
            pixel, is_part = origin(labels, parts)
            first.append(pixel + rows.start * nx)
            apart.append(is_part)
            found.append(sources)
            n_found += len(sources)
        segments.append(rows.drop_finished())
    # As photutils has them that finds all at once: those that were taken apart come last.
    order = np.lexsort((np.concatenate(first), np.concatenate(apart)))
    labels = np.arange(1, n_found + 1)
    names = np.zeros(n_found + 1, np.uint32)
    names[order + 1] = labels
    segments.name(names)
    columns = {
        name.name: np.concatenate([getattr(part, name.name) for part in found])[order] for name in fields(Sources)
    }
    return Sources(**columns | {"label": labels}), segments


def _measured(rows, labels, parameters) -> tuple[np.ndarray, Sources]:
    """Return sources, the overlapping ones taken apart, as labels and measured."""
    from photutils.segmentation import SegmentationImage, SourceCatalog

    found = SegmentationImage(labels)
    if parameters.deblend:
        found = taken_apart(
            rows["convolved"],
            found,
            npixels=parameters.npixels,
            connectivity=parameters.connectivity,
            nlevels=parameters.nlevels,
            contrast=parameters.contrast,
            multithresh_mode=parameters.multithresh_mode,
        )
    measured = SourceCatalog(
        rows["data"],
        found,
        convolved_data=rows["convolved"],
        error=rows["error"],
        mask=rows["mask"],
        local_bkg_width=parameters.localbkg_width,
        aperture_mask_method=parameters.apermask_method,
        kron_params=parameters.kron_params or DEFAULT_KRON_PARAMS,
    )

    def column(name):
        values = getattr(measured, name)
        return np.atleast_1d(getattr(values, "value", values)).astype(np.float64)

    places = [(slice(y.start + rows.start, y.stop + rows.start), x) for y, x in found.slices]
    x, y = (np.reshape(measured.cutout_centroid, (-1, 2)) + [(x.start, y.start) for y, x in places]).T
    orientation = column("orientation")
    sources = Sources(
        label=found.labels,
        x=x,
        y=y,
        flux=column("segment_flux"),
        flux_error=column("segment_flux_err"),
        area=column("area"),
        semimajor=column("semimajor_axis"),
        semiminor=column("semiminor_axis"),
        ellipticity=column("ellipticity"),
        # photutils 3.0 (as jwst) gives 0 to 360, 3.1 gives -90 to 90.
        orientation=np.where(orientation < 0, orientation + 360, orientation),
        box=np.array([(x.start - 0.5, x.stop + 0.5, y.start - 0.5, y.stop + 0.5) for y, x in places]),
    )
    return found.data, sources


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
