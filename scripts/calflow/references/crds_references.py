"""Choice of reference files by the rules of a CRDS cache, without network and without CRDS's own settings."""

import importlib
import json
import logging
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.configuration.problems import Problem, Problems
from calflow.inputs.header_cache import HeaderCache
from calflow.patches import has_crds_hooks, make_known_to_crds
from calflow.references.crds_contexts import UPDATE, ServerRecord, read_server_record
from calflow.references.crds_mappings import mapping_difference, mappings_of
from calflow.references.references import NOT_APPLICABLE, Reference

if TYPE_CHECKING:
    from crds.core.rmap import InstrumentContext, Mapping, PipelineContext

Parameters = dict[str, str | bool | int | float]

# When an exposure began, which USEAFTER is compared with
DATE = ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME")

LISTED_CONTEXTS = 5  # the newest ones, of the many that a cache may have


def open_crds(
    crds_path: Path,
    context: str,
    observatory: str,
    cache: HeaderCache | None,
    problems: Problems,
) -> "CrdsSelector | None":
    """Return the selector of a CRDS cache, or None and problems if the cache or the context cannot be used.

    Parameters
    ----------
    crds_path : Path
        The cache: ``mappings/<observatory>/``, ``references/<observatory>/``...
    context : str
        A pinned context, such as ``jwst_1364.pmap``.
    observatory : str
        ``jwst``.
    cache : HeaderCache or None
        Remembers selections; with all of them remembered, the package crds (0.5 s) is not imported.
    problems : Problems
    """
    crds_path = Path(crds_path)
    mappings = crds_path / "mappings" / observatory
    if not context.endswith(".pmap") or Path(context).name != context:
        right = f"set references.crds_context to a pinned context such as '{observatory}_1364.pmap'"
        problems.add(Problem(str(crds_path), "crds_context", f"{context!r} is not a context", right))
    elif not os.path.isdir(mappings):
        wrong = "is not a CRDS cache" if os.path.isdir(crds_path) else "no such folder"
        right = f"set references.crds_path to the folder that holds 'mappings/{observatory}'; or, to fill it, {UPDATE}"
        problems.add(Problem(str(crds_path), "", wrong, right))
    elif not os.path.isfile(mappings / context):
        known = sorted(path.name for path in mappings.glob("*.pmap"))
        there = (
            f"take one that is there ({', '.join(map(repr, known[-LISTED_CONTEXTS:]))})" if known else "fill the cache"
        )
        right = f"{UPDATE}, or {there}"
        problems.add(Problem(str(crds_path), "crds_context", f"{context!r} is not in the cache", right))
    else:
        record = read_server_record(crds_path, observatory, cache)
        if not isinstance(record, Problem):
            record = record or ServerRecord(None, frozenset())
            return CrdsSelector(crds_path, context, observatory, record.bad_files, cache)
        problems.add(record)
    return None


class CrdsSelector:
    """Selects references by the rules of one context; made by `open_crds`.

    Only the mapping files of the cache are used: neither the environment (``CRDS_PATH``...) nor a server nor
    the cache's own idea of the current context plays a part, and nothing is written into the cache.

    Parameters
    ----------
    crds_path : Path
        The CRDS cache.
    context : str
        Its name, such as ``jwst_1241.pmap``.
    observatory : str
        Its name in CRDS, such as ``jwst``.
    bad_files : frozenset of str
        Names of references that CRDS has marked as bad.
    cache : HeaderCache or None
        Of headers and other contents of files.
    """

    def __init__(
        self,
        crds_path: Path,
        context: str,
        observatory: str,
        bad_files: frozenset[str],
        cache: HeaderCache | None,
    ):
        self.crds_path = crds_path
        self.context = context
        self.observatory = observatory
        self.mappings = crds_path / "mappings" / observatory
        self._cache = cache
        self._bad_files = bad_files
        self._pipeline: PipelineContext | None = None
        self._stamps: dict[str, list[int] | None] = {}
        self._places: dict[str, tuple[Path, bool]] = {}
        self._known: dict[tuple, _Choices] = {}

    def select(self, parameters: Parameters, reftypes: Iterable[str]) -> dict[str, Reference | Problem]:
        """Choose the references of one exposure.

        Parameters
        ----------
        parameters : dict
            The exposure's metadata under CRDS's names, such as ``META.INSTRUMENT.NAME``.
        reftypes : iterable of str
            Such as ``flat``.

        Returns
        -------
        dict
            For each type a Reference (path None: the rules say N/A), or a Problem: the type is unknown, no
            rule fits, or a mapping that is needed is not in the cache. A reference file that is not in the
            cache is told by `missing`.
        """
        names = self.names(parameters, reftypes)
        instrument = str(parameters.get("META.INSTRUMENT.NAME", "")).lower()
        return {
            reftype: name if isinstance(name, Problem) else self._locate(reftype, name, instrument)
            for reftype, name in names.items()
        }

    def names(self, parameters: Parameters, reftypes: Iterable[str]) -> dict[str, str | Problem]:
        """Return for each type the name of the file that the rules choose, ``N/A``, or a Problem.

        Parameters
        ----------
        parameters : Parameters
            What the rules choose by.
        reftypes : iterable of str
            Types of reference.
        """
        reftypes = tuple(sorted({reftype.lower() for reftype in reftypes}))
        names = self._remembered(parameters, reftypes)
        return self._look_up(parameters, reftypes) if names is None else names

    def _locate(self, reftype: str, name: str, instrument: str) -> Reference | Problem:
        """Return the reference of this name, in the cache or to be put there."""
        if name == NOT_APPLICABLE:
            return Reference(reftype, None, NOT_APPLICABLE)
        if name in self._bad_files:
            right = f"choose another context, or set references.override.{reftype}"
            return self._problem(reftype, f"{name!r} is marked as scientifically invalid by CRDS", right)
        path, missing = self._place(name, instrument)
        return Reference(reftype, path, f"crds://{name}", missing=missing)

    def _place(self, name: str, instrument: str) -> tuple[Path, bool]:
        """Return where a file is, or would be, and whether it is missing; looked up once."""
        if name not in self._places:
            folder = self.crds_path / "references" / self.observatory
            places = [folder / instrument / name, folder / name]  # caches are laid out by instrument, or flat
            path = next((place for place in places if os.path.isfile(place)), None)
            self._places[name] = (path, False) if path else (places[1 if self._is_flat() else 0], True)
        return self._places[name]

    def _is_flat(self) -> bool:
        """Tell whether the references of the cache are in one folder, whatever their instrument."""
        mode = self.crds_path / "config" / self.observatory / "ref_cache_subdir_mode"
        try:
            return mode.read_text().strip() == "flat"
        except OSError:
            return False

    def _problem(self, reftype: str, wrong: str, right: str) -> Problem:
        return Problem(str(self.crds_path), reftype, wrong, right)

    # Selections of earlier runs -----------------------------------------------------------------------

    def _kind(self, parameters: Parameters, reftypes: tuple[str, ...]) -> str:
        return "crds:" + json.dumps([sorted(parameters.items()), reftypes])

    def _remembered(self, parameters: Parameters, reftypes: tuple[str, ...]) -> dict[str, str | Problem] | None:
        """Return the names found in an earlier run, if the mapping files that led to them are as they were."""
        if self._cache is None:
            return None
        context = self.mappings / self.context
        entry = self._cache.get(context, context.stat(), self._kind(parameters, reftypes))
        if entry is None or any(self._stamp(name) != stamp for name, stamp in entry["mappings"]):
            return None
        return entry["values"]

    def _remember(self, parameters: Parameters, names: dict[str, str | Problem], used: list[str]) -> None:
        if self._cache is None or any(isinstance(name, Problem) for name in names.values()):
            return
        context = self.mappings / self.context
        mappings = [(name, self._stamp(name)) for name in used]
        kind = self._kind(parameters, tuple(names))
        self._cache.put(context, context.stat(), kind, {"values": names, "mappings": mappings})

    def _stamp(self, name: str) -> list[int] | None:
        """Return size and time of a mapping file, looked up once: thousands of exposures use the same."""
        if name not in self._stamps:
            self._stamps[name] = _stamp(self.mappings / name)
        return self._stamps[name]

    # Selections by crds -------------------------------------------------------------------------------

    def _look_up(self, parameters: Parameters, reftypes: tuple[str, ...]) -> dict[str, str | Problem]:
        """Return the names of the references by crds's rules.

        Exposures that differ in nothing but their date, and lie between the same dates of USEAFTER, have the same.
        """
        rest = tuple(sorted(item for item in parameters.items() if item[0] not in DATE))
        date = " ".join(str(parameters.get(name, "")) for name in DATE)
        known = self._known.get((rest, reftypes))
        names = known.at(date) if known else None
        if known is None or names is None:
            names, known = self._ask(parameters, reftypes, known)
            known.add(date, names)
            self._known[rest, reftypes] = known
        self._remember(parameters, names, known.mappings)
        return names

    def _ask(
        self, parameters: Parameters, reftypes: tuple[str, ...], known: "_Choices | None"
    ) -> tuple[dict[str, str | Problem], "_Choices"]:
        """Return the names, and what they depend on: that of `known`, if it is given."""
        with _quiet():
            try:
                rmap = importlib.import_module("crds.core.rmap")
                utils = importlib.import_module("crds.core.utils")
                make_known_to_crds(self.observatory, str(parameters.get("META.INSTRUMENT.NAME", "")).lower())
            except ImportError as error:
                wrong = f"the package crds cannot be used ({error})"
                right = "install 'crds' and 'stdatamodels', or set references.source to 'directory'"
                return dict.fromkeys(reftypes, self._problem("", wrong, right)), _Choices()
            conditioned = utils.condition_header(parameters)
            used: list[Mapping] = []
            instrument = self._instrument(rmap, conditioned, used)
            if isinstance(instrument, Problem):
                return dict.fromkeys(reftypes, instrument), _Choices()
            names = {reftype: self._name(instrument, reftype, conditioned, used) for reftype in reftypes}
            return names, known or _Choices(used)

    def _instrument(self, rmap, parameters: Parameters, used: "list[Mapping]") -> "InstrumentContext | Problem":
        """Return the instrument's mapping, or a Problem."""
        try:
            if self._pipeline is None:
                # load_mapping, not get_cached_mapping: that one would mix up two caches with one context name
                self._pipeline = rmap.load_mapping(self.context, path=str(self.mappings))
            mapping = self._pipeline.get_imap(self._pipeline.get_instrument(parameters))
        except Exception as error:  # crds has no common class for what can be wrong with a mapping
            return self._failed("", error)
        used.append(mapping)
        return mapping

    def _name(
        self, instrument: "InstrumentContext", reftype: str, parameters: Parameters, used: "list[Mapping]"
    ) -> str | Problem:
        """Return the name of the reference, ``N/A``, or a Problem."""
        exceptions = importlib.import_module("crds.core.exceptions")
        try:
            rules = instrument.get_rmap(reftype)
            used.append(rules)
            needed = rules.minimize_header(parameters)
            name = rules.get_best_ref(needed)
        except (exceptions.IrrelevantReferenceTypeError, exceptions.OmitReferenceTypeError):
            return NOT_APPLICABLE
        except Exception as error:
            return self._failed(reftype, error)
        if name is None or name.upper() in ("N/A", "NOT FOUND N/A"):
            return NOT_APPLICABLE
        if name.startswith("NOT FOUND"):
            values = ", ".join(f"{key} {value}" for key, value in sorted(needed.items()))
            reason = name.removeprefix("NOT FOUND").strip()
            right = f"CRDS says: {reason}; set references.override.{reftype}"
            return self._problem(reftype, f"no {reftype} reference in {self.context} for {values}", right)
        if Path(name).name != name:
            return self._problem(reftype, f"{name!r} is not a file name", "the mappings are damaged")
        return name

    def _failed(self, reftype: str, error: Exception) -> Problem:
        if isinstance(error, FileNotFoundError):
            name = Path(error.filename or "").name
            right = f"{UPDATE}, or put it into {str(self.mappings)!r}"
            return self._problem(reftype, f"needs {name!r}; not in the cache", right)
        if self._damaged:
            path, difference = self._damaged
            right = f"remove it and {self.context!r}, then {UPDATE}"
            return Problem(str(path), "", f"this mapping is damaged: {difference}", right)
        return self._problem(reftype, f"{self.context}: {error}", "use a context that covers it")

    @cached_property
    def _damaged(self) -> tuple[Path, str] | None:
        """The first mapping of the context that differs from its own checksum, and in what; None if none does."""
        paths = mappings_of(self.mappings, self.context)
        return next(((path, difference) for path in paths if (difference := mapping_difference(path))), None)


class _Choices:
    """What was chosen for exposures that differ in nothing but their date.

    Parameters
    ----------
    mappings : sequence of Mapping
        The mappings that led to it, those of the instrument and of the types.
    """

    def __init__(self, mappings: "Sequence[Mapping]" = ()):
        self.mappings = sorted(Path(mapping.filename).name for mapping in mappings)
        by_type = [_use_after_dates(mapping) for mapping in mappings if mapping.mapping_type == "reference"]
        # None: the date counts in another way too, so that each is looked up by itself.
        self._dates: list[str] | None = None
        if mappings and None not in by_type:
            self._dates = sorted({date for dates in by_type for date in dates or ()})
        self._names: dict[int, dict[str, str | Problem]] = {}

    def at(self, date: str) -> dict[str, str | Problem] | None:
        """Return the names at a date, if they are known."""
        interval = self._interval(date)
        return None if interval is None else self._names.get(interval)

    def add(self, date: str, names: dict[str, str | Problem]) -> None:
        """Note the names at a date. Problems are not noted: crds puts the values of the exposure into its words."""
        interval = self._interval(date)
        if interval is not None and not any(isinstance(name, Problem) for name in names.values()):
            self._names[interval] = names

    def _interval(self, date: str) -> int | None:
        if self._dates is None:
            return None
        try:
            return bisect_right(self._dates, importlib.import_module("crds.core.timestamp").reformat_date(date))
        except Exception:  # crds says so in its own words
            return None


def _use_after_dates(rules: "Mapping") -> list[str] | None:
    """Return the dates of USEAFTER in the rules of a type; None if the date of an exposure may count in another way."""
    header = rules.header
    if [str(name).lower() for name in header.get("classes", ())] != ["match", "useafter"]:
        return None
    matched, dated = (tuple(str(name).upper() for name in names) for names in rules.parkey)
    said = str([header.get(key, "") for key in ("rmap_relevance", "rmap_omit", "parkey_relevance")]).upper()
    said = said.replace("_", ".")
    if dated != DATE or any(name in matched or name in said for name in DATE):
        return None
    if has_crds_hooks(rules):
        return None
    by_date = [choice for choice in rules.selector.choices() if hasattr(choice, "choices")]
    return [str(date) for choice in by_date for date in choice.keys()]  # noqa: SIM118 (a selector is no mapping)


def _stamp(path: Path) -> list[int] | None:
    """Return size and time of a file as JSON gives them back, or None."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep crds from logging, and its import from leaving its defaults in the environment of the jobs."""
    known = set(os.environ)
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        for name in set(os.environ) - known:
            del os.environ[name]
