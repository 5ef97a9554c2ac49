"""Exposures with many integrations, read block by block: memory does not grow with their number."""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits

from calflow.files.exposure import Exposure, exposure_of, image_extension, log_damage, read_exposure
from calflow.files.packed import unpacked

CHUNK_BYTES = 1 << 22
ALL_ONES = 0xFFFFFFFF


def read_by_integrations(
    path: Path, images: Sequence[str], product: Path, block_pixels: int | None
) -> Generator[Exposure]:
    """Yield an exposure as `read_exposure` gives it; one of many integrations in blocks of them.

    Parameters
    ----------
    path : Path
    images : sequence of str
        Names that the extension with the pixels may have.
    product : Path
        What is made of it: beside it a packed file is unpacked.
    block_pixels : int or None
        Of a plane of a block, at most, but for a single integration. None: all at once.

    Yields
    ------
    Exposure
        Each has the headers and all that has no integrations. Its `damaged` is that of the file, its `discarded` that
        of all so far, its `rest` 0 if it is the last.
    """
    shape = _shape(path, images) if block_pixels else ()
    step = max(1, (block_pixels or 0) // max(1, prod(shape[1:])))
    if len(shape) != 3 or shape[0] <= step:
        yield read_exposure(path, images)
        return
    with (
        unpacked([str(path)], product) as (plain,),
        fits.open(plain, memmap=False, ignore_blank=True) as hdus,
    ):
        damaged = tuple(damaged_extensions(Path(plain), hdus))
        log_damage(path, damaged)
        discarded: Counter[str] = Counter()
        for start in range(0, shape[0], step):
            exposure = exposure_of(hdus, images, part=slice(start, start + step))
            discarded.update(exposure.discarded)
            exposure.discarded = dict(discarded)
            exposure.damaged = damaged
            exposure.rest = max(shape[0] - start - step, 0)
            yield exposure


def _shape(path: Path, images: Sequence[str]) -> tuple[int, ...]:
    with fits.open(path, memmap=False) as hdus:
        return hdus[image_extension(hdus, images)].shape


def damaged_extensions(path: Path, hdus: fits.HDUList) -> Iterator[str]:
    """Yield the names of extensions whose checksum or sum of data is wrong, with little in memory.

    Parameters
    ----------
    path : Path
        Not packed.
    hdus : astropy.io.fits.HDUList
        The file.

    Notes
    -----
    Checksums are sums of all 32-bit words in ones' complement; that of a whole extension, its CHECKSUM included, is -0.
    Source: FITS standard 4.0, appendix J.
    """
    with path.open("rb") as file:
        for hdu in hdus:
            if isinstance(hdu, fits.CompImageHDU):  # astropy gives the sums of the image, the file holds its tiles
                continue
            expected = {name: str(hdu.header.get(name, "")).strip() for name in ("DATASUM", "CHECKSUM")}
            if not any(expected.values()):
                continue
            place: Any = hdu.fileinfo()
            header = _sum(file, place["hdrLoc"], place["datLoc"])
            data = _sum(file, place["datLoc"], place["datLoc"] + place["datSpan"])
            wrong_data = expected["DATASUM"] and expected["DATASUM"] != str(data)
            if wrong_data or (expected["CHECKSUM"] and _folded(header + data) != ALL_ONES):
                yield hdu.name


def _sum(file: BinaryIO, start: int, stop: int) -> int:
    total = 0
    file.seek(start)
    for position in range(start, stop, CHUNK_BYTES):
        words = np.frombuffer(file.read(min(CHUNK_BYTES, stop - position)), ">u4")
        total += int(words.sum(dtype=np.uint64))
    return _folded(total)


def _folded(total: int) -> int:
    while total > ALL_ONES:
        total = (total & ALL_ONES) + (total >> 32)
    return total
