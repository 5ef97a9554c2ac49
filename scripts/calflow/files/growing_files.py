"""FITS files whose images are written part by part, so that none of them is ever in memory as a whole."""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits

FITS_BLOCK = 2880
PIXELS_AT_ONCE = 2**17


@dataclass(frozen=True)
class Later:
    """What is known of an image before any of its pixels.

    Attributes
    ----------
    shape : tuple of int
        Of the whole, the slowest axis first.
    dtype : numpy dtype
        float32, int32, uint32 ...
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    def stand_in(self) -> np.ndarray:
        """Return an image of one pixel, whose header tells all but the shape."""
        return np.zeros((1,) * len(self.shape), self.dtype)


class Section:
    """The pixels of an image in a file that is being written; those that are never written are the integer 0.

    Several threads may write at the same time.

    Parameters
    ----------
    file : binary file
    offset : int
        Of the first pixel in the file, bytes.
    later : Later
    """

    def __init__(self, file: BinaryIO, offset: int, later: Later):
        self._file = file
        self._offset = offset
        self._later = later

    def write(self, values: np.ndarray, *start: int) -> None:
        """Write pixels that follow each other in the file.

        Parameters
        ----------
        values : array
            Of the type of the image. It fills all axes but the slowest of its own.
        *start : int
            Where it begins on the axes of the image, from the slowest on; 0 on those that are left out.

        Raises
        ------
        ValueError
            If the values are of another type, do not lie within the image, or do not follow each other there.
        """
        shape, dtype = self._later.shape, self._later.dtype
        first = (*start, *(0,) * (len(shape) - len(start)))
        size = (*(1,) * (len(shape) - values.ndim), *values.shape)
        slowest = next((axis for axis, n in enumerate(size) if n > 1), len(size) - 1)
        fits_in = all(low >= 0 and low + n <= whole for low, n, whole in zip(first, size, shape, strict=True))
        if values.dtype != dtype or not fits_in or size[slowest + 1 :] != shape[slowest + 1 :]:
            raise ValueError(
                f"{values.dtype} of shape {values.shape} at {start} is no part of {dtype} of shape {shape}"
            )
        begin = int(np.ravel_multi_index(first, shape)) if values.size else 0
        flat = np.ravel(values)
        # Little by little: what is written is still in the cache of the processor, and needs no memory for all of it.
        for part in range(0, flat.size, PIXELS_AT_ONCE):
            place = self._offset + (begin + part) * dtype.itemsize
            _write_at(self._file.fileno(), _as_stored(flat[part : part + PIXELS_AT_ONCE]), place)


def _as_stored(values: np.ndarray) -> np.ndarray:
    """Return values as FITS has them: big-endian, unsigned integers less half of their range."""
    if values.dtype.kind == "u" and values.dtype.itemsize > 1:
        values = values ^ values.dtype.type(1 << (8 * values.dtype.itemsize - 1))
    return np.ascontiguousarray(values, values.dtype.newbyteorder(">"))


def _write_at(file: int, values: np.ndarray, offset: int) -> None:
    """Write values to a place in a file, whatever others write to others of it."""
    left = values.reshape(-1).view(np.uint8).data
    while left:
        written = os.pwrite(file, left, offset)
        left, offset = left[written:], offset + written


@contextmanager
def growing(path: Path, hdus: Sequence, later: Mapping[str, Later]) -> Iterator[dict[str, Section]]:
    """Write a FITS file, but for the pixels of some of its images; yield these images.

    Parameters
    ----------
    path : Path
    hdus : sequence of HDU
        As they are to be, the primary one first; images that come later are `Later.stand_in`.
    later : mapping of extension name to Later

    Yields
    ------
    dict of extension name to Section
        What is to be written.

    Notes
    -----
    The file has the bytes that astropy writes: it writes the stand-ins, whose headers get the true lengths of axes.
    """
    small, later = io.BytesIO(), dict(later)
    fits.HDUList(list(hdus)).writeto(small, output_verify="silentfix+exception")
    content = small.getvalue()
    with path.open("wb") as file, fits.open(io.BytesIO(content)) as written:
        sections = {}
        for hdu in written:
            place = hdu.fileinfo()
            image = later.pop(hdu.name, None)  # of several of a name the first
            if image is None:
                file.write(content[place["hdrLoc"] : place["datLoc"] + place["datSpan"]])
                continue
            header = hdu.header.copy()
            for axis, length in enumerate(reversed(image.shape), 1):
                header[f"NAXIS{axis}"] = length
            file.write(header.tostring().encode("ascii"))
            sections[hdu.name] = Section(file, file.tell(), image)
            size = prod(image.shape) * image.dtype.itemsize
            file.seek(-(-size // FITS_BLOCK) * FITS_BLOCK, io.SEEK_CUR)
        file.truncate()
        file.flush()
        yield sections
