"""How exposures are combined and outliers found: the parameters of `resample` and `outlier_detection`, as in jwst."""

from dataclasses import dataclass
from typing import Annotated, Literal

from calflow.science.parameters import Length, Range

# Bands of the output that are worked on by themselves: 28 bytes for each pixel, and what surrounds an exposure.
BAND_PIXELS, LEAST_BAND_ROWS = 1 << 21, 256
# Of all bands that are worked on at the same time, so that memory does not grow with the number of threads.
PIXELS_AT_ONCE = 10 * 2**20

Pixfrac = Annotated[float, Range(ge=0, le=1), "drop size, as a fraction of the input pixel"]
FillValue = Annotated[str, "value of pixels without data: a number, or NAN"]
WeightType = Literal["ivm", "exptime"]


@dataclass(frozen=True, kw_only=True)
class Drizzling:
    """How pixels are spread on a grid, and weighed; `resample.Resampler` says more.

    Attributes
    ----------
    pixfrac : float
        Side of the drop, as a fraction of the input pixel.
    kernel : {"square", "gaussian", "point", "turbo", "lanczos2", "lanczos3"}
        How an input pixel is spread.
    fillval : str
        A number, or ``NAN`` or ``INDEF``: the value of output pixels that nothing contributes to.
    weight_type : {"ivm", "exptime"}
        The weight of a pixel: an inverse variance, or the exposure time.
    """

    pixfrac: Pixfrac = 1.0
    kernel: Annotated[
        Literal["square", "gaussian", "point", "turbo", "lanczos2", "lanczos3"],
        "drizzle kernel: square, gaussian, point, turbo, lanczos2, lanczos3",
    ] = "square"
    fillval: FillValue = "NAN"
    weight_type: Annotated[WeightType, "ivm: 1 / VAR_RNOISE, without it 1 / median(ERR)^2; exptime: exposure time"] = (
        "ivm"
    )


def own_kernel_does(kernel: str, pixfrac: float, propagate_dq: bool) -> bool:
    """Tell whether our own drizzle kernel does what is asked for, which can work on the output in bands.

    Parameters
    ----------
    kernel, pixfrac
        As in `Drizzling`.
    propagate_dq : bool
        As in `ResampledPlanes`.
    """
    return kernel == "square" and pixfrac == 1 and not propagate_dq


def rows_of_band(shape: tuple[int, int]) -> int:
    """Return how many rows of an output our own kernel works on by themselves; they do not depend on threads.

    Parameters
    ----------
    shape : (ny, nx)
        Of the output.
    """
    ny, nx = shape
    number = max(1, round(ny / max(LEAST_BAND_ROWS, BAND_PIXELS // nx)))
    return -(-ny // number)


def bands_at_once(shape: tuple[int, int], threads: int) -> int:
    """Return how many bands of an output are worked on at the same time; what is left of the threads is for each.

    Parameters
    ----------
    shape : (ny, nx)
        Of the output.
    threads : int
    """
    rows = rows_of_band(shape)
    return max(1, min(threads, -(-shape[0] // rows), PIXELS_AT_ONCE // (rows * shape[1])))


def rows_of_piece(n_rows: int, number: int, pieces: int) -> slice:
    """Return the rows of a piece of an output that several jobs make; together they are all rows.

    Parameters
    ----------
    n_rows : int
        Of the output.
    number : int
        Of the piece, from 0.
    pieces : int
        How many there are.
    """
    return slice(n_rows * number // pieces, n_rows * (number + 1) // pieces)


@dataclass(frozen=True, kw_only=True)
class ResampledPlanes:
    """Which planes a combined image has.

    Attributes
    ----------
    enable_ctx, enable_err : bool
        Whether there is the context; the error.
    report_var : bool
        Whether there are the variances, with the error.
    propagate_dq : bool
        Whether there are the flags of all inputs.
    """

    enable_ctx: Annotated[bool, "write the context image, CON"] = True
    enable_err: Annotated[bool, "compute and write ERR and the variances"] = True
    report_var: Annotated[bool, "write VAR_POISSON, VAR_RNOISE, VAR_FLAT"] = True
    propagate_dq: Annotated[bool, "write DQ, the union of the flags of the inputs"] = False


@dataclass(frozen=True, kw_only=True)
class ResampledVariance:
    """How the variances of a combined image are made.

    Attributes
    ----------
    variance : {"resampled", "propagated"}
        As if the errors of neighbours were one, or independent; `resample.Resampler` says more.
    """

    variance: Annotated[
        Literal["resampled", "propagated"],
        "resampled: as jwst, for correlated pixels; propagated: as if independent",
    ] = "resampled"


@dataclass(frozen=True, kw_only=True)
class GroupDrizzling:
    """How groups are resampled for the outlier search.

    Attributes
    ----------
    weight_type, pixfrac, kernel, fillval
        As in `Drizzling`; the kernels with negative weights, and the Gaussian, are of no use here.
    maskpt : float
        Fraction of the mean weight below which pixels are left out.
    """

    weight_type: Annotated[WeightType, "ivm: 1 / VAR_RNOISE, without it 1; exptime: exposure time"] = (
        Drizzling.weight_type
    )
    pixfrac: Pixfrac = Drizzling.pixfrac
    kernel: Annotated[Literal["square", "point", "turbo"], "square, point, turbo"] = "square"
    fillval: FillValue = Drizzling.fillval
    maskpt: Annotated[float, Range(ge=0), "pixels below this times the mean weight are left out"] = 0.7


@dataclass(frozen=True, kw_only=True)
class OutlierThresholds:
    """What counts as an outlier; `outlier_detection.flag_outliers` says more.

    Attributes
    ----------
    snr : (float, float)
        Thresholds in units of the error: to find an outlier, and its wings.
    scale : (float, float)
        Allowances in units of the largest difference of neighbouring pixels, alike.
    backg : float
        Sky level where it is not known, in the unit of the image.
    """

    snr: Annotated[
        tuple[float, ...], Length(2, 2), Range(ge=0), "thresholds in sigma: to find, and next to what was found"
    ] = (5.0, 4.0)
    scale: Annotated[
        tuple[float, ...], Length(2, 2), Range(ge=0), "allowance for sharp structures, times the local derivative"
    ] = (1.2, 0.7)
    backg: Annotated[float, "background of the input, MJy/sr, where skymatch gives none"] = 0.0
