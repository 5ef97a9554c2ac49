"""Choice of reference files by the rules of a CRDS cache, without network and without CRDS's own settings."""

import importlib
import importlib.util
import json
import logging
import os
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from planning.crds_contexts import UPDATE, ServerRecord, read_server_record
from planning.header_cache import HeaderCache
from planning.references import NOT_APPLICABLE, Reference
from problems import Problem, nearest

if TYPE_CHECKING:
    from crds.core.rmap import InstrumentContext, PipelineContext, ReferenceMapping

Parameters = dict[str, str | bool | int | float]


def open_crds(
    crds_path: Path,
    context: str,
    observatory: str,
    cache: HeaderCache | None,
    problems: list[Problem],
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
    problems : list of Problem
    """
    crds_path = Path(crds_path)
    mappings = crds_path / "mappings" / observatory
    if not context.endswith(".pmap") or Path(context).name != context:
        right = f"set references.crds_context to a pinned context such as '{observatory}_1364.pmap'"
        problems.append(Problem(str(crds_path), "crds_context", f"{context!r} is not a context", right))
    elif not mappings.is_dir():
        wrong = "is not a CRDS cache" if crds_path.is_dir() else "no such folder"
        right = f"set references.crds_path to the folder that holds 'mappings/{observatory}'; or, to fill it, {UPDATE}"
        problems.append(Problem(str(crds_path), "", wrong, right))
    elif not (mappings / context).is_file():
        known = [path.name for path in mappings.glob("*.pmap")]
        hint = nearest(context, known) if known else "the cache has no context at all"
        right = f"{hint}; or {UPDATE}"
        problems.append(Problem(str(crds_path), "crds_context", f"{context!r} is not in the cache", right))
    else:
        record = read_server_record(crds_path, observatory, cache)
        if not isinstance(record, Problem):
            record = record or ServerRecord(None, frozenset())
            return CrdsSelector(crds_path, context, observatory, record.bad_files, cache)
        problems.append(record)
    return None


class CrdsSelector:
    """Selects references by the rules of one context; made by `open_crds`.

    Only the mapping files of the cache are used: neither the environment (``CRDS_PATH``...) nor a server nor
    the cache's own idea of the current context plays a part, and nothing is written into the cache.
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
        self._mappings = crds_path / "mappings" / observatory
        self._cache = cache
        self._bad_files = bad_files
        self._pipeline: PipelineContext | None = None
        self._stamps: dict[str, list[int] | None] = {}
        # Names by all that the rules of a type look at
        self._chosen: dict[tuple, str] = {}
        self._use_after: dict[str, tuple[frozenset[str], list[str]]] = {}

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
        """Return, for each type, the name of the file that the rules choose, ``N/A``, or a Problem."""
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
        folder = self.crds_path / "references" / self.observatory
        places = [folder / instrument / name, folder / name]  # caches are laid out by instrument, or flat
        path = next((place for place in places if place.is_file()), None)
        missing = path is None
        if path is None:
            path = places[1 if self._is_flat() else 0]
        return Reference(reftype, path, f"crds://{name}", missing=missing)

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
        context = self._mappings / self.context
        entry = self._cache.get(context, context.stat(), self._kind(parameters, reftypes))
        if entry is None or any(self._stamp(name) != stamp for name, stamp in entry["mappings"]):
            return None
        return entry["values"]

    def _remember(self, parameters: Parameters, names: dict[str, str | Problem], used: set[str]) -> None:
        if self._cache is None or any(isinstance(name, Problem) for name in names.values()):
            return
        context = self._mappings / self.context
        mappings = [(name, self._stamp(name)) for name in sorted(used)]
        kind = self._kind(parameters, tuple(names))
        self._cache.put(context, context.stat(), kind, {"values": names, "mappings": mappings})

    def _stamp(self, name: str) -> list[int] | None:
        """Return size and time of a mapping file, looked up once: thousands of exposures use the same."""
        if name not in self._stamps:
            self._stamps[name] = _stamp(self._mappings / name)
        return self._stamps[name]

    # Selections by crds -------------------------------------------------------------------------------

    def _look_up(self, parameters: Parameters, reftypes: tuple[str, ...]) -> dict[str, str | Problem]:
        """Return the names of the references by crds's rules."""
        with _quiet():
            try:
                rmap = importlib.import_module("crds.core.rmap")
                utils = importlib.import_module("crds.core.utils")
                _make_known(self.observatory, str(parameters.get("META.INSTRUMENT.NAME", "")).lower())
            except ImportError as error:
                wrong = f"the package crds cannot be used ({error})"
                right = "install 'crds' and 'stdatamodels', or set references.source to 'directory'"
                return dict.fromkeys(reftypes, self._problem("", wrong, right))
            conditioned = utils.condition_header(parameters)
            used: set[str] = set()
            instrument = self._instrument(rmap, conditioned, used)
            if isinstance(instrument, Problem):
                return dict.fromkeys(reftypes, instrument)
            names = {reftype: self._name(instrument, reftype, conditioned, used) for reftype in reftypes}
        self._remember(parameters, names, used)
        return names

    def _instrument(self, rmap, parameters: Parameters, used: set[str]) -> "InstrumentContext | Problem":
        """Return the instrument's mapping, or a Problem."""
        try:
            if self._pipeline is None:
                # load_mapping, not get_cached_mapping: that one would mix up two caches with one context name
                self._pipeline = rmap.load_mapping(self.context, path=str(self._mappings))
            mapping = self._pipeline.get_imap(self._pipeline.get_instrument(parameters))
        except Exception as error:  # crds has no common class for what can be wrong with a mapping
            return self._failed("", error)
        used.add(Path(mapping.filename).name)
        return mapping

    def _name(
        self, instrument: "InstrumentContext", reftype: str, parameters: Parameters, used: set[str]
    ) -> str | Problem:
        """Return the name of the reference, ``N/A``, or a Problem."""
        exceptions = importlib.import_module("crds.core.exceptions")
        try:
            rules = instrument.get_rmap(reftype)
            used.add(Path(rules.filename).name)
            needed = rules.minimize_header(parameters)
            key = self._key(rules, needed)
            if key in self._chosen:
                return self._chosen[key]
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
        self._chosen[key] = name
        return name

    def _key(self, rules: "ReferenceMapping", needed: Parameters) -> tuple:
        """Return what the choice of a type depends on: of the date, only between which USEAFTER dates it lies."""
        name = Path(rules.filename).name
        if name not in self._use_after:
            self._use_after[name] = _use_after_dates(rules)
        keywords, dates = self._use_after[name]
        values: list[object] = [name, *((key, needed[key]) for key in sorted(needed) if key.lower() not in keywords)]
        if keywords:
            date = " ".join(str(value) for key, value in needed.items() if key.lower() in keywords)
            try:
                reformat = importlib.import_module("crds.core.timestamp").reformat_date
                values.append(bisect_right(dates, reformat(date)))
            except Exception:  # no date: crds says so in its own words
                values.append(date)
        return tuple(values)

    def _failed(self, reftype: str, error: Exception) -> Problem:
        if isinstance(error, FileNotFoundError):
            name = Path(error.filename or "").name
            right = f"{UPDATE}, or put it into {str(self._mappings)!r}"
            return self._problem(reftype, f"needs {name!r}; not in the cache", right)
        return self._problem(reftype, f"{self.context}: {error}", "use a context that covers it")


def _use_after_dates(rules: "ReferenceMapping") -> tuple[frozenset[str], list[str]]:
    """Return the keywords of the date that USEAFTER is compared with, and the dates of USEAFTER in the rules.

    Nothing, if the date may count in another way too: then each date is looked up by itself.
    """
    header = rules.header
    if [str(name).lower() for name in header.get("classes", ())] != ["match", "useafter"]:
        return frozenset(), []
    matched, dated = ({str(name).lower() for name in names} for names in rules.parkey)
    hooks = (rules._precondition_header, rules._fallback_header)
    said = str([header.get(key, "") for key in ("rmap_relevance", "rmap_omit", "parkey_relevance")]).lower()
    said = said.replace("_", ".")
    if matched & dated or any(name in said for name in dated) or any(hook.__name__ != "<lambda>" for hook in hooks):
        return frozenset(), []
    by_date = [choice for choice in rules.selector.choices() if hasattr(choice, "choices")]
    dates = {str(date) for choice in by_date for date in choice.keys()}  # noqa: SIM118 (a selector is no mapping)
    return frozenset(dated), sorted(dates)


def _make_known(observatory: str, instrument: str) -> None:
    """Let crds read the mappings of an observatory that it has no package for, such as that of Liger and IRIS.

    It looks in a package of that name for other names of keywords, and for exceptions to the rules: here are none.
    """
    name = f"crds.{observatory}"
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        package, names = ModuleType(name), ModuleType(f"{name}.locate")
        vars(names)["fits_to_parkeys"] = dict
        vars(package)["locate"] = names
        vars(sys.modules["crds"])[observatory] = sys.modules[name] = package
    known = sys.modules.get(name)
    if known is not None and known.__spec__ is None:
        vars(known).setdefault(instrument, ModuleType(f"{name}.{instrument}"))


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
