"""What pixels that were full release in the exposures that follow.

Charge is trapped in proportion to what a pixel has above half of its full well, and comes out again exponentially.
"""

import numpy as np

# Charge below this part of the full well reaches no trap.
LEAST = 0.5
# After so many times of decay nothing is left.
REACH = 12.0


def trapped_charge(rate: np.ndarray, integration_time: float, full_well: float, fraction: float) -> np.ndarray:
    """Return the charge that is trapped at the end of an exposure, DN, in the shape of `rate`.

    Parameters
    ----------
    rate : float32 array
        Count rate without noise, DN/s.
    integration_time : float
        Seconds.
    full_well : float
        DN that a pixel holds.
    fraction : float
        Part of the charge of a full pixel that is trapped.
    """
    charge = np.minimum(rate * np.float32(integration_time), np.float32(full_well))
    return np.float32(fraction / (1 - LEAST)) * np.maximum(charge - np.float32(LEAST * full_well), 0)


def released_rate(seconds: float, duration: float, decay: float) -> float:
    """Return which part of trapped charge comes out per second of an exposure, on average.

    Parameters
    ----------
    seconds : float
        From the end of the earlier exposure to the beginning of this one.
    duration : float
        Of this one, seconds.
    decay : float
        Time in which what is trapped falls to 1/e, seconds.
    """
    return float((np.exp(-seconds / decay) - np.exp(-(seconds + duration) / decay)) / duration)
