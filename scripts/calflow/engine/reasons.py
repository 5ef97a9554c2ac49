"""Why Snakemake runs a job, in the terms of an observer: what has changed, and where."""

import ast
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from calflow.jobs.libraries import HEAD, changes

NEW, MISSING, INTERRUPTED, FORCED = "new", "missing", "interrupted", "forced"
REFERENCE, INPUT, PARAMETER, CODE = "reference changed", "input changed", "parameter changed", "code changed"
LIBRARY = "library changed"
FOLLOWS = "follows another job"
# The order in which the plan names them; of several causes of a job the first counts.
KINDS = (NEW, MISSING, INTERRUPTED, REFERENCE, INPUT, PARAMETER, CODE, LIBRARY, FORCED, FOLLOWS)


@dataclass(frozen=True)
class Cause:
    """One reason why a job runs: its kind, one of `KINDS`, and what it is about: a file, a parameter."""

    kind: str
    about: str = ""


def causes_of(job: Any, reason: Any, persistence: Any, is_reference: Callable[[str], bool]) -> tuple[Cause, ...]:
    """Return why a job runs.

    Parameters
    ----------
    job : snakemake.jobs.Job
    reason : snakemake.jobs.Reason
    persistence : snakemake.persistence.PersistenceBase
        What is recorded of the last run.
    is_reference : callable
        Tells whether a path is that of a reference file.

    Returns
    -------
    tuple of Cause
        In the order of `KINDS`, each once.
    """
    causes = {*_of_outputs(job, reason, persistence), *_of_inputs(job, reason, persistence, is_reference)}
    if reason.params_changed:
        causes |= {*_of_parameters(job, reason.params_changed, persistence, is_reference)}
    if reason.forced:
        causes.add(Cause(FORCED))
    if not causes:
        causes.add(Cause(FOLLOWS))
    return tuple(sorted(causes, key=lambda cause: (KINDS.index(cause.kind), cause.about)))


def _of_outputs(job: Any, reason: Any, persistence: Any) -> Iterator[Cause]:
    if reason.incomplete_output:
        yield Cause(INTERRUPTED)
    # Snakemake does not look at the output of a job that follows others.
    recorded = any(persistence.metadata(path) for path in job.output)
    missing = list(reason.missing_output) or [path for path in job.output if _is_missing(path, recorded)]
    if not missing:
        return
    if not recorded:
        yield Cause(NEW)
    elif not all(path.is_temp for path in missing):  # temporary files are missed for the sake of another job
        yield from (Cause(MISSING, name_of(path)) for path in missing if not path.is_temp)


def _is_missing(path: Any, recorded: bool) -> bool:
    return not recorded if path.is_storage else not os.path.exists(path)


def name_of(path: Any) -> str:
    """Return the path of a file as the plan has it; of an object in S3, what follows the prefix.

    Parameters
    ----------
    path : Snakemake's file
    """
    if not path.is_storage:
        return str(path)
    prefix = path.rule.workflow.storage_settings.default_storage_prefix or ""
    return str(path.storage_object.query).removeprefix(prefix.rstrip("/") + "/")


def _of_inputs(job: Any, reason: Any, persistence: Any, is_reference: Callable[[str], bool]) -> Iterator[Cause]:
    def kind(path: str) -> str:
        return REFERENCE if is_reference(path) else INPUT

    updated = map(name_of, reason.updated_input - reason.updated_input_run)
    yield from (Cause(kind(path), path) for path in updated)
    if not reason.input_changed:
        return
    now = set(map(name_of, job.input))
    # Of objects in S3 whole addresses are recorded.
    names = {str(path.storage_object.query): name_of(path) for path in job.input if path.is_storage}
    for path in job.output:
        before = {names.get(file, file) for file in persistence.input(path) or now}
        added, removed = now - before, before - now
        yield from (Cause(kind(file), f"+ {file}") for file in added)
        # What a reference takes the place of was one.
        replaced = bool(added) and all(map(is_reference, added))
        yield from (Cause(REFERENCE if replaced else kind(file), f"- {file}") for file in removed)


def _of_parameters(job: Any, change: Any, persistence: Any, is_reference: Callable[[str], bool]) -> Iterator[Cause]:
    names = {name for name, value in job.params.items() if repr(value) in change.only_new}
    if "code" in names:
        yield Cause(CODE)
    if "stamps" in names:
        recorded = (persistence.params(path) or [] for path in job.output)
        for path in _restamped(job.params["stamps"], (text for texts in recorded for text in texts)):
            yield Cause(REFERENCE if is_reference(path) else INPUT, path)
    if "libraries" in names:
        recorded = (persistence.params(path) or [] for path in job.output)
        before = next((text for texts in recorded for text in texts if text.startswith(f"'{HEAD}")), "''")
        yield from (Cause(LIBRARY, change) for change in changes(before[1:-1], job.params["libraries"]))
    rest = names - {"code", "libraries", "stamps"}
    # Snakemake records values without names: one that equals another parameter's cannot be told.
    yield from (Cause(PARAMETER, name) for name in rest or ([] if names else ["(unknown)"]))


def _restamped(now: Mapping[str, str], recorded: Iterable[str]) -> set[str]:
    """Return the files whose size or time is another than the recorded one."""
    for text in recorded:
        if text.startswith("{") and " bytes, " in text:
            try:
                before = ast.literal_eval(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            if isinstance(before, dict):
                return {path for path, stamp in now.items() if path in before and before[path] != stamp}
    return set()
