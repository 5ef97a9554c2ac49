"""A flat made of what science exposures show of the sky, by itself or as a correction of another flat."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from calflow.science.calibration.flat_field import Flat, divide_by_flat, known_response
from calflow.science.cleaning.sky_flat import collect_sky_flat, correction_of, smoothed_flat
from calflow.science.cleaning.sky_flat_parameters import SkyFlat
from calflow.science.cleaning.step import Facts
from calflow.science.dq_flags import FLAGS, NO_FLAT_FIELD
from calflow.science.image import Image, has_value

UNRELIABLE_FLAT = np.uint32(FLAGS["UNRELIABLE_FLAT"])


class SkyReference(NamedTuple):
    """A flat of the sky.

    Attributes
    ----------
    flat : Flat
    corrects : float
        By how much it differs from the flat that it corrects, or from 1: the scatter of their ratio beyond its noise.
    noise : float
        The error of that ratio in a pixel, root of the mean square.
    """

    flat: Flat
    corrects: float
    noise: float


def flat_of_skies(images: Iterable[Image], parameters: SkyFlat, flat: Flat | None = None) -> SkyReference:
    """Make a flat of the skies of exposures.

    With C, dC what `science.cleaning.sky_flat.collect_sky_flat` makes of the exposures, divided by the flat F, dF if
    one is given::

        SCI = F C
        ERR = sqrt((C dF)^2 + (F dC)^2)

    Parameters
    ----------
    images : iterable of Image
        2-D exposures of one detector, filter and window, one in memory at a time; without their darks.
    parameters : SkyFlat
    flat : Flat or None
        What is known of the response already, of the window of the exposures. None: nothing.

    Returns
    -------
    SkyReference
        C has the median 1, so that the level is that of `flat`. Where too few exposures show the sky it stays as `flat`
        has it, with UNRELIABLE_FLAT; without one such a pixel has NO_FLAT_FIELD.

    Raises
    ------
    ValueError
        If no exposure has a sky, no pixel shows it in enough of them, or the flat has another shape.
    """
    found = collect_sky_flat(_divided(images, flat), parameters)
    ratio, error = smoothed_flat(found["flat"], found["error"], parameters.smoothing)
    known = error > 0
    if flat is None:
        made = Flat(ratio, error, np.where(known, np.uint32(0), NO_FLAT_FIELD))
    else:
        flat_err = np.zeros_like(error) if flat.err is None else flat.err
        made = Flat(
            flat.sci * ratio,
            np.hypot(ratio * flat_err, flat.sci * error).astype(np.float32),
            np.where(known | ~has_value("sci", flat.sci), flat.dq, flat.dq | UNRELIABLE_FLAT),
        )
    return SkyReference(made, *correction_of(ratio, error))


def _divided(images: Iterable[Image], flat: Flat | None) -> Iterator[tuple[Image, Facts]]:
    """Yield exposures, divided by a flat if there is one; NaN where that does not know the response."""
    unknown = None if flat is None else np.isnan(known_response(flat))
    for image in images:
        divided = image
        if flat is not None:
            divided = divide_by_flat(image, flat)
            divided.sci[unknown] = np.nan
        yield divided, Facts(name="", place="rate")
