"""Segmentation: sources as connected pixels above a threshold in a smoothed image, and overlapping ones taken apart.

Both the source catalogue and the star finder of this name use it.
"""

import math
import warnings
from typing import Any

import numpy as np

from calflow.science.bands import Computed, Plane, bands, whole
from calflow.science.parameters import check_values
from calflow.science.stars.finding_parameters import StarFinding

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))


def detect_sources(
    data: np.ndarray,
    threshold: np.ndarray | float,
    mask: np.ndarray,
    *,
    kernel_fwhm: float,
    npixels: int,
    connectivity: int = StarFinding.connectivity,
    deblend: bool = StarFinding.deblend,
    nlevels: int = StarFinding.nlevels,
    contrast: float = StarFinding.contrast,
    multithresh_mode: str = StarFinding.multithresh_mode,
) -> tuple[Any | None, np.ndarray]:
    """Find sources in a background-subtracted image.

    Parameters
    ----------
    data : float array, shape (ny, nx)
        The image, background subtracted. NaN: no value.
    threshold : float array, shape (ny, nx), or float
        What the smoothed image must exceed, in the unit of `data`.
    mask : bool array, shape (ny, nx)
        True: the pixel belongs to no source. Smoothing goes over it as over NaN.
    kernel_fwhm : float
        Full width at half maximum of the Gaussian the image is smoothed with, pixels.
    npixels : int
        Smallest number of connected pixels of a source.
    connectivity : {4, 8}
        Whether pixels connect along edges only, or at corners too.
    deblend : bool
        Take overlapping sources apart by multi-thresholding and watershed.
    nlevels : int
        Number of levels of deblending.
    contrast : float, 0 to 1
        Fraction of the flux of the whole that a peak must have to become a source of its own.
    multithresh_mode : {"exponential", "linear", "sinh"}
        Spacing of the levels.

    Returns
    -------
    segments : photutils.segmentation.SegmentationImage or None
        Labels 1, 2, ... per pixel, 0 for none; None without any source.
    convolved : array, shape (ny, nx), dtype of `data`
        The smoothed image, masked pixels interpolated; NaN where the kernel covers no value.

    Raises
    ------
    ValueError
        If the shapes differ or an option is out of its range.
    """
    if not data.shape == mask.shape == np.broadcast_shapes(np.shape(threshold), data.shape) or data.ndim != 2:
        shapes = f"{data.shape}, {np.shape(threshold)} and {mask.shape}"
        raise ValueError(f"data, threshold and mask must have one shape (ny, nx), not {shapes}")
    check_values(StarFinding, multithresh_mode=multithresh_mode)
    from photutils.segmentation import detect_sources as label_sources
    from photutils.utils.exceptions import NoDetectionsWarning

    convolved = smooth(data, mask, kernel_fwhm)
    if mask.all():  # photutils refuses it
        return None, convolved
    with np.errstate(invalid="ignore"):  # of NaN
        above = (convolved > threshold) & ~mask
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        segments = label_sources(above.view(np.uint8), 0.5, npixels, connectivity=connectivity)
    if segments is not None and deblend:
        segments = taken_apart(
            convolved,
            segments,
            npixels=npixels,
            connectivity=connectivity,
            nlevels=nlevels,
            contrast=contrast,
            multithresh_mode=multithresh_mode,
        )
    return segments, convolved


def taken_apart(
    convolved: np.ndarray,
    segments: Any,
    *,
    npixels: int,
    connectivity: int,
    nlevels: int,
    contrast: float,
    multithresh_mode: str,
) -> Any:
    """Take overlapping sources apart by multi-thresholding and watershed.

    Parameters
    ----------
    convolved : float array, shape (ny, nx)
        The smoothed image.
    segments : photutils.segmentation.SegmentationImage
        Sources; it is not changed.
    npixels, connectivity, nlevels, contrast, multithresh_mode
        As of `detect_sources`.

    Returns
    -------
    photutils.segmentation.SegmentationImage
        First the sources that stay as they are, then the parts of the others, in the order of the labels.
    """
    from photutils.segmentation import deblend_sources

    # Most have one peak, and looking at each of the levels takes twice as long as all else that a catalogue needs.
    labels = np.flatnonzero(_have_peaks(convolved, segments.data, connectivity))
    if not len(labels):
        return segments.copy()
    with warnings.catch_warnings():
        # photutils 3.0 shows progress unless it is told not to; 3.1 never does, and says that there is no need to.
        warnings.filterwarnings("ignore", "'progress_bar' was deprecated")
        return deblend_sources(
            convolved,
            segments,
            npixels,
            labels=labels,
            n_levels=nlevels,
            contrast=contrast,
            mode=multithresh_mode,
            connectivity=connectivity,
            progress_bar=False,
        )


def _have_peaks(convolved: np.ndarray, labels: np.ndarray, connectivity: int) -> np.ndarray:
    """Tell of each label, from 0 on, whether two or more pixels of the source have no brighter neighbour in it.

    Parts that are separate at some level have such a pixel each, so that all others stay whole.
    """
    from scipy.ndimage import generate_binary_structure, maximum_filter

    of_sources = labels > 0
    values = np.where(of_sources, convolved, -np.inf)
    # With 4 neighbours, sources may touch at corners, but not along edges.
    neighbours = generate_binary_structure(2, 2 if connectivity == 8 else 1)
    peaks = of_sources & (maximum_filter(values, footprint=neighbours) == values)
    return np.bincount(labels[peaks], minlength=int(labels.max()) + 1) > 1


def smooth(data: np.ndarray, mask: np.ndarray, kernel_fwhm: float) -> np.ndarray:
    """Convolve an image with a Gaussian, without its masked pixels; see `smoothed`.

    Parameters
    ----------
    data : float array, shape (ny, nx)
        NaN: no value.
    mask : bool array, shape (ny, nx)
        True: the pixel does not count.
    kernel_fwhm : float
        Full width at half maximum, pixels.
    """
    return whole(smoothed(data, mask, kernel_fwhm))


def smoothed(data: Plane, mask: Plane, kernel_fwhm: float) -> Plane:
    """Return an image convolved with a Gaussian, without its masked pixels.

    Parameters
    ----------
    data : float array or Plane, shape (ny, nx)
        NaN: no value.
    mask : bool array or Plane, shape (ny, nx)
        True: the pixel does not count.
    kernel_fwhm : float
        Full width at half maximum, pixels.

    Returns
    -------
    Plane, shape (ny, nx), dtype of `data`
        The weighted mean of the pixels that count, also at those that do not; NaN where the
        kernel covers none. Outside of the image are zeros.

    Raises
    ------
    ValueError
        If the width is not positive.
    """
    if not kernel_fwhm > 0:
        raise ValueError(f"kernel_fwhm is {kernel_fwhm}; it must be larger than 0")
    from astropy.convolution import Gaussian2DKernel, convolve
    from astropy.utils.exceptions import AstropyUserWarning

    n_rows = data.shape[0]
    kernel = Gaussian2DKernel(kernel_fwhm / FWHM_PER_SIGMA)
    margin = kernel.shape[0] // 2 + 1
    missing = any(mask[rows].any() or np.isnan(data[rows]).any() for rows in bands(n_rows))

    def convolved(rows: slice) -> np.ndarray:
        around = slice(max(rows.start - margin, 0), min(rows.stop + margin, n_rows))
        values, unused = data[around], mask[around].copy()
        # astropy sums in another way where nothing is missing. The outermost row is out of reach of the band.
        if missing and around.start > 0:
            unused[0] = True
        if missing and rows.stop + margin <= n_rows:
            unused[-1] = True
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "nan_treatment='interpolate', however, NaN values", AstropyUserWarning)
            part = convolve(values, kernel, mask=unused, normalize_kernel=True)
        return part[rows.start - around.start : rows.stop - around.start].astype(values.dtype)

    return Computed(data.shape, convolved)
