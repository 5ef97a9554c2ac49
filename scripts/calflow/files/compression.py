"""Products compressed tile by tile, as the FITS standard has it (4.0, section 10): what reads FITS reads them.

astropy, ds9, CFITSIO and ``jwst.datamodels.open`` unpack the extensions as they read them; ``funpack`` unpacks files.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from astropy.io import fits

from calflow.patches import timeless_tiles
from calflow.whole_files import replacing

Compression = Literal["none", "lossless", "quantized"]
# Steps per sigma of the noise, which is measured row by row: rounding adds 0.02 % to the noise (Pence et al. 2010, PASP
# 122, 1065).
STEPS_PER_SIGMA = 16.0
# The dither is taken off again; it keeps zeros (`SUBTRACTIVE_DITHER_2`), which say that a pixel has no weight. Where it
# starts comes from the pixels, so that the same product has the same bytes.
QUANTIZING = {"quantize_level": STEPS_PER_SIGMA, "quantize_method": 2, "dither_seed": -1}
# GZIP_2 packs the bytes of like significance together. RICE_1 packs integers, better and faster.
LOSSLESS = {"compression_type": "GZIP_2", "quantize_level": 0.0}


def compress(path: Path, compression: Compression) -> None:
    """
    Compress the image extensions of a FITS file, in place; tables and the primary header stay as they are.

    Parameters
    ----------
    path : Path
    compression : str
        ``none``; ``lossless``: every value, NaN among them, stays what it is; ``quantized``: floats are rounded to
        `STEPS_PER_SIGMA`, NaN, zeros and integers stay.
    """
    if compression == "none":
        return
    with fits.open(path, memmap=False) as hdus, replacing(path) as partial, timeless_tiles():
        fits.HDUList([_compressed(hdu, compression) for hdu in hdus]).writeto(
            partial, output_verify="silentfix+exception"
        )


def _compressed(hdu: Any, compression: Compression) -> Any:
    """Return an extension that holds the image of another one; one without an image as it is."""
    if not isinstance(hdu, fits.ImageHDU) or hdu.data is None or not hdu.data.size:
        return hdu
    if not np.issubdtype(hdu.data.dtype, np.floating):
        how: dict[str, Any] = {"compression_type": "RICE_1"}
    elif compression == "lossless":
        how = LOSSLESS
    else:
        how = {"compression_type": "RICE_1"} | QUANTIZING
    return fits.CompImageHDU(hdu.data, header=hdu.header, name=hdu.name, **how)
