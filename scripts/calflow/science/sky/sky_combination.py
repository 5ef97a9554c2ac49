"""Smooth skies of several exposures combined into one.

Not kept of the newer Liger/IRIS imager pipeline, whose step this is: skies that are multiplied by their relative
level instead of divided, NaN where all frames have flags, flags cut to 16 bits.
"""

from collections.abc import Sequence

import numpy as np

from calflow.science.calibration.frame_combination import Combined, combine_frames
from calflow.science.sky.sky_model import SkyModel

# Of skies at one level. What a source leaves in a sky is above it, so less is let through there.
COMBINE_SIGMA_LOW = 4.0
COMBINE_SIGMA_HIGH = 3.0


def combine_skies(models: Sequence[SkyModel]) -> SkyModel:
    """Combine skies, whatever their levels.

    Each sky is divided by its level relative to the mean of the levels, and the mean is
    taken pixel by pixel of those whose exposure has no flag there, outliers clipped
    (`combine_frames`). Where all exposures have flags, all skies are used: they are smooth. The
    error is propagated: that skies brought to one level hardly scatter tells nothing of the level.

    Parameters
    ----------
    models : sequence of SkyModel
        Of one detector window.

    Returns
    -------
    SkyModel
        At the mean level, with the flags that all exposures have. One model is returned as it is.

    Raises
    ------
    ValueError
        If there is no model, they differ in shape, or one of several has no positive level.
    """
    if not models:
        raise ValueError("there is no sky to combine")
    if len(models) == 1:
        return models[0]
    for number, model in enumerate(models, start=1):
        if not model.level > 0:
            raise ValueError(f"sky {number} has the level {model.level:.6g}; to be scaled it must be positive")
    level = float(np.mean([model.level for model in models]))
    scales = [np.float32(model.level / level) for model in models]
    skies = [model.sky / scale for model, scale in zip(models, scales, strict=True)]
    errors = [model.err / scale for model, scale in zip(models, scales, strict=True)]
    out = _mean(skies, errors, [model.dq for model in models])
    empty = out.n == 0
    if empty.any():
        no_flags = [np.zeros(empty.shape, np.uint32)] * len(models)
        filled = _mean(*([plane[empty][np.newaxis] for plane in planes] for planes in (skies, errors, no_flags)))
        out.sci[empty], out.err[empty] = filled.sci[0], filled.err[0]
    return SkyModel(out.sci, out.err, out.dq, level)


def _mean(skies: list[np.ndarray], errors: list[np.ndarray], dq: list[np.ndarray]) -> Combined:
    return combine_frames(
        skies,
        errors,
        dq,
        sigma_low=COMBINE_SIGMA_LOW,
        sigma_high=COMBINE_SIGMA_HIGH,
        error="propagate",
        flags="all",
    )
