"""Tiles as files: PNG images of 256 levels or of one colour, WebP of colours."""

from io import BytesIO

import numpy as np
from PIL import Image

LEVEL = 3  # of compression: noise gets hardly smaller with more
QUALITY, METHOD = 85, 2  # of WebP, which takes a sixth of the place that PNG would for colours


def grey_png(levels: np.ndarray) -> bytes:
    """Return a grey image as PNG, in which level 0 is transparent.

    Parameters
    ----------
    levels : uint8 array, shape (ny, nx)
        The first row is the upper one.
    """
    return _png(Image.fromarray(levels))


def grey_alpha_png(levels: np.ndarray) -> bytes:
    """Return a grey image as PNG with a channel of transparency, since not all viewers know of transparent levels.

    Parameters
    ----------
    levels : uint8 array, shape (ny, nx)
        The first row is the upper one; level 0 is transparent.
    """
    alpha = np.where(levels > 0, np.uint8(255), np.uint8(0))
    content = BytesIO()
    Image.fromarray(np.dstack([levels, alpha]), "LA").save(content, "PNG", compress_level=LEVEL)
    return content.getvalue()


def one_colour_png(mask: np.ndarray, colour: tuple[int, int, int]) -> bytes:
    """Return an image of one colour as PNG, transparent elsewhere.

    Parameters
    ----------
    mask : bool array, shape (ny, nx)
        True where the colour is.
    colour : tuple of int
        Red, green and blue, of 255.
    """
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette([0, 0, 0, *colour])
    return _png(image)


def colour_webp(colours: np.ndarray, known: np.ndarray) -> bytes:
    """Return an image in colours as WebP.

    Parameters
    ----------
    colours : uint8 array, shape (ny, nx, 3)
        Red, green and blue. The first row is the upper one.
    known : bool array, shape (ny, nx)
        False where the image is transparent.
    """
    image = colours if known.all() else np.dstack([colours, np.where(known, np.uint8(255), np.uint8(0))])
    content = BytesIO()
    Image.fromarray(image).save(content, "WEBP", quality=QUALITY, method=METHOD)
    return content.getvalue()


def _png(image: Image.Image) -> bytes:
    content = BytesIO()
    image.save(content, "PNG", compress_level=LEVEL, transparency=0)
    return content.getvalue()
