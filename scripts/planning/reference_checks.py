"""Checks of the chosen references against the exposures: does the file have what this exposure needs."""

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

from planning.headers import window_of
from planning.plan import PlannedExposure
from problems import Problem
from steps.table_rows import select_row
from steps.windows import Window

# Types with one value per detector pixel.
IMAGES = ("flat", "area")


class ReferenceChecker:
    """Checks references; of each file only what it covers is read, and remembered between runs.

    Parameters
    ----------
    cache : HeaderCache
    problems : list of Problem
        Everything that does not fit is added here.
    """

    def __init__(self, cache, problems: list[Problem]):
        self.cache = cache
        self.problems = problems
        self._told: set[Path] = set()

    def check(self, exposure: PlannedExposure) -> None:
        """Check that PHOTOM has a row for the exposure, and that flat and area cover its window."""
        photom = exposure.references.get("photom")
        if photom and photom.path:
            self._check_photom(exposure, photom.path)
        for name in IMAGES:
            reference = exposure.references.get(name)
            if reference and reference.path:
                self._check_window(exposure, reference.path)

    def _check_photom(self, exposure: PlannedExposure, path: Path) -> None:
        columns = self._remembered(path, "photom rows", _photom_columns)
        if columns is None:
            return
        rows = exposure.family.photom_rows[exposure.instrument]
        try:
            select_row(columns, rows.wanted(exposure.header.values), rows.optional)
        except (LookupError, ValueError) as error:
            right = f"{exposure.science} needs a row; set references.override.photom or skip photom"
            self.problems.append(Problem(str(path), "PHOTOM", str(error), right))

    def _check_window(self, exposure: PlannedExposure, path: Path) -> None:
        numbers = self._remembered(path, "window", _window_numbers)
        if numbers is None:
            return
        covered, wanted = Window(*numbers), window_of(exposure.header)
        if not covered.contains(wanted):
            wrong = f"covers {covered} of the detector, {exposure.science} needs {wanted}"
            self.problems.append(Problem(str(path), "SCI", wrong, "give a reference that covers the exposure"))

    def _remembered(self, path: Path, kind: str, read: Callable[[Path], object]):
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


def _photom_columns(path: Path) -> dict[str, list[str]]:
    from products.reference_files import read_photom

    rows = read_photom(path).rows
    return {name: [str(value) for value in column] for name, column in rows.items() if column.dtype.kind in "SU"}


def _window_numbers(path: Path) -> tuple[int, ...]:
    from products.reference_files import covered_window

    return astuple(covered_window(path))
