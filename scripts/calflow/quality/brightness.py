"""The scale of brightness of pictures: in all of a filter the same brightness above the sky looks the same.

It is counted in the noise of the filter, as a few of its exposures tell it before they are calibrated, on coarse steps.
What is black is the sky of an association, on steps of that, so that another exposure changes no picture.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

# Of the noise of a pixel: the sky is a little above black, a source of so many sigma is white.
BELOW, ABOVE, LINEAR = 5.0, 300.0, 2.0
STEPS = 6  # of the noise in a factor of 10


def noise_step(noises: Iterable[float]) -> float | None:
    """Return the median of what exposures have of noise, on coarse steps: powers of the 6th root of 10.

    Parameters
    ----------
    noises : iterable of float
        What is not above 0, or not finite, does not count.

    Returns
    -------
    float or None
        None if there is none.
    """
    known = [noise for noise in noises if np.isfinite(noise) and noise > 0]
    return float(10.0 ** (round(STEPS * np.log10(np.median(known))) / STEPS)) if known else None


def brightness_of(exposures: Sequence[Mapping[str, Any]], noise: float | None) -> dict[str, Any]:
    """Return the scale of the pictures of some exposures.

    Parameters
    ----------
    exposures : sequence of mapping
        What was measured on each.
    noise : float or None
        Of the filter, of `noise_step`; None: not known, that of the exposures counts.

    Returns
    -------
    dict
        The limits ``low`` and ``high``, ``sky``, and ``linear``: how far from the sky the scale is linear; in the
        unit of the calibrated exposures. ``of_filter``: whether its steps are those of all pictures of the filter.
    """
    levels = [each["level"] for each in exposures if each["level"] is not None]
    step = noise or noise_step(each["noise"] for each in exposures if each["noise"])
    if not levels or step is None:
        return {"low": 0.0, "sky": 0.0, "high": 1.0, "linear": 0.1, "of_filter": False}
    sky = round(float(np.median(levels)) / (BELOW * step)) * BELOW * step
    limits = {"low": sky - BELOW * step, "sky": sky, "high": sky + ABOVE * step, "linear": LINEAR * step}
    return {**limits, "of_filter": noise is not None}
