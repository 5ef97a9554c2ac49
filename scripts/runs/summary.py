"""The last lines of a run: how much of it is made, and what failed, why, and where to look."""

import json
import logging
import os
import re
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from snakemake.logging import logger

from runs.exit_statuses import ExitStatuses, watch_scripts
from runs.outcome import Failure, Outcome, outcome

# A terminal shows this many; the file has all.
MOST_REASONS = 10
MOST_FAILURES = 5  # of the same reason
NAMES = ("summary.txt", "summary.json")


class Summary:
    """Watches a run from here on."""

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        self._started = time.time()
        self._statuses = ExitStatuses()
        watch_scripts(self._statuses)
        logger.addFilter(_tells_something)

    def tell(self, folder: Path) -> None:
        """
        Write the summary to the terminal, and all of it to ``summary.txt`` and ``summary.json``.

        Parameters
        ----------
        folder : Path
            Where the two are put.
        """
        found = outcome(self._workflow, self._started, self._statuses.reason)
        seconds = time.time() - self._started
        files = [folder / name for name in NAMES]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _replace(files[0], summary_text(found, seconds, all_of_it=True) + "\n")
            _replace(files[1], json.dumps(_record(found, self._started, seconds), indent=1) + "\n")
        except OSError as error:
            logger.warning(f"the summary is not in {folder}: {error.strerror}")
        text = summary_text(found, seconds)
        if found.failures:
            logger.error(f"{text}\nAll of it: {files[0]}, {files[1]}")
        else:
            logger.info(text)


_summaries: list[Summary] = []


def watch_run(workflow: Any) -> None:
    """Begin to watch a run that makes something itself; not that of a cluster job."""
    if getattr(workflow, "is_main_process", False):
        try:
            _summaries.append(Summary(workflow))
        except Exception as error:  # another version of Snakemake
            logger.warning(f"there will be no summary: {error!r}")


def tell_summary(folder: Path) -> None:
    """Write the summary of the run that is watched."""
    while _summaries:
        try:
            _summaries.pop().tell(folder)
        except Exception as error:  # another version of Snakemake
            logger.warning(f"there is no summary: {error!r}")


def _tells_something(record: logging.LogRecord) -> bool:
    """Leave out which command had which exit status: the job itself has told what is wrong, or the summary will."""
    return not str(record.msg).startswith("RuleException:\nCalledProcessError in file")


def summary_text(found: Outcome, seconds: float, all_of_it: bool = False) -> str:
    """
    Return the summary for people.

    Parameters
    ----------
    found : Outcome
    seconds : float
        How long the run took.
    all_of_it : bool
        Name each failure, however many there are.
    """
    products = {state: len(paths) for state, paths in found.products.items()}
    parts = [f"{products['made']} made"]
    words = {"failed": "failed", "blocked": "blocked", "not_run": "not run", "up_to_date": "up to date"}
    parts += [f"{products[state]} {word}" for state, word in words.items() if products[state]]
    lines = [f"Products: {', '.join(parts)} ({_duration(seconds)})."]
    if found.failures:
        failed, blocked = len(found.failures), found.jobs["blocked"]
        blocks = f", {_jobs(blocked)} could not run without {'it' if failed == 1 else 'them'}" if blocked else ""
        lines += [f"{_jobs(failed)} failed{blocks}:", *_failure_lines(found.failures, all_of_it)]
    if found.jobs["not_run"]:
        lines.append(f"The run was stopped before the end: {_jobs(found.jobs['not_run'])} not run.")
    if found.failures or found.jobs["not_run"]:
        lines.append("The next run with the same command does these and nothing else.")
    return "\n".join(lines)


def _failure_lines(failures: Iterable[Failure], all_of_it: bool) -> list[str]:
    """Return a line per failure; those with the same reason, but for names and numbers, stand together."""
    groups: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        groups.setdefault((failure.rule, _kind(failure)), []).append(failure)
    ordered = sorted(groups.values(), key=len, reverse=True)
    lines = []
    for group in ordered if all_of_it else ordered[:MOST_REASONS]:
        shown = group if all_of_it else group[:MOST_FAILURES]
        lines += [f"  {one.rule} {', '.join(one.wildcards)}: {one.reason} (log: {one.log})" for one in shown]
        if len(group) > len(shown):
            lines.append(f"    and {len(group) - len(shown)} more of {group[0].rule} with that reason")
    left = sum(map(len, ordered[MOST_REASONS:]))
    if left and not all_of_it:
        lines.append(f"  and {left} more for other reasons")
    return lines


def _kind(failure: Failure) -> str:
    reason = failure.reason
    for name in sorted(filter(None, failure.wildcards), key=len, reverse=True):
        reason = reason.replace(name, "*")
    return re.sub(r"[0-9][0-9.]*", "#", reason)


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _record(found: Outcome, started: float, seconds: float) -> dict[str, Any]:
    """Return the summary for programs; of what is as it should be the number is enough."""
    numbers = ("made", "up_to_date")
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "seconds": round(seconds, 1),
        "complete": not found.failures and not found.jobs["not_run"],
        "jobs": found.jobs,
        "products": {state: len(paths) if state in numbers else paths for state, paths in found.products.items()},
        "failures": [asdict(failure) for failure in found.failures],
    }


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    os.replace(partial, path)
