"""Which associations calflow does: what their type, their rule and their exposures say they are."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from calflow.instruments import family_of

LEVEL_OF_TYPE = {"image2": 2, "tso-image2": 2, "wfs-image2": 2, "image3": 3}
# Types of the archive's associations that are something else, and what.
OTHER_TYPES = {
    "ami3": "aperture masking interferometry",
    "coron3": "coronagraphy",
    "tso3": "time series",
    "wfs-image3": "wavefront sensing",
    "spec2": "spectroscopy",
    "spec3": "spectroscopy",
    "tso-spec2": "spectroscopy",
    "tso-spec3": "spectroscopy",
    "nrslamp-spec2": "spectroscopy",
}
# Types that say nothing: of `asn_from_list`, of associations that jwst makes itself, of generators before 2017.
_NO_TYPES = frozenset(("", "none", "null", "user_built", "image", "mosaic"))
# `special` is no spectroscopy, though it begins like it.
_SPECTROSCOPIC = re.compile(r"spec(?!ial)|wfss|soss|ifu|mrs|lrs|nrs|grism", re.IGNORECASE)
# Images of coronagraphic exposures (rules with CoronImage, CoronAsRate) are images.
_OTHER_RULES = {
    "coronagraphy": re.compile(r"(?:lv|level)_?3.*coron(?!image)", re.IGNORECASE),
    "time series": re.compile(r"(?:lv|level)_?3.*tso", re.IGNORECASE),
    "aperture masking interferometry": re.compile(r"(?:lv|level)_?3.*ami", re.IGNORECASE),
    "wavefront sensing": re.compile(r"(?:lv|level)_?3.*wfsc", re.IGNORECASE),
    "spectroscopy": _SPECTROSCOPIC,
}
_INTEGRATIONS = frozenset(("calints", "crfints"))


def says_nothing(asn_type: str) -> bool:
    """Tell whether a type does not say what the association is, so that its rule and its members decide.

    Parameters
    ----------
    asn_type : str
        In lower case.
    """
    return asn_type in _NO_TYPES


def other_kind(asn_type: str, rule: str) -> str:
    """Return which kind of association it is, such as spectroscopy, if calflow does not process that kind; else "".

    Parameters
    ----------
    asn_type : str
        Lower case.
    rule : str
    """
    if asn_type in LEVEL_OF_TYPE:
        return ""
    if not says_nothing(asn_type):
        return OTHER_TYPES.get(asn_type) or ("spectroscopy" if _SPECTROSCOPIC.search(asn_type) else "")
    return next((kind for kind, pattern in _OTHER_RULES.items() if pattern.search(rule)), "")


def combines_integrations(suffixes: Iterable[str | None]) -> bool:
    """Tell whether all members have integrations: time series, coronagraphy or interferometry, whatever their type.

    Parameters
    ----------
    suffixes : iterable of str or None
        Of the members; None: a name without a known suffix.
    """
    found = set(suffixes)
    return bool(found) and found <= _INTEGRATIONS


def is_spectroscopic(header: Mapping[str, Any]) -> bool:
    """Tell whether an exposure is of a type of its telescope's spectrographs."""
    family = family_of(header)
    return family is not None and _is_of(header, family.spectroscopic)


def is_calibration(header: Mapping[str, Any]) -> bool:
    """Tell whether an exposure is of a type that its telescope has for darks, flats and lamps."""
    family = family_of(header)
    return family is not None and _is_of(header, family.calibrations)


def _is_of(header: Mapping[str, Any], exp_types: Iterable[str]) -> bool:
    exp_type = str(header.get("EXP_TYPE") or "")
    return any(fnmatchcase(exp_type, pattern) for pattern in exp_types)
