"""Parts of a large plan that were found up to date: they stay so until something changes that Snakemake goes by.

To build Snakemake's graph takes a millisecond for each job, to look at the times of its files a hundredth of that. What
the graph goes by are the plan, the code and the command line, which are one key here; inputs and products, by size and
time; and the records of how products were made, which are files, too.
"""

import hashlib
import json
import os
import sys
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from calflow.engine.execution import Execution
from calflow.engine.inside import file_of_record
from calflow.whole_files import replacing

INCOMPLETE = Path(".snakemake/incomplete")  # has a file for each product that is being made
# A file that changed so shortly before it was looked at may change again without another time (s).
LEAST_AGE = 2.0
Files = tuple[str, list[str]]  # a digest of the states of files, and their paths
State = tuple[int, ...]  # inode, size, times of writing and of change; nothing if there is no file


def files_if_up_to_date(workflow: Any, since: float) -> tuple[bool, Files | None]:
    """
    Tell whether no job of a graph has to run; if so, by which files.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        With its graph.
    since : float
        When the graph was begun, in seconds.

    Returns
    -------
    bool
    (str, list of str), or None
        None also if a file is too new to tell, if a product has no record, or if Snakemake's records are not files.
    """
    if next(iter(workflow.dag.needrun_jobs()), None) is not None:
        return False, None
    needed: set[str] = set()
    others: set[str] = set()
    for job in workflow.dag.jobs:
        records = [file_of_record(workflow, path) for path in job.output]
        if None in records:
            return True, None
        needed.update(str(path) for path in job.input)
        needed.update(str(path) for path in job.output)
        others.update(str(path) for path in job.output if path.is_temp)
        needed.update(map(str, records))
        others.update([str(job.benchmark)] if job.benchmark else [])
    files = sorted(needed | others)
    states = list(map(_state, files))
    for path, state in zip(files, states, strict=True):
        # What changes while graphs are built may be older, or younger, than the graph.
        if state[-1] / 1e9 > since - LEAST_AGE if state else path not in others:
            return True, None
    return True, (digest_of(files, states), files)


def _state(path: str) -> State:
    """Return what changes with a file; nothing if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def digest_of(files: Iterable[str], states: Iterable[State]) -> str:
    """Return a digest of files and their states.

    Parameters
    ----------
    files : iterable of str
        Their paths.
    states : iterable of tuple of int
        Of each.
    """
    digest = hashlib.sha256()
    for path, state in zip(files, states, strict=True):
        digest.update(f"{path}\0{state}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def key_of(execution: Execution, *texts: str) -> str:
    """
    Return a key of what the graph goes by besides files.

    Parameters
    ----------
    execution : Execution
        What the command line asks for. Its targets do not count: they are what is asked about.
    *texts : str
        The plan and the code.
    """
    workflow = execution.workflow
    asked = vars(workflow.dag_settings) | vars(workflow.workflow_settings) | vars(workflow.storage_settings)
    said = {
        name: sorted(map(repr, value)) if isinstance(value, set | frozenset) else repr(value)
        for name, value in asked.items()
        if name != "targets"
    }
    # Another version of a library changes the folder that it is in. The folder of the run, which Python may look into,
    # changes with the first product.
    folders = [path for path in dict.fromkeys(map(os.path.abspath, sys.path)) if path != os.getcwd()]
    libraries = [(path, os.stat(path).st_mtime_ns) for path in folders if os.path.exists(path)]
    whole = json.dumps([said, libraries, sys.version, *texts], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


class UpToDate:
    """
    What is remembered of the parts of a plan. A file that is damaged is as none.

    Parameters
    ----------
    place : Path
        Of the file.
    key : str
        Of `key_of`; what was noted with another one counts no more.
    """

    def __init__(self, place: Path, key: str) -> None:
        self._place, self._key = place, key
        self._parts: dict[str, Files] = {}
        self._is_new = False
        with suppress(OSError, zlib.error, ValueError, TypeError):
            known, parts = json.loads(zlib.decompress(place.read_bytes()))
            if known == key and not _any_file(INCOMPLETE):
                self._parts = {name: (str(digest), list(map(str, files))) for name, (digest, files) in parts.items()}

    def holds(self, targets: Sequence[str]) -> bool:
        """Tell whether a part was up to date, and all its files are as they were then.

        Parameters
        ----------
        targets : sequence of str
            The products of the part.
        """
        known = self._parts.get(_name(targets))
        return known is not None and known[0] == digest_of(known[1], map(_state, known[1]))

    def note(self, targets: Sequence[str], files: Files | None) -> None:
        """Note that a part is up to date, or that this is not known.

        Parameters
        ----------
        targets : sequence of str
            The products of the part.
        files : (str, list of str), or None
            Of `files_if_up_to_date` or `MadeParts.files_of`.
        """
        if files:
            self._parts[_name(targets)] = files
            self._is_new = True
        else:
            self._parts.pop(_name(targets), None)

    def save(self) -> None:
        """Write the file if there is something new. If that is not possible, the next run builds the graphs again."""
        if self._is_new and not _any_file(INCOMPLETE):
            with suppress(OSError), replacing(self._place) as partial:
                partial.write_bytes(zlib.compress(json.dumps([self._key, self._parts]).encode(), level=1))


def _name(targets: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(targets).encode("utf-8", "surrogateescape")).hexdigest()


def _any_file(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder))
