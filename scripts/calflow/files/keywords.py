"""Header keywords: where the facts that steps need stand, and how their results are recorded."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.io import fits

from calflow.files.detector_window import detector_window
from calflow.files.exposure import Exposure
from calflow.science.cleaning.shipped import pixels_keyword
from calflow.science.geometry.pointing import Pointing
from calflow.science.geometry.sky_rotation import SkyRotation
from calflow.science.windows import Window

STATUS = {
    "bkg_subtract": ("S_BKDSUB", "Background subtraction"),
    "parse_subarray_map": ("S_PARSSA", "Parse Subarray Map"),
    "assign_wcs": ("S_WCS", "Assign World Coordinate System"),
    "dark_current": ("S_DARK", "Dark Subtraction"),
    "flat_field": ("S_FLAT", "Flat Field Correction"),
    "photom": ("S_PHOTOM", "Photometric Calibration"),
    "merge_subarrays": ("S_MERGSA", "Merge Subarrays"),
    "assign_mtwcs": ("S_MTWCS", "Moving target World Coordinate System"),
    "tweakreg": ("S_TWKREG", "Tweakreg image alignment"),
    "skymatch": ("S_SKYMAT", "Sky matching"),
    "outlier_detection": ("S_OUTLIR", "Outlier detection"),
    "resample": ("S_RESAMP", "Resample"),
    "source_catalog": ("S_SRCCAT", "Source catalog"),
}
# Linear and polynomial terms of a FITS WCS; a new WCS replaces them all.
_LINEAR = ("CD1_1", "CD1_2", "CD2_1", "CD2_2", "PC1_1", "PC1_2", "PC2_1", "PC2_2", "CDELT1", "CDELT2")
_THIRD_AXIS = ("CRPIX3", "CRVAL3", "CTYPE3", "CUNIT3", "CDELT3", "PC1_3", "PC2_3", "PC3_1", "PC3_2", "PC3_3")
_REFERENCE_POINT = (
    *(f"{name}{axis}" for name in ("CRPIX", "CRVAL", "CTYPE", "CUNIT") for axis in (1, 2)),
    *("WCSAXES", "RADESYS", "RADECSYS", "EQUINOX", "LONPOLE", "LATPOLE"),
)
_WCS_COMMENTS = {
    "WCSAXES": "number of World Coordinate System axes",
    "CRPIX": "Axis {} pixel coordinate of ref point, 1-indexed",
    "CRVAL": "Axis {} coordinate value at reference point",
    "CTYPE": "Axis {} type",
    "CUNIT": "Axis {} units",
    "CDELT": "Axis {} coordinate increment at reference point",
    "CD": "Linear transformation matrix element",
    "PC": "Linear transformation matrix element",
    "A_": "SIP coefficient, forward transform",
    "B_": "SIP coefficient, forward transform",
    "AP_": "SIP coefficient, inverse transform",
    "BP_": "SIP coefficient, inverse transform",
}


def window(exposure: Exposure) -> Window:
    """Return the detector pixels an exposure has.

    Parameters
    ----------
    exposure : Exposure
    """
    start = {keyword: exposure.keyword(keyword) for keyword in ("SUBSTRT1", "SUBSTRT2")}
    return detector_window(start, exposure.image.sci.shape)


def pointing(exposure: Exposure) -> Pointing:
    """Return where the exposure's aperture looks.

    Parameters
    ----------
    exposure : Exposure
    """
    return pointing_of({**exposure.science, **exposure.primary})


def pointing_of(keywords: Mapping[str, Any]) -> Pointing:
    """Return where an aperture looks whose keywords are given.

    Parameters
    ----------
    keywords : mapping
        Keywords of the SCI header: V2_REF, RA_REF and those that go with them.
    """
    key: Any = keywords.get
    return Pointing(
        v2_ref=key("V2_REF"),
        v3_ref=key("V3_REF"),
        roll_ref=key("ROLL_REF"),
        ra_ref=key("RA_REF"),
        dec_ref=key("DEC_REF"),
        va_scale=key("VA_SCALE"),
        vparity=key("VPARITY"),
        v3_yangle=key("V3I_YANG"),
    )


def exposure_time(exposure: Exposure) -> float | None:
    """Return the time that an exposure may be weighted with, s; None: not known.

    Parameters
    ----------
    exposure : Exposure
    """
    return exposure.keyword("TMEASURE") or exposure.keyword("EFFEXPTM")


def record_pointing(exposure: Exposure, pointing: Pointing) -> None:
    """Record where the exposure's aperture looks, for an exposure that has no such keywords.

    Parameters
    ----------
    exposure : Exposure
        Its SCI header is changed.
    pointing : Pointing
    """
    cards = {
        "V2_REF": (pointing.v2_ref, "[arcsec] Telescope v2 coordinate of ref point"),
        "V3_REF": (pointing.v3_ref, "[arcsec] Telescope v3 coordinate of ref point"),
        "VPARITY": (pointing.vparity, "Relative sense of rotation"),
        "V3I_YANG": (pointing.v3_yangle, "[deg] Angle from V3 axis to detector y axis"),
        "RA_REF": (pointing.ra_ref, "[deg] Right ascension of the reference point"),
        "DEC_REF": (pointing.dec_ref, "[deg] Declination of the reference point"),
        "ROLL_REF": (pointing.roll_ref, "[deg] V3 roll angle at the ref point"),
    }
    exposure.science.update(cards)


def record_status(exposure: Exposure, step: str, status: str) -> None:
    """Record what became of a step: COMPLETE, SKIPPED or FAILED; of a step of one family alone by its name.

    Parameters
    ----------
    exposure : Exposure
        Its primary header is changed.
    step : str
        Its name, such as ``flat_field``.
    status : str
        COMPLETE, SKIPPED or FAILED.
    """
    keyword, comment = STATUS.get(step, (f"S_{step[:6].upper()}", step.replace("_", " ").capitalize()))
    exposure.primary.set(keyword, status, comment)


def record_figures(
    exposure: Exposure, keyword: str, step: str, what: str, figures: Mapping[str, int | float | str], status: str
) -> None:
    """Record the status of an extra step, what it did, and the figures that tell of it.

    Parameters
    ----------
    exposure : Exposure
        Its primary header is changed: the status, HISTORY, and how many pixels changed if `figures` has ``pixels``.
    keyword : str
        Of the status, such as S_MASK_R; the number of pixels is N_MASK_R.
    step : str
        Its name.
    what : str
        What it was done with.
    figures : mapping of str to int, float or str
        By name.
    status : {"COMPLETE", "SKIPPED"}
    """
    exposure.primary.set(keyword, status, f"Extra step {step}")
    if isinstance(pixels := figures.get("pixels"), int):
        exposure.primary.set(pixels_keyword(keyword), pixels, f"Pixels that {step} changed")
    told = ", ".join(f"{name} {value}" for name, value in figures.items())
    text = "; ".join(part for part in (f"Extra step {step}", what, told) if part)
    exposure.primary.add_history(" ".join(text.split()).encode("ascii", "backslashreplace").decode())


def record_facts(exposure: Exposure, facts: Mapping[str, Any]) -> None:
    """Record keywords that were made of others.

    Parameters
    ----------
    exposure : Exposure
        Its primary header is changed.
    facts : mapping of str to object
        Values by keyword.
    """
    for keyword, value in facts.items():
        exposure.primary.set(keyword, value)


def record_origin(exposure: Exposure, origin: Mapping[str, Any]) -> None:
    """Record the association, the references and the CRDS context, each by its keyword.

    Parameters
    ----------
    exposure : Exposure
        Its primary header is changed.
    origin : mapping of primary keyword to (value, comment)
        As `record_origin_in` takes it.
    """
    record_origin_in(exposure.primary, origin)


def record_origin_in(primary: fits.Header, origin: Mapping[str, Any]) -> None:
    """Record the same in a primary header.

    FITS headers hold printable ASCII only: other characters, as paths may have, are written as escapes.

    Parameters
    ----------
    primary : astropy Header
        It is changed.
    origin : mapping of primary keyword to (value, comment)
    """
    for keyword, (value, comment) in origin.items():
        text = "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in value)
        primary.set(keyword, text, comment)


def record_pixel_area(exposure: Exposure, pixel_area_sr: float | None, pixel_area_a2: float | None) -> None:
    """Record the nominal pixel area, where it is known.

    Parameters
    ----------
    exposure : Exposure
        Its SCI header is changed.
    pixel_area_sr, pixel_area_a2 : float or None
        Steradian and square arcsec. None: not known.
    """
    header = exposure.science
    if pixel_area_sr is not None:
        header.set("PIXAR_SR", pixel_area_sr, "Nominal pixel area in steradians")
    if pixel_area_a2 is not None:
        header.set("PIXAR_A2", pixel_area_a2, "Nominal pixel area in arcsec^2")


def record_target(exposure: Exposure, rotation: SkyRotation) -> None:
    """Record the mean position of a moving target, to which a rotation of the sky brings that in the exposure.

    Parameters
    ----------
    exposure : Exposure
        Its SCI header is changed.
    rotation : SkyRotation
    """
    target = exposure.keyword("MT_RA"), exposure.keyword("MT_DEC")
    if None not in target:
        for keyword, value in zip(("MT_AVRA", "MT_AVDEC"), rotation(np.array(target, float)).tolist(), strict=True):
            exposure.science.set(keyword, value, "[deg] mean position of the target")


def remove_wcs(header: fits.Header) -> None:
    """Remove a FITS WCS from a header that should have none.

    Parameters
    ----------
    header : astropy Header
        It is changed.
    """
    _remove_terms(header)
    for keyword in _REFERENCE_POINT:
        header.remove(keyword, ignore_missing=True)


def replace_wcs(header: fits.Header, cards: Mapping[str, Any]) -> None:
    """Put the cards of a FITS WCS in place of the one a SCI header has.

    Parameters
    ----------
    header : astropy Header
        It is changed.
    cards : mapping of str to object
        Values by keyword.
    """
    _remove_terms(header)
    for keyword, value in cards.items():
        header.set(keyword, value, _wcs_comment(keyword))


def _remove_terms(header: fits.Header) -> None:
    sip = [keyword for keyword in header if keyword.split("_")[0] in ("A", "B", "AP", "BP") and "_" in keyword]
    for keyword in [*_LINEAR, *_THIRD_AXIS, *sip]:
        header.remove(keyword, ignore_missing=True)


def _wcs_comment(keyword: str) -> str | None:
    if keyword.endswith("_ORDER"):
        return "Degree of {} SIP polynomial".format("inverse" if "P" in keyword[:2] else "forward")
    for start in sorted(_WCS_COMMENTS, key=len, reverse=True):
        if keyword.startswith(start):
            return _WCS_COMMENTS[start].format(keyword[-1])
    return None
