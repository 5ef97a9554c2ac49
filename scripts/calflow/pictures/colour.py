"""A colour picture of images that share a grid."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calflow.pictures.previews import MOST, Shown, draw_image, read_binned
from calflow.science.colour.colour_parameters import CHANNELS
from calflow.science.colour.colour_picture import (
    add_band,
    channel_shares,
    chosen_stretch,
    coloured,
    fill_holes,
    key_of,
    levels_of,
    mean_of_known,
)

GREY = (0x8C, 0x90, 0x97)


class DifferentGrids(ValueError):
    """Images that do not have the same pixels."""


def draw_colour(
    name: str,
    filters: Sequence[str],
    images: Sequence[Sequence[Path]],
    balance: Sequence[float],
    stretch: float | None,
    softening: float,
    out_png: Path,
) -> dict[str, Any]:
    """Draw the picture. The same images give the same bytes.

    Each filter is measured in noise of a pixel above black, so that none of them hides the others.

    Parameters
    ----------
    name : str
        What stands above it.
    filters : sequence of str
        From red to blue, 3 or more.
    images : sequence of sequences of Path
        The combined images of each; of several the mean is taken where they overlap.
    balance : sequence of float
        By which each is multiplied.
    stretch : float or None
        Of Lupton's scale, in noise; None: chosen by the images.
    softening : float
        Lupton's Q.
    out_png : Path

    Returns
    -------
    dict
        The numbers by which it was made.

    Raises
    ------
    DifferentGrids
        If images do not have the same shape.
    """
    shares = channel_shares(len(filters))
    _, header, binned = first = read_binned(images[0][0], MOST)
    channels = np.zeros((CHANNELS, *first[0].shape), np.float32)
    told = []
    for filter_name, paths, factor, own in zip(filters, images, balance, shares.T, strict=True):
        image = mean_of_known(_read(paths, first[0].shape))
        black, noise = levels_of(image)
        add_band(own, (image - np.float32(black)) * np.float32(factor / noise), channels)
        told.append({"filter": filter_name, "black": black, "noise": noise, "balance": factor})
    filled = fill_holes(channels)
    stretch = stretch or chosen_stretch(channels, softening)
    picture = coloured(channels, stretch, softening)
    picture[~np.isfinite(channels).all(axis=0)] = GREY
    scale = f"Lupton's scale, stretch {stretch:.3g} times the noise of a pixel, Q {softening:g}"
    grey = f"grey: not in all filters; {filled} pixels without a value have the colour beside them"
    note = f"{key_of(filters)}\n{scale}\n{grey}"
    draw_image(Shown(picture, header, binned, name, note=note), out_png)
    return {"filters": told, "stretch": stretch, "Q": softening, "filled_pixels": filled, "averaged": binned}


def _read(paths: Sequence[Path], shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yield the images of a filter."""
    for path in paths:
        image, _, _ = read_binned(path, MOST)
        if image.shape != shape:
            raise DifferentGrids(f"{path} has another shape than the other images: they share no grid")
        yield image
