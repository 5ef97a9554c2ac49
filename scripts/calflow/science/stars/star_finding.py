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

from calflow.science.sky.background_map import NoBackground, background_map
from calflow.science.sources.segmentation import MULTITHRESH_MODES, detect_sources
from calflow.science.stars.centroids import refine as refine_centroids

STAR_FINDERS = ("iraf", "dao", "segmentation")
CONNECTIVITIES = (4, 8)
APERMASK_METHODS = ("correct", "mask", "none")
DEFAULT_KRON_PARAMS = (2.5, 1.4, 0.0)
# Pixels; a maximum must exceed at least the pixels around it.
MIN_SEPARATION = 2
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


@dataclass(frozen=True, kw_only=True)
class StarFinding:
    """What counts as a star.

    Attributes
    ----------
    starfinder : {"iraf", "dao", "segmentation"}
        The limits of sharpness and roundness below suit `iraf`; `dao` defines both in another way
        (0.2 to 1, -1 to 1 are usual).
    snr_threshold : float
        Threshold of the convolved image in units of the noise of the background.
    kernel_fwhm : float
        Full width at half maximum of the Gaussian the image is convolved with, pixels.
    bkg_boxsize : int
        Side of the boxes of the background, pixels.
    minsep_fwhm : float
        Least distance of two stars in units of `kernel_fwhm`; it is 2 pixels at least. Not for
        `segmentation`, as all until `peakmax`.
    sigma_radius : float
        Radius at which the Gaussian ends, in standard deviations.
    sharplo, sharphi, roundlo, roundhi : float
        Limits of sharpness and roundness; a star may lie on them.
    brightest : int or None
        Only so many stars are kept, sorted by flux; None: all, in the order of the rows.
    peakmax : float or None
        Stars with a higher pixel are dropped, such as saturated ones; units of the image.
    npixels, connectivity, deblend, nlevels, contrast, multithresh_mode
        Of `segmentation` only: see `steps.segmentation.detect_sources`.
    localbkg_width : int
        Width of the annulus round each source, pixels, whose background is taken from its flux;
        0: none. Of `segmentation` only, as the following.
    apermask_method : {"correct", "mask", "none"}
        What is done about neighbours in that annulus.
    kron_params : two or three floats, or None
        Of the Kron apertures; None: 2.5, 1.4, 0. They change neither positions nor fluxes here.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    """

    starfinder: str = "iraf"
    snr_threshold: float = 10.0
    kernel_fwhm: float = 2.5
    bkg_boxsize: int = 400
    minsep_fwhm: float = 0.0
    sigma_radius: float = 1.5
    sharplo: float = 0.5
    sharphi: float = 2.0
    roundlo: float = 0.0
    roundhi: float = 0.2
    brightest: int | None = 200
    peakmax: float | None = None
    npixels: int = 10
    connectivity: int = 8
    nlevels: int = 32
    contrast: float = 0.001
    multithresh_mode: str = "exponential"
    localbkg_width: int = 0
    apermask_method: str = "correct"
    kron_params: tuple[float, ...] | None = None
    deblend: bool = True

    def __post_init__(self):
        _check_choice("starfinder", self.starfinder, STAR_FINDERS)
        _check_choice("connectivity", self.connectivity, CONNECTIVITIES)
        _check_choice("multithresh_mode", self.multithresh_mode, MULTITHRESH_MODES)
        _check_choice("apermask_method", self.apermask_method, APERMASK_METHODS)
        for name in ("snr_threshold", "kernel_fwhm", "sigma_radius"):
            _check_positive(name, getattr(self, name))
        for name in ("bkg_boxsize", "npixels", "nlevels"):
            _check_count(name, getattr(self, name))
        if self.brightest is not None:
            _check_count("brightest", self.brightest)
        if self.peakmax is not None:
            _check_positive("peakmax", self.peakmax)
        for name in ("minsep_fwhm", "localbkg_width"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 or larger")
        if not 0 <= self.contrast <= 1:
            raise ValueError(f"contrast is {self.contrast}; it must lie between 0 and 1")
        for low, high in (("sharplo", "sharphi"), ("roundlo", "roundhi")):
            if not getattr(self, low) <= getattr(self, high):
                raise ValueError(
                    f"{low} is {getattr(self, low)} and {high} is {getattr(self, high)}; "
                    f"{high} must not be smaller, or no star passes"
                )
        if self.kron_params is not None and len(self.kron_params) not in (2, 3):
            raise ValueError(f"kron_params are {self.kron_params}; they must be two or three numbers")

    @property
    def min_separation(self) -> int:
        """Least distance of two stars, pixels."""
        return max(MIN_SEPARATION, int(self.minsep_fwhm * self.kernel_fwhm + 0.5))


def find_stars(
    data: np.ndarray,
    mask: np.ndarray,
    *,
    bounds: tuple[tuple[float, float], tuple[float, float]] | None = None,
    refine: bool = False,
    **parameters,
) -> StarList:
    """Find the stars of an image.

    The background is subtracted first (`steps.background_map.background_map`).

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
        them (`steps.centroids`). False: as jwst.
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
    threshold = wanted.snr_threshold * background.rms
    if wanted.starfinder == "segmentation":
        stars = _find_segments(data, threshold, mask, wanted)
    else:
        # jwst takes the masked pixels along, as 0: with half of them masked its threshold is 0.
        stars = _find_peaks(data, float(np.median(threshold[~mask])), mask, wanted)
    if refine:
        stars = _refined(stars, data, mask, wanted.kernel_fwhm, float(np.median(background.rms[~mask])))
    return stars if bounds is None else _between(stars, bounds)


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
    with _quiet():
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


def _check_choice(name: str, value, allowed: tuple) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(str, allowed))}")


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} is {value!r}; it must be an integer of 1 or more")


def _check_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} is {value}; it must be larger than 0")
