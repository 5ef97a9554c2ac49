"""Planes of exposure files that are read row by row, when they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from calflow.files.exposure import image_extension

_TYPES = {"SCI": np.float32, "ERR": np.float32, "DQ": np.uint32}


@dataclass(frozen=True)
class ExposurePlane:
    """A 2-D plane in a file: what is asked of it, as of an array, is read from the disk.

    Attributes
    ----------
    path : Path
    name : str
        ``SCI``, ``ERR`` or ``DQ``; the latter two are 0 if the file has none.
    images : sequence of str
        Names that the extension SCI may have.
    """

    path: Path
    name: str
    images: Sequence[str] = ("SCI",)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the plane, (ny, nx)."""
        with fits.open(self.path, memmap=False) as hdus:
            return hdus[image_extension(hdus, self.images)].shape

    def __getitem__(self, rows: slice) -> np.ndarray:
        with fits.open(self.path, memmap=False) as hdus:
            image = image_extension(hdus, self.images)
            name = image if self.name == "SCI" else self.name
            values = hdus[name].section[rows] if name in hdus else np.zeros(hdus[image].section[rows].shape)
            return np.asarray(values, _TYPES[self.name])


def exposure_planes(paths: Sequence[str], images: Sequence[str]) -> tuple[list[ExposurePlane], ...]:
    """Return the stacks SCI, ERR, DQ of exposures.

    Parameters
    ----------
    paths : sequence of str
        Files of exposures, 2-D.
    images : sequence of str
        Names that the extension with the pixels may have.

    Returns
    -------
    sci, err, dq : list of ExposurePlane
        One plane of shape (ny, nx) for each exposure, which is read band by band.
    """
    return tuple([ExposurePlane(Path(path), name, images) for path in paths] for name in _TYPES)
