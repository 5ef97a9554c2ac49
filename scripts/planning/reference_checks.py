"""Checks of the chosen references against the exposures: does the file have what this exposure needs."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from planning.header_cache import HeaderCache
from planning.headers import read_reference_header, window_of
from planning.plan import PlannedExposure
from planning.reference_maker_planner import MadeReference
from problems import Problem
from steps.table_rows import select_row
from steps.windows import Window

# Keywords in which a reference that the user gives must agree with the exposure, unless it is for any value.
IDENTITY = ("TELESCOP", "INSTRUME", "DETECTOR")
ANY_VALUE = ("", "ANY", "N/A", "MULTIPLE")


class ReferenceChecker:
    """Checks references; of each file only what it covers is read, and remembered between runs.

    Parameters
    ----------
    cache : HeaderCache
    problems : list of Problem
        Everything that does not fit is added here.
    made : mapping of name to MadeReference, optional
        References that this run makes.
    """

    def __init__(self, cache: HeaderCache, problems: list[Problem], made: Mapping[str, MadeReference] | None = None):
        self.made = made or {}
        self.cache = cache
        self.problems = problems
        self._told: set[Path] = set()

    def check(self, exposure: PlannedExposure) -> None:
        """Check that references are what they should be, and have what the exposure needs."""
        for name, reference in exposure.references.items():
            path, kind = reference.path, exposure.family.references[name]
            if path is None or reference.missing or path in self._told:
                continue
            if reference.made:
                self._check_made(exposure, name, path)
                continue
            # What a rule chose is right by that rule: a CRDS file may well carry another detector's name.
            if reference.by_user and not self._check_identity(exposure, name, path):
                continue
            if name == "photom":
                self._check_photom(exposure, path)
            elif kind.planes is not None:
                self._check_window(exposure, path, kind.planes, exposure.family.images)

    def _check_made(self, exposure: PlannedExposure, name: str, path: Path) -> None:
        """Check that a reference that this run makes is for the exposure's detector, and covers it."""
        made = next(made for made in self.made.values() if made.path == str(path))
        wanted, detector = window_of(exposure.header), exposure.header.values.get("DETECTOR")
        if made.keywords.get("DETECTOR") != detector:
            own = made.keywords.get("DETECTOR")
            self._refuse(path, "DETECTOR", f"will be {own!r}", f"{exposure.science} needs a {name} of {detector!r}")
        elif not made.window.contains(wanted):
            wrong = f"will cover {made.window} of the detector, {exposure.science} needs {wanted}"
            self._refuse(path, "SCI", wrong, "make it of exposures that cover the exposure")

    def _check_identity(self, exposure: PlannedExposure, name: str, path: Path) -> bool:
        """Check that a file is of the type and for the detector it is used for."""
        kind = exposure.family.references[name]
        if is_asdf(path) != kind.asdf:
            return self._refuse(
                path, "", f"is not {'an ASDF' if kind.asdf else 'a FITS'} file", f"a {name} reference is"
            )
        header = read_reference_header(path, self.problems, self.cache)
        if header is None:
            self._told.add(path)
            return False
        wanted = {"REFTYPE": name} | {keyword: exposure.header.values.get(keyword) for keyword in IDENTITY}
        family = exposure.family
        shared = {"TELESCOP": (*family.telescopes, *family.reference_telescopes)}
        for keyword, value in wanted.items():
            own, right = str(header.values.get(keyword) or "").upper(), str(value or "").upper()
            listed = str(header.values.get(f"P_{keyword}"[:8]) or "").upper().split("|")
            if own not in (*ANY_VALUE, right, *shared.get(keyword, ())) and right not in listed:
                return self._refuse(path, keyword, f"is {own!r}", f"{exposure.science} needs a {name} of {right!r}")
        return True

    def _refuse(self, path: Path, key: str, wrong: str, right: str) -> bool:
        self._told.add(path)
        self.problems.append(Problem(str(path), key, wrong, right))
        return False

    def _check_photom(self, exposure: PlannedExposure, path: Path) -> None:
        table = self._remembered(path, "photom table", _photom_table)
        if table is None:
            return
        rows = exposure.family.photom_rows[exposure.instrument]
        try:
            row = select_row(table["columns"], rows.wanted(exposure.header.values), rows.optional)
        except (LookupError, ValueError) as error:
            right = f"{exposure.science} needs a row; set references.override.photom or skip photom"
            self.problems.append(Problem(str(path), "PHOTOM", str(error), right))
            return
        photmjsr = table["photmjsr"][row]
        if photmjsr is None or not photmjsr > 0:
            wrong = f"photmjsr of row {row + 1} is {'not finite' if photmjsr is None else photmjsr}"
            self.problems.append(Problem(str(path), "PHOTOM", wrong, f"{exposure.science} needs a positive one"))

    def _check_window(
        self, exposure: PlannedExposure, path: Path, planes: tuple[str, ...], images: tuple[str, ...]
    ) -> None:
        kind = f"window of {images} with {planes}"
        numbers = self._remembered(path, kind, lambda path: _window_numbers(path, planes, images))
        if numbers is None:
            return
        covered, wanted = Window(*numbers), window_of(exposure.header)
        if not covered.contains(wanted):
            wrong = f"covers {covered} of the detector, {exposure.science} needs {wanted}"
            self.problems.append(Problem(str(path), "SCI", wrong, "give a reference that covers the exposure"))

    def _remembered(self, path: Path, kind: str, read: Callable[[Path], Any]) -> Any:
        """Return what a file covers, from the cache if the file is as it was; None and one problem if it fails."""
        if path in self._told:
            return None
        try:
            status = path.stat()
            entry = self.cache.get(path, status, kind)
            if entry is None:
                entry = {"values": read(path)}
                self.cache.put(path, status, kind, entry)
        except (OSError, ValueError) as error:
            self._told.add(path)
            self.problems.append(Problem(str(path), "", str(error).removeprefix(f"{path}: "), "give another reference"))
            return None
        return entry["values"]


# The imports are deferred: with everything remembered, planning does without astropy.


def _photom_table(path: Path) -> dict[str, Any]:
    """Return the columns that select, and the conversion factors, None where they are not finite."""
    from products.reference_files import read_photom

    rows = read_photom(path).rows
    columns = {name: [str(value) for value in column] for name, column in rows.items() if column.dtype.kind in "SU"}
    factors = [float(value) for value in rows["photmjsr"]]
    return {"columns": columns, "photmjsr": [value if math.isfinite(value) else None for value in factors]}


def _window_numbers(path: Path, planes: tuple[str, ...], images: tuple[str, ...]) -> tuple[int, ...]:
    from products.reference_files import covered_window

    return covered_window(path, planes, images).numbers


def is_asdf(path: Path) -> bool:
    """Tell whether a file exists and begins as an ASDF file does."""
    try:
        with path.open("rb") as file:
            return file.read(5) == b"#ASDF"
    except OSError:
        return False
