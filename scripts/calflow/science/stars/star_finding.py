"""Find the stars of an image that is to be aligned.

The finders are those of `photutils`: IRAF's starfind (`iraf`), DAOFIND (`dao`; Stetson 1987, PASP
99, 191) and connected pixels above the noise (`segmentation`), with the thresholds of the JWST
pipeline's tweakreg step (jwst 3.0.0).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from calflow.patches import convolved_before
from calflow.science.sky.background_map import NoBackground, background_map
from calflow.science.sources.segmentation import detect_sources
from calflow.science.stars.centroids import refine as refine_centroids
from calflow.science.stars.finding_parameters import StarFinding

DEFAULT_KRON_PARAMS = (2.5, 1.4, 0.0)
# What is left of a refined position's error however bright the star is (undersampling, neighbours), pixels.
LEAST_ERROR = 0.02


@dataclass(frozen=True, eq=False)
class StarList:
    """Stars in the order in which the finder gives them; their ids are 1, 2, ...

    Attributes
    ----------
    x, y : float64 array, shape (n,)
        Centroids in pixels; the centre of the first pixel is 0, 0.
    flux : float64 array, shape (n,)
        Flux, in units of the image summed over pixels. Good for sorting, not for photometry.
    weight : float64 array, shape (n,), or None
        Weight of the position, inverse to its variance: 1 for a bright star. None: not known.
    """

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of stars."""
        return len(self.x)


def find_stars(
    data: np.ndarray,
    mask: np.ndarray,
    *,
    bounds: tuple[tuple[float, float], tuple[float, float]] | None = None,
    refine: bool = False,
    **parameters,
) -> StarList:
    """Find the stars of an image.

    The background is subtracted first (`science.sky.background_map.background_map`).

    Parameters
    ----------
    data : float32 array, shape (ny, nx)
        The image. NaN: no value.
    mask : bool array, shape (ny, nx)
        True: no star is looked for there, and the pixel tells nothing about the background.
    bounds : ((xmin, xmax), (ymin, ymax)) or None
        Stars that are not between these limits, in pixels, are dropped; those on a limit too.
    refine : bool
        Replace the finder's centroids by windowed ones, which are several times better, and weigh
        them (`science.stars.centroids`). False: as jwst.
    **parameters
        As in `StarFinding`.

    Returns
    -------
    StarList
        Without stars for an image that has none, or no background since all of it is masked.

    Raises
    ------
    ValueError
        If the arrays are not of one two-dimensional shape, or a parameter is out of its range.
    """
    wanted = StarFinding(**parameters)
    if data.ndim != 2 or mask.shape != data.shape:
        raise ValueError(f"data and mask must have one shape (ny, nx), not {data.shape} and {mask.shape}")
    mask = mask | ~np.isfinite(data)
    try:
        background = background_map(data, mask, wanted.bkg_boxsize)
    except NoBackground:
        return _stars([], [], [])
    data = data - background.background
    noise = _middle_two(background.rms[~mask])
    if wanted.starfinder == "segmentation":
        stars = _find_segments(data, wanted.snr_threshold * background.rms, mask, wanted)
    else:
        # jwst takes the masked pixels along, as 0: with half of them masked its threshold is 0.
        stars = _find_peaks(data, float(np.mean(wanted.snr_threshold * noise)), mask, wanted)
    if refine:
        stars = _refined(stars, data, mask, wanted.kernel_fwhm, float(np.mean(noise)))
    return stars if bounds is None else _between(stars, bounds)


def _middle_two(values: np.ndarray) -> np.ndarray:
    """Return the values in the middle, of which the median is the mean; of an odd number the same one twice."""
    ranks = [(len(values) - 1) // 2, len(values) // 2]
    return np.partition(values, ranks)[ranks]


def _refined(stars: StarList, data: np.ndarray, mask: np.ndarray, fwhm: float, noise: float) -> StarList:
    better = refine_centroids(data, mask, stars.x, stars.y, fwhm, noise)
    weight = LEAST_ERROR**2 / (LEAST_ERROR**2 + better.error**2)
    return replace(stars, x=better.x, y=better.y, weight=weight)


def _find_peaks(data: np.ndarray, threshold: float, mask: np.ndarray, wanted: StarFinding) -> StarList:
    """Find stars with IRAFStarFinder or DAOStarFinder of photutils.

    photutils looks for all maxima of the image, those of the noise included, before it applies the
    threshold, which takes most of its time. Here only pixels above the threshold are looked at,
    and the maxima are given to photutils, which measures them.
    """
    from photutils.detection import DAOStarFinder, IRAFStarFinder
    from scipy.ndimage import convolve

    def finder(**more):
        kind = IRAFStarFinder if wanted.starfinder == "iraf" else DAOStarFinder
        return kind(
            threshold=threshold,
            fwhm=wanted.kernel_fwhm,
            sigma_radius=wanted.sigma_radius,
            sharpness_range=(wanted.sharplo, wanted.sharphi),
            roundness_range=(wanted.roundlo, wanted.roundhi),
            n_brightest=wanted.brightest,
            peak_max=wanted.peakmax,
            min_separation=wanted.min_separation,
            **more,
        )

    model = finder()
    convolved = convolve(data, model.kernel.data, mode="constant", cval=0.0)
    # DAOFIND's threshold is that of the data; its noise in the convolved image is another.
    lowest = threshold if wanted.starfinder == "iraf" else model.threshold_eff
    peaks = _peaks(convolved, lowest, mask, wanted.min_separation)
    if not len(peaks):
        return _stars([], [], [])
    with _quiet(), convolved_before(model, convolved):
        table = finder(xycoords=peaks)(data, mask=mask)
    if table is None:
        return _stars([], [], [])
    return _stars(table["x_centroid"], table["y_centroid"], table["flux"])


def _peaks(image: np.ndarray, threshold: float, mask: np.ndarray, separation: int) -> np.ndarray:
    """Return the pixels above a threshold that none within a distance exceeds.

    Parameters
    ----------
    image : float array, shape (ny, nx)
        NaN exceeds nothing and is no peak.
    threshold : float
        0 or larger: outside of the image are zeros.
    mask : bool array, shape (ny, nx)
        True: not a peak, but it may exceed its neighbours.
    separation : int
        The distance in pixels. Of equal pixels, all are peaks.

    Returns
    -------
    int array, shape (n, 2)
        x and y, sorted by y, then x.
    """
    padded = np.pad(image, separation)
    width = padded.shape[1]
    values = padded.ravel()
    rows, columns = np.nonzero((image > threshold) & ~mask)
    at = (rows + separation) * width + columns + separation
    for dy, dx in _offsets(separation):
        at = at[~(values[at + dy * width + dx] > values[at])]
    rows, columns = np.divmod(at, width)
    return np.column_stack([columns, rows]) - separation


def _offsets(separation: int) -> np.ndarray:
    """Return the steps (dy, dx) to all pixels within a distance, the nearest first."""
    steps = np.mgrid[-separation : separation + 1, -separation : separation + 1].reshape(2, -1).T
    distance = np.hypot(*steps.T)
    near = np.flatnonzero((distance > 0) & (distance <= separation))
    return steps[near[np.argsort(distance[near], kind="stable")]]


def _find_segments(data: np.ndarray, threshold: np.ndarray, mask: np.ndarray, wanted: StarFinding) -> StarList:
    from photutils.segmentation import SourceCatalog

    segments, convolved = detect_sources(
        data,
        threshold,
        mask,
        kernel_fwhm=wanted.kernel_fwhm,
        npixels=wanted.npixels,
        connectivity=wanted.connectivity,
        deblend=wanted.deblend,
        nlevels=wanted.nlevels,
        contrast=wanted.contrast,
        multithresh_mode=wanted.multithresh_mode,
    )
    if segments is None:
        return _stars([], [], [])
    with _quiet():
        catalog = SourceCatalog(
            data,
            segments,
            convolved_data=convolved,
            mask=mask,
            local_bkg_width=wanted.localbkg_width,
            aperture_mask_method=wanted.apermask_method,
            kron_params=wanted.kron_params or DEFAULT_KRON_PARAMS,
        )
        return _stars(catalog.x_centroid, catalog.y_centroid, catalog.segment_flux)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the warnings of photutils about what it drops: no star left, none of finite shape."""
    from photutils.utils.exceptions import NoDetectionsWarning

    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        yield


def _stars(x, y, flux) -> StarList:
    return StarList(*(np.asarray(column, np.float64) for column in (x, y, flux)))


def _between(stars: StarList, bounds: tuple[tuple[float, float], tuple[float, float]]) -> StarList:
    (xmin, xmax), (ymin, ymax) = bounds
    kept = (stars.x > xmin) & (stars.x < xmax) & (stars.y > ymin) & (stars.y < ymax)
    weight = None if stars.weight is None else stars.weight[kept]
    return StarList(stars.x[kept], stars.y[kept], stars.flux[kept], weight)
