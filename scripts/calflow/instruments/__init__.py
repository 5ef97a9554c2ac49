"""One folder per instrument family: data that steps and rules read instead of branching on a telescope.

A folder that is put here is found: it is a package that has a `FAMILY`. All else that is of one telescope alone stands
in its folder, too, and nothing outside names it.
"""

from collections.abc import Collection, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from calflow.instruments import pool_columns
from calflow.instruments.family import Family, Layout


def _families() -> tuple[Family, ...]:
    """Return the families of all folders, in the order of their names.

    Raises
    ------
    ValueError
        If two claim one telescope.
    """
    folders = sorted(module.name for module in iter_modules(__path__) if module.ispkg)
    found = {folder: import_module(f"{__name__}.{folder}").FAMILY for folder in folders}
    owners: dict[str, str] = {}
    for folder, family in found.items():
        for telescope in family.telescopes:
            if owners.setdefault(telescope, folder) != folder:
                raise ValueError(
                    f"TELESCOP {telescope!r} is claimed by two instrument families, {owners[telescope]} and {folder}, "
                    f"in {__path__[0]}; a telescope belongs to one"
                )
    return tuple(found.values())


FAMILIES = _families()


def family_of(header: Mapping[str, Any]) -> Family | None:
    """Return the family whose telescope a header names, or None.

    Parameters
    ----------
    header : mapping of str to object
        Keywords of an exposure.
    """
    telescope = str(header.get("TELESCOP", "")).strip().upper()
    return next((family for family in FAMILIES if telescope in family.telescopes), None)


def known_telescopes() -> str:
    """Return the telescopes of all families, for messages."""
    return ", ".join(sorted(telescope for family in FAMILIES for telescope in family.telescopes))


def crds_servers() -> dict[str, str]:
    """Return the CRDS servers that are known, by observatory."""
    return {observatory: url for family in FAMILIES for observatory, url in family.servers.items()}


def parameter_types() -> tuple[str, ...]:
    """Return the types of parameter references of all families."""
    return tuple(sorted({name for family in FAMILIES for types in family.parameter_types.values() for name in types}))


def image_extensions() -> frozenset[str]:
    """Return the names that the extension with the pixels has in any layout."""
    return frozenset(layout.image for family in FAMILIES for layout in family.layouts)


def layout_of(header: Mapping[str, Any], extensions: Collection[str]) -> Layout:
    """Return the layout of a file: of its family's layouts the first whose image the file has, else the first.

    Parameters
    ----------
    header : mapping of str to object
        Its keywords.
    extensions : collection of str
        Names of its extensions.
    """
    family = family_of(header)
    if family is None and header.get("TELESCOP"):  # which is then what is wrong, whatever the file has
        # The primary HDU is always there, and has no pixels in most files.
        present = sorted(image_extensions().intersection(extensions), key=lambda name: (name == "PRIMARY", name))
        return Layout(next(iter(present), "SCI"), required=())
    if family is None:
        return Layout()
    return next((layout for layout in family.layouts if layout.image in extensions), family.layouts[0])


def header_keywords() -> tuple[str, ...]:
    """Return every keyword of an exposure that planning looks at, for any family."""
    keywords = {"TELESCOP", *pool_columns.keywords()}
    for family in FAMILIES:
        keywords |= {*family.crds_names, *family.required_keywords, *family.background.same}
        keywords |= {*family.derived_keywords, *family.source_keywords}
        keywords |= {
            keyword for kind in family.references.values() for names in kind.selectors.values() for keyword in names
        }
        keywords |= {*family.light_path, *family.group_keywords(), family.moving_target[0], *family.target_position}
    keywords |= {"EFFEXPTM", "TMEASURE"}  # what exposures may be weighted with
    keywords |= {"BUNIT", "S_DARK", "S_FLAT", "S_PHOTOM", "VA_SCALE", "CRPIX1", "CRPIX2"}
    return tuple(sorted(keywords | {"S_WCS", "S_MTWCS", "S_REGION", "BKGSUB", "BKGLEVEL", "TCATFILE"}))
