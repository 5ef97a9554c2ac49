"""The keywords that say where an exposure lies on the sky: its outline, and the FITS approximation of its gwcs."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from calflow.files.exposure import Exposure
from calflow.files.keywords import replace_wcs
from calflow.science.geometry.footprints import s_region
from calflow.science.geometry.sip import sip_approximation
from calflow.science.geometry.tan_projection import projection_of

log = logging.getLogger(__name__)


def record_wcs(exposure: Exposure, corners: np.ndarray, sip: Mapping[str, Any] | None) -> None:
    """Record S_REGION and the SIP approximation of an exposure's WCS in its SCI header.

    Parameters
    ----------
    exposure : Exposure
        With its WCS. What the approximation cannot hold goes to the log. A WCS that is a TAN projection needs none.
    corners : float array, shape (4, 2)
        Right ascension and declination, degrees.
    sip : mapping or None
        Parameters of `science.geometry.sip.sip_approximation`. None: no approximation.
    """
    if record_projection(exposure, corners) or not sip:
        return
    header = exposure.science
    crpix = (header["CRPIX1"], header["CRPIX2"]) if {"CRPIX1", "CRPIX2"} <= set(header) else None
    found = sip_approximation(exposure.wcs, crpix, **sip)
    for doubt in found.doubts:
        log.warning("SIP approximation: %s", doubt)
    replace_wcs(header, found.keywords)


def record_projection(exposure: Exposure, corners: np.ndarray) -> bool:
    """Record S_REGION and, of a WCS that is a TAN projection, its keywords. Tell whether it is one.

    Parameters
    ----------
    exposure : Exposure
        With its WCS.
    corners : float array, shape (4, 2)
        Right ascension and declination, degrees.
    """
    exposure.science.set("S_REGION", s_region(corners), "Spatial footprint of the observation")
    projection = projection_of(exposure.wcs)
    if projection is not None:
        replace_wcs(exposure.science, projection.keywords())
    return projection is not None
