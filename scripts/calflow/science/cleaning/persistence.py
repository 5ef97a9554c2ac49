"""Flag the pixels that were bright in earlier exposures of the same detector, which they may remember."""

from collections.abc import Iterable

import numpy as np

from calflow.science.cleaning.mask_regions import grown
from calflow.science.cleaning.persistence_parameters import Persistence
from calflow.science.cleaning.placed import placed
from calflow.science.cleaning.step import Cleaned, Facts
from calflow.science.dq_flags import DO_NOT_USE, FLAGS
from calflow.science.image import Image, has_value

SATURATED = np.uint32(FLAGS["SATURATED"])
SECONDS_PER_DAY = 86400


def persistence(planes: Image, parameters: Persistence, facts: Facts, others: Iterable[tuple[Image, Facts]]) -> Cleaned:
    """Flag the pixels that were bright in exposures that ended a short time before.

    Parameters
    ----------
    planes : Image
        2-D.
    parameters : Persistence
    facts : Facts
    others : iterable of (Image, Facts)
        Earlier exposures of the detector, in order of time, of any window of it; 2-D or with integrations, each
        of which counts. Of those of which beginning or length is not known it is taken that they ended within the time.

    Returns
    -------
    Cleaned
        New flags. Figures: how many pixels are flagged, how many of them could be used before, and how many exposures
        they come from.

    Raises
    ------
    ValueError
        If most pixels of an earlier exposure are above the level.
    """
    bright = np.zeros(planes.sci.shape, bool)
    exposures = 0
    for earlier, of_it in others:
        if _seconds_between(of_it, facts) > parameters.time:
            continue
        found = placed(_bright(earlier, of_it, parameters), of_it.first_pixel, facts.first_pixel, bright.shape)
        exposures += bool(found.any())
        bright |= found
    bright = grown(bright, parameters.grow)
    good = bright & ((planes.dq & DO_NOT_USE) == 0) & has_value("sci", planes.sci)
    dq = planes.dq.copy()
    dq[bright] |= np.uint32(parameters.bits())
    return Cleaned(
        dq=dq, figures={"pixels": int(bright.sum()), "usable before": int(good.sum()), "exposures": exposures}
    )


def _seconds_between(earlier: Facts, later: Facts) -> float:
    """Return the time from the end of one exposure to the beginning of another; 0: not known."""
    if earlier.start is None or later.start is None:
        return 0.0
    return (later.start - earlier.start) * SECONDS_PER_DAY - (earlier.exposure_time or 0.0)


def _bright(planes: Image, facts: Facts, parameters: Persistence) -> np.ndarray:
    """Tell which pixels were bright in any integration; bool, shape (ny, nx)."""
    bright = (planes.dq & SATURATED) != 0
    if parameters.level is not None and facts.exposure_time:
        integrations = facts.header.get("NINTS") or (len(planes.sci) if planes.sci.ndim == 3 else 1)
        with np.errstate(invalid="ignore"):
            above = planes.sci * np.float32(facts.exposure_time / integrations) >= parameters.level
        if np.count_nonzero(above) > above.size / 2:
            raise ValueError(
                f"level: most pixels of {facts.name} are above {parameters.level:g}, the sky is; give more"
            )
        bright |= above
    return bright.any(axis=0) if bright.ndim == 3 else bright
