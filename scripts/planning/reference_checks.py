"""Checks of the chosen references against the exposures: does the file have what this exposure needs."""

from pathlib import Path

from planning.headers import window_of
from planning.plan import PlannedExposure
from problems import Problem
from products.reference_files import ReferenceFileError, covered_window, read_photom
from steps.table_rows import select_row

# Types with one value per detector pixel.
IMAGES = ("flat", "area")


class ReferenceChecker:
    """Checks references, each file read once.

    Parameters
    ----------
    problems : list of Problem
        Everything that does not fit is added here.
    """

    def __init__(self, problems: list[Problem]):
        self.problems = problems
        self._photom: dict[Path, object] = {}
        self._windows: dict[Path, object] = {}

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
        rows = exposure.family.photom_rows[exposure.header.values["INSTRUME"]]
        try:
            if path not in self._photom:
                self._photom[path] = read_photom(path)
            select_row(self._photom[path].rows, rows.wanted(exposure.header.values), rows.optional)
        except (OSError, ReferenceFileError) as error:
            self.problems.append(Problem(str(path), "", str(error), "give a PHOTOM reference"))
        except (LookupError, ValueError) as error:
            right = f"{exposure.science} needs a row; set references.override.photom or skip photom"
            self.problems.append(Problem(str(path), "PHOTOM", str(error), right))

    def _check_window(self, exposure: PlannedExposure, path: Path) -> None:
        wanted = window_of(exposure.header)
        try:
            if path not in self._windows:
                self._windows[path] = covered_window(path)
            covered = self._windows[path]
        except (OSError, ReferenceFileError) as error:
            self.problems.append(Problem(str(path), "SCI", str(error), "give a reference with an image"))
            return
        if not covered.contains(wanted):
            wrong = f"covers {covered} of the detector, {exposure.science} needs {wanted}"
            self.problems.append(Problem(str(path), "SCI", wrong, "give a reference that covers the exposure"))
