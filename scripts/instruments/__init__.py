"""One description per instrument family: data that steps and rules read instead of branching on a telescope."""

from collections.abc import Mapping
from typing import Any

from instruments.family import Family
from instruments.jwst import FAMILY as JWST

FAMILIES = (JWST,)


def family_of(header: Mapping[str, Any]) -> Family | None:
    """Return the family whose telescope a header names, or None."""
    telescope = str(header.get("TELESCOP", "")).strip().upper()
    return next((family for family in FAMILIES if family.telescope == telescope), None)


def header_keywords() -> tuple[str, ...]:
    """Return every keyword of an exposure that planning looks at, for any family."""
    keywords = {"TELESCOP"}
    for family in FAMILIES:
        keywords |= {*family.crds_names, *family.required_keywords}
        keywords |= {
            keyword for kind in family.references.values() for names in kind.selectors.values() for keyword in names
        }
        keywords |= {*family.light_path, *family.group_keywords(), family.moving_target[0], *family.target_position}
    keywords |= {"BUNIT", "S_FLAT", "S_PHOTOM", "VA_SCALE", "CRPIX1", "CRPIX2"}
    return tuple(sorted(keywords | {"S_WCS", "S_MTWCS", "S_REGION", "BKGSUB", "BKGLEVEL", "TCATFILE"}))
