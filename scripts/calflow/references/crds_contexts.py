"""Which context of CRDS counts, and what the server told when the cache was last brought up to date."""

import ast
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calflow.configuration.problems import Problem
from calflow.inputs.header_cache import HeaderCache
from calflow.references.crds_builds import UnknownBuild, pinned
from calflow.references.crds_texts import literal, parse_python

OPERATIONAL = "operational"
CONTEXT_VARIABLE = "CRDS_CONTEXT"
UPDATE = "run 'snakemake update_crds' with the same configuration, where there is a network"
_SERVER_CONFIG = "server_config"


@dataclass(frozen=True)
class CrdsContext:
    """A context, and why it counts.

    Attributes
    ----------
    name : str
        Such as ``jwst_1364.pmap``.
    observatory : str
        The name of the observatory in CRDS.
    origin : str
        Where it was said, in words.
    """

    name: str
    observatory: str
    origin: str


@dataclass(frozen=True)
class ServerRecord:
    """What a cache remembers of its server.

    Attributes
    ----------
    context : str or None
        The operational context.
    bad_files : frozenset of str
        Files that are scientifically invalid.
    """

    context: str | None
    bad_files: frozenset[str]


def find_context(
    wanted: Sequence[str] | None,
    crds_path: Path,
    observatories: Sequence[str],
    cache: HeaderCache | None,
    key: str = "crds_context",
    environment: Mapping[str, str] = os.environ,
) -> CrdsContext | Problem:
    """Return the context that counts for an observatory.

    The precedence is that of the package crds: the configuration, then the environment variable CRDS_CONTEXT,
    then the operational context, here as the cache recorded it.

    Parameters
    ----------
    wanted : sequence of str or None
        Of the configuration: pinned contexts, one per observatory, builds, or ``operational``.
    crds_path : Path
    observatories : sequence of str
        The names that CRDS may have for the observatory.
    cache : HeaderCache or None
    key : str
        The key of the configuration, below ``references``.
    environment : mapping
    """
    if wanted:
        try:
            builds = {pinned(name): f" = {name}" for name in wanted if pinned(name) != name}
        except UnknownBuild as error:
            return Problem("config", f"references.{key}", error.wrong, error.right)
        wanted = [pinned(name) for name in wanted]
        own = _of(wanted, observatories)
        if own:
            return CrdsContext(*own, f"references.{key}{builds.get(own[0], '')}")
        if OPERATIONAL not in wanted:
            return _not_of(wanted, observatories, f"references.{key}")
    elif given := environment.get(CONTEXT_VARIABLE):
        own = _of([given], observatories)
        if own and given.endswith(".pmap"):
            return CrdsContext(*own, f"environment variable {CONTEXT_VARIABLE}")
        names = {
            OPERATIONAL,
            "latest",
            *(f"{name}-{state}" for name in observatories for state in (OPERATIONAL, "latest")),
        }
        # A pinned context of another observatory says nothing of this one.
        if given not in names and not given.endswith(".pmap"):
            wrong = f"{given!r} can be understood by a server only"
            right = "set references.crds_context to a pinned context, or to operational"
            return Problem(f"environment variable {CONTEXT_VARIABLE}", "", wrong, right)
    return _operational(crds_path, observatories, cache)


def _of(names: Sequence[str], observatories: Sequence[str]) -> tuple[str, str] | None:
    """Return the context of an observatory, and the name of that, from contexts of several."""
    return next(((n, o) for o in observatories for n in names if n.startswith((f"{o}_", f"{o}-"))), None)


def _not_of(names: Sequence[str], observatories: Sequence[str], key: str) -> Problem:
    shown = ", ".join(map(repr, names))
    example = f"{observatories[0]}_1364.pmap"
    if all(name.endswith(".pmap") and Path(name).name == name and "_" in name for name in names):
        wrong = f"{shown} is no context of {observatories[0]}"
        right = f"give one context for each observatory, such as [{', '.join(names)}, {example}]"
        return Problem("config", key, wrong, right)
    right = f"give a pinned context such as {example!r}, a build such as 'build-12.0', or {OPERATIONAL}"
    return Problem("config", key, f"{shown} is not a context", right)


def _operational(crds_path: Path, observatories: Sequence[str], cache: HeaderCache | None) -> CrdsContext | Problem:
    """Return the operational context that the cache recorded."""
    for observatory in observatories:
        record = read_server_record(crds_path, observatory, cache)
        if isinstance(record, Problem):
            return record
        if record is not None and record.context:
            path = server_config(crds_path, observatory)
            when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            return CrdsContext(record.context, observatory, f"operational, as recorded on {when:%Y-%m-%d} in {path}")
    path = server_config(crds_path, observatories[0])
    wrong = f"the cache has no record of the operational context of {observatories[0]}"
    right = f"{UPDATE}, or set references.crds_context to a pinned context such as '{observatories[0]}_1364.pmap'"
    return Problem(str(path), "operational_context", wrong, right)


def server_config(crds_path: Path, observatory: str) -> Path:
    """Return the path of the file in which a cache keeps what the server said.

    Parameters
    ----------
    crds_path : Path
        The CRDS cache.
    observatory : str
        Its name in CRDS, such as ``jwst``.
    """
    return crds_path / "config" / observatory / _SERVER_CONFIG


def read_server_record(crds_path: Path, observatory: str, cache: HeaderCache | None) -> ServerRecord | Problem | None:
    """Read what the server said when the cache was last brought up to date; None: the cache has no such record.

    Parameters
    ----------
    crds_path : Path
        The CRDS cache.
    observatory : str
        Its name in CRDS, such as ``jwst``.
    cache : HeaderCache or None
        Of headers and other contents of files.
    """
    path = server_config(crds_path, observatory)

    def read() -> dict[str, Any]:
        return _parse(path.read_text("utf-8"))

    try:
        entry = cache.remembered(path, _SERVER_CONFIG, read) if cache else read()
    except FileNotFoundError:
        return None
    except OSError as error:
        return Problem(str(path), "", f"cannot be read ({error.strerror})", "make it readable")
    except (ValueError, TypeError, KeyError):
        right = f"{UPDATE}, or 'crds sync' again; calflow has to know which references are invalid"
        return Problem(str(path), "", "damaged: it has no 'bad_files_list'", right)
    return ServerRecord(entry["context"], frozenset(entry["bad_files"]))


def _parse(text: str) -> dict[str, Any]:
    (statement,) = parse_python(text).body
    told = literal(statement.value) if isinstance(statement, ast.Expr) else None
    if not isinstance(told, dict):
        raise TypeError
    if not isinstance(told["bad_files_list"], list):
        raise TypeError
    # Servers of today write both, older ones the first.
    context = told.get("operational_context") or told.get("latest_context")
    return {"context": str(context) if context else None, "bad_files": list(map(str, told["bad_files_list"]))}
