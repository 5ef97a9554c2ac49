"""resample: exposures combined on one grid by drizzling (Fruchter and Hook 2002), with their variances.

The sums grow exposure by exposure, so memory depends on the size of the output, and on that of
one exposure, alone. An exposure is worked on within its own window of the output: time depends on
the exposures, not on the mosaic. Surface brightness is averaged: no factor for the pixel area is
applied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from steps.dq_flags import DO_NOT_USE, bad_pixels
from steps.image import FLOAT_PLANES, Image

Bounds = tuple[tuple[int, int], tuple[int, int]]
Window = tuple[slice, slice]

KERNELS = ("square", "gaussian", "point", "turbo", "lanczos2", "lanczos3")
WEIGHT_TYPES = ("ivm", "exptime")
VARIANCE_TYPES = ("resampled", "propagated", "error")
VARIANCES = ("var_rnoise", "var_poisson", "var_flat")
GOOD_BITS = "~DO_NOT_USE+NON_SCIENCE"
# drizzle wants a time, and uses it for data in counts only.
NO_TIME = 1.0
# When our own kernel is worth its start. Measured with 2048 x 2048 pixels: 0.31 s per plane with the
# drizzle package, 0.33 s for four planes in one pass (0.28 s for one); to import numba and load what
# it compiled before, 0.35 to 0.6 s, and 1.6 s when it has to compile, once per machine and version.
SECONDS_PER_PLANE = 75e-9  # and pixel
SECONDS_IN_ONE_PASS = 80e-9
_seconds_to_start = 0.5  # of this process; 0 once it is started


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
        Output over input pixel scale. Resampled variances are divided by its square, so that
        noise summed over an area stays right for finer or coarser grids.
    enable_ctx, enable_err, report_var, propagate_dq : bool
        Whether `con`; `err`; with it the variances; `dq` are made.
    n_images : int
        How many exposures will be added, at most.
    good_bits : str
        Pixels that this mask expression calls bad get no weight.
    variance : {'resampled', 'propagated', 'error'}
        How the variances are made. Resampled: errors are drizzled as the image is, each exposure
        for itself, and the squares combined: sum(c^2 s^2) / sum(c)^2, where s is the drizzled
        error and c the inverse of the drizzled read noise variance, or the exposure time. That
        takes the errors of neighbouring pixels as wholly correlated. Propagated: the variance of
        the weighted mean of independent pixels, sum((w a)^2 v) / sum(w a)^2, where a is the
        overlap and w the weight; right for each output pixel, whatever the scale, but not for
        sums over an area, since neighbours share input pixels. All exposures must then have the
        same kinds of variance. Error: `err` is drizzled as the image is, and divided by
        `pixel_scale_ratio`; there are no variances.
    threads : int
        With which numba works, if it is installed and worth its start. The result is the same.

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
        variance: str = "resampled",
        threads: int = 1,
    ):
        _check_parameters(kernel, pixfrac, weight_type, pixel_scale_ratio, n_images, variance, threads)
        ny, nx = shape
        self._shape = ny, nx
        self._weight_type = weight_type
        self._report_var = report_var
        self._good_bits = good_bits
        bad_pixels(np.zeros(1, np.uint32), good_bits)  # a misspelled flag is told now, not at the first image
        self._fillval = float(fill_value(fillval))
        self._kernel = kernel
        self._pixfrac = pixfrac
        self._pixel_scale_ratio = pixel_scale_ratio
        self._sums = _Sums(
            sci=np.zeros(self._shape, np.float32),
            wht=np.zeros(self._shape, np.float32),
            context=np.zeros(((n_images - 1) // 32 + 1, ny, nx), np.int32) if enable_ctx else None,
            dq=np.zeros(self._shape, np.uint32) if propagate_dq else None,
        )
        self._kinds: list[str] | None = None
        self._errors = _ErrorSums(self._shape) if enable_err and variance == "resampled" else None
        self._propagate = enable_err and variance == "propagated"
        self._drizzled_error: Resampler | None = None
        if enable_err and variance == "error":
            self._drizzled_error = Resampler(
                shape,
                kernel=kernel,
                pixfrac=pixfrac,
                weight_type=weight_type,
                pixel_scale_ratio=pixel_scale_ratio,
                enable_ctx=False,
                enable_err=False,
                n_images=n_images,
                good_bits=good_bits,
                threads=threads,
            )
        self._n_images = n_images
        self._n_added = 0
        self._threads = threads
        self._engine: _OnePass | _DrizzlePackage | None = None

    def add(
        self,
        image: Image,
        pixmap: np.ndarray,
        *,
        exposure_time: float | None = None,
        sky: float = 0.0,
        bounds: Bounds | None = None,
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
            First and last columns and rows that are used (`steps.pixel_map.pixel_range`). None: all.

        Raises
        ------
        ValueError
            If the image is not two-dimensional, the shape of the map is not its shape, the map
            has too few positions, there is no exposure time where one is needed, or more
            exposures are added than were announced.
        """
        _check_shapes(image, pixmap)
        if self._n_added == self._n_images:
            raise ValueError(f"n_images is {self._n_images}; no more exposures can be added")
        bounds = _part_with_positions(pixmap, bounds)
        exposure = _Exposure(
            data=image.sci - np.float32(sky) if sky else image.sci,
            weight=pixel_weights(image, self._weight_type, self._good_bits, exposure_time),
            pixmap=pixmap,
            bounds=bounds,
            window=_window(pixmap, bounds, self._shape) if self._kernel == "square" else _all_of(self._shape),
            dq=image.dq,
        )
        kinds = [name for name in VARIANCES if getattr(image, name) is not None]
        engine = self._engine or self._start(image.sci.size, kinds)
        if self._propagate:
            if kinds != self._kinds:
                raise ValueError(
                    f"an exposure has the variances {kinds}, the first one {self._kinds}: "
                    "variance 'propagated' needs the same kinds in all"
                )
            engine.add(exposure, _stack(image, kinds, np.positive), self._n_added)
        elif self._errors is not None and kinds:
            means, seen = engine.add_with_means(exposure, _stack(image, kinds, np.sqrt), self._n_added)
            self._errors.add(kinds, means, seen, exposure.window, self._fixed_weight(kinds, exposure_time))
        else:
            engine.add(exposure, None, self._n_added)
        if self._drizzled_error is not None:
            self._drizzled_error.add(replace(image, sci=image.err), pixmap, exposure_time=exposure_time, bounds=bounds)
        self._n_added += 1

    def finish(self) -> Resampled:
        """Return the combined planes. Nothing can be added afterwards."""
        sums = self._sums
        nothing = sums.wht == 0
        sums.sci[nothing] = self._fillval
        result = Resampled(sci=sums.sci, wht=sums.wht, con=sums.context, dq=sums.dq)
        variances: dict[str, np.ndarray] | None = None
        if self._errors is not None:
            variances = self._errors.variances(self._pixel_scale_ratio)
        elif self._propagate:
            variances = {} if sums.variances is None else dict(zip(self._kinds or (), sums.variances, strict=True))
            for plane in variances.values():
                plane[nothing] = np.nan
        if variances is not None:
            result.err = _total_error(variances, self._shape)
            if self._report_var:
                for name, plane in variances.items():
                    setattr(result, name, plane)
        if self._drizzled_error is not None:
            result.err = self._drizzled_error.finish().sci / np.float32(self._pixel_scale_ratio)
        del self._sums, self._errors, self._engine
        return result

    def _start(self, n_pixels: int, kinds: list[str]) -> _OnePass | _DrizzlePackage:
        """Choose how to drizzle, now that the size of an exposure is known."""
        self._kinds = kinds
        if self._propagate and kinds:
            self._sums.variances = np.zeros((len(kinds), *self._shape), np.float32)
        simple = self._kernel == "square" and self._pixfrac == 1 and self._sums.dq is None
        n_planes = 1 + (len(kinds) if self._errors is not None else 0)
        module = _one_pass_kernel(n_pixels * self._n_images, n_planes, self._threads) if simple else None
        if module is not None:
            self._engine = _OnePass(module, self._sums, self._threads)
        else:
            self._engine = _DrizzlePackage(self._sums, self._kernel, self._pixfrac, self._pixel_scale_ratio)
        return self._engine

    def _fixed_weight(self, kinds: list[str], exposure_time: float | None) -> float | None:
        """Return the weight of an exposure's variances, None if the drizzled read noise makes it."""
        if self._weight_type == "exptime":
            return exposure_time
        return None if "var_rnoise" in kinds else 1.0


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


@dataclass
class _Sums:
    """The planes of the output while exposures are added."""

    sci: np.ndarray
    wht: np.ndarray
    context: np.ndarray | None
    dq: np.ndarray | None
    variances: np.ndarray | None = None


@dataclass
class _Exposure:
    """An exposure as it is drizzled."""

    data: np.ndarray
    weight: np.ndarray
    pixmap: np.ndarray
    bounds: Bounds
    window: Window
    dq: np.ndarray


class _OnePass:
    """Adds exposures with our own kernel, all planes at once."""

    def __init__(self, module: ModuleType, sums: _Sums, threads: int):
        self._module = module
        self._sums = sums
        self._threads = threads

    def add(self, exposure: _Exposure, variances: np.ndarray | None, number: int) -> None:
        """Add an exposure and, with squared weights, its variances."""
        self._add(exposure, number, planes=variances, planes_out=self._sums.variances)

    def add_with_means(self, exposure: _Exposure, planes: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Add an exposure; return the weighted means of further planes of it, and where they are, in its window."""
        rows, columns = exposure.window
        size = rows.stop - rows.start, columns.stop - columns.start
        means, weight = np.zeros((len(planes), *size), np.float32), np.zeros(size, np.float32)
        self._add(exposure, number, planes=planes, planes_out=means, planes_wht=weight)
        return means, weight != 0

    def _add(self, exposure, number, **planes) -> None:
        sums = self._sums
        self._module.add_image(
            sums.sci,
            sums.wht,
            exposure.data,
            exposure.weight,
            exposure.pixmap,
            exposure.bounds,
            exposure.window,
            context=None if sums.context is None else sums.context[number // 32],
            bit=number % 32,
            threads=self._threads,
            **planes,
        )


class _DrizzlePackage:
    """Adds exposures with the drizzle package, plane by plane."""

    def __init__(self, sums: _Sums, kernel: str, pixfrac: float, pixel_scale_ratio: float):
        self._options = {"pixfrac": pixfrac, "pixel_scale_ratio": pixel_scale_ratio, "exptime": NO_TIME}
        self._kernel = kernel
        self._with_dq = sums.dq is not None
        # With the arrays given and no fill value, drizzle does nothing to pixels that it does not hit.
        self._image = self._drizzle(
            out_img=sums.sci,
            out_wht=sums.wht,
            out_ctx=sums.context,
            out_dq=sums.dq,
            out_img2=None if sums.variances is None else list(sums.variances),
            disable_ctx=sums.context is None,
        )
        self._shape = sums.sci.shape
        self._plane: tuple | None = None

    def add(self, exposure: _Exposure, variances: np.ndarray | None, number: int) -> None:
        """Add an exposure and, with squared weights, its variances."""
        more = {"dq": exposure.dq} if self._with_dq else {}
        squared = None if variances is None or not len(variances) else list(variances)
        self._add(self._image, exposure, exposure.data, data2=squared, **more)

    def add_with_means(self, exposure: _Exposure, planes: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Add an exposure; return the weighted means of further planes of it, and where they are, in its window."""
        self.add(exposure, None, number)
        drizzle, mean, weight = self._plane or self._start_plane()
        means = []
        for plane in planes:
            self._add(drizzle, exposure, plane)
            seen = weight[exposure.window] != 0
            means.append(mean[exposure.window].copy())
            mean[exposure.window] = weight[exposure.window] = 0
        return np.array(means), seen

    def _start_plane(self) -> tuple:
        # Of the size of the output, since moved positions would be rounded differently; memory is taken
        # by the pixels that are hit.
        mean, weight = np.zeros(self._shape, np.float32), np.zeros(self._shape, np.float32)
        self._plane = self._drizzle(out_img=mean, out_wht=weight, disable_ctx=True), mean, weight
        return self._plane

    def _drizzle(self, **arrays):
        from drizzle.resample import Drizzle

        return Drizzle(kernel=self._kernel, **arrays)

    def _add(self, drizzle, exposure, data, **more) -> None:
        (xmin, xmax), (ymin, ymax) = exposure.bounds
        drizzle.add_image(
            data,
            weight_map=exposure.weight,
            pixmap=exposure.pixmap,
            xmin=xmin,
            xmax=xmax,
            ymin=ymin,
            ymax=ymax,
            **self._options,
            **more,
        )


class _ErrorSums:
    """Sums over exposures of weight^2 * error^2 and of the weights, for each kind of error."""

    def __init__(self, shape: tuple[int, int]):
        self._shape = shape
        self._variance: dict[str, np.ndarray] = {}
        self._weight: dict[str, np.ndarray] = {}

    def add(
        self, names: Sequence[str], errors: np.ndarray, seen: np.ndarray, window: Window, fixed_weight: float | None
    ) -> None:
        """Add the drizzled errors of an exposure; they are overwritten.

        Parameters
        ----------
        names : sequence of str
        errors : float32 array, shape (len(names), ny, nx)
        seen : bool array, shape (ny, nx)
            Where they have a value.
        window : (rows, columns)
            Where they belong.
        fixed_weight : float or None
            None: the inverse of the variance called ``var_rnoise`` is the weight of all kinds.
        """
        with np.errstate(over="ignore"):
            self._add(names, np.square(errors, out=errors), seen, window, fixed_weight)

    def _add(self, names, variances, seen, window, fixed_weight) -> None:
        if fixed_weight is None:
            weight = _inverse(variances[names.index("var_rnoise")])
            weight[~seen] = 0
        else:
            weight = np.where(seen, np.float32(fixed_weight), np.float32(0))
        squared = np.square(weight)
        for name, variance in zip(names, variances, strict=True):
            if name not in self._variance:
                self._variance[name] = np.zeros(self._shape, np.float32)
                self._weight[name] = np.zeros(self._shape, np.float32)
            invalid = ~np.isfinite(variance)
            if invalid.any():
                variance[invalid] = 0
                self._weight[name][window] += np.where(invalid, np.float32(0), weight)
            else:
                self._weight[name][window] += weight
            variance *= squared
            self._variance[name][window] += variance

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


def start_kernel(n_pixels: int, n_planes: int) -> None:
    """Start our own kernel in this process, if it is there and that pays for so many pixels, for all that it forks."""
    global _seconds_to_start
    if module := _one_pass_kernel(n_pixels, n_planes, threads=1):
        module.start_kernel()
        _seconds_to_start = 0.0


def _one_pass_kernel(n_pixels: int, n_planes: int, threads: int) -> ModuleType | None:
    """Return the module with our own kernel if it is there and saves more time than it takes to start."""
    if n_pixels * (n_planes * SECONDS_PER_PLANE - SECONDS_IN_ONE_PASS / threads) < _seconds_to_start:
        return None
    try:
        from steps import drizzle_kernel
    except (ImportError, OSError, RuntimeError):  # no numba, one that does not fit, no place for what it compiles
        return None
    return drizzle_kernel


def _stack(image: Image, kinds: Sequence[str], function: np.ufunc) -> np.ndarray:
    """Return a function of the variances of an image, float32, shape (len(kinds), ny, nx)."""
    planes = np.empty((len(kinds), *image.sci.shape), np.float32)
    with np.errstate(invalid="ignore"):
        for name, plane in zip(kinds, planes, strict=True):
            function(getattr(image, name), out=plane)
    return planes


def _part_with_positions(pixmap: np.ndarray, bounds: Bounds | None) -> Bounds:
    """Return the bounds without the outer rows and columns that have no position.

    Raises
    ------
    ValueError
        If less than two rows or columns are left.
    """

    def empty(part):
        return np.isnan(part).any(axis=-1).all()

    ny, nx = pixmap.shape[:2]
    (xmin, xmax), (ymin, ymax) = bounds or ((0, nx - 1), (0, ny - 1))
    while ymin <= ymax and empty(pixmap[ymin, xmin : xmax + 1]):
        ymin += 1
    while ymin <= ymax and empty(pixmap[ymax, xmin : xmax + 1]):
        ymax -= 1
    while ymin <= ymax and xmin <= xmax and empty(pixmap[ymin : ymax + 1, xmin]):
        xmin += 1
    while ymin <= ymax and xmin <= xmax and empty(pixmap[ymin : ymax + 1, xmax]):
        xmax -= 1
    if xmin >= xmax or ymin >= ymax:
        raise ValueError("the pixel map has positions for less than 2 x 2 pixels within the bounds")
    return (xmin, xmax), (ymin, ymax)


def _window(pixmap: np.ndarray, bounds: Bounds, shape: tuple[int, int]) -> Window:
    """Return the rows and columns of the output within which the pixels of an image lie, corners and all."""
    (xmin, xmax), (ymin, ymax) = bounds
    # Corners are means of the positions around them; those at the edges of the map are extrapolated.
    part = pixmap[max(ymin - 1, 0) : ymax + 2, max(xmin - 1, 0) : xmax + 2]
    borders = (pixmap[:2], pixmap[-2:], pixmap[:, :2].swapaxes(0, 1), pixmap[:, -2:].swapaxes(0, 1))
    steps = [np.fmax.reduce(np.abs(border[1] - border[0]), axis=0, initial=0.0) for border in borders]
    margin = 1 + 0.5 * (np.maximum(*steps[:2]) + np.maximum(*steps[2:]))
    low = np.fmin.reduce(np.fmin.reduce(part, axis=0), axis=0) - margin
    high = np.fmax.reduce(np.fmax.reduce(part, axis=0), axis=0) + margin
    (x1, y1), (x2, y2) = low.tolist(), high.tolist()
    return _slice_within(y1, y2, shape[0]), _slice_within(x1, x2, shape[1])


def _slice_within(low: float, high: float, n: int) -> slice:
    start = min(max(math.floor(low), 0), n)
    return slice(start, max(min(math.ceil(high) + 1, n), start))


def _all_of(shape: tuple[int, int]) -> Window:
    return slice(0, shape[0]), slice(0, shape[1])


def _check_parameters(kernel, pixfrac, weight_type, pixel_scale_ratio, n_images, variance, threads) -> None:
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
    if variance not in VARIANCE_TYPES:
        raise ValueError(f"variance is {variance!r}; it must be one of {', '.join(VARIANCE_TYPES)}")
    if threads < 1:
        raise ValueError(f"threads is {threads}; there must be at least one")


def _check_shapes(image, pixmap) -> None:
    if image.sci.ndim != 2:
        raise ValueError(f"only two-dimensional images can be resampled, not one of shape {image.sci.shape}")
    if pixmap.shape != (*image.sci.shape, 2):
        raise ValueError(f"the pixel map has shape {pixmap.shape}; for an image {image.sci.shape} append 2")


def _inverse(variance: np.ndarray) -> np.ndarray:
    """Return 1 / variance, 0 where that is not a positive number."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
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
