"""assign_mtwcs: exposures that followed a moving target, moved so that the target stays where it was on average."""

from collections.abc import Sequence

import numpy as np

from calflow.science.geometry.sky_rotation import SkyRotation, rotation_between, to_cartesian, to_spherical


def target_rotations(positions: Sequence[Sequence[float] | None]) -> list[SkyRotation] | None:
    """Return how the sky of each exposure has to be turned.

    Parameters
    ----------
    positions : sequence of (ra, dec)
        Of the target at the middle of each exposure, degrees; None where it is not known.

    Returns
    -------
    list of SkyRotation, or None
        Along the great circle from the target to the mean of all positions. None if one is not
        known, or they have no mean.

    Notes
    -----
    A rotation of the sphere keeps all distances, and directions at the target in respect to its
    path. jwst adds the differences of right ascension and declination to those of all pixels,
    which turns and bends the field: by 0.03 arcsec in 2 arcmin at declination 60, for 1 arcmin of motion.
    Its mean is that of the coordinates, which is half the sky away across right ascension 0; this
    one is that of the unit vectors.
    """
    if any(position is None or not np.isfinite(np.array(position, float)).all() for position in positions):
        return None
    mean = to_cartesian(np.array(positions, float)).mean(axis=0)
    if not np.linalg.norm(mean) > 0:
        return None
    return [rotation_between(np.array(position, float), to_spherical(mean)) for position in positions]
