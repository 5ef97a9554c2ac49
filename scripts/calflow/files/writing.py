"""How products are written: with which date, and compressed or not.

They are compressed tile by tile, as the FITS standard has it (4.0, section 10), so that what reads FITS reads them:
astropy, ds9, CFITSIO and ``jwst.datamodels.open`` unpack the extensions as they read them; ``funpack`` unpacks files.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits

from calflow.patches import timeless_tiles
from calflow.whole_files import replacing

# Steps per sigma of the noise, which is measured row by row: rounding adds 0.02 % to the noise (Pence et al. 2010, PASP
# 122, 1065). The dither is taken off again; it keeps zeros (`SUBTRACTIVE_DITHER_2`). Where it starts comes from the
# pixels, so that the same product has the same bytes.
STEPS_PER_SIGMA = 16.0
QUANTIZED = {
    "compression_type": "RICE_1",
    "quantize_level": STEPS_PER_SIGMA,
    "quantize_method": 2,
    "dither_seed": -1,
}
# Where a value near zero may become no other sign, digits are left out in place of steps: so many bits of the mantissa
# stay, 0.2 %.
POSITIVE = ("ERR", "WHT", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")
MANTISSA = 8
# GZIP_2 packs the bytes of like significance together. RICE_1 packs integers, better and faster.
LOSSLESS = {"compression_type": "GZIP_2", "quantize_level": 0.0}


class Writing(NamedTuple):
    """How a product is written.

    Attributes
    ----------
    date : bool
        Whether DATE is the time of writing; products then differ from run to run.
    compress : str
        As of `compress`.
    """

    date: bool = False
    compress: str = "none"


PLAIN = Writing()


def compress(path: Path, compression: str) -> None:
    """
    Compress the image extensions of a FITS file, in place; tables and the primary header stay as they are.

    Parameters
    ----------
    path : Path
    compression : str
        ``none``; ``lossless``: every value, NaN among them, stays what it is; ``quantized``: SCI is rounded to
        `STEPS_PER_SIGMA`, errors, variances and weights to `MANTISSA` bits; NaN, zeros and all else stay.
    """
    if compression == "none":
        return
    with fits.open(path, memmap=False) as hdus, replacing(path) as partial, timeless_tiles():
        fits.HDUList([_compressed(hdu, compression) for hdu in hdus]).writeto(
            partial, output_verify="silentfix+exception"
        )


def _compressed(hdu: Any, compression: str) -> Any:
    """Return an extension that holds the image of another one; one without an image as it is."""
    if not isinstance(hdu, fits.ImageHDU) or hdu.data is None or not hdu.data.size:
        return hdu
    data = hdu.data
    if not np.issubdtype(data.dtype, np.floating):
        how: dict[str, Any] = {"compression_type": "RICE_1"}
    elif compression == "quantized" and hdu.name == "SCI":
        how = QUANTIZED
    else:
        how = LOSSLESS
        if compression == "quantized" and hdu.name in POSITIVE:
            data = _rounded(data.astype(np.float32))
    return fits.CompImageHDU(data, header=hdu.header, name=hdu.name, **how)


def _rounded(values: np.ndarray) -> np.ndarray:
    """Return float32 values of which `MANTISSA` bits of 23 count; zeros, NaN and infinite ones as they are."""
    left_out = 23 - MANTISSA
    bits = values.view(np.uint32) + np.uint32(1 << left_out - 1) >> left_out << left_out
    return np.where(np.isfinite(values), bits.view(np.float32), values)
