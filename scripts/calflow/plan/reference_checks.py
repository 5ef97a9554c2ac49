"""Checks of the chosen references against the exposures: does the file have what this exposure needs."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calflow.configuration.problems import Problem, Problems
from calflow.configuration.stage3 import SourceCatalog
from calflow.inputs.fits_headers import HeaderError
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.headers import EXPOSURE_TIMES, ReferenceHeader, read_reference_header, window_of
from calflow.instruments.family import Family
from calflow.plan.combination import PlannedAssociation
from calflow.plan.plan import PlannedExposure
from calflow.references.asdf_content import check_asdf_reference
from calflow.references.made_reference import MadeReference
from calflow.references.references import Reference
from calflow.science.table_rows import select_row
from calflow.science.windows import Window

# Keywords in which a reference that the user gives must agree with the exposure, unless it is for any value.
IDENTITY = ("TELESCOP", "INSTRUME", "DETECTOR")
ANY_VALUE = ("", "ANY", "N/A", "MULTIPLE")


@dataclass(frozen=True)
class _User:
    """An exposure or an association that uses references.

    Attributes
    ----------
    name : str
        What a problem says of it.
    header : mapping
        Its keywords; of an association, those of its first member.
    """

    name: str
    header: Mapping[str, Any]
    family: Family


class ReferenceChecker:
    """Checks references; of each file only what it covers is read, and remembered between runs.

    Parameters
    ----------
    cache : HeaderCache
    problems : Problems
        Everything that does not fit is added here.
    made_references : mapping of name to MadeReference, optional
        References that this run makes.
    notices : list of str, optional
        What is used though it looks wrong is added here.
    """

    def __init__(
        self,
        cache: HeaderCache,
        problems: Problems,
        made_references: Mapping[str, MadeReference] | None = None,
        notices: list[str] | None = None,
    ):
        self.made_references = made_references or {}
        self.cache = cache
        self.problems = problems
        self.notices = [] if notices is None else notices
        self._told: set[Path] = set()
        self._headers: dict[Path, ReferenceHeader | None] = {}
        self._contents: dict[tuple[Path, str], bool] = {}
        self._noticed: set[tuple] = set()

    def check(self, exposure: PlannedExposure) -> None:
        """Check that references are what they should be, and have what the exposure needs.

        Parameters
        ----------
        exposure : PlannedExposure
            With the references that were chosen.
        """
        user = _User(str(exposure.science), exposure.header.values, exposure.family)
        for name, reference in exposure.references.items():
            path, kind = reference.path, exposure.family.references[name]
            if path is None or reference.missing or path in self._told:
                continue
            if reference.made:
                self._check_made(exposure, name, path)
                continue
            if not self._check_file(user, name, reference, path):
                continue
            if reference.by_user and name == "flat":
                self._compare_filter(user, path)
            if name == "photom":
                self._check_photom(exposure, path)
            elif kind.planes is not None:
                self._check_window(exposure, path, kind.planes, exposure.family.images)
                if name == "flat":
                    self._check_response(path, exposure.family.images)

    def check_catalog(self, association: PlannedAssociation, parameters: SourceCatalog) -> None:
        """Check the references of a catalogue; of those that the user gives, also that they have the rows it needs.

        Without a row in a reference that a rule chose the catalogue fails, which the rest does not depend on.

        Parameters
        ----------
        association : PlannedAssociation
            With the references that were chosen.
        parameters : SourceCatalog
            Of the catalogue.
        """
        user = _User(association.name, association.header, association.family)
        for name, reference in association.references.items():
            path = reference.path
            if path is None or reference.missing or path in self._told:
                continue
            if self._check_file(user, name, reference, path) and reference.by_user:
                self._check_rows(user, name, path, parameters)

    def _check_file(self, user: _User, name: str, reference: Reference, path: Path) -> bool:
        """Check that a file can be read, is of the type it is used as, for this detector, and whole."""
        asdf = user.family.references[name].asdf
        header = self._header(path, name, asdf)
        if header is None or (reference.by_user and not self._check_identity(user, name, header)):
            return False
        if not reference.by_user:
            self._compare_detector(user, name, header)
        return not asdf or self._has_content(path, name)

    def _header(self, path: Path, name: str, asdf: bool) -> ReferenceHeader | None:
        """Return the header of a file of the right format; None and a problem if it cannot be read, or is another."""
        if path not in self._headers:
            if is_asdf(path) != asdf:
                self._refuse(path, "", f"is not {'an ASDF' if asdf else 'a FITS'} file", f"a {name} reference is")
                return None
            self._headers[path] = read_reference_header(path, self.problems, self.cache)
            if self._headers[path] is None:
                self._told.add(path)
        return self._headers[path]

    def _has_content(self, path: Path, name: str) -> bool:
        """Tell whether an ASDF file has what a reference of its type needs; if not, after a problem."""
        if (path, name) not in self._contents:
            found = self._remembered(path, f"content as {name}", lambda path: _asdf_content(path, name))
            self._contents[path, name] = found is not None
        return self._contents[path, name]

    def _check_made(self, exposure: PlannedExposure, name: str, path: Path) -> None:
        """Check that a reference that this run makes is for the exposure's detector, and covers it."""
        made = next(made for made in self.made_references.values() if made.path == str(path))
        wanted, detector = window_of(exposure.header), exposure.header.values.get("DETECTOR")
        if made.keywords.get("DETECTOR") != detector:
            own = made.keywords.get("DETECTOR")
            self._refuse(path, "DETECTOR", f"will be {own!r}", f"{exposure.science} needs a {name} of {detector!r}")
        elif not made.window.contains(wanted):
            wrong = f"will cover {made.window} of the detector, {exposure.science} needs {wanted}"
            self._refuse(path, "SCI", wrong, "make it of exposures that cover the exposure")

    def _check_identity(self, user: _User, name: str, header: ReferenceHeader) -> bool:
        """Check that a file of the user is of the type and for the detector it is used for."""
        own_type = _text(header.values.get("REFTYPE"))
        # References of IRIS' newer layout have the keywords of an exposure, and no type but that of their data model.
        is_model = _text(header.values.get("DATAMODL")) == f"{name.upper()}MODEL"
        time = next((keyword for keyword in EXPOSURE_TIMES if header.values.get(keyword) is not None), "")
        if not own_type and time and not is_model:
            wrong = f"is missing, and it has an exposure time ({time}): it is an exposure, no {name}"
            return self._refuse(header.path, "REFTYPE", wrong, f"give a {name}, with REFTYPE {name.upper()!r}")
        for keyword, value in {"REFTYPE": name, **{k: user.header.get(k) for k in IDENTITY}}.items():
            if not _is_for(header, keyword, value, user.family):
                own = _text(header.values.get(keyword))
                right = f"{user.name} needs {_text(value)!r} in its {name} reference"
                return self._refuse(header.path, keyword, f"is {own!r}", right)
        return True

    def _compare_detector(self, user: _User, name: str, header: ReferenceHeader) -> None:
        """Tell if a file that a rule chose names another detector, where the detector decides.

        What a rule chose is right by that rule: a file of several detectors carries the name of one.
        """
        selectors = user.family.references[name].selectors.get(str(user.header.get("INSTRUME")), ())
        for keyword in ("INSTRUME", *(["DETECTOR"] if "DETECTOR" in selectors else [])):
            value = user.header.get(keyword)
            key = (header.path, keyword, value)
            if key not in self._noticed and not _is_for(header, keyword, value, user.family):
                own = _text(header.values.get(keyword))
                self.notices.append(f"{header.path}: {keyword} is {own!r}, but the rules choose it for {value!r}")
            self._noticed.add(key)

    def _compare_filter(self, user: _User, path: Path) -> None:
        """Tell if a flat of the user is of another filter: that of a neighbour may be better than none."""
        header = self._headers[path]
        selectors = user.family.references["flat"].selectors.get(str(user.header.get("INSTRUME")), ())
        for keyword in ("FILTER", "PUPIL"):
            value = user.header.get(keyword)
            key = (path, keyword, value)
            if header is None or keyword not in selectors or value is None or key in self._noticed:
                continue
            self._noticed.add(key)
            if not _is_for(header, keyword, value, user.family):
                own = _text(header.values.get(keyword))
                self.notices.append(f"{path}: {keyword} is {own!r}, that of {user.name} {_text(value)!r}: it is used")

    def _check_rows(self, user: _User, name: str, path: Path, parameters: SourceCatalog) -> None:
        """Check that a reference of the catalogue has what the catalogue is going to read of it."""
        ee = [getattr(parameters, f"aperture_ee{number}") for number in (1, 2, 3)]
        families = {"apcorr": user.family.aperture_corrections, "abvegaoffset": user.family.ab_vega_offsets}
        wanted = families[name][str(user.header["INSTRUME"])].wanted(user.header)
        right = f"{user.name} needs it; give another one, or skip source_catalog"
        self._remembered(path, f"{name} {wanted} {ee}", lambda path: _rows(name, path, wanted, ee), right)

    def _refuse(self, path: Path, key: str, wrong: str, right: str) -> bool:
        self._told.add(path)
        self.problems.add(Problem(str(path), key, wrong, right))
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
            self.problems.add(Problem(str(path), "PHOTOM", str(error), right))
            return
        photmjsr = table["photmjsr"][row]
        if photmjsr is None or not photmjsr > 0:
            wrong = f"photmjsr of row {row + 1} is {'not finite' if photmjsr is None else photmjsr}"
            self.problems.add(Problem(str(path), "PHOTOM", wrong, f"{exposure.science} needs a positive one"))

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
            self._refuse(path, "SCI", wrong, "give a reference that covers the exposure")

    def _check_response(self, path: Path, images: tuple[str, ...]) -> None:
        """Check that a flat has any response; what its flags, and an exposure's window, leave of it tells the job."""
        if self._remembered(path, f"response of {images}", lambda path: _has_response(path, images)) is False:
            self._refuse(path, "SCI", "no pixel is positive: all are NaN, 0 or negative", "give another flat")

    def _remembered(
        self, path: Path, kind: str, read: Callable[[Path], Any], right: str = "give another reference"
    ) -> Any:
        """Return what a file covers, as remembered if it has not changed; None and one problem if it cannot be read."""
        if path in self._told:
            return None
        try:
            return self.cache.remembered(path, kind, lambda: {"values": read(path)})["values"]
        except HeaderError as error:
            self._refuse(path, "", error.wrong, error.right)
        except (OSError, ValueError) as error:
            self._refuse(path, "", str(error).removeprefix(f"{path}: "), right)
        except Exception as error:  # astropy and asdf have no common class for what can be wrong with a file
            self._refuse(path, "", f"cannot be read ({type(error).__name__}: {error})", right)
        return None


def _text(value: Any) -> str:
    return str("" if value is None else value).strip().upper()


def _is_for(header: ReferenceHeader, keyword: str, value: Any, family: Family) -> bool:
    """Tell whether a reference is for a value of a keyword: it has it, lists it, or is for any."""
    own, wanted = _text(header.values.get(keyword)), _text(value)
    if keyword == "REFTYPE":
        own, wanted = own.replace("_", ""), wanted.replace("_", "")  # ABVEGA_OFFSET of older files
    listed = _text(header.values.get(f"P_{keyword}"[:8])).split("|")
    shared = (*family.telescopes, *family.reference_telescopes) if keyword == "TELESCOP" else ()
    return own in (*ANY_VALUE, wanted, *shared) or wanted in listed


# The imports are deferred: with everything remembered, planning does without astropy.


def _photom_table(path: Path) -> dict[str, Any]:
    """Return the columns that select, and the conversion factors, None where they are not finite."""
    from calflow.files.reference_files import read_photom

    rows = read_photom(path).rows
    columns = {name: [str(value) for value in column] for name, column in rows.items() if column.dtype.kind in "SU"}
    factors = [float(value) for value in rows["photmjsr"]]
    return {"columns": columns, "photmjsr": [value if math.isfinite(value) else None for value in factors]}


def _window_numbers(path: Path, planes: tuple[str, ...], images: tuple[str, ...]) -> tuple[int, ...]:
    from calflow.files.reference_files import covered_window

    return covered_window(path, planes, images).numbers


def _has_response(path: Path, images: tuple[str, ...]) -> bool:
    from calflow.files.reference_files import has_positive_value

    return has_positive_value(path, images)


def _asdf_content(path: Path, name: str) -> bool:
    with path.open("rb") as file:
        check_asdf_reference(file, name)
    return True


def _rows(name: str, path: Path, wanted: list[dict[str, str]], ee: list[int]) -> bool:
    from calflow.files.aperture_references import read_abvega_offset, read_apertures

    if name == "apcorr":
        read_apertures(path, wanted, ee)
    else:
        read_abvega_offset(path, wanted)
    return True


def is_asdf(path: Path) -> bool:
    """Tell whether a file exists and begins as an ASDF file does.

    Parameters
    ----------
    path : Path
        Of any file.
    """
    try:
        if os.path.isfile(path):  # opening a pipe would wait for ever
            with path.open("rb") as file:
                return file.read(5) == b"#ASDF"
    except OSError:
        pass
    return False
