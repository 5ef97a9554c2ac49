"""Background files: the part of a member that lies in a window, and the average of a set."""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from calflow.files.detector_window import detector_window
from calflow.files.exposure import image_extension, write_product
from calflow.science.calibration.background import Background, possible_samples
from calflow.science.windows import Window


def read_part(
    path: Path, window: Window, images: Sequence[str] = ("SCI",)
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Window] | None:
    """Read SCI, ERR and DQ of a background exposure in a detector window, and only that from the disk.

    Parameters
    ----------
    path : Path
    window : Window
    images : sequence of str
        Names that the extension SCI may have.

    Returns
    -------
    sci, err : float32 array, shape (..., ny, nx)
    dq : uint32 array of that shape
        ERR and DQ are 0 if the file has none. Both are NaN where either cannot be a value (`science.image`);
        the flags stay those of the file, since other members may have a value there.
    common : Window
        The pixels that were read, those which exposure and window share. None in place of it all: there are none.
    """
    with fits.open(path, memmap=False) as hdus:
        image = hdus[image_extension(hdus, images)]
        own = detector_window(ChainMap(hdus[0].header, image.header), image.shape)
        common = own.overlap(window)
        if common is None:
            return None
        part = (..., *own.slices(common))
        sci = np.asarray(image.section[part], np.float32)
        err, dq = (
            np.asarray(hdus[name].section[part] if name in hdus else np.zeros(sci.shape), dtype)
            for name, dtype in (("ERR", np.float32), ("DQ", np.uint32))
        )
    return *possible_samples(sci, err), dq, common


def read_average(path: Path) -> tuple[Background, int]:
    """Read the average of a set, and the number of its members.

    Parameters
    ----------
    path : Path
    """
    with fits.open(path, memmap=False) as hdus:
        return Background(hdus["SCI"].data, hdus["ERR"].data, hdus["DQ"].data), hdus[0].header["NBKG"]


def write_average(background: Background, members: int, path: Path) -> None:
    """Write the average of a set of so many members.

    Parameters
    ----------
    background : Background
        Planes of shape (ny, nx), DN/s.
    members : int
        How many exposures were averaged.
    path : Path
    """
    write_planes({"SCI": background.sci, "DQ": background.dq, "ERR": background.err}, members, path)


def write_planes(planes: Mapping[str, np.ndarray], members: int, path: Path, **cards: tuple) -> None:
    """Write planes that are made of so many background exposures, with further cards.

    Parameters
    ----------
    planes : mapping of str to array, shape (ny, nx)
        By the names of their extensions.
    members : int
        How many exposures they come from.
    path : Path
    **cards : (value, comment)
        Further cards of the primary header, by their keywords.
    """
    primary = fits.Header()
    primary.set("DATAMODL", "ImageModel", "Type of data model")
    primary.set("NBKG", members, "Number of background exposures averaged")
    primary.update(cards)
    write_product(path, primary, planes)
