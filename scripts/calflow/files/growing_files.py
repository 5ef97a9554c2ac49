"""FITS files whose images are written part by part, so that none of them is ever in memory as a whole."""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import ENXIO
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits

FITS_BLOCK = 2880
# Pixels that are written at once: what was just converted is in the cache of the processor. To combine almost nothing
# on 20,000 x 20,000 pixels took 20.9 s of CPU with bands written as a whole and takes 15.7 s, at best of three each.
AT_ONCE = 1 << 17
COPIED = 1 << 24  # bytes at once: where the system does not copy by itself, they are in memory


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

    def copy(self, source: BinaryIO, offset: int, shape: tuple[int, ...], *start: int) -> None:
        """Copy pixels that follow each other here and in another file; what is a hole there is one here.

        Parameters
        ----------
        source : binary file
            In which they are as they are stored here.
        offset : int
            Of the first of them in that file, bytes.
        shape : tuple of int
            As of the values that `write` takes.
        *start : int
            As of `write`.

        Raises
        ------
        ValueError
            As of `write`.
        EOFError
            If the other file ends before.
        """
        begin, size = self._place(self._later.dtype, shape, start)
        _copy(source.fileno(), offset, self._file.fileno(), begin, size)

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
        begin, _ = self._place(values.dtype, values.shape, start)
        values = np.ascontiguousarray(values).reshape(-1)
        for first in range(0, values.size, AT_ONCE):
            stored = _as_stored(values[first : first + AT_ONCE])
            _write_at(self._file.fileno(), stored, begin + first * stored.itemsize)

    def _place(self, given: np.dtype, part: tuple[int, ...], start: tuple[int, ...]) -> tuple[int, int]:
        """Return where pixels begin in the file, and how many bytes they have there."""
        shape, dtype = self._later.shape, self._later.dtype
        first = (*start, *(0,) * (len(shape) - len(start)))
        size = (*(1,) * (len(shape) - len(part)), *part)
        slowest = next((axis for axis, n in enumerate(size) if n > 1), len(size) - 1)
        fits_in = all(low >= 0 and low + n <= whole for low, n, whole in zip(first, size, shape, strict=True))
        if given != dtype or not fits_in or size[slowest + 1 :] != shape[slowest + 1 :]:
            raise ValueError(f"{given} of shape {part} at {start} is no part of {dtype} of shape {shape}")
        begin = int(np.ravel_multi_index(first, shape)) if prod(part) else 0
        return self._offset + begin * dtype.itemsize, prod(part) * dtype.itemsize


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


def _copy(source: int, start: int, file: int, offset: int, size: int) -> None:
    """Copy bytes from a place in one file to a place in another, but for holes."""
    end, further = start + size, offset - start
    while (start := _next_data(source, start, end)) < end:
        copied = _copy_some(source, start, file, start + further, min(end - start, COPIED))
        if not copied:
            raise EOFError("the file that is copied ends before its pixels do")
        start += copied


def _next_data(file: int, start: int, end: int) -> int:
    """Return where the next bytes are that are no hole, as far as the system tells; not beyond the end."""
    if not hasattr(os, "SEEK_DATA"):
        return start
    try:
        return min(os.lseek(file, start, os.SEEK_DATA), end)
    except OSError as error:  # ENXIO: there are none
        return end if error.errno == ENXIO and start < os.fstat(file).st_size else start


def _copy_some(source: int, start: int, file: int, offset: int, size: int) -> int:
    """Copy bytes, by the system alone if it can; return how many."""
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):  # of some file systems
            if copied := os.copy_file_range(source, file, size, start, offset):
                return copied
    values = os.pread(source, size, start)
    _write_at(file, np.frombuffer(values, np.uint8), offset)
    return len(values)


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
