"""The reference files of each exposure: overrides first, then the folder or the CRDS cache."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from calflow.configuration.paths import advice, no_file
from calflow.configuration.problems import Problem, Problems, nearest
from calflow.configuration.settings import Settings
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.headers import ExposureHeader
from calflow.inputs.times import observation_time
from calflow.instruments import FAMILIES
from calflow.instruments.family import Family
from calflow.references.crds_cache import PATH_VARIABLE, MissingReferences, cache_path
from calflow.references.crds_contexts import UPDATE, CrdsContext, find_context
from calflow.references.crds_references import CrdsSelector, Parameters, open_crds
from calflow.references.made_reference import MadeReference
from calflow.references.references import (
    DATE,
    NO_REFERENCES,
    NOT_APPLICABLE,
    DirectoryIndex,
    Reference,
    select_from_directory,
)


class ReferenceChooser:
    """Chooses the references of exposures as the configuration says.

    Parameters
    ----------
    settings : Settings
    cache : HeaderCache
    problems : Problems
        Everything that does not fit is added here.
    made_references : mapping of name to MadeReference, optional
        References that this run makes; an override may name one.
    """

    def __init__(
        self,
        settings: Settings,
        cache: HeaderCache,
        problems: Problems,
        made_references: Mapping[str, MadeReference] | None = None,
    ):
        self.settings = settings.references
        self.made_references = made_references or {}
        self.settings_makers = set(settings.reference_makers)
        self.cache = cache
        self.problems = problems
        self.overrides = self._read_overrides(settings)
        self._told: set[tuple] = set()
        self._directory: DirectoryIndex | None = None
        self._contexts: dict[tuple[str, ...], CrdsContext | None] = {}
        self._crds: dict[str, CrdsSelector | None] = {}
        self.crds_path = cache_path(self.settings)
        self.missing = MissingReferences(self.settings, problems)
        self.notices: list[str] = []

    def choose(
        self, path: Path, header: ExposureHeader, family: Family, skipped: Mapping[str, str]
    ) -> dict[str, Reference] | None:
        """Return the references of all steps that are not skipped, by type.

        A type that an exposure cannot do without, and that has no file, is a problem. If its cause is a wrong header,
        that is the problem, and the result is None.

        Parameters
        ----------
        path : Path
            Of the exposure.
        header : ExposureHeader
            Keywords of the exposure.
        family : Family
            The instrument family of the exposure.
        skipped : mapping of str to str
            Status of the steps that do not run: their references are not needed.
        """
        instrument = str(header.values["INSTRUME"])
        wanted = {name: kind for name, kind in family.references.items() if kind.step not in skipped}
        chosen = {name: self.overrides[name] for name in wanted if name in self.overrides}
        for name, kind in wanted.items():
            if name not in chosen and instrument not in kind.selectors:
                chosen[name] = Reference(name, None, NOT_APPLICABLE)
        by_rules = [name for name in wanted if name not in chosen]
        if by_rules and all(wanted[name].optional for name in by_rules) and self._no_folder():
            reason = f"references.directory: no such folder {self.settings.directory!r}; {NO_REFERENCES}"
            chosen |= {name: Reference(name, None, NOT_APPLICABLE, reason=reason) for name in by_rules}
        elif by_rules:
            find = self._from_crds if self.settings.source == "crds" else self._from_directory
            found = find(by_rules, path, header, family)
            failed = {name: problem for name, problem in found.items() if isinstance(problem, Problem)}
            optional = {name for name in failed if name in wanted and wanted[name].optional}
            chosen |= {name: reference for name, reference in found.items() if isinstance(reference, Reference)}
            chosen |= {name: Reference(name, None, NOT_APPLICABLE, reason=str(failed[name])) for name in optional}
            if needed := {name: problem for name, problem in failed.items() if name not in optional}:
                if cause := self._cause(needed, path, header, family) or self._wrong_folder(needed, instrument):
                    self.problems.add(cause)
                    return None
                for name, problem in needed.items():
                    if not self._may_be_unread(name, instrument):
                        self._tell(problem, name, path, header, family)
        for name, reference in chosen.items():
            if reference.path is None and instrument in wanted[name].required:
                step = wanted[name].step
                wrong = f"the {name} reference is N/A, and {step} cannot do without it"
                self.problems.add(Problem(str(path), name, wrong, f"set references.override.{name} or skip {step}"))
        return chosen

    def context(self, family: Family) -> dict[str, tuple[str, str]]:
        """Return the keywords that record the CRDS context of a family; ``N/A`` if references are of a folder.

        Parameters
        ----------
        family : Family
            The instrument family.
        """
        crds = self.settings.source == "crds"
        context = self.crds_context(family) if crds else None
        return {
            "CRDS_VER": (version("crds") if crds else NOT_APPLICABLE, "Version of CRDS file selection software used"),
            "CRDS_CTX": (
                context.name if context else NOT_APPLICABLE,
                "CRDS context (.pmap) used to select ref files",
            ),
        }

    def crds_context(self, family: Family) -> CrdsContext | None:
        """Return the context of a family, or None after adding a problem; a notice says once which it is.

        Parameters
        ----------
        family : Family
            The instrument family.
        """
        key = tuple(family.observatories)
        if key not in self._contexts:
            found = self._find_context(family)
            if isinstance(found, Problem):
                self.problems.add(found)
            else:
                self.notices.append(f"references: CRDS context {found.name} ({found.origin})")
            self._contexts[key] = None if isinstance(found, Problem) else found
        return self._contexts[key]

    def contexts(self) -> list[tuple[str, str]]:
        """Return the observatories for which references were chosen, each with its context."""
        return [(context.observatory, context.name) for context in self._contexts.values() if context]

    def _find_context(self, family: Family) -> CrdsContext | Problem:
        if self.crds_path is None:
            right = f"set it, or the environment variable {PATH_VARIABLE}"
            return Problem("config", "references.crds_path", "is not set", right)
        given = self.settings.crds_path
        where = ("config", "references.crds_path") if given else (f"environment variable {PATH_VARIABLE}", "")
        if not os.path.isdir(self.crds_path):
            right = f"give the CRDS cache, the folder with 'mappings' and 'references'; to fill one, {UPDATE}"
            there = os.path.lexists(self.crds_path)
            wrong = no_file(self.crds_path) if there else f"no such folder {str(self.crds_path)!r}"
            return Problem(*where, wrong, advice(given or "", right))
        if not any(os.path.isdir(self.crds_path / "mappings" / name) for name in family.observatories):
            right = f"give the folder that holds 'mappings/{family.observatories[0]}'; or, to fill it, {UPDATE}"
            return Problem(*where, f"{str(self.crds_path)!r} is not a CRDS cache", right)
        return find_context(self.settings.crds_context, self.crds_path, family.observatories, self.cache)

    def selector(self, context: CrdsContext) -> CrdsSelector | None:
        """Return the rules of a context, or None after adding a problem.

        Parameters
        ----------
        context : CrdsContext
            Of the cache.
        """
        if context.name not in self._crds and self.crds_path:
            found = open_crds(self.crds_path, context.name, context.observatory, self.cache, self.problems)
            self._crds[context.name] = found
        return self._crds[context.name]

    def _no_folder(self) -> bool:
        return self.settings.source == "directory" and not os.path.isdir(self.settings.directory)

    def _cause(
        self, failed: Mapping[str, Problem], path: Path, header: ExposureHeader, family: Family
    ) -> Problem | None:
        """Return the problem with the header of an exposure that explains why no references were found, or None."""
        instrument = str(header.values["INSTRUME"])
        types = sorted(name for name in failed if name in family.references)
        listed = _none_of(types)
        selectors = {keyword for name in types for keyword in family.references[name].selectors[instrument]}
        for keyword, known in family.known_values.get(instrument, {}).items():
            value = header.values.get(keyword)
            if keyword in selectors and (value in (None, "") or (known and value not in known)):
                wrong = "is missing" if value in (None, "") else f"{value!r} is not known of {instrument}"
                hint = nearest(str(value or ""), known) if known else "give it"
                if others := [name for name, values in family.known_values.items() if value in values.get(keyword, ())]:
                    hint = f"it is of {' and '.join(others)}: INSTRUME or {keyword} is wrong"
                return Problem(str(path), keyword, f"{wrong}, so that there is {listed} reference", hint)
        if len(types) > 1 and {problem.key for problem in failed.values()} == {DATE}:
            when = f"{header.values.get('DATE-OBS')!r}: there is {listed} reference for exposures of that time"
            return Problem(str(path), DATE, when, failed[types[0]].right)
        return None

    def _wrong_folder(self, failed: Mapping[str, Problem], instrument: str) -> Problem | None:
        """Return that the folder has nothing at all for an instrument; None: it has, or one type alone is missing."""
        folder = self._directory
        if folder is None or folder.unread or len(failed) == 1:
            return None
        if any(folder.references(name, instrument) for name in failed):
            return None
        wrong = f"{self.settings.directory!r} has {_none_of(sorted(failed))} reference for {instrument}"
        return Problem("config", "references.directory", wrong, NO_REFERENCES)

    def _may_be_unread(self, name: str, instrument: str) -> bool:
        """Tell whether a reference may be missing since its file cannot be read, which is a problem already."""
        folder = self._directory
        return folder is not None and bool(folder.unread) and not folder.references(name, instrument)

    def _tell(self, problem: Problem, name: str, path: Path, header: ExposureHeader, family: Family) -> None:
        """Add a problem once for all exposures that differ in nothing by which a reference is chosen."""
        instrument = str(header.values["INSTRUME"])
        selectors = family.references[name].selectors[instrument] if name in family.references else (str(path),)
        key = (name, instrument, *(header.values.get(keyword, keyword) for keyword in selectors))
        if key not in self._told:
            self._told.add(key)
            # A choice that fails is told of the exposure; a reference that is broken, of itself.
            file = problem.file if os.path.isfile(problem.file) else str(path)
            self.problems.add(Problem(file, problem.key, problem.wrong, problem.right))

    def _read_overrides(self, settings: Settings) -> dict[str, Reference]:
        known = {name for family in FAMILIES for name in family.references}
        overrides = {}
        given = {f"references.override.{name}": (name, value) for name, value in self.settings.override.items()}
        if settings.stage2.flat_field.user_supplied_flat:
            given["stage2.flat_field.user_supplied_flat"] = ("flat", settings.stage2.flat_field.user_supplied_flat)
        for key, (name, value) in given.items():
            path = Path(value).absolute()
            if name not in known:
                self.problems.add(Problem("config", key, "is no type of reference", nearest(name, known)))
            elif value in self.settings_makers:
                if value in self.made_references:  # else told already
                    overrides[name] = self._made_reference(key, name, self.made_references[value])
            elif value == NOT_APPLICABLE:
                overrides[name] = Reference(name, None, NOT_APPLICABLE)
            elif not os.path.isfile(path):
                wrong = no_file(Path(value)) if os.path.lexists(path) else f"no such file {value!r}"
                self.problems.add(Problem("config", key, wrong, advice(value, 'give a file, or "N/A"')))
            else:
                overrides[name] = Reference(name, path, str(path), by_user=True)
        return overrides

    def _made_reference(self, key: str, name: str, made: MadeReference) -> Reference:
        """Return the reference of an override that names a maker."""
        if made.settings.reftype != name:
            wrong = f"{made.name!r} makes a {made.settings.reftype}"
            self.problems.add(Problem("config", key, wrong, f"give a {name}"))
        return Reference(name, Path(made.path), Path(made.path).name, by_user=True, made=True)

    def _from_directory(
        self, names: list[str], path: Path, header: ExposureHeader, family: Family
    ) -> dict[str, Reference | Problem]:
        if self._directory is None:
            directory = Path(self.settings.directory)
            self._directory = DirectoryIndex(directory, self.cache, self.problems)
        if not os.path.isdir(self._directory.directory):
            return {}
        observed = observation_time(header.values)
        if observed is None:
            when = f"{header.values.get('DATE-OBS')!r}, {header.values.get('TIME-OBS')!r}"
            wrong = f"{when} are not a date and a time"
            return {"": Problem(str(path), "DATE-OBS, TIME-OBS", wrong, "write 2023-03-12 and 07:47:13.140")}
        instrument = str(header.values["INSTRUME"])
        return {
            name: select_from_directory(
                self._directory, name, family.references[name].selectors[instrument], header.values, observed
            )
            for name in names
        }

    def by_rules(self, names: list[str], header: ExposureHeader, family: Family) -> dict[str, Reference | Problem]:
        """Return what the rules of CRDS choose for an exposure, whether the cache has it or not.

        Parameters
        ----------
        names : list of str
            Types of reference.
        header : ExposureHeader
            Keywords of the exposure.
        family : Family
            The instrument family of the exposure.
        """
        context = self.crds_context(family)
        selector = self.selector(context) if context else None
        return selector.select(crds_parameters(header, family), names) if selector else {}

    def _from_crds(
        self, names: list[str], path: Path, header: ExposureHeader, family: Family
    ) -> dict[str, Reference | Problem]:
        chosen = self.by_rules(names, header, family)
        if context := self.crds_context(family):
            self.missing.add(chosen, context.observatory, path)
        return chosen


def crds_parameters(header: ExposureHeader, family: Family) -> Parameters:
    """Return the keywords of an exposure under the names of CRDS.

    Parameters
    ----------
    header : ExposureHeader
        Keywords of the exposure.
    family : Family
        The instrument family of the exposure.
    """
    return {
        name: value for keyword, name in family.crds_names.items() if (value := header.values.get(keyword)) is not None
    }


def _none_of(types: list[str]) -> str:
    """Say that there is none of some types: ``no flat or photom``."""
    return f"no {', '.join(types[:-1])} or {types[-1]}" if len(types) > 1 else f"no {''.join(types)}"
