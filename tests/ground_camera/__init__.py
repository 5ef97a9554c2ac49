"""A camera on the ground: raw counts in the primary HDU, a TAN projection in the header, keywords of its own."""

from collections.abc import Mapping
from typing import Any

from calflow.instruments.family import Family, Layout, ReferenceType, RowMatch, Step, Use, Variant

# The instrument with the size of its detector, (ny, nx).
_INSTRUMENTS = {"GCAM": (200, 220)}
_BY_FILTER = {"GCAM": ("FILTER",)}
_FILTER_ROW = {"GCAM": RowMatch([{"filter": "FILTER"}])}


def _exposure_type(header: Mapping[str, Any]) -> str:
    """Return EXP_TYPE: of its frames IMAGETYP says what they are."""
    return str(header.get("IMAGETYP", "")).strip().upper()


def _date(header: Mapping[str, Any]) -> str:
    """Return DATE-OBS as calflow has it, the date alone: in its frames it is date and time."""
    return str(header.get("DATE-OBS", "")).partition("T")[0]


def _time(header: Mapping[str, Any]) -> str | None:
    return str(header.get("DATE-OBS", "")).partition("T")[2] or None


FAMILY = Family(
    telescopes=("HILL-1M",),
    observatories=(),  # its references are files in a folder
    instruments=_INSTRUMENTS,
    # Products have SCI; raw frames are without extensions.
    layouts=(Layout("SCI", required=()), Layout("PRIMARY", required=(), integers=True)),
    steps=(
        Step("bias", "calflow.instruments.ground_camera.steps:subtract_bias"),
        Step("assign_wcs", "header"),
        Step("flat_field", "divide"),
        Step("photom", "scale"),
        Step("resample", "drizzle"),
    ),
    count_rate_units=("adu",),
    variants=(Variant("imaging", frozenset({"OBJECT"}), resample=Use.RUN),),
    references={
        "bias": ReferenceType("R_BIAS", "bias", {"GCAM": ()}, required=frozenset({"GCAM"}), planes=()),
        "flat": ReferenceType("R_FLAT", "flat_field", _BY_FILTER, planes=()),
        "photom": ReferenceType("R_PHOTOM", "photom", _BY_FILTER),
        "apcorr": ReferenceType("R_APCORR", "source_catalog", _BY_FILTER),
        "abvegaoffset": ReferenceType("R_ABVEGA", "source_catalog", _BY_FILTER, asdf=True),
    },
    required_keywords=("INSTRUME", "EXP_TYPE", "DATE-OBS", "EXPTIME", "GAIN", "RDNOISE"),
    photom_rows=_FILTER_ROW,
    aperture_corrections=_FILTER_ROW,
    ab_vega_offsets=_FILTER_ROW,
    light_path=("TELESCOP", "INSTRUME", "FILTER"),
    derived_keywords={
        "EXP_TYPE": _exposure_type,
        "DATE-OBS": _date,
        "TIME-OBS": _time,
        "EFFEXPTM": lambda header: header.get("EXPTIME"),
    },
    redefined_keywords=("DATE-OBS",),
    source_keywords=("IMAGETYP", "EXPTIME"),
)
