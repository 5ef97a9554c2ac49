"""Liger and IRIS: what their exposures are like, and what is done with them.

Two layouts of files: the older one has SCI and JWST's keywords, the newer one DATA and keywords of its own, which are
translated. In both, all keywords stand in the primary header, and ERR and DQ may be missing.
"""

import re
from collections.abc import Mapping
from typing import Any

from calflow.instruments.family import (
    BackgroundRules,
    Band,
    Family,
    Layout,
    ReferenceType,
    RowMatch,
    Step,
    Use,
    Variant,
    filter_alone,
)

_LIGER = (2048, 2048)
_INSTRUMENTS = {"IRIS": (4096, 4096), "LIGER": _LIGER, "Liger": _LIGER}
# Julian date of the zero of the modified Julian date.
_MJD_ZERO = 2_400_000.5

VARIANTS = (
    Variant("imaging", frozenset({"IRIS_IMAGE", "LIGER_IMAGE"}), resample=Use.RUN),
    # Older files that were made to look like jwst's say no more.
    Variant("imaging of unknown type", frozenset({"ANY", "N/A"})),
)

REFERENCES = {
    "dark": ReferenceType(
        "R_DARK", "dark_current", dict.fromkeys(_INSTRUMENTS, ("DETECTOR", "SUBARRAY", "READMODE")), planes=()
    ),
    "flat": ReferenceType(
        "R_FLAT", "flat_field", dict.fromkeys(_INSTRUMENTS, ("DETECTOR", "FILTER", "PUPIL", "READMODE")), planes=()
    ),
    "photom": ReferenceType("R_PHOTOM", "photom", dict.fromkeys(_INSTRUMENTS, ("DETECTOR",)), optional=True),
}


def _exposure_type(header: Mapping[str, Any]) -> str | None:
    """Return EXP_TYPE of a newer file: its imagers and spectrographs are told by INSTMODE."""
    if str(header.get("INSTMODE", "")).strip().upper() != "IMG":
        return None
    return f"{str(header.get('INSTRUME', '')).strip().upper()}_IMAGE"


def _date(header: Mapping[str, Any]) -> str | None:
    start = _start(header)
    return f"{start[:4]}-{start[4:6]}-{start[6:8]}" if start else None


def _time(header: Mapping[str, Any]) -> str | None:
    start = _start(header)
    return f"{start[8:10]}:{start[10:12]}:{start[12:14]}" if start else None


def _start(header: Mapping[str, Any]) -> str:
    """Return EXPDTST, YYYYMMDDHHMMSS, or nothing."""
    text = str(header.get("EXPDTST") or "").strip()
    return text if len(text) == 14 and text.isdigit() else ""


def _middle(header: Mapping[str, Any]) -> float | None:
    middle = header.get("EXPJDMID")
    return middle - _MJD_ZERO if isinstance(middle, int | float) else None


# Micrometres: lines by their names, and the bands of the atmosphere by the first letter of a filter.
_LINES = {"HEI": 1.083, "PABETA": 1.282, "FEII": 1.644, "H2": 2.122, "BRGAMMA": 2.166, "CO": 2.3}
_BANDS = {"Z": 0.93, "Y": 1.09, "J": 1.27, "H": 1.63, "K": 2.18}
# One letter, s for short, bb for broad, N and a number for narrow ones from the shorter wavelengths to the longer.
_FILTER = re.compile(r"([ZYJHK])(S|BB|CONT|N\d)?")


def _band(header: Mapping[str, Any]) -> Band:
    """Return the filter, which may stand among others: CLEAR + K."""
    for word in re.split(r"[\s+,]+", filter_alone(header).name):
        name = word.upper()
        found = _FILTER.fullmatch(name)
        wavelength = _LINES.get(name) or (_BANDS[found[1]] if found else None)
        if wavelength:
            return Band(word, wavelength)
    return filter_alone(header)


FAMILY = Family(
    telescopes=("TMT", "KECK", "KECK I", "KECK1", "LIGERIRI"),
    observatories=("ligeriri", "tmt"),
    instruments=_INSTRUMENTS,
    layouts=(Layout("SCI", required=()), Layout("DATA", required=())),
    steps=(
        Step("bkg_subtract", "average"),
        Step("parse_subarray_map", "flag"),
        Step("assign_wcs", "header"),
        Step("dark_current", "rate"),
        Step("flat_field", "divide"),
        Step("bkg_subtract", "sky_model"),
        Step("photom", "scale"),
        Step("resample", "drizzle"),
    ),
    count_rate_units=("DN/s", "counts/s", "count/s", "ct/s", "e-/s", "electron/s"),
    variants=VARIANTS,
    references=REFERENCES,
    unused_references=(),
    crds_names={
        "INSTRUME": "META.INSTRUMENT.NAME",
        "DETECTOR": "META.INSTRUMENT.DETECTOR",
        "FILTER": "META.INSTRUMENT.FILTER",
        "PUPIL": "META.INSTRUMENT.PUPIL",
        "INSTERA": "META.INSTRUMENT.ERA",
        "READMODE": "META.EXPOSURE.READMODE",
        "EXP_TYPE": "META.EXPOSURE.TYPE",
        "SUBARRAY": "META.SUBARRAY.NAME",
        "DATE-OBS": "META.OBSERVATION.DATE",
        "TIME-OBS": "META.OBSERVATION.TIME",
        "DATE": "META.DATE",
    },
    required_keywords=("INSTRUME", "DETECTOR", "EXP_TYPE"),
    background=BackgroundRules(
        same=("TELESCOP", "INSTRUME", "DETECTOR", "FILTER", "PUPIL"), same_dimensions=False, covers=True
    ),
    photom_rows=dict.fromkeys(
        _INSTRUMENTS, RowMatch([{"filter": "FILTER", "pupil": "PUPIL"}], optional=frozenset({"pupil"}))
    ),
    filter_offsets={},
    aperture_corrections={},
    ab_vega_offsets={},
    light_path=("TELESCOP", "INSTRUME", "FILTER", "PUPIL"),
    group_id="",
    moving_target=("TARGTYPE", "MOVING"),
    target_position=("MT_RA", "MT_DEC"),
    reference_telescopes=("LIGERIRI",),
    derived_keywords={
        "EXP_TYPE": _exposure_type,
        "DATE-OBS": _date,
        "TIME-OBS": _time,
        "EXPMID": _middle,
        "EFFEXPTM": lambda header: header.get("EXPTIME"),
    },
    source_keywords=("INSTMODE", "EXPDTST", "EXPJDMID", "EXPTIME", "SUBARRID"),
    known_values={key: {"FILTER": frozenset()} for key in _INSTRUMENTS},
    records_idle_steps=True,
    band=_band,
)
