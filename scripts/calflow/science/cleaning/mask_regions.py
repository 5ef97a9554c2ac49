"""Flag the pixels in regions that somebody has drawn in DS9: claws, ghosts, trails of satellites."""

import math

import numpy as np

from calflow.science.cleaning.mask_regions_parameters import RegionMask
from calflow.science.cleaning.regions import read_regions, region_mask
from calflow.science.cleaning.step import Cleaned, Facts
from calflow.science.dq_flags import DO_NOT_USE
from calflow.science.image import Image, has_value

# Up to this distance it takes less time to shift a mask than to measure all distances.
NEAR = 32


def mask_regions(planes: Image, parameters: RegionMask, facts: Facts, regions: str) -> Cleaned:
    """Flag the pixels in regions.

    Parameters
    ----------
    planes : Image
        2-D.
    parameters : RegionMask
    facts : Facts
        With world coordinates, if there are regions on the sky.
    regions : str
        The text of a DS9 region file; positions in pixels are those of the exposure, not of the full detector.

    Returns
    -------
    Cleaned
        New flags. Figures: how many pixels are in regions, and how many of them could be used before.

    Raises
    ------
    ValueError
        If the regions cannot be read, or are on the sky and the exposure has no world coordinates.
    """
    mask = grown(region_mask(read_regions(regions), planes.sci.shape, facts.sky), parameters.grow)
    dq = planes.dq.copy()
    dq[mask] |= np.uint32(parameters.bits())
    good = mask & ((planes.dq & DO_NOT_USE) == 0) & has_value("sci", planes.sci)
    return Cleaned(dq=dq, figures={"pixels": int(mask.sum()), "usable before": int(good.sum())})


def grown(mask: np.ndarray, pixels: float) -> np.ndarray:
    """Return a mask with all pixels within a distance of it.

    Parameters
    ----------
    mask : bool array, shape (ny, nx)
    pixels : float
        The distance, between centres.

    Returns
    -------
    bool array, shape (ny, nx)
    """
    if not pixels or not mask.any():
        return mask
    reach = math.floor(pixels)
    part = tuple(
        slice(max(int(found[0]) - reach, 0), int(found[-1]) + reach + 1)
        for found in (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    )
    larger = mask.copy()
    if reach <= NEAR:
        larger[part] = _within_disks(mask[part], pixels)
    else:
        from scipy.ndimage import distance_transform_edt

        larger[part] = distance_transform_edt(~mask[part]) <= pixels
    return larger


def _within_disks(mask: np.ndarray, pixels: float) -> np.ndarray:
    """Return a mask with all pixels within a distance: rows of the mask, as wide as the disk is there, shifted."""
    out, wide, width = mask.copy(), mask.copy(), 0
    for away in range(min(math.floor(pixels), len(mask) - 1), -1, -1):
        while (width + 1) ** 2 + away**2 <= pixels**2 and width + 1 < mask.shape[1]:
            width += 1
            wide[:, width:] |= mask[:, :-width]
            wide[:, :-width] |= mask[:, width:]
        out[away:] |= wide[: len(mask) - away]
        out[: len(mask) - away] |= wide[away:]
    return out
