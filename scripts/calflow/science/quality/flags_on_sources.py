"""Whether flags lie on sources more often than elsewhere: outliers that do are no cosmic rays."""

from collections.abc import Sequence

import numpy as np

from calflow.science.bands import Plane, bands

# With fewer flags a rate is that of chance.
LEAST = 50


def rates_on_sources(places: Sequence[np.ndarray], segments: Plane, wht: Plane) -> list[float]:
    """Return how often pixels of sources are flagged, over how often all are. 1: as by chance.

    Parameters
    ----------
    places : sequence of float array, shape (n, 2)
        Of each exposure, where its flagged pixels lie in the image, pixels (x, y) from 0.
    segments : int array or Plane, shape (ny, nx)
        Pixels other than 0 are of sources.
    wht : float array or Plane, shape (ny, nx)
        The weight; what has none is no part of the image.

    Returns
    -------
    list of float
        NaN for an exposure with few flags, and for an image without sources.
    """
    ny, nx = segments.shape
    pixels = [np.round(each[np.isfinite(each).all(axis=1)]).astype(int) for each in places]
    of_sources, covered, on, all_flags = 0, 0, np.zeros(len(pixels)), np.zeros(len(pixels))
    for rows in bands(ny):
        there = wht[rows] > 0
        source = (segments[rows] > 0) & there
        of_sources += int(source.sum())
        covered += int(there.sum())
        for number, (x, y) in enumerate(each.T for each in pixels):
            inside = (y >= rows.start) & (y < rows.stop) & (x >= 0) & (x < nx)
            on[number] += source[y[inside] - rows.start, x[inside]].sum()
            all_flags[number] += there[y[inside] - rows.start, x[inside]].sum()
    if not of_sources:
        return [float("nan")] * len(pixels)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = (on / all_flags) / (of_sources / covered)
    return np.where(all_flags >= LEAST, rates, np.nan).tolist()
