"""Outlier detection: pixels of an exposure that disagree with the median of all exposures.

Each group of simultaneous exposures is resampled to a common grid, and pixels of little weight
are left out (`weight_cut`). The median of the groups (`science.combination.median`) is interpolated at the
pixels of each exposure (`blot`); pixels further from it than noise and sharp structure explain
are flagged (`flag_outliers`, `apply_outliers`). Exposures that share one pixel grid can be
compared without resampling (`flag_outliers_unresampled`).

A cosmic ray that stage 1 found in part raises the error of its own pixel, and so hides itself. So the
errors of the groups can be resampled, too; one that stands out from their median is replaced by it
(`error_without_rays`).

Source of the formulas: the JWST calibration pipeline's outlier_detection step for imaging
(jwst 3.0.0), whose flags these functions give.
"""

import math

import numpy as np

from calflow.science.combination.combination_parameters import GroupDrizzling, OutlierThresholds
from calflow.science.dq_flags import DO_NOT_USE, FLAGS
from calflow.science.image import Image, match_nans
from calflow.science.ordered_values import OrderedValues
from calflow.science.parameters import check_values

OUTLIER = np.uint32(FLAGS["OUTLIER"])
# An error larger than the others by this factor is not due to the light of a source, which all exposures see.
STANDS_OUT = 2.0
CLIP_SIGMA = 3.0
CLIP_ROUNDS = 5
# Rows blotted at a time: NaN must be replaced in a copy of the pixel map, and it is large.
BLOT_ROWS = 128
# Rows compared with their neighbours at a time: they stay in the cache of the processor.
ROWS = 32
# drizzle refuses NaN positions; any position off the image gives the fill value.
OFF_THE_IMAGE = -1.0


def weight_cut(sci: np.ndarray, wht: np.ndarray, maskpt: float = GroupDrizzling.maskpt) -> np.ndarray:
    """Return a resampled image with NaN where its weight is low.

    Parameters
    ----------
    sci, wht : float32 array, shape (ny, nx)
        The image and its weights. They may cover a part of the grid only: zero weights do not
        count.
    maskpt : float
        Fraction of the mean weight below which a pixel is left out. The mean is that of the
        finite weights other than 0, without those more than 3 standard deviations from their
        median, in up to 5 rounds.

    Returns
    -------
    float32 array, shape (ny, nx)
        New. All NaN if there is no weight.

    Raises
    ------
    ValueError
        If the shapes differ or `maskpt` is negative or not a number.
    """
    if sci.shape != wht.shape:
        raise ValueError(f"the image has shape {sci.shape}, its weights {wht.shape}")
    check_values(GroupDrizzling, maskpt=maskpt)
    threshold = maskpt * _clipped_mean(wht[np.isfinite(wht) & (wht != 0)])
    out = np.array(sci, np.float32)
    # A float64 number: rounded to float32, the mean of equal weights might come to lie above them.
    out[~(wht >= np.float64(threshold)) | (wht == 0)] = np.nan
    return out


def blot(median: np.ndarray, pixmap: np.ndarray) -> np.ndarray:
    """Interpolate an image bilinearly at the pixels of an exposure.

    Parameters
    ----------
    median : float32 array, shape (ny, nx)
        May be memory-mapped: only the pages around the positions are read.
    pixmap : float64 array, shape (ny, nx, 2)
        Position (x, y) of each pixel of the exposure in `median` (`science.geometry.pixel_map`).

    Returns
    -------
    float32 array, shape (ny, nx) of the exposure
        NaN where one of the four pixels is NaN, the position is NaN, or it is off the image:
        below 0 or, as drizzle has it, one pixel or more above the centre of the last pixel.

    Raises
    ------
    ValueError
        If `pixmap` is no map of an image.

    Notes
    -----
    drizzle uses positions in float32: 1e-4 pixel at 2000 pixels from the origin.
    """
    if pixmap.ndim != 3 or pixmap.shape[-1] != 2:
        raise ValueError(f"a pixel map has the shape (ny, nx, 2), not {pixmap.shape}")
    from drizzle.resample import blot_image

    median = np.asarray(median, np.float32)
    out = np.empty(pixmap.shape[:2], np.float32)
    for row in range(0, len(out), BLOT_ROWS):
        rows = slice(row, row + BLOT_ROWS)
        positions = np.fmax(pixmap[rows], OFF_THE_IMAGE)  # the greater one, or the one that is not NaN
        blot_image(median, positions, out_img=out[rows], fillval=np.nan, iscale=1.0, interp="linear")
    return out


def flag_outliers(
    image: Image,
    blotted: np.ndarray,
    sky: float | None,
    *,
    snr: tuple[float, ...] = OutlierThresholds.snr,
    scale: tuple[float, ...] = OutlierThresholds.scale,
    backg: float = OutlierThresholds.backg,
) -> np.ndarray:
    """Return the mask of pixels that differ from the median of all exposures.

    With r = |SCI - blotted - sky| and D the largest absolute difference of a pixel of `blotted`
    to its four neighbours, a pixel is an outlier if::

        r > scale[1] D + snr[1] ERR, and
        r > scale[0] D + snr[0] ERR for itself or one of its eight neighbours

    So the first pair finds outliers and the second, lower one their wings.

    Parameters
    ----------
    image : Image
        Two-dimensional. NaN in `sci` is never an outlier; NaN in `err` counts as 0.
    blotted : float32 array, shape (ny, nx)
        The median at the pixels of the image (`blot`), without the sky level. Where it is NaN
        nothing is flagged; NaN neighbours are left out of D.
    sky : float or None
        Level that is in `image` and not in the median. None: not known, `backg` is used.
    snr : (float, float)
        Thresholds in units of ERR.
    scale : (float, float)
        Thresholds in units of D, for the error of the interpolation.
    backg : float
        Level to use if `sky` is None.

    Returns
    -------
    bool array, shape (ny, nx)
        True: outlier.

    Raises
    ------
    ValueError
        If the shapes differ, or a threshold is negative or not a number.
    """
    _check_image(image, blotted)
    check_values(OutlierThresholds, snr=snr, scale=scale)
    residual = _residual(image, blotted, backg if sky is None else sky)
    slope = largest_difference(blotted)
    core, wings = (residual > _threshold(image.err, slope, *factors) for factors in zip(snr, scale, strict=True))
    wings &= grown(core)
    return wings


def flag_outliers_unresampled(
    image: Image, median: np.ndarray, snr: float = OutlierThresholds.snr[0], sky: float = 0.0
) -> np.ndarray:
    """Return the mask of pixels that differ from the median of exposures on the same pixel grid.

    With r = |SCI - median - sky| a pixel is an outlier if r > snr ERR.

    Parameters
    ----------
    image : Image
        Two-dimensional. NaN in `sci` is never an outlier; NaN in `err` counts as 0.
    median : float32 array, shape (ny, nx)
        Median of the exposures, NaN: no value, nothing is flagged.
    snr : float
        Threshold in units of ERR.
    sky : float
        Level that is in `image` and not in the median. jwst takes the median of exposures with
        their sky, and 0 here: then differences in sky between the exposures are taken for outliers.

    Returns
    -------
    bool array, shape (ny, nx)
        True: outlier.

    Raises
    ------
    ValueError
        If the shapes differ, or the threshold is negative or not a number.
    """
    _check_image(image, median)
    check_values(OutlierThresholds, snr=(snr, snr))
    return _residual(image, median, sky) > _times_error(image.err, snr)


def error_without_rays(err: np.ndarray, median_error: np.ndarray) -> np.ndarray:
    """Return the errors of an exposure, and in their place the median error where they stand out from it.

    Parameters
    ----------
    err : float32 array, shape (ny, nx)
        The errors of the exposure. NaN: no value, and none is returned.
    median_error : float32 array, shape (ny, nx)
        The median of those of all exposures, at the pixels of this one. NaN: no value, `err` is kept.

    Returns
    -------
    float32 array, shape (ny, nx)
        With m the median error, times how much larger or smaller the errors of this exposure usually are (one of a
        shorter time is noisier all over)::

            m where err > `STANDS_OUT` m, else err

        Resampling smooths the errors, so that m is too small where they have a peak, as in the cores of stars: there
        `err` is the better one.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if err.shape != median_error.shape:
        raise ValueError(f"the errors have shape {err.shape}, the median errors {median_error.shape}")
    known = np.isfinite(err) & (median_error > 0)
    usual = np.median(err[known] / median_error[known]) if known.any() else np.float32(1)
    expected = median_error * usual
    return np.where(err > np.float32(STANDS_OUT) * expected, expected, err)


def apply_outliers(image: Image, outliers: np.ndarray) -> int:
    """Flag pixels with OUTLIER and DO_NOT_USE, and make them NaN.

    Parameters
    ----------
    image : Image
        Its planes are changed in place; `match_nans` is applied to all pixels.
    outliers : bool array of the shape of `image.sci`
        True: to be flagged.

    Returns
    -------
    int
        The number of pixels flagged.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if outliers.shape != image.sci.shape:
        raise ValueError(f"the mask has shape {outliers.shape}, the exposure {image.sci.shape}")
    image.dq[outliers] |= OUTLIER | DO_NOT_USE
    match_nans(image)
    return int(np.count_nonzero(outliers))


def largest_difference(plane: np.ndarray) -> np.ndarray:
    """Return the largest absolute difference of each pixel to its four neighbours.

    Parameters
    ----------
    plane : float32 array, shape (ny, nx)
        NaN: no value, left out.

    Returns
    -------
    float32 array, shape (ny, nx)
        0 where a pixel, or all of its neighbours, have no value.
    """
    largest = np.zeros_like(plane)
    for start in range(0, len(plane), ROWS):
        # With the row after them, of which the difference to the last is.
        values, result = plane[start : start + ROWS + 1], largest[start : start + ROWS + 1]
        difference = np.abs(values[1:] - values[:-1])
        np.fmax(result[1:], difference, out=result[1:])
        np.fmax(result[:-1], difference, out=result[:-1])
        values, result = values[:ROWS], result[:ROWS]
        difference = np.abs(values[:, 1:] - values[:, :-1])
        np.fmax(result[:, 1:], difference, out=result[:, 1:])
        np.fmax(result[:, :-1], difference, out=result[:, :-1])
    return largest


def grown(mask: np.ndarray) -> np.ndarray:
    """Return a mask grown by one pixel in all eight directions.

    Parameters
    ----------
    mask : bool array, shape (ny, nx)

    Returns
    -------
    bool array, shape (ny, nx)
        New.
    """
    rows = mask.copy()
    rows[1:] |= mask[:-1]
    rows[:-1] |= mask[1:]
    grown = rows.copy()
    grown[:, 1:] |= rows[:, :-1]
    grown[:, :-1] |= rows[:, 1:]
    return grown


def _clipped_mean(values: np.ndarray) -> float:
    """Return the mean of the values that sigma clipping leaves, NaN of none."""
    if not len(values):
        return np.nan
    ordered = OrderedValues(values)
    first, last = 0, len(values)
    for _ in range(CLIP_ROUNDS):
        median, variance = ordered.median(first, last), ordered.mean_and_variance(first, last)[1]
        reach, before = CLIP_SIGMA * math.sqrt(variance), (first, last)
        first = max(first, ordered.rank(median - reach, "left"))
        last = min(last, ordered.rank(median + reach, "right"))
        if (first, last) == before:
            break
    return ordered.mean_and_variance(first, last)[0]


def _check_image(image: Image, median: np.ndarray) -> None:
    if image.sci.ndim != 2 or median.shape != image.sci.shape:
        raise ValueError(f"exposure and median must be of one shape (ny, nx), not {image.sci.shape}, {median.shape}")


def _residual(image: Image, median: np.ndarray, sky: float) -> np.ndarray:
    residual = image.sci - median
    residual -= np.float32(sky)
    return np.abs(residual, out=residual)


def _threshold(err: np.ndarray, slope: np.ndarray, snr: float, scale: float) -> np.ndarray:
    threshold = _times_error(err, snr)
    threshold += np.float32(scale) * slope
    return threshold


def _times_error(err: np.ndarray, snr: float) -> np.ndarray:
    threshold = np.float32(snr) * err
    threshold[np.isnan(threshold)] = 0
    return threshold
