"""The scale of brightness of pictures: one for all of an association, so that what looks alike is alike.

Its limits are on coarse steps, which associations of one filter that were taken alike have in common.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Of the noise of a pixel: the sky is a little above black, a source of so many sigma is white.
BELOW, ABOVE, LINEAR = 5.0, 300.0, 2.0
STEPS = 6  # of the noise in a factor of 10: another exposure does not change the pictures of all the others


def brightness_of(exposures: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the limits ``low`` and ``high``, and ``linear``: how far from the sky the scale is linear.

    Parameters
    ----------
    exposures : sequence of mapping
        What was measured on each.
    """
    known = [(each["level"], each["noise"]) for each in exposures if each["level"] is not None and each["noise"]]
    if not known:
        return {"low": 0.0, "sky": 0.0, "high": 1.0, "linear": 0.1}
    level, noise = np.median(known, axis=0)
    return limits(float(level), float(noise))


def limits(level: float, noise: float) -> dict[str, float]:
    """Return the same of an image with a level and a noise.

    Parameters
    ----------
    level, noise : float
        In the unit of the image.
    """
    step = 10.0 ** (round(STEPS * np.log10(noise)) / STEPS) if noise > 0 else 1.0
    sky = round(level / (BELOW * step)) * BELOW * step
    return {"low": sky - BELOW * step, "sky": sky, "high": sky + ABOVE * step, "linear": LINEAR * step}
