"""JWST: what its imaging exposures are like, and what is done with them."""

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

_NIR = (2048, 2048)
_CORONAGRAPHIC = frozenset({"MIR_4QPM", "MIR_LYOT", "MIR_CORONCAL", "NRC_CORON"})
_AMI = frozenset({"NIS_AMI"})
_IMAGING = frozenset({"MIR_IMAGE", "NRC_IMAGE", "NIS_IMAGE", "FGS_IMAGE"})
_SUPPORT = frozenset(
    {"MIR_TACQ", "MIR_TACONFIRM", "NRC_TACQ", "NRC_TACONFIRM", "NRC_FOCUS"}
    | {"NIS_TACQ", "NIS_TACONFIRM", "NIS_FOCUS", "FGS_FOCUS"}
)
_ALL = _IMAGING | _CORONAGRAPHIC | _AMI | _SUPPORT | {"NRC_TSIMAGE"}


def _values(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _types(prefix: str) -> frozenset[str]:
    return frozenset(name for name in _ALL if name.startswith(f"{prefix}_"))


# The first row that applies counts.
VARIANTS = (
    Variant("TSO", frozenset({"NRC_TSIMAGE"}), background=Use.SKIP),
    Variant("TSO", _ALL, "TSOVISIT", "T", background=Use.SKIP),
    Variant("WFS&C", _IMAGING, "VISITYPE", "WFSC", resample=Use.SKIP),
    Variant("coronagraphic", _CORONAGRAPHIC),
    Variant("AMI", _AMI),
    Variant("imaging", _IMAGING, resample=Use.RUN),
    Variant("acquisition and focus", _SUPPORT),
)

REFERENCES = {
    "distortion": ReferenceType(
        "R_DISTOR",
        "assign_wcs",
        {
            "NIRCAM": ("DETECTOR", "EXP_TYPE", "CHANNEL", "FILTER", "PUPIL"),
            "MIRI": ("DETECTOR", "EXP_TYPE", "CHANNEL", "BAND"),
            "NIRISS": ("EXP_TYPE", "PUPIL"),
            "FGS": ("DETECTOR", "EXP_TYPE"),
        },
        required=frozenset({"NIRCAM", "MIRI", "NIRISS", "FGS"}),
        asdf=True,
    ),
    "filteroffset": ReferenceType(
        "R_FILOFF",
        "assign_wcs",
        {
            "NIRCAM": ("CHANNEL", "MODULE"),
            "MIRI": ("DETECTOR", "EXP_TYPE"),
            "NIRISS": ("EXP_TYPE",),
        },
        required=frozenset({"MIRI"}),
        asdf=True,
    ),
    "flat": ReferenceType(
        "R_FLAT",
        "flat_field",
        {
            "NIRCAM": ("DETECTOR", "FILTER", "PUPIL"),
            "MIRI": ("DETECTOR", "FILTER", "BAND", "READPATT", "SUBARRAY"),
            "NIRISS": ("DETECTOR", "FILTER", "PUPIL"),
            "FGS": ("DETECTOR", "EXP_TYPE"),
        },
        planes=("ERR", "DQ"),
    ),
    "photom": ReferenceType(
        "R_PHOTOM",
        "photom",
        {
            "NIRCAM": ("DETECTOR",),
            "MIRI": ("DETECTOR", "BAND"),
            "NIRISS": ("DETECTOR",),
            "FGS": ("DETECTOR",),
        },
    ),
    "area": ReferenceType(
        "R_AREA",
        "photom",
        {
            "NIRCAM": ("DETECTOR", "FILTER", "PUPIL", "EXP_TYPE"),
            "MIRI": ("DETECTOR", "FILTER", "EXP_TYPE"),
            "NIRISS": ("DETECTOR", "FILTER", "PUPIL", "EXP_TYPE"),
            "FGS": ("DETECTOR",),
        },
        planes=(),
    ),
    "apcorr": ReferenceType(
        "R_APCORR",
        "source_catalog",
        dict.fromkeys(("NIRCAM", "MIRI", "NIRISS", "FGS"), ("EXP_TYPE",)),
        optional=True,
    ),
    "abvegaoffset": ReferenceType(
        "R_ABVEGA",
        "source_catalog",
        dict.fromkeys(("NIRCAM", "MIRI", "NIRISS", "FGS"), ("EXP_TYPE",)),
        optional=True,
        asdf=True,
    ),
}

# Of the observatory's documentation. What stands nowhere here is no error by itself: a reference may be for it.
KNOWN_VALUES = {
    "NIRCAM": {
        "EXP_TYPE": _types("NRC"),
        "DETECTOR": _values("NRCA1 NRCA2 NRCA3 NRCA4 NRCALONG NRCB1 NRCB2 NRCB3 NRCB4 NRCBLONG"),
        "CHANNEL": _values("SHORT LONG"),
        "MODULE": _values("A B"),
        "FILTER": _values(
            "F070W F090W F115W F140M F150W F150W2 F182M F187N F200W F210M F212N WLP4 "
            "F250M F277W F300M F322W2 F335M F356W F360M F410M F430M F444W F460M F480M"
        ),
        "PUPIL": _values(
            "CLEAR F162M F164N F323N F405N F466N F470N GRISMR GRISMC MASKBAR MASKRND MASKIPR WLM8 WLP8 "
            "GDHS0 GDHS60 PINHOLES FLAT"
        ),
    },
    "NIRISS": {
        "EXP_TYPE": _types("NIS"),
        "DETECTOR": _values("NIS"),
        "FILTER": _values("CLEAR F277W F356W F380M F430M F444W F480M GR150C GR150R"),
        "PUPIL": _values("CLEARP F090W F115W F140M F150W F158M F200W NRM GR700XD"),
    },
    "MIRI": {
        "EXP_TYPE": _types("MIR"),
        "DETECTOR": _values("MIRIMAGE MIRIFULONG MIRIFUSHORT"),
        "FILTER": _values(
            "F560W F770W F1000W F1065C F1130W F1140C F1280W F1500W F1550C F1800W F2100W F2300C F2550W F2550WR "
            "FND FLENS OPAQUE P750L"
        ),
    },
    "FGS": {"DETECTOR": _values("GUIDER1 GUIDER2"), "EXP_TYPE": _types("FGS")},
}

# F, the wavelength in hundredths of a micrometre, and the width.
_FILTER = re.compile(r"F(\d{3,4})[A-Z]\w*")


def _band(header: Mapping[str, Any]) -> Band:
    """Return the filter in the pupil wheel where there is one: the other wheel then is open, or has a wider one."""
    for keyword in ("PUPIL", "FILTER"):
        name = str(header.get(keyword) or "").strip().upper()
        if found := _FILTER.fullmatch(name):
            return Band(name, int(found[1]) / 100)
    return filter_alone(header)


FAMILY = Family(
    telescopes=("JWST",),
    observatories=("jwst",),
    servers={"jwst": "https://jwst-crds.stsci.edu"},
    instruments={"NIRCAM": _NIR, "NIRISS": _NIR, "FGS": _NIR, "MIRI": (1024, 1032)},
    layouts=(Layout(),),
    steps=(
        Step("bkg_subtract", "average"),
        Step("assign_wcs", "distortion"),
        Step("flat_field", "variance"),
        Step("photom", "match_nans"),
        Step("resample", "drizzle"),
    ),
    count_rate_units=("DN/s",),
    variants=VARIANTS,
    references=REFERENCES,
    # Spectroscopic types that the archive's imaging products record as N/A.
    unused_references=(
        "R_CAMERA R_CHRCOR R_COLLIM R_DISPER R_DFLAT R_FFLAT R_SFLAT R_FORE R_FPA R_IFUFOR R_IFUPOS R_IFUSLI "
        "R_MSA R_OTE R_REGION R_SPCWCS R_WAVRAN"
    ).split(),
    crds_names={
        "TELESCOP": "META.TELESCOPE",
        "INSTRUME": "META.INSTRUMENT.NAME",
        "DETECTOR": "META.INSTRUMENT.DETECTOR",
        "CHANNEL": "META.INSTRUMENT.CHANNEL",
        "MODULE": "META.INSTRUMENT.MODULE",
        "BAND": "META.INSTRUMENT.BAND",
        "FILTER": "META.INSTRUMENT.FILTER",
        "PUPIL": "META.INSTRUMENT.PUPIL",
        "GRATING": "META.INSTRUMENT.GRATING",
        "CORONMSK": "META.INSTRUMENT.CORONAGRAPH",
        "FOCUSPOS": "META.INSTRUMENT.FOCUS_POSITION",
        "EXP_TYPE": "META.EXPOSURE.TYPE",
        "READPATT": "META.EXPOSURE.READPATT",
        "NOUTPUTS": "META.EXPOSURE.NOUTPUTS",
        "SUBARRAY": "META.SUBARRAY.NAME",
        "SUBSTRT1": "META.SUBARRAY.XSTART",
        "SUBSTRT2": "META.SUBARRAY.YSTART",
        "SUBSIZE1": "META.SUBARRAY.XSIZE",
        "SUBSIZE2": "META.SUBARRAY.YSIZE",
        "TSOVISIT": "META.VISIT.TSOVISIT",
        "VISITYPE": "META.VISIT.TYPE",
        "DATE-OBS": "META.OBSERVATION.DATE",
        "TIME-OBS": "META.OBSERVATION.TIME",
    },
    required_keywords=(
        "INSTRUME DETECTOR EXP_TYPE DATE-OBS TIME-OBS EXPMID V2_REF V3_REF RA_REF DEC_REF ROLL_REF VPARITY V3I_YANG"
    ).split(),
    background=BackgroundRules(same=("TELESCOP", "INSTRUME", "DETECTOR", "FILTER", "PUPIL")),
    photom_rows={
        "NIRCAM": RowMatch(
            [{"filter": "FILTER", "pupil": "PUPIL", "subarray": "SUBARRAY"}], optional=frozenset({"subarray"})
        ),
        "NIRISS": RowMatch([{"filter": "FILTER", "pupil": "PUPIL"}]),
        "MIRI": RowMatch([{"filter": "FILTER", "subarray": "SUBARRAY"}, {"filter": "FILTER", "subarray": "'GENERIC'"}]),
        "FGS": RowMatch([{}]),
    },
    filter_offsets={
        "NIRCAM": RowMatch([{"filter": "FILTER", "pupil": "PUPIL"}]),
        "NIRISS": RowMatch([{"filter": "FILTER", "pupil": "PUPIL"}]),
        "MIRI": RowMatch([{"filter": "FILTER"}]),
    },
    aperture_corrections={
        "NIRCAM": RowMatch([{"filter": "FILTER", "pupil": "PUPIL"}]),
        "NIRISS": RowMatch([{"filter": "FILTER", "pupil": "PUPIL"}]),
        "MIRI": RowMatch([{"filter": "FILTER", "subarray": "SUBARRAY"}]),
        "FGS": RowMatch([{}]),
    },
    ab_vega_offsets={
        "NIRCAM": RowMatch([{"filter": "FILTER", "pupil": "PUPIL"}]),
        "NIRISS": RowMatch([{"filter": "FILTER", "pupil": "PUPIL"}]),
        "MIRI": RowMatch([{"filter": "FILTER"}]),
        "FGS": RowMatch([{"detector": "DETECTOR"}]),
    },
    # CHANNEL tells NIRCam's short wavelengths from its long ones.
    light_path=("TELESCOP", "INSTRUME", "CHANNEL", "FILTER", "PUPIL"),
    group_id="jw{PROGRAM}{OBSERVTN}{VISIT}_{VISITGRP}{SEQ_ID}{ACT_ID}_{EXPOSURE}",
    moving_target=("TARGTYPE", "MOVING"),
    target_position=("MT_RA", "MT_DEC"),
    known_values=KNOWN_VALUES,
    wcs_correction="calflow.instruments.jwst.wcs_correction:correct_wcs",
    no_photom_cubes=frozenset({"NIRISS"}),
    spectroscopic=("MIR_LRS-*", "MIR_MRS", "*_WFSS", "*GRISM", "*_SOSS", "NRS_*"),
    calibrations=("*_DARK*", "*FLAT*", "*_LED", "*_LAMP", "*_EXTCAL"),
    band=_band,
)
