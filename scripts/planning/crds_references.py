"""Choice of reference files by the rules of a CRDS cache, without network and without CRDS's own settings."""

import ast
import importlib
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from planning.header_cache import HeaderCache
from planning.references import NOT_APPLICABLE, Reference
from problems import Problem, nearest

if TYPE_CHECKING:
    from crds.core.rmap import InstrumentContext, PipelineContext

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
        right = f"set references.crds_path to the folder that holds 'mappings/{observatory}'"
        problems.append(Problem(str(crds_path), "", wrong, right))
    elif not (mappings / context).is_file():
        known = [path.name for path in mappings.glob("*.pmap")]
        hint = nearest(context, known) if known else "the cache has no context at all"
        problems.append(Problem(str(crds_path), "crds_context", f"{context!r} is not in the cache", hint))
    else:
        bad_files = _bad_files(crds_path, observatory)
        if not isinstance(bad_files, Problem):
            return CrdsSelector(crds_path, context, observatory, bad_files, cache)
        problems.append(bad_files)
    return None


def _bad_files(crds_path: Path, observatory: str) -> frozenset[str] | Problem:
    """Return the files that the server had declared bad when the cache was last synchronised."""
    path = crds_path / "config" / observatory / "server_config"
    try:
        listed = ast.literal_eval(path.read_text("utf-8"))["bad_files_list"]
    except FileNotFoundError:
        return frozenset()  # a cache that was copied together by hand
    except OSError as error:
        return Problem(str(path), "", f"cannot be read ({error.strerror})", "make it readable")
    except (ValueError, SyntaxError, TypeError, KeyError):
        listed = None
    if not isinstance(listed, list):
        right = "run 'crds sync' again; calflow has to know which references are invalid"
        return Problem(str(path), "", "damaged: it has no 'bad_files_list'", right)
    return frozenset(map(str, listed))


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
            rule fits, or a file that is needed is not in the cache.
        """
        reftypes = tuple(sorted({reftype.lower() for reftype in reftypes}))
        names = self._remembered(parameters, reftypes)
        if names is None:
            names = self._look_up(parameters, reftypes)
        instrument = str(parameters.get("META.INSTRUMENT.NAME", "")).lower()
        return {
            reftype: name if isinstance(name, Problem) else self._locate(reftype, name, instrument)
            for reftype, name in names.items()
        }

    def _locate(self, reftype: str, name: str, instrument: str) -> Reference | Problem:
        """Return the reference of this name if its file is in the cache."""
        if name == NOT_APPLICABLE:
            return Reference(reftype, None, NOT_APPLICABLE)
        folder = self.crds_path / "references" / self.observatory
        places = (folder / instrument / name, folder / name)  # caches are laid out by instrument, or flat
        path = next((place for place in places if place.is_file()), None)
        if name in self._bad_files:
            right = f"choose another context, or set references.override.{reftype}"
            return self._problem(reftype, f"{name!r} is marked as scientifically invalid by CRDS", right)
        if path is None:
            wrong = f"needs {name!r}; not in the cache"
            return self._problem(reftype, wrong, f"put it into {str(places[0].parent)!r}")
        return Reference(reftype, path, f"crds://{name}")

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
        if entry is None or any(_stamp(self._mappings / name) != stamp for name, stamp in entry["mappings"]):
            return None
        return entry["values"]

    def _remember(self, parameters: Parameters, names: dict[str, str | Problem], used: set[str]) -> None:
        if self._cache is None or any(isinstance(name, Problem) for name in names.values()):
            return
        context = self._mappings / self.context
        mappings = [(name, _stamp(self._mappings / name)) for name in sorted(used)]
        kind = self._kind(parameters, tuple(names))
        self._cache.put(context, context.stat(), kind, {"values": names, "mappings": mappings})

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
            return self._problem(reftype, f"needs {name!r}; not in the cache", f"put it into {str(self._mappings)!r}")
        return self._problem(reftype, f"{self.context}: {error}", "use a context that covers it")


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
