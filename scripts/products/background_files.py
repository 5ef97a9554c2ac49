"""Background files: the part of a member that lies in a window, and the average of a set."""

from collections import ChainMap
from pathlib import Path

import numpy as np
from astropy.io import fits

from products.detector_window import detector_window
from products.exposure import write_product
from steps.background import Background
from steps.windows import Window


def read_part(path: Path, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray, Window] | None:
    """Read SCI, ERR and DQ of a background exposure in a detector window, and only that from the disk.

    Returns
    -------
    sci, err : float32 array, shape (..., ny, nx)
    dq : uint32 array of that shape
    common : Window
        The pixels that were read, those which exposure and window share. None in place of it all: there are none.
    """
    with fits.open(path, memmap=False) as hdus:
        own = detector_window(ChainMap(hdus[0].header, hdus["SCI"].header), hdus["SCI"].shape)
        common = own.overlap(window)
        if common is None:
            return None
        part = (..., *own.slices(common))
        sci, err = (np.asarray(hdus[name].section[part], np.float32) for name in ("SCI", "ERR"))
        return sci, err, np.asarray(hdus["DQ"].section[part], np.uint32), common


def read_average(path: Path) -> tuple[Background, int]:
    """Read the average of a set, and the number of its members."""
    with fits.open(path, memmap=False) as hdus:
        return Background(hdus["SCI"].data, hdus["ERR"].data, hdus["DQ"].data), hdus[0].header["NBKG"]


def write_average(background: Background, members: int, path: Path) -> None:
    """Write the average of a set of so many members."""
    primary = fits.Header()
    primary.set("DATAMODL", "ImageModel", "Type of data model")
    primary.set("NBKG", members, "Number of background exposures averaged")
    write_product(path, primary, {"SCI": background.sci, "DQ": background.dq, "ERR": background.err})
