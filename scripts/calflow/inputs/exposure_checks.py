"""Checks of one exposure's header: can stage 2 process it, and does a background belong to it."""

import math
from pathlib import Path
from typing import Any, TypeGuard

from calflow.configuration.problems import Problem, Problems, nearest
from calflow.inputs.headers import ExposureHeader, window_of
from calflow.inputs.scope import is_calibration, is_spectroscopic
from calflow.inputs.times import observation_time
from calflow.instruments import family_of, known_telescopes
from calflow.instruments.family import Family, Variant
from calflow.science.calibration.photom import SURFACE_BRIGHTNESS
from calflow.science.windows import Window

# An exposure with one of these COMPLETE has been through stage 2.
CALIBRATED = ("S_FLAT", "S_PHOTOM")
NOT_NUMBERS = ("INSTRUME", "DETECTOR", "EXP_TYPE", "DATE-OBS", "TIME-OBS")
OPTIONAL_NUMBERS = ("CRPIX1", "CRPIX2")
TIMES = ("EFFEXPTM", "TMEASURE")
# What positions, angles (degrees), places in the focal plane (arcsec) and the scale of velocity aberration can be
RANGES = dict.fromkeys(("RA_REF", "ROLL_REF", "V3I_YANG", "MT_RA"), (-360, 360)) | {
    "DEC_REF": (-90, 90),
    "MT_DEC": (-90, 90),
    "V2_REF": (-3600, 3600),
    "V3_REF": (-3600, 3600),
    "VA_SCALE": (0.99, 1.01),
    "CRPIX1": (-1e6, 1e6),
    "CRPIX2": (-1e6, 1e6),
}
LATEST = 1e6  # modified Julian date, in the year 4596; a larger number is a Julian date, 2.4e6 and more
DATE_AND_TIME = ("DATE-OBS", "TIME-OBS")


def check_science(path: Path, header: ExposureHeader, family: Family | None, problems: Problems) -> Variant | None:
    """Check that stage 2 can process an exposure.

    Parameters
    ----------
    path : Path
        Of the exposure.
    header : ExposureHeader
        Keywords of the exposure.
    family : Family or None
        None: the telescope is not known.
    problems : Problems
        What is wrong is added here.

    Returns
    -------
    Variant or None
        The variant of the pipeline the exposure goes through; None if a problem was found.
    """
    new = problems.from_here()

    def refuse(key: str, wrong: str, right: str) -> None:
        problems.add(Problem(str(path), key, wrong, right))

    keywords = header.values
    if family is None:
        telescope = keywords.get("TELESCOP")
        wrong = "is missing" if telescope in (None, "") else f"{telescope!r} is not known"
        refuse("TELESCOP", wrong, f"calflow processes {known_telescopes()}")
        return None
    _check_required(keywords, family, refuse)
    if keywords.get("INSTRUME") not in (None, *family.instruments):
        refuse(
            "INSTRUME",
            f"{keywords['INSTRUME']!r} is not known",
            nearest(str(keywords["INSTRUME"]), family.instruments, cutoff=0.8),
        )
    variant = family.variant(keywords)
    if variant is None and keywords.get("EXP_TYPE") is not None:
        refuse("EXP_TYPE", f"{keywords['EXP_TYPE']!r} is not imaging", _right_type(keywords, family))
    _check_uncalibrated(keywords, family, refuse)
    _check_window(header, family, refuse)
    return None if new.any() else variant


def _right_type(keywords: dict[str, Any], family: Family) -> str:
    """Say what is right in place of an EXP_TYPE that is not imaging."""
    if is_spectroscopic(keywords):
        return "it is spectroscopy, which calflow does not do: leave the exposure out"
    if is_calibration(keywords):
        return "it is a calibration exposure, which stage 2 does not take: leave it out"
    types = {exp_type for kind in family.variants for exp_type in kind.exp_types}
    own = family.known_values.get(str(keywords.get("INSTRUME")), {}).get("EXP_TYPE", types)
    return nearest(str(keywords["EXP_TYPE"]), own & types or types, cutoff=0.8)


def check_background(
    path: Path, header: ExposureHeader, science: ExposureHeader, family: Family, problems: Problems
) -> None:
    """Check that a background exposure can be subtracted from a science exposure.

    Parameters
    ----------
    path : Path
        Of the background exposure.
    header : ExposureHeader
        Its keywords.
    science : ExposureHeader
        Keywords of the science exposure.
    family : Family
        The instrument family.
    problems : Problems
        What is wrong is added here.
    """

    def refuse(key: str, wrong: str, right: str) -> None:
        problems.add(Problem(str(path), key, wrong, right))

    rules = family.background
    if rules.same_dimensions and len(header.shape) != len(science.shape):
        refuse(
            header.image,
            f"is {len(header.shape)}-D, its science exposure {len(science.shape)}-D",
            "both must be the same",
        )
    for keyword in rules.same:
        own, wanted = header.values.get(keyword), science.values.get(keyword)
        if not alike(own, wanted):
            is_what = "is missing" if own in (None, "") else f"is {own!r}"
            refuse(keyword, f"{is_what}, that of its science exposure {wanted!r}", "use backgrounds taken alike")
    if family.variant(header.values) is None:
        given = header.values.get("EXP_TYPE")
        wrong = "is missing" if given in (None, "") else f"{given!r} is not imaging"
        refuse("EXP_TYPE", wrong, "use backgrounds taken alike")
    _check_uncalibrated(header.values, family, refuse)
    new = problems.from_here()
    _check_window(header, family, refuse)
    if new.any():
        return
    covered, needed = window_of(header), window_of(science)
    if covered.overlap(needed) is None or (rules.covers and not covered.contains(needed)):
        relation = "it is not all in it" if rules.covers else "they do not overlap"
        wrong = f"covers {covered}, its science exposure {needed}: {relation}"
        refuse("SUBSTRT1, SUBSTRT2", wrong, "use backgrounds of the same part of the detector")


def check_calibrated(path: Path, header: ExposureHeader, subtract: bool | None, problems: Problems) -> None:
    """Check that stage 3 can combine a calibrated exposure that this run does not make.

    Parameters
    ----------
    path : Path
        Of the exposure.
    header : ExposureHeader
        Keywords of the exposure.
    subtract : bool or None
        Whether the sky is going to be subtracted from the pixels. None: nothing is done about it.
    problems : Problems
        What is wrong is added here.
    """
    values = header.values

    def refuse(key: str, wrong: str, right: str) -> None:
        problems.add(Problem(str(path), key, wrong, right))

    def is_what(keyword: str) -> str:
        return "is missing" if values.get(keyword) is None else f"is {values[keyword]!r}"

    family = family_of(values)
    if family is None:
        refuse("TELESCOP", is_what("TELESCOP"), f"calflow processes {known_telescopes()}")
        return
    if values.get("INSTRUME") not in family.instruments:
        refuse("INSTRUME", is_what("INSTRUME"), nearest(str(values.get("INSTRUME")), family.instruments))
    if family.variant(values) is None:
        refuse("EXP_TYPE", is_what("EXP_TYPE"), "stage 3 combines images")
    _check_date(values, refuse)
    if values.get("S_WCS") not in (None, "COMPLETE") or not any(hdu.name == "ASDF" for hdu in header.hdus):
        refuse("S_WCS", "the exposure has no world coordinates", "stage 3 takes _cal with a gwcs (ASDF extension)")
    for keyword in ("V2_REF", "V3_REF", "RA_REF", "DEC_REF", "ROLL_REF", "VPARITY", "V3I_YANG"):
        if not _is_number(values.get(keyword)):
            refuse(keyword, is_what(keyword), "stage 3 needs a number")
    _check_ranges(values, refuse)
    _check_times(values, refuse)
    if str(values.get("BUNIT") or "").replace(" ", "").upper() != SURFACE_BRIGHTNESS.upper():
        refuse("BUNIT", is_what("BUNIT"), f"stage 3 takes surface brightness, {SURFACE_BRIGHTNESS}")
    if values.get("S_MTWCS") == "COMPLETE":
        refuse("S_MTWCS", "is COMPLETE: the exposure already follows its moving target", "give its _cal")
    subtracted = values.get("BKGSUB")
    if subtracted is None and values.get("BKGLEVEL") is not None:
        refuse("BKGSUB", "is missing, though BKGLEVEL is there", "it tells whether the sky was subtracted")
    if None not in (subtract, subtracted) and subtracted != subtract:
        done = "was" if subtracted else "was not"
        refuse("BKGSUB", f"a sky level {done} subtracted", f"set stage3.skymatch.subtract: {str(subtracted).lower()}")


def alike(one: Any, other: Any) -> bool:
    """Tell whether two values of a keyword mean the same; capitals make no difference, as in the choice of references.

    Parameters
    ----------
    one : object
        Of the keyword.
    other : object
        Alike.
    """
    if isinstance(one, str) and isinstance(other, str):
        return one.strip().upper() == other.strip().upper()
    return bool(one == other)


def different_errors(name: str, errors: tuple[str, ...], other: str, others: tuple[str, ...]) -> str:
    """Say in which planes of errors two exposures differ.

    Parameters
    ----------
    name : str
        Of one exposure.
    errors : tuple of str
        Its planes.
    other : str
        Of the other exposure.
    others : tuple of str
        Its planes.
    """
    # Where ERR is not among them though it is in the file, the variances tell it.
    told = {*errors, "ERR"} if {"VAR_POISSON", "VAR_RNOISE"} <= set(errors) else errors
    if lacking := [plane for plane in others if plane not in told]:
        return f"{name!r} has no {', '.join(lacking)}, unlike {other!r}"
    return f"{name!r} has {', '.join(plane for plane in errors if plane not in others)}, unlike {other!r}"


def _check_required(keywords: dict[str, Any], family: Family, refuse: Any) -> None:
    for keyword in family.required_keywords:
        value = keywords.get(keyword)
        if value is None or value == "":
            refuse(keyword, "is missing", "stage 2 cannot do without it")
        elif keyword not in NOT_NUMBERS and not _is_number(value):
            refuse(keyword, f"{value!r} is not a number", "give a finite number")
    for keyword in OPTIONAL_NUMBERS:
        if keywords.get(keyword) is not None and not _is_number(keywords[keyword]):
            refuse(keyword, f"{keywords[keyword]!r} is not a number", "give a finite number, or leave it out")
    if _is_number(keywords.get("EXPMID")) and not 0 < keywords["EXPMID"] < LATEST:
        refuse(
            "EXPMID",
            f"is {keywords['EXPMID']!r}",
            "it is the middle of the exposure, a modified Julian date (JD - 2400000.5)",
        )
    if keywords.get("VA_SCALE") is not None and not _is_number(keywords["VA_SCALE"]):
        refuse("VA_SCALE", f"is {keywords['VA_SCALE']!r}", "it is the scale of velocity aberration, about 1")
    if all(keywords.get(keyword) not in (None, "") for keyword in DATE_AND_TIME):
        _check_date(keywords, refuse)
    _check_ranges(keywords, refuse)
    _check_times(keywords, refuse)


def _check_date(keywords: dict[str, Any], refuse: Any) -> None:
    if observation_time(keywords) is None:
        when = f"{keywords.get('DATE-OBS')!r}, {keywords.get('TIME-OBS')!r} are not a date and a time"
        refuse(", ".join(DATE_AND_TIME), when, "write 2023-03-12 and 07:47:13.140")


def _check_ranges(keywords: dict[str, Any], refuse: Any) -> None:
    for keyword, (least, most) in RANGES.items():
        value = keywords.get(keyword)
        if _is_number(value) and not least <= value <= most:
            refuse(keyword, f"is {value!r}", f"it lies between {least} and {most}")
    if _is_number(keywords.get("VPARITY")) and keywords["VPARITY"] not in (-1, 1):
        refuse("VPARITY", f"is {keywords['VPARITY']!r}", "it is -1 or 1")


def _check_times(keywords: dict[str, Any], refuse: Any) -> None:
    """Refuse exposure times that are none; without one, the exposure is weighted without it, or refused then."""
    for keyword in TIMES:
        value = keywords.get(keyword)
        if value not in (None, "") and not (_is_number(value) and value > 0):
            refuse(
                keyword, f"is {value!r}", "an exposure time is a positive number: correct it, or take the keyword out"
            )


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_uncalibrated(keywords: dict[str, Any], family: Family, refuse: Any) -> None:
    done = [keyword for keyword in CALIBRATED if keywords.get(keyword) == "COMPLETE"]
    units = family.count_rate_units
    unit = str(keywords.get("BUNIT") or units[0])
    if done:
        refuse(done[0], "is COMPLETE: the exposure is already calibrated", "stage 2 takes _rate or _rateints")
    elif unit.upper() not in [known.upper() for known in units]:
        refuse("BUNIT", f"is {unit!r}", f"stage 2 takes count rates, {', '.join(units)}")


def _check_window(header: ExposureHeader, family: Family, refuse: Any) -> None:
    full = family.instruments.get(str(header.values.get("INSTRUME")))
    if full is None:
        return
    ny, nx = header.shape[-2:]
    for keyword, size in (("SUBSIZE1", nx), ("SUBSIZE2", ny)):
        declared = header.values.get(keyword)
        if declared not in (None, size):
            refuse(keyword, f"is {declared!r}, but the image has {size}", "the keyword and the image must agree")
            return
    try:
        inside = Window(1, 1, full[1], full[0]).contains(window_of(header))
    except ValueError as error:
        refuse("SUBSTRT1, SUBSTRT2", str(error), "give the window of the image on the detector")
        return
    if not inside:
        start = header.values.get("SUBSTRT1"), header.values.get("SUBSTRT2")
        refuse(
            "SUBSTRT1, SUBSTRT2",
            f"{start} puts the {nx} x {ny} image outside the detector",
            f"{header.values['INSTRUME']} has {full[1]} x {full[0]} pixels",
        )
