"""Pointings that come from outside: which row of which table, or which WCS, is for which exposure."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from calflow.configuration.paths import no_file
from calflow.configuration.problems import Problem, Problems, some
from calflow.configuration.settings import Settings
from calflow.files.offset_rows import OffsetRow, Subject
from calflow.inputs.associations import expand
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.headers import ExposureHeader
from calflow.plan.combination import PlannedAssociation, PlannedMember
from calflow.plan.plan import stage_folder
from calflow.plan.reference_checks import is_asdf
from calflow.references.parameter_references import settings_for
from calflow.science.geometry.offsets import Offset

KEY = "stage3.tweakreg.wcs_from"


@dataclass(frozen=True)
class _Source:
    """A file with pointings: the rows of a table; or a WCS, if it has none."""

    path: Path
    rows: tuple[OffsetRow, ...]


class GivenPointings:
    """Finds the pointings that a configuration gives for exposures.

    Parameters
    ----------
    settings : Settings
    cache : HeaderCache
    problems : Problems
    notices : list of str
    """

    def __init__(self, settings: Settings, cache: HeaderCache, problems: Problems, notices: list[str]):
        self.settings = settings
        self.cache = cache
        self.problems = problems
        self.notices = notices
        self._read: dict[str, _Source | None] = {}
        self._expanded: dict[tuple[str, ...], list[Path]] = {}
        self._used: set[tuple[str, int]] = set()  # path, and row or 0

    def find(
        self, associations: Sequence[PlannedAssociation], headers: Mapping[str, Mapping[str, ExposureHeader]]
    ) -> list[PlannedAssociation]:
        """Return associations with what is given of the pointings of their members.

        Parameters
        ----------
        associations : sequence of PlannedAssociation
        headers : mapping of str to mapping of str to ExposureHeader
            Of their members, by their names, by the names of the associations.
        """
        found = [self._with_pointings(each, headers[each.name]) for each in associations]
        if not self.problems:
            self._tell_unused({member.root for each in associations for member in each.members})
        return found

    def _with_pointings(
        self, association: PlannedAssociation, headers: Mapping[str, ExposureHeader]
    ) -> PlannedAssociation:
        files = settings_for(association.parameters, self.settings).stage3.tweakreg.wcs_from
        if not files:
            return association
        new = self.problems.from_here()
        sources = self._sources(files)
        given = {member.root: self._given(member, headers[member.root], sources) for member in association.members}
        lacking = [root for root, found in given.items() if not found]
        if new.any() or len(lacking) == len(given):
            if not new.any():
                self.notices.append(f"{association.name}: {KEY} has nothing for its exposures, which are not moved")
            return association
        if lacking:
            wrong = f"nothing in {_names(sources)} is for {some(lacking)}, but for others of {association.name}"
            right = "give them a row too, or one for all others: exposure *, with offsets of 0"
            self.problems.add(Problem("config", KEY, wrong, right))
        if association.moving:
            wrong = f"gives pointings for {association.name}, which follows a moving target"
            self.problems.add(Problem("config", KEY, wrong, "give them for fixed targets alone"))
        members = tuple(replace(member, pointing=given[member.root]) for member in association.members)
        return replace(association, members=members)

    def _given(self, member: PlannedMember, header: ExposureHeader, sources: Iterable[_Source]) -> dict[str, Any]:
        """Return what is given for an exposure, as the job takes it; empty if nothing is."""
        keywords = (str(header.values.get(keyword, "")) for keyword in ("DETECTOR", "FILTER", "PUPIL"))
        detector, *filters = (keyword.strip() for keyword in keywords)
        subject = Subject(member.root, detector, tuple(filters))
        found: dict[str, Any] = {}
        for source in sources:
            value = self._of_table(source, subject) if source.rows else self._of_wcs(source, member.root)
            if not value:
                continue
            if found:
                wrong = f"both {found['file']!r} and {value['file']!r} are for {member.root}"
                self.problems.add(Problem("config", KEY, wrong, "give one of them"))
            found = value
        return found

    def _of_table(self, source: _Source, subject: Subject) -> dict[str, Any]:
        fitting = [row for row in source.rows if row.fits(subject)]
        if not fitting:
            return {}
        most = max(row.exactness for row in fitting)
        rows = [row for row in fitting if row.exactness == most]
        if any(row.offset != rows[0].offset for row in rows):
            wrong = f"rows {some([str(row.number) for row in rows])} are all for {subject.root}, with different offsets"
            self.problems.add(Problem(str(source.path), "", wrong, "give one row for an exposure"))
        self._used |= {(str(source.path), row.number) for row in fitting}
        return {"file": str(source.path), "offset": asdict(rows[0].offset)}

    def _of_wcs(self, source: _Source, root: str) -> dict[str, Any]:
        """Return the WCS if its file is named after the exposure: its name, then _ or the ending."""
        name = source.path.name
        if not name.startswith((f"{root}_", f"{root}.")):
            return {}
        self._used.add((str(source.path), 0))
        return {"file": str(source.path)}

    def _sources(self, files: list[str]) -> list[_Source]:
        """Return what can be used of the files of a configuration."""
        if tuple(files) not in self._expanded:
            self._expanded[tuple(files)] = expand(files, KEY, self.problems)
        return [source for path in self._expanded[tuple(files)] if (source := self._source(path))]

    def _source(self, path: Path) -> _Source | None:
        """Read a file, once; None and a problem if it cannot be used."""
        if str(path) not in self._read:
            self._read[str(path)] = self._look(path)
        return self._read[str(path)]

    def _look(self, path: Path) -> _Source | None:
        if not os.path.isfile(path):
            self._refuse(path, no_file(path), "give a table of offsets, or an ASDF file with a WCS")
            return None
        own = [os.path.realpath(stage_folder(self.settings, stage)) for stage in (2, 3)]
        if os.path.dirname(os.path.realpath(path)) in own:
            self._refuse(path, "lies where this run writes", "copy it elsewhere: it would change under the run")
            return None
        has_wcs = is_asdf(path)
        try:
            found = self.cache.remembered(path, "pointings", partial(_wcs if has_wcs else _rows, path))["rows"]
        except Exception as error:  # of whatever is in a file, asdf and its extensions raise what they like
            column, wrong, right = (getattr(error, name, "") for name in ("column", "wrong", "right"))
            reason = wrong or next(filter(None, str(error).splitlines()), type(error).__name__)
            self.problems.add(Problem(str(path), column, reason, right or "give an ASDF file with the WCS as 'wcs'"))
            return None
        if not found and not has_wcs:
            self._refuse(path, "has no rows", "give a row for each exposure, visit or detector")
            return None
        return _Source(path, tuple(map(_row, found)))

    def _tell_unused(self, members: set[str]) -> None:
        """Tell what fits no exposure: a problem if that is all of a file."""
        for path, source in self._read.items():
            if source is None:
                continue
            numbers = [row.number for row in source.rows] or [0]
            unused = [number for number in numbers if (path, number) not in self._used]
            if len(unused) == len(numbers):
                what = "none of its rows is" if source.rows else "by its name it is not"
                wrong = f"{what} for a member of a level-3 association"
                self._refuse(source.path, wrong, f"members are {some(sorted(members))}")
            elif unused:
                rows = f"row{'s' if len(unused) > 1 else ''} {some([str(number) for number in unused])}"
                self.notices.append(f"{path}: {rows} for no exposure of this configuration")

    def _refuse(self, path: Path, wrong: str, right: str) -> None:
        self.problems.add(Problem(str(path), "", wrong, right))


def _rows(path: Path) -> dict[str, Any]:
    """Return the rows of a table of offsets, as they are remembered."""
    from calflow.files.offset_tables import read_offsets  # it imports astropy

    return {"rows": [asdict(row) for row in read_offsets(path)]}


def _wcs(path: Path) -> dict[str, Any]:
    """Return no rows, for a file that has a WCS."""
    from calflow.files.asdf_files import read_wcs_file  # it imports asdf

    read_wcs_file(path)
    return {"rows": []}


def _row(tree: Mapping[str, Any]) -> OffsetRow:
    """Return a row that was remembered; its matrix may have become lists."""
    offset = dict(tree["offset"])
    if offset["matrix"] is not None:
        offset["matrix"] = tuple(map(tuple, offset["matrix"]))
    return OffsetRow(tree["number"], tree["exposures"], Offset(**offset))


def _names(sources: Iterable[_Source]) -> str:
    return some([source.path.name for source in sources])
