"""Footprints of images: their bounds in pixels, their outlines on the sky, and the S_REGION keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gwcs import WCS

S_REGION_PREFIX = "POLYGON ICRS  "
S_REGION_DECIMALS = 9


def footprint(wcs: WCS) -> np.ndarray:
    """Return the sky positions of the four corners of the bounding box, the outer pixel edges.

    Parameters
    ----------
    wcs : gwcs.WCS
        From pixels (0-based) to right ascension and declination, degrees.

    Returns
    -------
    float64 array, shape (4, 2)
        Right ascension in 0..360 and declination, degrees, of the corners (xmin, ymin),
        (xmin, ymax), (xmax, ymax), (xmax, ymin).

    Raises
    ------
    ValueError
        If the WCS has no bounding box, or gives no position for a corner.
    """
    (xmin, xmax), (ymin, ymax) = pixel_bounds(wcs)
    x = np.array([xmin, xmin, xmax, xmax])
    y = np.array([ymin, ymax, ymax, ymin])
    ra, dec = wcs(x, y, with_bounding_box=False)
    vertices = np.stack([np.mod(ra, 360.0), dec], axis=-1)
    if not np.isfinite(vertices).all():
        raise ValueError(f"the WCS gives no sky position for corners of {pixel_bounds(wcs)}: {vertices.tolist()}")
    return vertices


def pixel_bounds(wcs: WCS) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the bounding box of a two-dimensional WCS as ((xmin, xmax), (ymin, ymax)).

    Parameters
    ----------
    wcs : gwcs.WCS
        Of two pixel axes.

    Raises
    ------
    ValueError
        If it has none.
    """
    if wcs.bounding_box is None:
        raise ValueError("the WCS has no bounding box, so the size of the image is not known")
    return box_intervals(wcs.bounding_box)


def s_region(*polygons: np.ndarray) -> str:
    """Write sky polygons as the value of the S_REGION keyword.

    Parameters
    ----------
    *polygons : float array, shape (n, 2)
        Right ascension and declination of the vertices, degrees.

    Returns
    -------
    str
        ``POLYGON ICRS  ra dec ra dec ...`` with `S_REGION_DECIMALS` decimals, once per polygon.
    """
    parts = [" ".join(f"{number:.{S_REGION_DECIMALS}f}" for number in np.ravel(polygon)) for polygon in polygons]
    return " ".join(S_REGION_PREFIX + part for part in parts)


def parse_s_region(text: str) -> list[np.ndarray]:
    """Read the polygons of an S_REGION keyword.

    Parameters
    ----------
    text : str
        Such as ``POLYGON ICRS  1.0 2.0 1.1 2.0 1.1 2.1``, several in a row.

    Returns
    -------
    list of float64 array, shape (n, 2)
        Right ascension and declination of the vertices, degrees.

    Raises
    ------
    ValueError
        If the text is not made of ICRS polygons.
    """
    try:
        polygons = []
        for part in filter(str.strip, text.upper().split("POLYGON")):
            frame, *numbers = part.split()
            vertices = np.array(numbers, float).reshape(-1, 2)
            if frame != "ICRS" or len(vertices) < 3:
                raise ValueError
            polygons.append(vertices)
        if not polygons:
            raise ValueError
    except ValueError:
        raise ValueError(f"S_REGION {text!r} is not 'POLYGON ICRS ra dec ra dec ra dec ...'") from None
    return polygons


def box_intervals(box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return ((xmin, xmax), (ymin, ymax)) of an astropy box, whichever axis order it has.

    Parameters
    ----------
    box : astropy.modeling.bounding_box.ModelBoundingBox or tuple
        Of two axes, x and y.
    """
    (xmin, xmax), (ymin, ymax) = box.bounding_box(order="F")
    return (float(xmin), float(xmax)), (float(ymin), float(ymax))
