"""The table of concurrent subarrays of a full frame: a BINTABLE extension SUBARRAYS."""

from collections.abc import Sequence

import numpy as np
from astropy.io import fits

from calflow.files.exposure import Exposure
from calflow.science.calibration.subarray_map import Subarray

NAME = "SUBARRAYS"
COLUMNS = ("id", "xstart", "ystart", "xsize", "ysize")


def record_subarrays(exposure: Exposure, subarrays: Sequence[Subarray]) -> None:
    """Attach the table, one row per subarray, in place of one that is there.

    Parameters
    ----------
    exposure : Exposure
        Of the full frame; it is changed.
    subarrays : sequence of Subarray
    """
    columns = [
        fits.Column(name, "J", array=np.array([getattr(subarray, name) for subarray in subarrays], np.int32))
        for name in COLUMNS
    ]
    table = fits.BinTableHDU.from_columns(columns, name=NAME)
    exposure.others = [hdu for hdu in exposure.others if hdu.name != NAME] + [table]
