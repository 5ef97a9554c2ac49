"""The colour layer of a map: images in several filters on Lupton's scale, a band of rows at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calflow.science.colour.colour_picture import (
    CHANNELS,
    MOST_HOLE,
    add_band,
    channel_shares,
    chosen_stretch,
    coloured,
    fill_holes,
    key_of,
    levels_of,
    mean_of_known,
)
from calflow.sky_map.pyramid import TILE, build_pyramid, halved, sampled
from calflow.sky_map.tile_files import colour_webp


@dataclass(frozen=True)
class ColourLayer:
    """What a colour layer is made of.

    Attributes
    ----------
    filters : sequence of str
        From red to blue, 3 or more.
    images : sequence of sequences of Path
        The combined images of each; of several the mean is taken where they overlap.
    balance : sequence of float
        By which each is multiplied.
    stretch : float or None
        Of Lupton's scale, in noise of a pixel; None: chosen by the images.
    softening : float
        Lupton's Q.
    """

    filters: Sequence[str]
    images: Sequence[Sequence[Path]]
    balance: Sequence[float]
    stretch: float | None
    softening: float


def cut_colours(colour: ColourLayer, levels: int, write: Callable[[int, int, int, bytes], None]) -> str:
    """Cut the colour picture into tiles, and return how it was made, for people.

    Parameters
    ----------
    colour : ColourLayer
    levels : int
        Of the pyramid.
    write : callable
        Gets level, row, column and the content of a tile.
    """
    with ExitStack() as open_files:
        images = [
            [open_files.enter_context(fits.open(path, memmap=False))["SCI"] for path in paths]
            for paths in colour.images
        ]
        ny, nx = images[0][0].shape
        mix = _Mixture(images, colour.balance, sampled((ny, nx)))
        stretch = colour.stretch or chosen_stretch(mix(sampled((ny, nx))), colour.softening)

        def save(level: int, row: int, column: int, tile: np.ndarray) -> None:
            channels = np.moveaxis(tile, -1, 0)
            known = np.isfinite(channels).all(axis=0)
            if known.any():
                write(level, row, column, colour_webp(coloured(channels, stretch, colour.softening), known))

        build_pyramid(_bands(mix, ny), levels, halved, save)
    scale = f"Lupton's scale, stretch {stretch:.3g} times the noise of a pixel, Q {colour.softening:g}"
    return f"{key_of(colour.filters)}; {scale}"


class _Mixture:
    """Red, green and blue of rows, in noise above black."""

    def __init__(self, images: Sequence[Sequence[Any]], balance: Sequence[float], sample: slice):
        self._images, self._balance = images, balance
        self._shares = channel_shares(len(images)).T
        self._levels = [levels_of(self._read(of_filter, sample)) for of_filter in images]

    def __call__(self, rows: slice) -> np.ndarray:
        """Return the channels, shape (3, ny, nx); NaN: not in all filters."""
        ny, nx = self._images[0][0].shape
        channels = np.zeros((CHANNELS, len(range(*rows.indices(ny))), nx), np.float32)
        of_each = zip(self._images, self._shares, self._balance, self._levels, strict=True)
        for of_filter, own, factor, (black, noise) in of_each:
            image = self._read(of_filter, rows)
            add_band(own, (image - np.float32(black)) * np.float32(factor / noise), channels)
        return channels

    @staticmethod
    def _read(of_filter: Sequence[Any], rows: slice) -> np.ndarray:
        return mean_of_known(np.asarray(hdu.section[rows, :]) for hdu in of_filter)


def _bands(mix: _Mixture, ny: int) -> Iterator[np.ndarray]:
    """Yield bands of rows from the upper end, shape (rows, nx, 3), with small holes filled.

    A hole that is filled reaches less than `MOST_HOLE` rows beyond a band, so that with these rows around it each is
    filled as in the whole image.
    """
    for stop in range(ny, 0, -TILE):
        start = max(0, stop - TILE)
        low = max(0, start - MOST_HOLE)
        channels = mix(slice(low, min(ny, stop + MOST_HOLE)))
        fill_holes(channels)
        yield np.moveaxis(channels[:, start - low : stop - low], 0, -1)[::-1]
