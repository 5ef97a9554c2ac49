"""What became of the jobs and products of a run: made, failed, blocked by what failed, or not run."""

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calflow.engine.remarks import concerns, logs_in

END_OF_LOG = 8192  # bytes in which the reason stands
CLOCKS = 2.0  # seconds by which the times of a file system may differ from ours
FAILED = "ERROR FAILED"  # begins the last line of the log of such a job
_FAILED_LINE = re.compile(rf"{FAILED} (?P<rule>\w+) (?P<wildcards>.*?): (?P<reason>.*)")
STATES = ("made", "as_before", "failed", "blocked", "not_run")


@dataclass(frozen=True)
class Failure:
    """
    A job that failed.

    Attributes
    ----------
    rule : str
    wildcards : tuple of str
        What its product is, among those of the rule.
    reason : str
        One line.
    log : str
        Path of its log file.
    """

    rule: str
    wildcards: tuple[str, ...]
    reason: str
    log: str


@dataclass(frozen=True)
class Outcome:
    """
    What became of a run.

    Attributes
    ----------
    failures : tuple of Failure
    products : dict
        The files that were asked for, as sorted paths: ``made``, ``as_before`` (their job was left out, since it would
        have made what was there), ``up_to_date``, ``failed`` (their own job failed),
        ``blocked`` (a job before theirs failed), ``not_run`` (the run was stopped).
    jobs : dict
        How many: ``made``, ``as_before``, ``failed``, ``blocked``, ``not_run``.
    """

    failures: tuple[Failure, ...]
    products: dict[str, list[str]]
    jobs: dict[str, int]


def outcome(workflow: Any, since: float, other_reason: Callable[[str], str], up_to_date: Iterable[str] = ()) -> Outcome:
    """
    Ask Snakemake what became of its jobs.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        At the end of a run.
    since : float
        When the run started, in seconds; what stands in older logs is of no concern.
    other_reason : callable
        From a log file to why its job failed, if that does not stand in it.
    up_to_date : iterable of str
        Products that are not in Snakemake's graph, since that was known of them.
    """
    dag = workflow.dag
    planned = {job for job in dag.needrun_jobs(exclude_finished=False) if job.output}
    failed: dict[Any, str] = {}
    not_made = set()
    for single_or_group in workflow.scheduler.failed:
        members = list(single_or_group) if single_or_group.is_group() else [single_or_group]
        not_made.update(members)
        failed |= _culprits(members, since, other_reason)
    became = dict.fromkeys(planned, "not_run")
    became |= dict.fromkeys(planned & _with_all_after(not_made, dag), "blocked")
    became |= dict.fromkeys(failed, "failed")
    became |= dict.fromkeys(filter(dag.finished, planned), "made")
    became |= dict.fromkeys(planned & getattr(workflow.scheduler, "left_out", set()), "as_before")
    products: dict[str, list[str]] = {state: [] for state in STATES} | {"up_to_date": [*up_to_date]}
    for path, job in sorted(_wanted(dag).items()):
        products[became.get(job, "up_to_date")].append(path)
    counts = Counter(became.values())
    failures = [Failure(job.rule.name, _names(job), reason, _log(job)) for job, reason in failed.items()]
    failures.sort(key=lambda failure: (failure.rule, failure.wildcards))
    return Outcome(tuple(failures), products, {state: counts[state] for state in STATES})


def _culprits(jobs: list[Any], since: float, other_reason: Callable[[str], str]) -> dict[Any, str]:
    """Tell which of the jobs that were run together failed, and why."""
    reasons = {job: reason_in(Path(_log(job)), job.rule.name, _names(job), since) for job in jobs}
    if told := {job: reason for job, reason in reasons.items() if reason}:
        return told
    # None could say so. The last that began to write its log was running.
    last = max(jobs, key=lambda job: _written(_log(job)))
    return {last: other_reason(_log(last))}


def reason_in(log: Path, rule: str, wildcards: Iterable[str], since: float) -> str:
    """Return the reason that a job wrote as a line into its log; empty if there is none of this run."""
    if _written(str(log)) < since - CLOCKS:
        return ""
    lines = _last_lines(log)
    start = f"{FAILED} {rule} {', '.join(wildcards)}: "
    return next((line.removeprefix(start) for line in reversed(lines) if line.startswith(start)), "")


def failures_in(folder: Path, names: Collection[str]) -> list[Failure]:
    """
    Return the jobs that failed and have not run again since, as far as their logs say so.

    Parameters
    ----------
    folder : Path
        Of the logs.
    names : collection of str
        Of the exposures, associations and others that are of concern.
    """
    found = []
    for log, _ in logs_in(folder):
        if concerns(log.name, names):
            lines = filter(None, map(_FAILED_LINE.fullmatch, reversed(_last_lines(log))))
            if match := next(lines, None):
                wildcards = tuple(match["wildcards"].split(", ")) if match["wildcards"] else ()
                found.append(Failure(match["rule"], wildcards, match["reason"], str(log)))
    return sorted(found, key=lambda failure: (failure.rule, failure.wildcards))


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - END_OF_LOG, 0))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _with_all_after(jobs: set[Any], dag: Any) -> set[Any]:
    found, ahead = set(jobs), list(jobs)
    while ahead:
        following = [job for job in dag.depending[ahead.pop()] if job not in found]
        found.update(following)
        ahead += following
    return found


def _wanted(dag: Any) -> dict[str, Any]:
    """Return the files that the run was asked for, each with the job that makes it."""
    wanted: dict[str, Any] = {}
    for target in dag.targetjobs:
        if target.output:
            # Of the files that a job makes together, some may be by the way; of a rule's name, none is.
            asked = [path for path in target.output if path in dag.targetfiles]
            wanted |= {str(path): target for path in asked or target.output}
        else:
            wanted |= {str(path): job for job, paths in dag.dependencies[target].items() for path in paths}
    return wanted


def places(dag: Any) -> list[str]:
    """Return the folders of the files that a run was asked for, or where they are stored."""
    return sorted({os.path.dirname(path) or "." for path in _wanted(dag)})


def _names(job: Any) -> tuple[str, ...]:
    return tuple(map(str, job.wildcards))


def _log(job: Any) -> str:
    return str(next(iter(job.log), ""))


def _written(log: str) -> float:
    try:
        return Path(log).stat().st_mtime
    except OSError:
        return 0.0
