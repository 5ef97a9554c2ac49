"""Reference files made of calibration exposures: a master dark, a normalised flat, or a flat of the skies of exposures.

Each is named by the plan, so that an edit of one makes nothing stale that another has made.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from calflow.calibration.dark import read_dark
from calflow.calibration.flat import read_flat
from calflow.files.exposure import read_exposure
from calflow.files.exposure_planes import exposure_planes
from calflow.science.calibration.dark_current import subtract_dark
from calflow.science.calibration.reference_making import master_dark, normalised_flat
from calflow.science.windows import Window

log = logging.getLogger(__name__)


class Made(NamedTuple):
    """A reference that was made.

    Attributes
    ----------
    sci, err, dq : array, shape (ny, nx)
        DQ is uint32.
    keywords : mapping of str to (value, comment)
        What its header says of it, besides what it is for.
    doubt : str
        Why it may better not be used; empty: nothing speaks against it.
    """

    sci: Any
    err: Any
    dq: Any
    keywords: Mapping[str, Any]
    doubt: str


def make_dark(
    exposures: Sequence[str],
    known: Mapping[str, str],
    window: Window,
    images: Sequence[str],
    options: Mapping[str, Any],
) -> Made:
    """Combine exposures without light.

    Parameters
    ----------
    exposures : sequence of str
        Files with 2-D rates.
    known : mapping of str to str
        Reference files by type; none is used.
    window : Window
        Detector pixels of the exposures.
    images : sequence of str
        Names that the extension with the pixels may have.
    options : mapping
        Of `combine_frames`.
    """
    dark = master_dark(*exposure_planes(exposures, images), **options)
    return Made(dark.sci, dark.err, dark.dq, {}, "")


def make_flat(
    exposures: Sequence[str],
    known: Mapping[str, str],
    window: Window,
    images: Sequence[str],
    options: Mapping[str, Any],
) -> Made:
    """Combine exposures of even light.

    Parameters
    ----------
    exposures : sequence of str
        Files with 2-D rates.
    known : mapping of str to str
        Reference files by type: the `dark`, unless the exposures are without theirs.
    window : Window
        Detector pixels of the exposures.
    images : sequence of str
        Names that the extension with the pixels may have.
    options : mapping
        Of `combine_frames`, and `normalisation`.
    """
    dark = read_dark(known["dark"], window, images) if "dark" in known else None
    flat = normalised_flat(*exposure_planes(exposures, images), dark=dark, **options)
    return Made(flat.sci, flat.err, flat.dq, {}, "")


def make_sky_flat(
    exposures: Sequence[str],
    known: Mapping[str, str],
    window: Window,
    images: Sequence[str],
    options: Mapping[str, Any],
) -> Made:
    """Make a flat of the skies of exposures.

    Parameters
    ----------
    exposures : sequence of str
        Files with 2-D rates, one in memory at a time.
    known : mapping of str to str
        Reference files by type: the `dark`, unless the exposures are without theirs, and the `flat` to correct, if any.
    window : Window
        Detector pixels of the exposures.
    images : sequence of str
        Names that the extension with the pixels may have.
    options : mapping
        Of `SkyFlat`.
    """
    # No other kind of reference waits for this import.
    from calflow.science.calibration.sky_reference import flat_of_skies
    from calflow.science.cleaning.sky_flat_parameters import SkyFlat

    dark = read_dark(known["dark"], window, images) if "dark" in known else None
    flat = read_flat(known["flat"], window, images) if "flat" in known else None
    skies = (read_exposure(Path(path), images).image for path in exposures)
    if dark is not None:
        skies = (subtract_dark(image, dark) for image in skies)
    made, corrects, noise = flat_of_skies(skies, SkyFlat(**options), flat)
    of = "the flat" if flat else "1"
    log.info("differs from %s by %.3g %%, with an error of %.3g %% in a pixel", of, 100 * corrects, 100 * noise)
    keywords = {
        "CORRECTS": (round(corrects, 6), f"rms by which it differs from {of}"),
        "FLATNOIS": (round(noise, 6), "rms error of that in a pixel"),
    }
    doubt = f"corrects {100 * corrects:.2g} %, and has {100 * noise:.2g} % of noise" if corrects < noise else ""
    return Made(made.sci, made.err, made.dq, keywords, doubt)
