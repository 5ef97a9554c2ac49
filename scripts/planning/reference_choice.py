"""The reference files of each exposure: overrides first, then the folder or the CRDS cache."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from instruments import FAMILIES
from instruments.family import Family
from planning.headers import ExposureHeader, HeaderCache
from planning.problems import Problem, nearest
from planning.references import CrdsSelector, DirectoryIndex, select_from_directory
from settings import Settings

NOT_APPLICABLE = "N/A"


@dataclass(frozen=True)
class Reference:
    """The reference file of one type for one exposure.

    Attributes
    ----------
    path : Path or None
        None: there is none (N/A).
    record : str
        What the header says of it.
    context : str
        The CRDS context that chose it; empty if none did.
    """

    path: Path | None
    record: str
    context: str = ""


class ReferenceChooser:
    """Chooses the references of exposures as the configuration says.

    Parameters
    ----------
    settings : Settings
    cache : HeaderCache
    problems : list of Problem
        Everything that does not fit is added here.
    """

    def __init__(self, settings: Settings, cache: HeaderCache, problems: list[Problem]):
        self.settings = settings.references
        self.cache = cache
        self.problems = problems
        self.overrides = self._read_overrides(settings)
        self._directory: DirectoryIndex | None = None
        self._crds: dict[str, CrdsSelector] = {}

    def choose(
        self, path: Path, header: ExposureHeader, family: Family, skipped: Mapping[str, str]
    ) -> dict[str, Reference]:
        """Return the references of all steps that are not skipped.

        A type that an exposure cannot do without, and that has no file, is a problem.
        """
        instrument = header.values["INSTRUME"]
        wanted = {name: kind for name, kind in family.references.items() if kind.step not in skipped}
        chosen = {name: self.overrides[name] for name in wanted if name in self.overrides}
        missing = [name for name in wanted if name not in chosen]
        if missing and self.settings.source == "crds":
            chosen |= self._from_crds(missing, header, family)
        elif missing:
            chosen |= self._from_directory(missing, path, header, family)
        for name, reference in chosen.items():
            if reference.path is None and instrument in wanted[name].required:
                step = wanted[name].step
                wrong = f"the {name} reference is N/A, and {step} cannot do without it"
                self.problems.append(
                    Problem(str(path), name, wrong, f"give references.override.{name} or skip {step}")
                )
        return chosen

    def _read_overrides(self, settings: Settings) -> dict[str, Reference]:
        known = {name for family in FAMILIES for name in family.references}
        overrides = {}
        given = {
            f"references.override.{name}": (name, value) for name, value in self.settings.override.items()
        }
        if settings.stage2.flat_field.user_supplied_flat:
            given["stage2.flat_field.user_supplied_flat"] = (
                "flat",
                settings.stage2.flat_field.user_supplied_flat,
            )
        for key, (name, value) in given.items():
            if name not in known:
                self.problems.append(Problem("config", key, "is no type of reference", nearest(name, known)))
            elif value == NOT_APPLICABLE:
                overrides[name] = Reference(None, NOT_APPLICABLE)
            elif not Path(value).expanduser().is_file():
                self.problems.append(
                    Problem("config", key, f"no such file {value!r}", 'give a file, or "N/A"')
                )
            else:
                path = Path(value).expanduser().absolute()
                overrides[name] = Reference(path, str(path))
        return overrides

    def _from_directory(
        self, names: list[str], path: Path, header: ExposureHeader, family: Family
    ) -> dict[str, Reference]:
        if self._directory is None:
            self._directory = DirectoryIndex(
                Path(self.settings.directory).expanduser(), self.cache, self.problems
            )
        return {}

    def _from_crds(self, names: list[str], header: ExposureHeader, family: Family) -> dict[str, Reference]:
        selector = self._crds.get(family.observatory)
        if selector is None:
            crds_path = self.settings.crds_path or os.environ.get("CRDS_PATH")
            selector = CrdsSelector(crds_path, self.settings.crds_context, family.observatory, self.problems)
            self._crds[family.observatory] = selector
        return {}


def crds_version() -> str:
    """Return the version of the crds package."""
    return version("crds")
