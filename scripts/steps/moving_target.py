"""assign_mtwcs: exposures that followed a moving target, shifted so that the target stays where it was on average."""

from collections.abc import Sequence

import numpy as np


def target_shifts(positions: Sequence[Sequence[float] | None]) -> list[tuple[float, float]] | None:
    """Return what has to be added to the sky positions of each exposure.

    Parameters
    ----------
    positions : sequence of (ra, dec)
        Of the target at the middle of each exposure, degrees; None where it is not known.

    Returns
    -------
    list of (ra, dec), or None
        Degrees from the target to the mean of all positions. None if one is not known.

    Notes
    -----
    Right ascensions may lie on both sides of 0. jwst takes their plain mean then, which is half
    the sky away.
    """
    if any(position is None or not np.isfinite(np.array(position, float)).all() for position in positions):
        return None
    ra, dec = np.array(positions, float).T
    from_first = (ra - ra[0] + 180.0) % 360.0 - 180.0
    return list(zip((from_first.mean() - from_first).tolist(), (dec.mean() - dec).tolist(), strict=True))
