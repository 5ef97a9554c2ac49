"""resample: exposures combined on one grid by drizzling (Fruchter and Hook 2002), with their variances.

The sums grow exposure by exposure, so memory depends on the size of the output alone. Surface
brightness is averaged: no factor for the pixel area is applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steps.dq_flags import DO_NOT_USE, bad_pixels
from steps.footprints import pixel_bounds
from steps.image import FLOAT_PLANES, Image

if TYPE_CHECKING:
    from drizzle.resample import Drizzle
    from gwcs import WCS

KERNELS = ("square", "gaussian", "point", "turbo", "lanczos2", "lanczos3")
WEIGHT_TYPES = ("ivm", "exptime")
VARIANCES = ("var_rnoise", "var_poisson", "var_flat")
GOOD_BITS = "~DO_NOT_USE+NON_SCIENCE"
# drizzle wants a time, and uses it for data in counts only.
NO_TIME = 1.0


@dataclass
class Resampled:
    """The planes of a combined image.

    Attributes
    ----------
    sci : float32 array, shape (ny, nx)
        Weighted mean, in the unit of the inputs; the fill value where nothing contributes.
    wht : float32 array, shape (ny, nx)
        Sum of the weights.
    con : int32 array, shape (nplanes, ny, nx), or None
        Bit k of plane p is set where input 32 p + k contributes.
    err, var_poisson, var_rnoise, var_flat : float32 array, shape (ny, nx), or None
        NaN where there is no value.
    dq : uint32 array, shape (ny, nx), or None
        The flags of all pixels that contribute.
    """

    sci: np.ndarray
    wht: np.ndarray
    con: np.ndarray | None = None
    err: np.ndarray | None = None
    var_poisson: np.ndarray | None = None
    var_rnoise: np.ndarray | None = None
    var_flat: np.ndarray | None = None
    dq: np.ndarray | None = None


class Resampler:
    """The sums of a combination, fed one exposure at a time.

    Parameters
    ----------
    shape : (ny, nx)
        Of the output.
    kernel : {'square', 'gaussian', 'point', 'turbo', 'lanczos2', 'lanczos3'}
        How an input pixel is spread. Gaussian and lanczos do not conserve flux.
    pixfrac : float
        Side of the drop, as a fraction of the input pixel, 0..1.
    fillval : str or float
        Value of output pixels nothing contributes to; ``NAN`` or ``INDEF``: NaN.
    weight_type : {'ivm', 'exptime'}
        Weight of a pixel: the inverse of its read noise variance, or the exposure time.
    pixel_scale_ratio : float
        Output over input pixel scale. The variances are divided by its square, so that noise
        summed over an area stays right for finer or coarser grids.
    enable_ctx, enable_err, report_var, propagate_dq : bool
        Whether `con`; `err`; with it the variances; `dq` are made.
    n_images : int
        How many exposures will be added.
    good_bits : str
        Pixels that this mask expression calls bad get no weight.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        kernel: str = "square",
        pixfrac: float = 1.0,
        fillval: str | float = "NAN",
        weight_type: str = "ivm",
        pixel_scale_ratio: float = 1.0,
        enable_ctx: bool = True,
        enable_err: bool = True,
        report_var: bool = True,
        propagate_dq: bool = False,
        n_images: int = 1,
        good_bits: str = GOOD_BITS,
    ):
        _check_parameters(kernel, pixfrac, weight_type, pixel_scale_ratio, n_images)
        ny, nx = shape
        self._shape = ny, nx
        self._kernel = kernel
        self._pixfrac = pixfrac
        self._weight_type = weight_type
        self._pixel_scale_ratio = pixel_scale_ratio
        self._report_var = report_var
        self._propagate_dq = propagate_dq
        self._good_bits = good_bits
        bad_pixels(np.zeros(1, np.uint32), good_bits)  # a misspelled flag is told now, not at the first image
        self._fillval = fill_value(fillval)
        self._sums = _VarianceSums(self._shape) if enable_err else None
        self._drizzle = self._new_drizzle(fillval=self._fillval, disable_ctx=not enable_ctx, max_ctx_id=n_images - 1)

    def add(
        self,
        image: Image,
        pixmap: np.ndarray,
        *,
        exposure_time: float | None = None,
        sky: float = 0.0,
        bounds: tuple[tuple[int, int], tuple[int, int]] | None = None,
    ) -> None:
        """Add one exposure.

        Parameters
        ----------
        image : Image
            Two-dimensional; it is not changed. A pixel that is invalid in one plane, or has
            DO_NOT_USE, is invalid in all.
        pixmap : float64 array, shape (ny, nx, 2)
            Position of each pixel in the output (`steps.pixel_map`).
        exposure_time : float or None
            Seconds; needed for weight type ``exptime``.
        sky : float
            Level to subtract from `sci`.
        bounds : ((xmin, xmax), (ymin, ymax)) or None
            First and last columns and rows that are used (`pixel_range`). None: all.

        Raises
        ------
        ValueError
            If the image is not two-dimensional, the shape of the map is not its shape, or
            there is no exposure time where one is needed.
        """
        _check_shapes(image, pixmap)
        geometry = {"pixmap": pixmap, "pixfrac": self._pixfrac, "pixel_scale_ratio": self._pixel_scale_ratio}
        if bounds is not None:
            (xmin, xmax), (ymin, ymax) = bounds
            geometry |= {"xmin": xmin, "xmax": xmax, "ymin": ymin, "ymax": ymax}
        weight = pixel_weights(image, self._weight_type, self._good_bits, exposure_time)

        self._drizzle.add_image(
            image.sci - np.float32(sky) if sky else image.sci,
            exptime=NO_TIME,
            weight_map=weight,
            dq=image.dq if self._propagate_dq else None,
            **geometry,
        )
        if self._sums is not None:
            self._add_variances(self._sums, image, weight, geometry, exposure_time)

    def finish(self) -> Resampled:
        """Return the combined planes. Nothing can be added afterwards."""
        drizzle = self._drizzle
        result = Resampled(sci=drizzle.out_img, wht=drizzle.out_wht, con=drizzle.out_ctx)
        if self._propagate_dq:
            nothing = np.zeros(self._shape, np.uint32)
            result.dq = nothing if drizzle.out_dq is None else drizzle.out_dq
        if self._sums is not None:
            variances = self._sums.variances(self._pixel_scale_ratio)
            result.err = _total_error(variances, self._shape)
            if self._report_var:
                for name, variance in variances.items():
                    setattr(result, name, variance)
        self._drizzle = self._sums = None
        return result

    def _new_drizzle(self, **options) -> Drizzle:
        from drizzle.resample import Drizzle

        return Drizzle(kernel=self._kernel, out_shape=self._shape, **options)

    def _add_variances(self, sums: _VarianceSums, image: Image, weight, geometry, exposure_time) -> None:
        """Drizzle the error of each kind as if it were the image, and add the squares."""
        combination_weight = exposure_time if self._weight_type == "exptime" else None
        for name in VARIANCES:
            variance = getattr(image, name)
            if variance is None:
                continue
            with np.errstate(invalid="ignore"):
                error = np.sqrt(variance)
            drizzle = self._new_drizzle(fillval="NAN", disable_ctx=True)
            drizzle.add_image(error, exptime=NO_TIME, weight_map=weight, **geometry)
            resampled = np.square(drizzle.out_img)
            if combination_weight is None:
                # The read noise comes first: its inverse is the weight of all kinds.
                combination_weight = _inverse(resampled) if name == "var_rnoise" else 1.0
            sums.add(name, resampled, combination_weight)


def pixel_weights(
    image: Image,
    weight_type: str = "ivm",
    good_bits: str = GOOD_BITS,
    exposure_time: float | None = None,
) -> np.ndarray:
    """Return the weight of each pixel, float32, zero where it must not contribute.

    Raises
    ------
    ValueError
        If the weight is the exposure time and there is none.
    """
    bad = bad_pixels(image.dq, good_bits) | ((image.dq & DO_NOT_USE) != 0)
    for name, plane in image.planes().items():
        if name in FLOAT_PLANES:
            bad |= np.isnan(plane)
    if weight_type == "exptime":
        if exposure_time is None or not exposure_time > 0:
            raise ValueError(
                f"weight_type 'exptime' needs a positive exposure time, not {exposure_time}: "
                "the exposure has neither TMEASURE nor EFFEXPTM, or it is 0"
            )
        weight = np.full(image.sci.shape, exposure_time, np.float32)
    elif image.var_rnoise is None:
        weight = np.ones(image.sci.shape, np.float32)
    else:
        weight = _inverse(image.var_rnoise)
    weight[bad] = 0.0
    return weight


def pixel_range(wcs: WCS, shape: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and last columns and rows of an image that its bounding box takes in.

    Returns
    -------
    ((xmin, xmax), (ymin, ymax))
        0-based, last included.
    """
    if wcs.bounding_box is None:
        return (0, shape[1] - 1), (0, shape[0] - 1)

    (x, y), (ny, nx) = pixel_bounds(wcs), shape
    return _pixels_between(*x, nx), _pixels_between(*y, ny)


def fill_value(text: str | float) -> str:
    """Return the fill value as drizzle takes it.

    Raises
    ------
    ValueError
        If it is neither a number nor NAN or INDEF.
    """
    if str(text).strip().upper() in ("NAN", "INDEF"):
        return "NAN"
    try:
        return str(float(text))
    except (TypeError, ValueError):
        raise ValueError(f"fillval is {text!r}; it must be a number, NAN or INDEF") from None


class _VarianceSums:
    """Sums over exposures of weight^2 * variance and of the weights, for each kind of variance."""

    def __init__(self, shape: tuple[int, int]):
        self._shape = shape
        self._variance: dict[str, np.ndarray] = {}
        self._weight: dict[str, np.ndarray] = {}

    def add(self, name: str, variance: np.ndarray, weight: np.ndarray | float) -> None:
        if name not in self._variance:
            self._variance[name] = np.zeros(self._shape, np.float32)
            self._weight[name] = np.zeros(self._shape, np.float32)
        with np.errstate(invalid="ignore"):
            valid = np.isfinite(variance) & (variance >= 0) & (np.asarray(weight) > 0)
        weight = np.where(valid, np.float32(weight), np.float32(0))
        self._weight[name] += weight
        np.square(weight, out=weight)
        weight *= np.where(valid, variance, np.float32(0))
        self._variance[name] += weight

    def variances(self, pixel_scale_ratio: float) -> dict[str, np.ndarray]:
        """Return the variances of the weighted means, float32, NaN where nothing was added."""
        result = {}
        for name, total in self._variance.items():
            weight = self._weight.pop(name)
            np.square(weight, out=weight)
            with np.errstate(divide="ignore", invalid="ignore"):
                result[name] = np.divide(total, weight, out=total)
            result[name] /= np.float32(pixel_scale_ratio**2)
        self._variance = {}
        return result


def _pixels_between(low: float, high: float, n: int) -> tuple[int, int]:
    return max(0, int(low + 0.5)), min(n - 1, int(high + 0.5))


def _check_parameters(kernel, pixfrac, weight_type, pixel_scale_ratio, n_images) -> None:
    if kernel not in KERNELS:
        raise ValueError(f"kernel is {kernel!r}; it must be one of {', '.join(KERNELS)}")
    if not 0 <= pixfrac <= 1:
        raise ValueError(f"pixfrac is {pixfrac}; it must be in 0..1")
    if weight_type not in WEIGHT_TYPES:
        raise ValueError(f"weight_type is {weight_type!r}; it must be one of {', '.join(WEIGHT_TYPES)}")
    if not pixel_scale_ratio > 0:
        raise ValueError(f"pixel_scale_ratio is {pixel_scale_ratio}; it must be positive")
    if n_images < 1:
        raise ValueError(f"n_images is {n_images}; there must be at least one")


def _check_shapes(image, pixmap) -> None:
    if image.sci.ndim != 2:
        raise ValueError(f"only two-dimensional images can be resampled, not one of shape {image.sci.shape}")
    if pixmap.shape != (*image.sci.shape, 2):
        raise ValueError(f"the pixel map has shape {pixmap.shape}; for an image {image.sci.shape} append 2")


def _inverse(variance: np.ndarray) -> np.ndarray:
    """Return 1 / variance, 0 where that is not a positive number."""
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.float32(1.0) / variance
    weight[~np.isfinite(weight) | (weight < 0)] = 0.0
    return weight.astype(np.float32, copy=False)


def _total_error(variances, shape) -> np.ndarray:
    """Return the root of the sum, NaN where no kind has a value."""
    total = np.zeros(shape, np.float32)
    none = np.ones(shape, bool)
    for variance in variances.values():
        missing = np.isnan(variance)
        total += np.where(missing, 0, variance)
        none &= missing
    total[none] = np.nan
    return np.sqrt(total)
