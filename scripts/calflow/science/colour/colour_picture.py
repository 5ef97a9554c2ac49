"""Colour pictures of three and more images of one field on the same pixels."""

from collections.abc import Iterable, Sequence

import numpy as np

from calflow.science.colour.colour_parameters import CHANNELS
from calflow.science.quality.robust import robust_sigma

# What is black lies at this percentile of an image: below the sky, and below a nebula that fills the image.
BLACK_PERCENTILE = 5.0
# Where the scale is chosen by the image, this percentile of its brightness is shown at this part of white ...
BRIGHT_PERCENTILE, BRIGHT_LEVEL = 99.5, 0.85
# ... but noise is not spread further than this: 1 sigma is a tenth of white.
LEAST_STRETCH = 10.0
SLOPE_AT = 0.1  # Lupton's scale as astropy has it is linear up to this part of the stretch
MOST_HOLE = 40  # pixels: a place without a value that is wider is no core of a star
ROWS = 256
NAMES = ("red", "green", "blue")


def channel_shares(filters: int) -> np.ndarray:
    """Return how much of each filter goes into red, green and blue.

    Filters are spread evenly from red by way of green to blue, so that three are a channel each, and one between two
    channels goes into both.

    Parameters
    ----------
    filters : int
        Their number, 3 or more; the first is the reddest.

    Returns
    -------
    float array, shape (3, filters)
        Of each channel the sum is 1.

    Raises
    ------
    ValueError
        Of fewer filters.
    """
    if filters < CHANNELS:
        raise ValueError(f"a colour picture takes {CHANNELS} filters, not {filters}")
    places = np.linspace(0.0, 2.0, filters)
    shares = np.clip(1.0 - np.abs(places - np.arange(CHANNELS)[:, None]), 0.0, None)
    return shares / shares.sum(axis=1, keepdims=True)


def key_of(filters: Sequence[str]) -> str:
    """Return which filters each channel is made of, for people.

    Parameters
    ----------
    filters : sequence of str
        From red to blue, 3 or more.

    Examples
    --------
    >>> key_of(["F444W", "F200W", "F115W"])
    'red: F444W; green: F200W; blue: F115W'
    """
    rows = zip(NAMES, channel_shares(len(filters)), strict=True)
    return "; ".join(f"{channel}: {_mixture(row, filters)}" for channel, row in rows)


def _mixture(shares: Sequence[float], filters: Sequence[str]) -> str:
    parts = [(name, share) for name, share in zip(filters, shares, strict=True) if share]
    return parts[0][0] if len(parts) == 1 else " + ".join(f"{100 * share:.0f} % {name}" for name, share in parts)


def mean_of_known(images: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean of images where they have values.

    Parameters
    ----------
    images : iterable of float array, shape (ny, nx)
        At least one. NaN: no value.

    Returns
    -------
    float32 array, shape (ny, nx)
        NaN where none has a value.
    """
    images = iter(images)
    total = np.array(next(images), np.float32)
    known = np.isfinite(total)
    total[~known] = 0.0
    number = known.astype(np.int32)
    for image in images:
        known = np.isfinite(image)
        total[known] += image[known]
        number += known
    return np.where(number > 0, total / np.maximum(number, 1), np.float32(np.nan)).astype(np.float32)


def levels_of(image: np.ndarray) -> tuple[float, float]:
    """Return what is black in an image, and the noise of a pixel.

    The noise is that of the difference of neighbours, so that nebulae and crowded fields do not count as noise.

    Parameters
    ----------
    image : float array, shape (ny, nx)
        NaN: no value.

    Returns
    -------
    black, noise : float
        In the unit of the image. 0 and 1 if it has no values; the noise of an image without any is 1.
    """
    known = image[np.isfinite(image)]
    if not len(known):
        return 0.0, 1.0
    noise = robust_sigma((image[:, 1:] - image[:, :-1]).ravel()) / np.sqrt(2)
    return float(np.percentile(known, BLACK_PERCENTILE)), float(noise) if noise > 0 else 1.0


def add_band(shares: Sequence[float], scaled: np.ndarray, channels: np.ndarray) -> None:
    """Add a filter to red, green and blue, in place.

    Parameters
    ----------
    shares : sequence of float
        How much of it goes into each channel.
    scaled : float array, shape (ny, nx)
        The image, in noise above black; what has no value has none in any channel.
    channels : float array, shape (3, ny, nx)
    """
    channels[:, ~np.isfinite(scaled)] = np.nan
    for channel, share in zip(channels, shares, strict=True):
        if share:
            channel += np.float32(share) * scaled


def fill_holes(channels: np.ndarray) -> int:
    """Give small places without a value the colour of the brightest pixel beside them, in place.

    The cores of saturated stars have no value, and not in all filters: they would be grey, or of a false colour.

    Parameters
    ----------
    channels : float array, shape (3, ny, nx)
        NaN: no value. What has none in one channel gets another in all of them.

    Returns
    -------
    int
        How many pixels were filled. Places at the edge of the image, or wider than `MOST_HOLE`, are left.
    """
    from scipy.ndimage import binary_dilation, find_objects, label

    missing = ~np.isfinite(channels).all(axis=0)
    around = np.ones((3, 3), bool)
    labels, _ = label(missing, around)
    ny, nx = missing.shape
    filled = 0
    for number, (rows, columns) in enumerate(find_objects(labels), 1):
        at_edge = rows.start == 0 or columns.start == 0 or rows.stop == ny or columns.stop == nx
        if at_edge or max(rows.stop - rows.start, columns.stop - columns.start) > MOST_HOLE:
            continue
        window = (slice(rows.start - 1, rows.stop + 1), slice(columns.start - 1, columns.stop + 1))
        hole = labels[window] == number
        ring = channels[:, *window][:, binary_dilation(hole, around) & ~hole]
        brightest = ring[:, np.argmax(ring.sum(axis=0))]
        channels[:, *window][:, hole] = brightest[:, None]
        filled += int(hole.sum())
    return filled


def chosen_stretch(channels: np.ndarray, softening: float) -> float:
    """Return the stretch with which the brightest half percent of an image is nearly white.

    Parameters
    ----------
    channels : float array, shape (3, ny, nx)
        In noise above black; NaN: no value.
    softening : float
        Lupton's Q.
    """
    total = channels.mean(axis=0)
    known = total[np.isfinite(total)]
    if not len(known):
        return LEAST_STRETCH
    bright = float(np.percentile(known, BRIGHT_PERCENTILE))
    # The scale at x is asinh(Q x / stretch) / (10 asinh(Q / 10)).
    at_level = np.sinh(BRIGHT_LEVEL / SLOPE_AT * np.arcsinh(SLOPE_AT * softening)) / softening
    return max(bright / float(at_level), LEAST_STRETCH)


def coloured(channels: np.ndarray, stretch: float, softening: float) -> np.ndarray:
    """Return a picture by the scale of Lupton et al. (2004), as astropy has it.

    Where a channel would be brighter than white, all three are made fainter: the colour stays that of the source.

    Parameters
    ----------
    channels : float array, shape (3, ny, nx)
        Red, green and blue, in noise above black. NaN: no value.
    stretch, softening : float
        ``stretch`` and ``Q`` of `astropy.visualization.make_lupton_rgb`.

    Returns
    -------
    uint8 array, shape (ny, nx, 3)
        Black where a channel has no value.
    """
    from astropy.visualization import make_lupton_rgb

    _, ny, nx = channels.shape
    picture = np.empty((ny, nx, CHANNELS), np.uint8)
    for start in range(0, ny, ROWS):
        rows = channels[:, start : start + ROWS]
        known = np.isfinite(rows).all(axis=0)
        # Each pixel is worked out by itself, so bands of rows save memory and change nothing.
        with np.errstate(divide="ignore", invalid="ignore"):  # of black it takes the ratio to black, unused
            picture[start : start + ROWS] = make_lupton_rgb(*np.where(known, rows, 0.0), stretch=stretch, Q=softening)
    return picture
