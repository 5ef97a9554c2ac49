"""How the noise of an image grows with the light in a pixel, as its errors tell."""

import math

import numpy as np

from calflow.science.bands import Plane, bands
from calflow.science.sky.background_map import Background

# Pixels of the sky, and those of sources by whose errors it is told, in noise of the sky above the background.
SKY, FROM, TO = 1.0, 10.0, 200.0
# Fewer pixels of sources tell nothing; more of the sky, or of sources, are not kept in each band.
LEAST, MOST = 50, 20_000


def photons_like_sky(sci: Plane, err: Plane, wht: Plane, background: Background) -> float:
    """Return how bright a source is whose own photons add as much variance as an empty pixel has.

    The variance of a pixel is taken for that of an empty one, which goes with 1 over the weight, times one plus its
    brightness over the number that is returned.

    Parameters
    ----------
    sci, err, wht : float array or Plane, shape (ny, nx)
        The image, its 1-sigma error and its weight.
    background : Background
        Of the image.

    Returns
    -------
    float
        In the unit of the image; infinite if the errors do not grow with brightness, or nothing is bright.
    """
    empty, bright = [np.empty(0)], [np.empty((2, 0))]
    for rows in bands(sci.shape[0]):
        signal, noise, weight = sci[rows] - background.level(rows), background.rms(rows), wht[rows]
        variance = err[rows].astype(float) ** 2 * weight
        usable = np.isfinite(signal) & np.isfinite(variance) & (variance > 0)
        empty.append(_some(variance[usable & (np.abs(signal) < SKY * noise)]))
        of_source = usable & (signal > FROM * noise) & (signal < TO * noise)
        bright.append(_some(np.stack([signal[of_source], variance[of_source]])))
    signal, variance = np.concatenate(bright, axis=1)
    sky = np.concatenate(empty)
    if len(signal) < LEAST or not len(sky):
        return math.inf
    slope = float(np.median((variance / np.median(sky) - 1) / signal))
    return 1 / slope if slope > 0 else math.inf


def _some(values: np.ndarray) -> np.ndarray:
    """Return evenly chosen values, of the last axis."""
    return values[..., :: max(1, values.shape[-1] // MOST)].astype(float)
