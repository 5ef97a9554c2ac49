"""What a cleaning step takes, and what it returns.

A step is a function of the planes of one exposure, 2-D; of an exposure with integrations it is called for each::

    def destripe(planes: Image, parameters: Destriping, facts: Facts) -> Cleaned:

`shipped` lists the steps, each with what it takes besides: contents of files, and earlier exposures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from calflow.science.image import VARIANCES, Image

Figure = int | float | str


@dataclass(frozen=True)
class Facts:
    """What is known of an exposure besides its pixels, in the same words for all instruments.

    Attributes
    ----------
    name : str
        Root of the names of its products.
    place : {"rate", "cal"}
        Whether it is a count-rate exposure, before stage 2, or a calibrated one, before stage 3.
    unit : str
        Of its science plane, such as ``DN/s`` or ``MJy/sr``; empty: not known.
    instrument, detector, filter, pupil, channel, subarray, readout : str
        As the header has them, in upper case; empty: not known, or there is none.
    exposure_time : float or None
        Seconds. None: not known.
    start : float or None
        When it began, days (MJD, UTC). None: not known.
    slow_axis, fast_axis : int or None
        Along which axis, 1 for x and 2 for y, rows follow each other slowly and pixels quickly when the detector is
        read; negative: backwards. None: not known.
    first_pixel : (int, int)
        Where the first pixel (x, y) of the planes lies on the detector, counted from 1.
    integration : int or None
        Number of the integration, from 0. None: the exposure has none.
    header : mapping
        All keywords, those of the primary header first.
    sky : callable or None
        From pixels x, y (0-based) to right ascension and declination, degrees, shape (..., 2). None: not known, as
        before stage 2.
    """

    name: str
    place: str
    unit: str = ""
    instrument: str = ""
    detector: str = ""
    filter: str = ""
    pupil: str = ""
    channel: str = ""
    subarray: str = ""
    readout: str = ""
    exposure_time: float | None = None
    start: float | None = None
    slow_axis: int | None = None
    fast_axis: int | None = None
    first_pixel: tuple[int, int] = (1, 1)
    integration: int | None = None
    header: Mapping[str, Any] = field(default_factory=dict)
    sky: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None


class Cleaned(NamedTuple):
    """What a step returns; a plane that is None stays as it was.

    Attributes
    ----------
    sci : float32 array (ny, nx) or None
        The new science plane. NaN: no value.
    variance : float array (ny, nx) or None
        What is added to the variance of the readout, in the unit of `sci` squared. It must not grow with the signal of
        sources: combination weights pixels by it, and would flatten them.
    dq : uint32 array (ny, nx) or None
        The new flags.
    factor : float array (ny, nx) or None
        What the errors are multiplied by, before a variance is added, and the variances by its square: where `sci` was
        divided by a response, 1 over that.
    flat_variance : float array (ny, nx) or None
        What is added to the variance of the flat, in the unit of `sci` squared: errors of a response, which grow with
        the signal.
    figures : mapping of str to int, float or str
        What the header and the log tell of it: few, with short names. That of the name ``pixels`` is how many pixels
        were flagged; `snakemake status` tells it. That of the name ``left`` is a text, what the step did not do; the
        summary and `snakemake status` tell it.
    """

    sci: np.ndarray | None = None
    variance: np.ndarray | None = None
    dq: np.ndarray | None = None
    factor: np.ndarray | None = None
    flat_variance: np.ndarray | None = None
    figures: Mapping[str, Figure] = {}

    @property
    def changes_nothing(self) -> bool:
        """Whether the exposure stays as it was: the status of the step is then SKIPPED."""
        return all(plane is None for plane in (self.sci, self.variance, self.dq, self.factor, self.flat_variance))


def with_cleaned(planes: Image, cleaned: Cleaned) -> Image:
    """Return the planes of an exposure as a step has changed them.

    Parameters
    ----------
    planes : Image
        Before the step.
    cleaned : Cleaned
        What the step returned.

    Returns
    -------
    Image
        Variances that are added go into `var_rnoise` and `var_flat`, if there are such, and into `err` but where all of
        it is 0. `planes` itself, if the step changed nothing.
    """
    if cleaned.changes_nothing:
        return planes
    changed: dict[str, np.ndarray] = {}
    if cleaned.factor is not None:
        factor = np.abs(cleaned.factor).astype(planes.err.dtype)
        variances = {name: getattr(planes, name) for name in VARIANCES}
        scaled = {name: plane * factor**2 for name, plane in variances.items() if plane is not None}
        planes = replace(planes, err=planes.err * factor, **scaled)
    if cleaned.sci is not None:
        changed["sci"] = cleaned.sci.astype(planes.sci.dtype, copy=False)
    if cleaned.dq is not None:
        changed["dq"] = cleaned.dq.astype(planes.dq.dtype, copy=False)
    added = {"var_rnoise": cleaned.variance, "var_flat": cleaned.flat_variance}
    known = {name: variance for name, variance in added.items() if variance is not None}
    for name, variance in known.items():
        plane = getattr(planes, name)
        if plane is not None:
            changed[name] = (plane + variance).astype(plane.dtype)
    if known and planes.err.any():  # an error that is 0 everywhere is not known
        total = np.square(planes.err, dtype=float) + sum(known.values())
        changed["err"] = np.sqrt(total).astype(planes.err.dtype)
    return replace(planes, **changed)
