"""The noise of single pixels, told where the sky is quiet: nebulae, crowds and stripes do not count as noise."""

import numpy as np

from calflow.science.quality.robust import robust_sigma

# Of white noise of standard deviation 1 the sum of 3 x 3 pixels times these numbers has that standard deviation, too;
# of a plane, and of stripes along rows or columns, it is 0 (Immerkaer 1996, CVIU 64, 300).
KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6
# Half sides of the squares: of the kernel, and of the surroundings, which tell whether a place is quiet.
INNER, OUTER = 1, 3
# Part of the pixels around a place that must be usable.
AROUND = 0.75
# The quietest part of all places is measured. What is quiet is told by other pixels than those that are measured.
QUIET = 0.25
# Places that are looked at in a large image, about; fewer than LEAST quiet ones tell nothing.
PLACES, LEAST = 250_000, 20


def fine_noise_over_error(sci: np.ndarray, err: np.ndarray, usable: np.ndarray) -> float:
    """Return the scatter between neighbouring pixels over their error, where the sky is quietest.

    Parameters
    ----------
    sci, err : float array, shape (ny, nx)
        An exposure and its 1-sigma error: pixels with independent noise, so none that is resampled.
    usable : bool array, shape (ny, nx)
        Which pixels count; those with NaN, or without an error above 0, do not.

    Returns
    -------
    float
        1 if ERR is right. NaN if there are too few places.
    """
    ny, nx = sci.shape
    if min(ny, nx) <= 2 * OUTER:
        return float("nan")
    step = max(1, int(np.sqrt(sci.size / PLACES)))
    good = usable & np.isfinite(sci) & (err > 0)
    middle = _shifted(good, 0, 0, step)
    level = float(np.median(sci[good])) if good.any() else 0.0
    inside, number = np.ones(middle.shape, bool), np.zeros(middle.shape)
    total, squares, kernel = (np.zeros(middle.shape) for _ in range(3))
    for dy in range(-OUTER, OUTER + 1):
        for dx in range(-OUTER, OUTER + 1):
            known = _shifted(good, dy, dx, step)
            value = np.where(known, _shifted(sci, dy, dx, step) - level, 0.0)
            if max(abs(dy), abs(dx)) <= INNER:
                inside &= known
                kernel += KERNEL[dy + INNER, dx + INNER] * value
            else:
                number += known
                total += value
                squares += value**2
    enough = inside & (number >= AROUND * ((2 * OUTER + 1) ** 2 - (2 * INNER + 1) ** 2))
    error = _shifted(err, 0, 0, step)[enough]
    if len(error) * QUIET < LEAST:
        return float("nan")
    number, total, squares, kernel = (values[enough] for values in (number, total, squares, kernel))
    variance = (squares - total**2 / number) / error**2
    quiet = variance <= np.quantile(variance / number, QUIET) * number
    return robust_sigma((kernel / error)[quiet])


def _shifted(image: np.ndarray, dy: int, dx: int, step: int) -> np.ndarray:
    """Return the pixels beside those of a grid that lie away from the edge."""
    ny, nx = image.shape
    return image[OUTER + dy : ny - OUTER + dy : step, OUTER + dx : nx - OUTER + dx : step]
