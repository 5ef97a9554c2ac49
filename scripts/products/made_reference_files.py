"""Reference files that are made here, and the exposures they are made of."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from products.exposure import image_extension, write_product


def open_planes(path: Path | str, images: Sequence[str], files: ExitStack) -> tuple:
    """Open an exposure whose pixels are read when they are looked at.

    Parameters
    ----------
    path : Path
    images : sequence of str
        Names that the extension with the pixels may have.
    files : ExitStack
        Closes the file.

    Returns
    -------
    sci, err, dq
        With a shape (ny, nx); indices give arrays. ERR and DQ are 0 if the file has none.
    """
    hdus = files.enter_context(fits.open(path))
    sci = hdus[image_extension(hdus, images)].section
    nothing = [np.broadcast_to(dtype(0), sci.shape) for dtype in (np.float32, np.uint32)]
    err, dq = (hdus[name].section if name in hdus else zero for name, zero in zip(("ERR", "DQ"), nothing, strict=True))
    return sci, err, dq


def write_reference(
    path: Path, keywords: Mapping[str, Any], sci: np.ndarray, err: np.ndarray | None, dq: np.ndarray
) -> None:
    """Write a reference file, complete or not at all."""
    primary = fits.Header(list(keywords.items()))
    planes = {"SCI": sci, "ERR": err, "DQ": dq}
    write_product(path, primary, {name: plane for name, plane in planes.items() if plane is not None})
