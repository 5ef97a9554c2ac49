"""Choice of reference files from a folder, by what their own headers say they are for."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from calflow.configuration.paths import advice
from calflow.configuration.problems import Problem, Problems
from calflow.inputs.fits_headers import Value
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.headers import ReferenceHeader, read_reference_header
from calflow.inputs.times import parse_useafter

NOT_APPLICABLE = "N/A"
# Key of the problem that all references are for later exposures
DATE = "DATE-OBS"

# What to do without a folder of references
NO_REFERENCES = (
    "give the folder with the reference files, as by --config references='{directory: /data/references}', "
    "or set references.source: crds and references.crds_path; docs/references.md"
)
MAX_ENTRIES = 200_000  # of a folder of references; a whole CRDS cache has a tenth of that, a disk has more
# A reference that has one of these for a keyword fits every value
_ANY_VALUE = frozenset({"", "ANY", "N/A", "GENERIC"})
# A full-frame reference can be cut out for every subarray, but one made for the subarray is better
_WIDER_VALUES = {"SUBARRAY": frozenset({"FULL"})}

_NAMED, _WIDER, _ANY = 2, 1, 0  # how closely a reference fits one selector


@dataclass(frozen=True)
class Reference:
    """The reference file of one type for one exposure.

    Attributes
    ----------
    reftype : str
        Lower case, such as ``flat``.
    path : Path or None
        None: this type does not apply to the exposure.
    recorded : str
        What the ``R_*`` keyword says: ``crds://<name>``, the base name, or ``N/A``.
    by_user : bool
        The user gave this file, no rule chose it.
    reason : str
        Why an optional type has no file; empty if that is on purpose.
    made : bool
        This run makes the file.
    missing : bool
        CRDS has the file, the cache has not.
    """

    reftype: str
    path: Path | None
    recorded: str
    by_user: bool = False
    reason: str = ""
    made: bool = False
    missing: bool = False


@dataclass(frozen=True)
class _Match:
    """A reference that fits the selectors, and how closely."""

    reference: ReferenceHeader
    closeness: int


class DirectoryIndex:
    """The reference files of a folder and its sub-folders, by type and instrument.

    Parameters
    ----------
    directory : Path
        Its files ``*.fits``, ``*.fits.gz`` and ``*.asdf`` with a REFTYPE are the references; others are left alone.
    cache : HeaderCache or None
        Remembers the headers between runs.
    problems : Problems
        A folder that is not there and files that cannot be read are added here.

    Attributes
    ----------
    unread : tuple of Path
        The files that cannot be read.
    """

    def __init__(self, directory: Path, cache: HeaderCache | None, problems: Problems):
        self.directory = Path(directory)
        self._references: dict[tuple[str, str], list[ReferenceHeader]] = {}
        self._matches: dict[tuple, list[_Match]] = {}
        self.unread: tuple[Path, ...] = ()
        if not os.path.isdir(self.directory):
            wrong = (
                f"{str(directory)!r} is not a folder"
                if os.path.exists(self.directory)
                else f"no such folder {str(directory)!r}"
            )
            problems.add(Problem("config", "references.directory", wrong, advice(str(directory), NO_REFERENCES)))
            return
        files = _reference_files(self.directory)
        if files is None:
            wrong = f"{str(directory)!r} holds more than {MAX_ENTRIES} files and folders"
            problems.add(
                Problem("config", "references.directory", wrong, "give the folder of the reference files alone")
            )
            return
        for path in files:
            header = read_reference_header(path, problems, cache)
            if header is None:
                self.unread += (path,)
            elif header.values.get("REFTYPE"):
                key = _text(header.values["REFTYPE"]), _text(header.values.get("INSTRUME"))
                self._references.setdefault(key, []).append(header)

    def references(self, reftype: str, instrument: str) -> list[ReferenceHeader]:
        """Return the references of a type for an instrument, with those that are for any instrument.

        Parameters
        ----------
        reftype : str
            Such as ``flat``.
        instrument : str
            Value of INSTRUME.
        """
        names = dict.fromkeys([_text(instrument), *sorted(_ANY_VALUE)])
        return [header for name in names for header in self._references.get((_text(reftype), name), ())]

    def matches(self, reftype: str, instrument: str, wanted: tuple[tuple[str, str], ...]) -> list[_Match]:
        """Return the references that fit the wanted values of the selectors, whatever their date.

        Parameters
        ----------
        reftype : str
            Such as ``flat``.
        instrument : str
            Value of INSTRUME.
        wanted : tuple of (str, str)
            Keywords, each with its value.
        """
        key = (_text(reftype), _text(instrument), wanted)
        if key not in self._matches:
            self._matches[key] = [
                _Match(reference, closeness)
                for reference in self.references(reftype, instrument)
                if (closeness := _closeness(reference, wanted)) is not None
            ]
        return self._matches[key]


def select_from_directory(
    index: DirectoryIndex,
    reftype: str,
    selectors: tuple[str, ...],
    header: dict[str, Value],
    observed: datetime,
) -> Reference | Problem:
    """Choose the reference of one type for an exposure.

    A reference fits if for each selector it has the exposure's value, or lists it in its ``P_*`` keyword,
    or does not restrict it (keyword absent, ``ANY``, ``N/A``, ``GENERIC``; for SUBARRAY also ``FULL``).
    Of those whose USEAFTER is not later than the exposure, the one that names most of the values is taken,
    of equally close ones the one with the latest USEAFTER.

    Parameters
    ----------
    index : DirectoryIndex
    reftype : str
        Such as ``flat``; compared without case.
    selectors : tuple of str
        Keywords, INSTRUME aside, that decide for this type and instrument.
    header : dict
        Keywords of the exposure.
    observed : datetime
        Start of the exposure, with time zone.

    Returns
    -------
    Reference or Problem
        A problem if none or several equally good ones fit, or if a fitting one has no readable USEAFTER.
    """
    instrument = _text(header.get("INSTRUME"))
    wanted = tuple((keyword, _text(header.get(keyword))) for keyword in selectors)
    usable: list[tuple[int, datetime, Path]] = []
    later: list[tuple[datetime, Path]] = []
    for match in index.matches(reftype, instrument, wanted):
        useafter = parse_useafter(match.reference.values.get("USEAFTER"))
        path = match.reference.path
        if useafter is None:
            shown = repr(match.reference.values.get("USEAFTER") or "nothing")
            return Problem(str(path), "USEAFTER", f"{shown} is not a date", "write 2018-01-01T00:00:00")
        if useafter <= observed:
            usable.append((match.closeness, useafter, path))
        else:
            later.append((useafter, path))
    if not usable:
        return _no_reference(index, reftype, instrument, wanted, observed, later)
    usable.sort(reverse=True)
    best = [path for *rank, path in usable if rank == list(usable[0][:2])]
    if len(best) > 1:
        names = " and ".join(repr(str(path)) for path in sorted(best))
        wrong = f"{names} fit {_spell(instrument, wanted)} equally well and have the same USEAFTER"
        return Problem(str(index.directory), reftype, wrong, f"keep one, or set references.override.{reftype}")
    return Reference(reftype, best[0], best[0].name)


def _reference_files(directory: Path) -> list[Path] | None:
    """Return the files below a folder that are named as references; None if there is too much to look through."""
    files: list[Path] = []
    entries = 0
    for folder, folders, names in os.walk(directory):
        entries += len(folders) + len(names)
        if entries > MAX_ENTRIES:
            return None
        files += [Path(folder, name) for name in names if name.lower().endswith((".fits", ".fits.gz", ".asdf"))]
    return sorted(files)


def _text(value: Value) -> str:
    """Return a value as it is compared: upper case, without blanks; empty if there is none."""
    return "" if value is None else str(value).strip().upper()


def _listed(reference: dict[str, Value], keyword: str) -> set[str]:
    """Return the values of the ``P_*`` list of a keyword, whose FITS name is cut to eight characters."""
    items = _text(reference.get(f"P_{keyword}"[:8])).split("|")
    return {item.strip() for item in items} - {""}


def _closeness(reference: ReferenceHeader, wanted: tuple[tuple[str, str], ...]) -> int | None:
    """Return how closely a reference fits all selectors together, or None if it does not fit one of them."""
    total = 0
    for keyword, value in wanted:
        fit = _fit(reference.values, keyword, value)
        if fit is None:
            return None
        total += fit
    return total


def _fit(reference: dict[str, Value], keyword: str, wanted: str) -> int | None:
    """Return how closely a reference fits one selector, or None if it does not fit."""
    own, listed = _text(reference.get(keyword)), _listed(reference, keyword)
    if wanted and (wanted == own or wanted in listed):
        return _NAMED
    if own in _WIDER_VALUES.get(keyword, ()):
        return _WIDER
    restricted = own not in _ANY_VALUE or (listed and not listed & _ANY_VALUE)
    return None if restricted else _ANY


def _spell(instrument: str, wanted: tuple[tuple[str, str], ...]) -> str:
    pairs = (("INSTRUME", instrument), *wanted)
    return ", ".join(f"{keyword} {value or '(none)'}" for keyword, value in pairs)


def _no_reference(
    index: DirectoryIndex,
    reftype: str,
    instrument: str,
    wanted: tuple[tuple[str, str], ...],
    observed: datetime,
    later: list[tuple[datetime, Path]],
) -> Problem:
    """Say that no reference fits, and what keeps the nearest one from fitting."""
    wrong = f"no {reftype} reference for {_spell(instrument, wanted)}, observed {observed:%Y-%m-%dT%H:%M:%S}"
    candidates = index.references(reftype, instrument)
    key = DATE if later else reftype
    if later:
        useafter, path = min(later)
        right = f"the nearest, {path.name!r}, is for exposures after its USEAFTER {useafter:%Y-%m-%dT%H:%M:%S}"
    elif candidates:
        excluding = [
            (
                tuple(keyword for keyword, value in wanted if _fit(header.values, keyword, value) is None),
                header,
            )
            for header in candidates
        ]
        fewest = min(len(keywords) for keywords, _ in excluding)
        keywords, nearest = next(item for item in excluding if len(item[0]) == fewest)
        values = ", ".join(f"{keyword} {_text(nearest.values.get(keyword))}" for keyword in keywords)
        only = "only " if fewest == 1 else ""
        right = f"the nearest, {nearest.path.name!r}, is excluded {only}by its {values}"
    else:
        right = f"the folder has none of this type for {instrument}"
    return Problem(str(index.directory), key, wrong, f"{right}; add one or set references.override.{reftype}")
