"""What only this camera needs: its bias subtracted, and counts made count rates."""

from pathlib import Path

import numpy as np

from calflow.files.exposure import Exposure
from calflow.files.keywords import window
from calflow.files.photometry_keywords import record_unit
from calflow.files.reference_files import read_detector_reference
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

# The converter ends here, adu.
SATURATED = 65535


def subtract_bias(exposure: Exposure, input, params) -> None:
    """Subtract the bias from the counts of an exposure, and divide by its time."""
    bias, _, dq = read_detector_reference(Path(input.bias), window(exposure), params.images, optional=("ERR", "DQ"))
    time, gain, noise = (float(exposure.keyword(name)) for name in ("EXPTIME", "GAIN", "RDNOISE"))
    exposure.image = count_rates(exposure.image, bias, dq, time=time, gain=gain, read_noise=noise)
    record_unit(exposure, "adu/s")


def count_rates(
    raw: Image, bias: np.ndarray, bias_dq: np.ndarray, *, time: float, gain: float, read_noise: float
) -> Image:
    """Return the count rates of a frame with their errors.

    With N the counts and B the bias, in adu, g the gain and r the read noise::

        SCI = (N - B) / t
        VAR_POISSON = max(N - B, 0) / g / t^2
        VAR_RNOISE = (r / g)^2 / t^2

    Parameters
    ----------
    raw : Image
        Counts, adu, shape (ny, nx). Saturated pixels get SATURATED and DO_NOT_USE.
    bias : float32 array, shape (ny, nx)
        adu. NaN: not known, as the pixel then is.
    bias_dq : uint32 array, shape (ny, nx)
        Its flags, which are passed on.
    time : float
        Exposure time, s.
    gain : float
        Electrons per adu.
    read_noise : float
        Electrons.

    Returns
    -------
    Image
        adu/s, with new arrays.
    """
    signal = raw.sci - bias
    poisson = np.maximum(signal, 0) / np.float32(gain * time**2)
    read = np.where(np.isfinite(signal), np.float32((read_noise / gain / time) ** 2), np.float32(np.nan))
    full = raw.sci >= SATURATED
    dq = raw.dq | bias_dq | np.where(full, np.uint32(FLAGS["SATURATED"] | FLAGS["DO_NOT_USE"]), np.uint32(0))
    return Image(signal / np.float32(time), np.sqrt(poisson + read), dq, poisson, read)
