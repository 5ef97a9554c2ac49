"""resample: exposures combined on one grid by drizzling (Fruchter and Hook 2002), with their variances.

The sums grow exposure by exposure, so memory depends on the size of the output, and on that of
one exposure, alone; on that of a band, if the output is worked on in bands of rows. An exposure is
worked on within its own window of the output: time depends on the exposures, not on the mosaic.
Surface brightness is averaged: no factor for the pixel area is applied.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from calflow.science.combination.combination_parameters import (
    Drizzling,
    ResampledPlanes,
    ResampledVariance,
    own_kernel_does,
    rows_of_band,
)
from calflow.science.dq_flags import DO_NOT_USE, bad_pixels
from calflow.science.geometry.grid_parameters import GridLayout
from calflow.science.image import Image, has_value
from calflow.science.parameters import check_values

Bounds = tuple[tuple[int, int], tuple[int, int]]
Window = tuple[slice, slice]

DRIZZLED_ERROR = "error"  # one more kind of variance, which users do not ask for by name
# Of the variance, in the order in which they are added up.
PARTS = ("var_rnoise", "var_poisson", "var_flat")
GOOD_BITS = "~DO_NOT_USE+NON_SCIENCE"
# drizzle wants a time, and uses it for data in counts only.
NO_TIME = 1.0
# Weights outside of these limits are used in units of a power of two that brings them within. Then values up to
# `science.image.LARGEST` times sums of weights, and squares of weights, stay within single precision.
SMALLEST_WEIGHT, LARGEST_WEIGHT = 2.0**-60, 2.0**60
# Of one exposure by its ERR; beyond it weights of single precision, and their inverses, end.
SMALLEST_ERROR_WEIGHT = 2.0**-120
# Limits of the inverse variances that are squared and summed over exposures in single precision, and of the variances
# times such squares. Beyond them the sums go on in double precision.
SMALLEST_INVERSE, LARGEST_INVERSE, LARGEST_TERM = 2.0**-50, 2.0**50, 2.0**110
# Rows of the output that are worked on at a time, where that needs further planes.
BAND_ROWS = 256
# Pixels of all exposures together from which our own kernel is worth its start. Measured with 2048 x 2048 pixels:
# 0.31 s per plane with the drizzle package, 0.26 s for four planes in one pass (0.17 s for one); to import numba and
# load what it compiled before, 0.35 to 0.6 s, where the jobs are not forked from a process that has it. What is made
# must not depend on that, so neither does this number.
WORTHWHILE = 10**6


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
        NaN where there is no value. `err` has a value exactly where `wht` is above 0.
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
        Weight of a pixel: an inverse variance (`pixel_weights`), or the exposure time.
    error_weights : bool
        For 'ivm': as in `pixel_weights`.
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
        error and c the inverse of the square of the one that makes the weights, or the exposure time. That
        takes the errors of neighbouring pixels as wholly correlated. Propagated: the variance of
        the weighted mean of independent pixels, sum((w a)^2 v) / sum(w a)^2, where a is the
        overlap and w the weight; right for each output pixel, whatever the scale, but not for
        sums over an area, since neighbours share input pixels. Error: `err` is drizzled as the image is, and divided by
        `pixel_scale_ratio`; there are no variances.
    threads : int
        With which numba works, if it is installed and worth its start. The result is the same.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    `err` is the root of the sum of the variances. That of exposures without VAR_POISSON or without VAR_RNOISE, whose
    parts do not add up to it, is combined itself: its square is one more variance, alike in all else. An exposure
    of which no error is known has the error 0, and so has what is made of such exposures.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        kernel: str = Drizzling.kernel,
        pixfrac: float = Drizzling.pixfrac,
        fillval: str | float = Drizzling.fillval,
        weight_type: str = Drizzling.weight_type,
        error_weights: bool = True,
        pixel_scale_ratio: float = GridLayout.pixel_scale_ratio,
        enable_ctx: bool = ResampledPlanes.enable_ctx,
        enable_err: bool = ResampledPlanes.enable_err,
        report_var: bool = ResampledPlanes.report_var,
        propagate_dq: bool = ResampledPlanes.propagate_dq,
        n_images: int = 1,
        good_bits: str = GOOD_BITS,
        variance: str = ResampledVariance.variance,
        threads: int = 1,
    ):
        check_values(Drizzling, kernel=kernel, pixfrac=pixfrac, weight_type=weight_type)
        check_values(GridLayout, pixel_scale_ratio=pixel_scale_ratio)
        if variance != DRIZZLED_ERROR:
            check_values(ResampledVariance, variance=variance)
        for name, number in (("n_images", n_images), ("threads", threads)):
            if number < 1:
                raise ValueError(f"{name} is {number}; there must be at least one")
        ny, nx = shape
        self._shape = ny, nx
        self._weight_type = weight_type
        self._error_weights = error_weights
        self._report_var = report_var
        self._good_bits = good_bits
        bad_pixels(np.zeros(1, np.uint32), good_bits)  # a misspelled flag is told now, not at the first image
        self._fillval = float(fill_value(fillval))
        self._kernel = kernel
        self._pixfrac = pixfrac
        self._pixel_scale_ratio = pixel_scale_ratio
        self._enable_ctx = enable_ctx
        self._propagate_dq = propagate_dq
        self._drizzles_parts = enable_err and variance == "resampled"
        self._propagate = enable_err and variance == "propagated"
        self._drizzled_error: Resampler | None = None
        if enable_err and variance == DRIZZLED_ERROR:
            self._drizzled_error = Resampler(
                shape,
                kernel=kernel,
                pixfrac=pixfrac,
                weight_type=weight_type,
                error_weights=error_weights,
                pixel_scale_ratio=pixel_scale_ratio,
                enable_ctx=False,
                enable_err=False,
                n_images=n_images,
                good_bits=good_bits,
                threads=threads,
            )
        self._n_images = n_images
        self._threads = threads
        self._module: ModuleType | None = None  # of our own kernel, once it is sure that it is used
        # Of the first exposure that was added, to any band; one dictionary of all bands.
        self._of_all: dict[str, list[str]] = {}
        self._start(slice(0, ny))

    def bands(self, n_pixels: int, piece: slice | None = None) -> list[slice]:
        """Return rows of the output to work on by themselves (`band`), all of them: one band or more.

        Parameters
        ----------
        n_pixels : int
            Of an exposure.
        piece : slice or None
            Rows of the output that the bands make up. None: all.

        Raises
        ------
        ValueError
            If there is a piece, and nothing here that works on a part of the output.
        """
        ny = self._shape[0]
        rows = rows_of_band(self._shape)
        if (rows < ny or piece) and self._drizzled_error is None:
            self._module = self._kernel_module(max(n_pixels, WORTHWHILE) if piece else n_pixels)
        if self._module is None:
            if piece:
                raise ValueError("only our own drizzle kernel works on pieces, which needs numba")
            return [slice(0, ny)]
        piece = piece or slice(0, ny)
        return [slice(start, min(start + rows, piece.stop)) for start in range(piece.start, piece.stop, rows)]

    def band(self, rows: slice) -> Resampler:
        """Return the sums of some rows of the output: what is added to them counts there alone.

        Those of several bands may grow at the same time, in threads.

        Parameters
        ----------
        rows : slice
            One of `bands`.
        """
        band = copy(self)
        band._start(rows)
        return band

    def _start(self, rows: slice) -> None:
        """Begin with some rows of the output."""
        self._rows = rows
        self._n_added = 0
        self._exponent: int | None = None
        context_shape = (self._n_images - 1) // 32 + 1, *self._shape
        # Of the size of the output, so that positions stay what they are. Memory is taken by the rows that are hit.
        zeros = np.zeros if rows == slice(0, self._shape[0]) else _unreserved_zeros
        self._sums = _Sums(
            sci=zeros(self._shape, np.float32),
            wht=zeros(self._shape, np.float32),
            context=_unreserved_zeros(context_shape, np.int32) if self._enable_ctx else None,
            dq=np.zeros(self._shape, np.uint32) if self._propagate_dq else None,
        )
        self._errors = _ErrorSums(rows, self._shape[1]) if self._drizzles_parts else None
        self._engine: _OnePass | _DrizzlePackage | None = None

    def add(
        self,
        image: Image,
        pixmap: np.ndarray,
        *,
        exposure_time: float | None = None,
        sky: float = 0.0,
        bounds: Bounds | None = None,
        number: int | None = None,
        limits: np.ndarray | None = None,
    ) -> bool:
        """Add one exposure, or those of its rows that reach the band.

        Parameters
        ----------
        image : Image
            Two-dimensional; it is not changed. A pixel that has no value (`science.image`) in one plane,
            or has DO_NOT_USE, has none in all.
        pixmap : float64 array, shape (ny, nx, 2)
            Position of each pixel in the output (`science.geometry.pixel_map`).
        exposure_time : float or None
            Seconds; needed for weight type ``exptime``.
        sky : float
            Level to subtract from `sci`.
        bounds : ((xmin, xmax), (ymin, ymax)) or None
            First and last columns and rows that are used (`science.geometry.pixel_map.pixel_range`). None: all.
        number : int or None
            Which exposure it is, from 0, where it is not the next one: of several bands.
        limits : int64 array, shape (ny, 2), or None
            Of rows of an exposure, from what `seen_columns` returns for all of it; `bounds` are those of these rows.

        Returns
        -------
        bool
            Whether any of its pixels has weight.

        Raises
        ------
        ValueError
            If the image is not two-dimensional, the shape of the map is not its shape, the map
            has too few positions, there is no exposure time where one is needed, its kinds of error and
            variance are not those of the first one, or more exposures are added than were announced.
        """
        _check_shapes(image, pixmap)
        number = self._n_added if number is None else number
        if number >= self._n_images:
            raise ValueError(f"n_images is {self._n_images}; no more exposures can be added")
        kinds = _kinds(image)
        self._check_kinds(kinds)
        if limits is None:
            bounds = _part_with_positions(pixmap, bounds)
        bounds = bounds or _all_bounds(pixmap)
        weight = pixel_weights(image, self._weight_type, self._good_bits, exposure_time, self._error_weights)
        exposure = _Exposure(
            data=image.sci - np.float32(sky) if sky else image.sci,
            weight=self._in_range(weight),
            pixmap=pixmap,
            bounds=bounds,
            window=self._within_band(_window(pixmap, bounds, self._shape)),
            dq=image.dq,
            limits=limits,
        )
        combined = kinds or ["err"]
        engine = self._engine or self._choose(image.sci.size, combined)
        if self._propagate:
            engine.add(exposure, _stack(image, combined, squared=True), number)
        elif self._errors is not None:
            means, seen = engine.add_with_means(exposure, _stack(image, combined, squared=False), number)
            self._errors.add(combined, means, seen, exposure.window, self._weighed_by(image, exposure_time))
        else:
            engine.add(exposure, None, number)
        if self._drizzled_error is not None:
            self._drizzled_error.add(replace(image, sci=image.err), pixmap, exposure_time=exposure_time, bounds=bounds)
        self._n_added = number + 1
        return bool(weight.any())

    def finish(self) -> Resampled:
        """Return the combined planes. To these sums nothing can be added afterwards."""
        if self._engine is not None:
            self._engine.finish(self._rows)
        self._sums = self._sums.rows(self._rows)
        sums, planes = self._sums, self._error_planes()
        self._blank(planes)
        del self._sums, self._errors, self._engine
        return Resampled(sci=sums.sci, wht=sums.wht, con=sums.context, dq=sums.dq, **planes)

    def _error_planes(self) -> dict[str, np.ndarray]:
        """Return the combined error and, if they are wanted, its parts, float32."""
        if self._drizzled_error is not None:
            # The weights of some kernels are negative in part, and so may such a mean be.
            return {"err": np.abs(self._drizzled_error.finish().sci) / np.float32(self._pixel_scale_ratio)}
        if self._errors is not None:
            if self.kinds is not None:  # a band may have got nothing
                self._errors.begin(self.kinds or ["err"])
            variances = self._errors.variances(self._pixel_scale_ratio)
        elif self._propagate:
            summed = self._sums.variances
            variances = {} if summed is None else dict(zip(self.kinds or ["err"], summed, strict=True))
        else:
            return {}
        planes = {"err": _total_error(variances, self._sums.sci.shape)}
        if self._report_var:
            planes |= {name: plane for name, plane in variances.items() if name != "err"}
        with np.errstate(over="ignore"):  # what single precision cannot hold is no value
            return {name: plane.astype(np.float32, copy=False) for name, plane in planes.items()}

    def _blank(self, planes: dict[str, np.ndarray]) -> None:
        """Give pixels without a value the fill value and the weight 0, and NaN in errors and variances."""
        sums = self._sums
        # Only kernels with negative weights, whose sum may vanish, leave a pixel with a weight and without a value.
        lost = ~np.isfinite(sums.sci)
        if "err" in planes:
            lost |= (sums.wht > 0) & ~np.isfinite(planes["err"])
        if lost.any():
            sums.wht[lost] = 0
            if sums.context is not None:
                sums.context[:, lost] = 0
        sums.sci[sums.wht == 0] = self._fillval
        nothing = ~(sums.wht > 0)
        for plane in planes.values():
            plane[(nothing & ~np.isnan(plane)) | np.isinf(plane)] = np.nan  # NaN stay what they are, to the sign
        if self._exponent:
            weighed = ~nothing
            with np.errstate(over="ignore"):
                np.ldexp(sums.wht, self._exponent, out=sums.wht)
            limits = np.finfo(np.float32)
            np.clip(sums.wht, limits.tiny, limits.max, out=sums.wht, where=weighed)

    @property
    def kinds(self) -> list[str] | None:
        """The kinds of error and variance of the exposures; None as long as none was added to any band."""
        return self._of_all.get("kinds")

    def expect(self, kinds: list[str]) -> None:
        """Say which kinds of error and variance the exposures have, for bands that none of them is added to.

        Parameters
        ----------
        kinds : list of str
            The `kinds` of another combination of exposures of the same image.

        Raises
        ------
        ValueError
            If other exposures have others.
        """
        self._check_kinds(kinds)

    def _check_kinds(self, kinds: list[str]) -> None:
        known = self._of_all.setdefault("kinds", kinds)
        if kinds != known:
            own, first = (", ".join(map(str.upper, names)) or "no ERR above 0" for names in (kinds, known))
            raise ValueError(f"the exposure has {own}, the first one {first}: combined ones need the same")

    def _in_range(self, weight: np.ndarray) -> np.ndarray:
        """Return weights in units of the power of two of all, within their limits; those that are 0 stay so."""
        positive = weight > 0
        smallest, largest = np.min(weight, where=positive, initial=np.inf), weight.max(initial=0)
        within = smallest >= SMALLEST_WEIGHT and largest <= LARGEST_WEIGHT
        if self._exponent is None and largest > 0:
            self._exponent = 0 if within else round(math.log2(np.median(weight[positive])))
        if within and not self._exponent:
            return weight
        with np.errstate(over="ignore"):
            weight = np.ldexp(weight, -(self._exponent or 0))
        return np.clip(weight, SMALLEST_WEIGHT, LARGEST_WEIGHT, out=weight, where=positive)

    def _choose(self, n_pixels: int, kinds: list[str]) -> _OnePass | _DrizzlePackage:
        """Choose how to drizzle, now that the size of an exposure is known."""
        if self._propagate:
            self._sums.variances = np.zeros((len(kinds), *self._shape), np.float32)
        module = self._module or self._kernel_module(n_pixels)
        if module is not None:
            self._engine = _OnePass(module, self._sums, self._threads)
        else:
            self._engine = _DrizzlePackage(self._sums, self._kernel, self._pixfrac, self._pixel_scale_ratio)
        return self._engine

    def _kernel_module(self, n_pixels: int) -> ModuleType | None:
        """Return our own kernel if it does what is asked for, and pays."""
        if not own_kernel_does(self._kernel, self._pixfrac, self._propagate_dq):
            return None
        return _one_pass_kernel(n_pixels * self._n_images)

    def _within_band(self, window: Window) -> Window:
        if self._kernel != "square":
            return _all_of(self._shape)
        rows, columns = window
        start = min(max(rows.start, self._rows.start), self._rows.stop)
        return slice(start, max(min(rows.stop, self._rows.stop), start)), columns

    def _weighed_by(self, image: Image, exposure_time: float | None) -> str | float:
        """Return the kind of error whose inverse square is the weight of an exposure's variances, or that weight."""
        if self._weight_type == "exptime" and exposure_time:
            return exposure_time
        kind = _weighing_plane(image, self._error_weights)
        return _error_weight(image) if kind == "err" else kind or 1.0


def seen_columns(pixmap: np.ndarray, shape: tuple[int, int], bounds: Bounds) -> np.ndarray:
    """Return the first and last column of each row of an exposure that drizzle looks at.

    Parameters
    ----------
    pixmap : float64 array, shape (ny, nx, 2)
        Of all of the exposure.
    shape : (ny, nx)
        Of the output.
    bounds : ((xmin, xmax), (ymin, ymax))
        As of `Resampler.add`.

    Returns
    -------
    int64 array, shape (ny, 2)
        The last one included; (0, -1) for rows that are left out.
    """
    from calflow.science.combination.drizzle_kernel import scan_limits

    return scan_limits(pixmap, shape, _part_with_positions(pixmap, bounds))


def pixel_weights(
    image: Image,
    weight_type: str = Drizzling.weight_type,
    good_bits: str = GOOD_BITS,
    exposure_time: float | None = None,
    error_weights: bool = True,
) -> np.ndarray:
    """Return the weight of each pixel, float32, zero where it must not contribute.

    Parameters
    ----------
    image : Image
    weight_type : {'ivm', 'exptime'}
        'ivm' is 1 / VAR_RNOISE. Without VAR_RNOISE it is 1 / ERR^2 with the median ERR of the exposure, the same for
        all of its pixels, and without errors 1.
    good_bits : str
        Pixels that this mask expression calls bad get no weight, nor do those with DO_NOT_USE, without a value
        (`science.image`) in any plane, or with a variance of 0 that would be divided by.
    exposure_time : float or None
        Seconds, for 'exptime'.
    error_weights : bool
        False: without VAR_RNOISE the weight is 1 in any case, for uses in which weights tell how well pixels are
        covered by the exposures of a group, whatever their noise.

    Raises
    ------
    ValueError
        If the weight is the exposure time and there is none.

    Notes
    -----
    ERR has the noise of the light itself. Pixel by pixel, 1 / ERR^2 would count the bright parts of sources less than
    the faint ones beside them, and take 5 to 10 % of the flux of stars; VAR_RNOISE does not know the light.
    """
    bad = bad_pixels(image.dq, good_bits) | ((image.dq & DO_NOT_USE) != 0)
    for name, plane in image.float_planes().items():
        bad |= ~has_value(name, plane)
    if weight_type == "exptime":
        if exposure_time is None or not (exposure_time > 0 and math.isfinite(exposure_time)):
            raise ValueError(
                f"weight_type 'exptime' needs a positive exposure time, not {exposure_time}: "
                "the exposure has neither TMEASURE nor EFFEXPTM, or it is 0"
            )
        weight = np.full(image.sci.shape, exposure_time, np.float32)
    else:
        kind = _weighing_plane(image, error_weights)
        weight = np.ones(image.sci.shape, np.float32) if kind is None else _inverse(_variance(image, kind))
        if kind == "err":
            weight[weight > 0] = _error_weight(image)
    weight[bad] = 0.0
    return weight


def fill_value(text: str | float) -> str:
    """Return the fill value as drizzle takes it.

    Parameters
    ----------
    text : str or float
        A number, ``NAN`` or ``INDEF``, as users write it.

    Returns
    -------
    str
        A number, or ``NAN``.

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

    def rows(self, rows: slice) -> _Sums:
        """Return those of some rows."""
        optional = {name: getattr(self, name) for name in ("context", "dq", "variances")}
        parts = {name: None if plane is None else plane[..., rows, :] for name, plane in optional.items()}
        return _Sums(self.sci[rows], self.wht[rows], **parts)


@dataclass
class _Exposure:
    """An exposure as it is drizzled."""

    data: np.ndarray
    weight: np.ndarray
    pixmap: np.ndarray
    bounds: Bounds
    window: Window
    dq: np.ndarray
    limits: np.ndarray | None = None


class _OnePass:
    """Adds exposures with our own kernel, all planes at once."""

    def __init__(self, module: ModuleType, sums: _Sums, threads: int):
        self._module = module
        self._sums = sums
        self._threads = threads

    def finish(self, rows: slice) -> None:
        """Make some rows of the image, which are sums, means."""
        sci, wht = self._sums.sci[rows], self._sums.wht[rows]
        np.divide(sci, wht, out=sci, where=wht > 0)

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
            limits=exposure.limits,
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

    def finish(self, rows: slice) -> None:
        """Do nothing: the image is a mean all the time."""

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
    """Sums over exposures of weight^2 * error^2, for each kind of error, and of the weights, the same for all kinds."""

    def __init__(self, rows: slice, n_columns: int):
        self._shape = rows.stop - rows.start, n_columns
        self._first_row = rows.start
        self._type: type[np.floating] = np.float32
        self._variance: dict[str, np.ndarray] = {}
        self._weight: np.ndarray | None = None

    def add(
        self, names: Sequence[str], errors: np.ndarray, seen: np.ndarray, window: Window, weighed_by: str | float
    ) -> None:
        """Add the drizzled errors of an exposure; they are overwritten.

        Parameters
        ----------
        names : sequence of str
            The same for all exposures.
        errors : float32 array, shape (len(names), ny, nx)
        seen : bool array, shape (ny, nx)
            Where they have a value.
        window : (rows, columns)
            Where they belong.
        weighed_by : str or float
            The one of `names` whose inverse square is the weight of all kinds, or the weight.
        """
        if self._type is np.float32 and not _fit_single_precision(names, errors, seen, weighed_by):
            self._type = np.float64
            self._variance = {name: plane.astype(np.float64) for name, plane in self._variance.items()}
            self._weight = None if self._weight is None else self._weight.astype(np.float64)
        variances = errors.astype(self._type, copy=False)
        np.square(variances, out=variances)
        if isinstance(weighed_by, str):
            weight = _inverse(variances[names.index(weighed_by)])
            weight[~seen] = 0
        else:
            weight = np.where(seen, self._type(weighed_by), self._type(0))
        total = self.begin(names)
        rows, columns = window
        window = slice(rows.start - self._first_row, rows.stop - self._first_row), columns
        total[window] += weight
        squared = np.square(weight, out=weight)
        for name, variance in zip(names, variances, strict=True):
            variance *= squared
            self._variance[name][window] += variance

    def begin(self, names: Sequence[str]) -> np.ndarray:
        """Make sums of 0, where there are none, of the kinds that are added; return that of the weights."""
        for name in names:
            if name not in self._variance:
                self._variance[name] = np.zeros(self._shape, self._type)
        if self._weight is None:
            self._weight = np.zeros(self._shape, self._type)
        return self._weight

    def variances(self, pixel_scale_ratio: float) -> dict[str, np.ndarray]:
        """Return the variances of the weighted means, float32 or float64, NaN where nothing was added."""
        result, self._variance = self._variance, {}
        if self._weight is None:
            return result
        weight, self._weight = np.square(self._weight, out=self._weight), None
        for total in result.values():
            with np.errstate(divide="ignore", invalid="ignore"):
                np.divide(total, weight, out=total)
            total /= self._type(pixel_scale_ratio**2)
        return result


def _fit_single_precision(names: Sequence[str], errors: np.ndarray, seen: np.ndarray, weighed_by: str | float) -> bool:
    """Tell whether sums of the squares of errors, weighed, stay well within single precision."""
    if not seen.any():
        return True
    if isinstance(weighed_by, str):
        weighing = np.abs(errors[names.index(weighed_by)])
        # Of float64: the squares may be too large or too small.
        least, most = (float(extreme) ** 2 for extreme in (weighing.min(where=seen, initial=np.inf), weighing.max()))
        smallest, largest = 1 / most if most else np.inf, 1 / least if least else np.inf
    else:
        smallest = largest = float(weighed_by)
    greatest = max(abs(float(errors.max())), abs(float(errors.min()))) ** 2
    return smallest >= SMALLEST_INVERSE and largest <= LARGEST_INVERSE and greatest * largest**2 <= LARGEST_TERM


def start_kernel(n_pixels: int) -> None:
    """Start our own kernel in this process, if it is there and that pays for so many pixels, for all that it forks.

    Parameters
    ----------
    n_pixels : int
        Pixels of all exposures together.
    """
    if module := _one_pass_kernel(n_pixels):
        module.start_kernel()


def _one_pass_kernel(n_pixels: int) -> ModuleType | None:
    """Return the module with our own kernel if it is there and worth its start."""
    if n_pixels < WORTHWHILE:
        return None
    try:
        from calflow.science.combination import drizzle_kernel
    except (ImportError, OSError, RuntimeError):  # no numba, one that does not fit, no place for what it compiles
        return None
    return drizzle_kernel


def _kinds(image: Image) -> list[str]:
    """Return the kinds of error and variance that tell the error of an image: none if nothing is known of it."""
    parts = [name for name in PARTS if getattr(image, name) is not None]
    if {"var_rnoise", "var_poisson"} <= set(parts) or not (image.err > 0).any():
        return parts
    return [*parts, "err"]


def _weighing_plane(image: Image, error_weights: bool) -> str | None:
    """Return the kind of error or variance whose inverse makes weights, None if nothing does."""
    if image.var_rnoise is not None:
        return "var_rnoise"
    return "err" if error_weights and (image.err > 0).any() else None


def _error_weight(image: Image) -> float:
    """Return 1 / ERR^2 with the median ERR of the usable pixels, within what single precision holds."""
    known = image.err > 0
    usable = known & ((image.dq & DO_NOT_USE) == 0)
    median = float(np.median(image.err[usable if usable.any() else known]))
    return float(np.clip(1 / median**2, SMALLEST_ERROR_WEIGHT, 1 / SMALLEST_ERROR_WEIGHT))


def _variance(image: Image, kind: str) -> np.ndarray:
    return np.square(image.err) if kind == "err" else getattr(image, kind)


def _stack(image: Image, kinds: Sequence[str], squared: bool) -> np.ndarray:
    """Return the errors of an image, or their squares, float32, shape (len(kinds), ny, nx)."""
    planes = np.empty((len(kinds), *image.sci.shape), np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # of pixels that have no weight
        for kind, plane in zip(kinds, planes, strict=True):
            if squared:
                plane[...] = _variance(image, kind)
            elif kind == "err":
                plane[...] = image.err
            else:
                np.sqrt(getattr(image, kind), out=plane)
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


def _unreserved_zeros(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Return zeros of which only the pages that are written take memory; all may be more than the machine has."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    memory = mmap.mmap(-1, max(math.prod(shape), 1) * np.dtype(dtype).itemsize, flags=flags)
    if hasattr(mmap, "MADV_HUGEPAGE"):  # as numpy does
        with suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype, math.prod(shape)).reshape(shape)


def _all_bounds(pixmap: np.ndarray) -> Bounds:
    ny, nx = pixmap.shape[:2]
    return (0, nx - 1), (0, ny - 1)


def _window(pixmap: np.ndarray, bounds: Bounds, shape: tuple[int, int]) -> Window:
    """Return the rows and columns of the output within which the pixels of an image lie, corners and all."""
    (xmin, xmax), (ymin, ymax) = bounds
    # Corners are means of the positions around them; those at the edges of the map are extrapolated.
    part = pixmap[max(ymin - 1, 0) : ymax + 2, max(xmin - 1, 0) : xmax + 2]
    margin = reach_of_pixels(pixmap)
    low = np.fmin.reduce(np.fmin.reduce(part, axis=0), axis=0) - margin
    high = np.fmax.reduce(np.fmax.reduce(part, axis=0), axis=0) + margin
    (x1, y1), (x2, y2) = low.tolist(), high.tolist()
    return _slice_within(y1, y2, shape[0]), _slice_within(x1, x2, shape[1])


def reach_of_pixels(pixmap: np.ndarray) -> np.ndarray:
    """Return how far from the centres of pixels others are that they may touch, in x and y of the output.

    Parameters
    ----------
    pixmap : float64 array, shape (ny, nx, 2)
        Positions of the centres; NaN for none.

    Returns
    -------
    float64 array, shape (2,)
    """
    borders = (pixmap[:2], pixmap[-2:], pixmap[:, :2].swapaxes(0, 1), pixmap[:, -2:].swapaxes(0, 1))
    steps = [np.fmax.reduce(np.abs(border[1] - border[0]), axis=0, initial=0.0) for border in borders]
    return 1 + 0.5 * (np.maximum(*steps[:2]) + np.maximum(*steps[2:]))


def _slice_within(low: float, high: float, n: int) -> slice:
    start = min(max(math.floor(low), 0), n)
    return slice(start, max(min(math.ceil(high) + 1, n), start))


def _all_of(shape: tuple[int, int]) -> Window:
    return slice(0, shape[0]), slice(0, shape[1])


def _check_shapes(image, pixmap) -> None:
    if image.sci.ndim != 2:
        raise ValueError(f"only two-dimensional images can be resampled, not one of shape {image.sci.shape}")
    if pixmap.shape != (*image.sci.shape, 2):
        raise ValueError(f"the pixel map has shape {pixmap.shape}; for an image {image.sci.shape} append 2")


def _inverse(variance: np.ndarray) -> np.ndarray:
    """Return 1 / variance, 0 where that is not a positive number."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        weight = 1 / variance
    weight[~np.isfinite(weight) | (weight < 0)] = 0.0
    return weight


def _total_error(variances: dict[str, np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return the combined error, or the root of the sum of its parts, NaN where no kind has a value."""
    if "err" in variances:
        return np.sqrt(variances["err"])
    error = np.zeros(shape, np.result_type(np.float32, *variances.values()))
    for start in range(0, shape[0], BAND_ROWS):
        total = error[start : start + BAND_ROWS]
        none = np.ones(total.shape, bool)
        for variance in variances.values():
            band = variance[start : start + BAND_ROWS]
            missing = np.isnan(band)
            total += np.where(missing, 0, band)
            none &= missing
        total[none] = np.nan
        np.sqrt(total, out=total)
    return error
