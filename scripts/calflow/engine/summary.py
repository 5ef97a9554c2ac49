"""The last lines of a run: how much of it is made, and what failed, why, and where to look."""

import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from snakemake.logging import logger

from calflow.engine.execution import Execution, Layer
from calflow.engine.exit_statuses import ExitStatuses, watch_scripts
from calflow.engine.kinds import LIKE_THAT, by_kind, of_notices, without_numbers
from calflow.engine.outcome import Failure, Outcome, outcome, places
from calflow.engine.reading import seen_from_command
from calflow.engine.remarks import Remark, one_for_same, standing_remarks
from calflow.engine.run_log import is_silent
from calflow.printable import printable
from calflow.whole_files import replace_text

# A terminal shows this many; `snakemake status` has all.
MOST_ASSOCIATIONS = 20
NAMES = ("summary.txt", "summary.json")
Associations = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Standing:
    """
    What holds of products, whether they were made now or earlier.

    Attributes
    ----------
    places : sequence of str
        Their folders, from that of the run.
    remarks : sequence of Remark
        Of the jobs that made them.
    notices : sequence of str
        Of the plan.
    associations : mapping of str to mapping
        How each association went: a line for people, and the same for programs.
    seen : callable
        From a folder to what people call it, who may have given the command elsewhere.
    """

    places: Sequence[str] = ()
    remarks: Sequence[Remark] = ()
    notices: Sequence[str] = ()
    associations: Associations = field(default_factory=dict)
    seen: Callable[[str], str] = os.path.normpath


class Summary:
    """
    The summary of the runs of a workflow.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    folder : Path
        Of the logs, where ``summary.txt`` and ``summary.json`` are put.
    notices : sequence of str
        What the plan had to tell; after a long run nobody sees the beginning, so it is told again at the end.
    names : collection of str
        Of the exposures and associations that are planned.
    associations : callable
        Returns how the associations went of which something is made.
    """

    def __init__(
        self,
        workflow: Any,
        folder: Path,
        notices: Sequence[str],
        names: Collection[str],
        associations: Callable[[], Associations] = dict,
    ) -> None:
        self._workflow, self._folder = workflow, folder
        self._notices, self._names, self._associations = notices, names, associations
        self._started: float | None = None
        self._up_to_date: Sequence[str] = ()
        self._statuses = ExitStatuses()

    def watch(self) -> None:
        """Begin to watch a run that makes something itself; not that of a cluster job."""
        if getattr(self._workflow, "is_main_process", False):
            self._started = time.time()
            with _another_version("there will be no summary"):
                watch_scripts(self._statuses)
                logger.addFilter(_tells_something)

    def leave_out(self, products: Sequence[str]) -> None:
        """Count products as up to date of which Snakemake does not know.

        Parameters
        ----------
        products : sequence of str
            Found up to date before the graph was built.
        """
        self._up_to_date = products

    def reason_of(self, log: str) -> str:
        """Return why a job failed that has left no reason in its log."""
        return self._statuses.reason(log)

    def tell(self) -> None:
        """Tell what became of the run that is watched: on the terminal, and all of it in the files."""
        if self._started is not None:
            with _another_version("there is no summary"):
                self._tell(self._started)

    def tell_of_nothing(self) -> None:
        """Tell where everything is, after an execution that had nothing to make."""
        if self._started is None:
            with _another_version("there is no summary"):
                self._say(logger.info, printable(standing_text(self._standing()), keep="\n"))

    def _tell(self, started: float) -> None:
        found = outcome(self._workflow, started, self._statuses.reason, self._up_to_date)
        seconds = time.time() - started
        standing = self._standing()
        files = [self._folder / name for name in NAMES]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            all_of_it = summary_text(found, seconds, standing, all_of_it=True)
            replace_text(files[0], printable(all_of_it, keep="\n") + "\n")
            replace_text(files[1], json.dumps(_record(found, started, seconds, standing), indent=1) + "\n")
        except OSError as error:
            logger.warning(f"the summary is not in {self._folder}: {error.strerror}")
        text = printable(summary_text(found, seconds, standing), keep="\n")
        if found.failures:
            self._say(logger.error, f"{text}\nAll of it: {files[0]}, {files[1]}")
        else:
            self._say(logger.info, text)

    def _say(self, log: Callable[[str], None], text: str) -> None:
        """Tell the end of a run; with ``--quiet all`` the logger tells the terminal nothing, not even that."""
        log(text)
        if is_silent(self._workflow):
            print(text, file=sys.stderr, flush=True)

    def _standing(self) -> Standing:
        remarks = standing_remarks(self._folder, self._names)
        folders, seen = places(self._workflow.dag), partial(seen_from_command, self._workflow)
        return Standing(folders, remarks, self._notices, self._associations(), seen)


def tell_of_nothing(summary: Summary) -> Layer:
    """Return what has a summary told after executions that find nothing to make, of which Snakemake tells no hook."""

    def execute_and_tell(execution: Execution, execute: Callable[[], Any]) -> Any:
        result = execute()
        if execution.tells_its_end and not (execution.is_dry or execution.touches):
            summary.tell_of_nothing()
        return result

    return execute_and_tell


@contextmanager
def _another_version(what: str) -> Iterator[None]:
    """Let a run go on without a summary, should Snakemake's inner parts be others."""
    try:
        yield
    except Exception as error:
        logger.warning(f"{what}: {error!r}")


def _tells_something(record: logging.LogRecord) -> bool:
    """Leave out which command had which exit status: the job itself has told what is wrong, or the summary will."""
    return not str(record.msg).startswith("RuleException:\nCalledProcessError in file")


def summary_text(found: Outcome, seconds: float, standing: Standing | None = None, *, all_of_it: bool = False) -> str:
    """
    Return the summary for people.

    Parameters
    ----------
    found : Outcome
    seconds : float
        How long the run took.
    standing : Standing, optional
    all_of_it : bool
        Name each failure and remark, however many there are.
    """
    standing = standing or Standing()
    products = {state: len(paths) for state, paths in found.products.items()}
    parts = [f"{products['made']} made"]
    words = {
        "as_before": "as before",
        "failed": "failed",
        "blocked": "blocked",
        "not_run": "not run",
        "up_to_date": "up to date",
    }
    parts += [f"{products[state]} {word}" for state, word in words.items() if products[state]]
    there = products["made"] + products["as_before"] + products["up_to_date"] > 0
    lines = [f"Products: {', '.join(parts)} ({_duration(seconds)}){_in(standing) if there else ''}."]
    lines += _associations(standing, all_of_it)
    lines += _mind(standing, all_of_it)
    if found.failures:
        failed, blocked = len(found.failures), found.jobs["blocked"]
        blocks = f", {_jobs(blocked)} could not run without {'it' if failed == 1 else 'them'}" if blocked else ""
        lines += [f"{_jobs(failed)} failed{blocks}:", *_failure_lines(found.failures, all_of_it)]
    if found.jobs["not_run"]:
        lines.append(f"The run was stopped before the end: {_jobs(found.jobs['not_run'])} not run.")
    if found.failures or found.jobs["not_run"]:
        lines.append("The next run with the same command does these and nothing else.")
    return "\n".join(lines)


def standing_text(standing: Standing) -> str:
    """Return what is told of a run that had nothing to make."""
    lines = [f"All products are up to date{_in(standing)}.", *_associations(standing, all_of_it=False)]
    return "\n".join([*lines, *_mind(standing, all_of_it=False)])


def _in(standing: Standing) -> str:
    return f", in {', '.join(map(standing.seen, standing.places))}" if standing.places else ""


def _associations(standing: Standing, all_of_it: bool) -> list[str]:
    """Return a line on how each association went."""
    lines = [f"  {line}" for line in standing.associations]
    left = 0 if all_of_it else max(len(lines) - MOST_ASSOCIATIONS, 0)
    return [*lines[: len(lines) - left], *([f"  and {left} more: `snakemake status`"] if left else [])]


def _mind(standing: Standing, all_of_it: bool) -> list[str]:
    """Return the lines about what is worth a look of the products."""
    steps = Counter(f"{one.step} {one.status}" for one in standing.remarks if one.status == "FAILED")
    lines = [
        ((LIKE_THAT, without_numbers(f"{one.step} {one.status} {one.reason}")), f"{one} (log: {one.log})")
        for one in (standing.remarks if all_of_it else one_for_same(standing.remarks))
    ]
    lines += of_notices(standing.notices)
    if not lines:
        return []
    counts = ", ".join(f"{number} x {step}" for step, number in steps.items())
    return [f"Worth a look ({counts}):" if counts else "Worth a look:", *_indented(by_kind(lines, all_of_it))]


def _failure_lines(failures: Iterable[Failure], all_of_it: bool) -> list[str]:
    """Return a line per failure; those with the same reason, but for names and numbers, stand together."""
    lines = [
        (
            (f"of {one.rule} with that reason", _kind(one)),
            f"{one.rule} {', '.join(one.wildcards)}: {one.reason} (log: {one.log})",
        )
        for one in failures
    ]
    return _indented(by_kind(lines, all_of_it))


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _kind(failure: Failure) -> str:
    reason = failure.reason
    for name in sorted(filter(None, failure.wildcards), key=len, reverse=True):
        reason = reason.replace(name, "*")
    return without_numbers(reason)


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _record(found: Outcome, started: float, seconds: float, standing: Standing) -> dict[str, Any]:
    """Return the summary for programs; of what is as it should be the number is enough."""
    numbers = ("made", "as_before", "up_to_date")
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "seconds": round(seconds, 1),
        "complete": not found.failures and not found.jobs["not_run"],
        "jobs": found.jobs,
        "products": {state: len(paths) if state in numbers else paths for state, paths in found.products.items()},
        "places": list(standing.places),
        "failures": [asdict(failure) for failure in found.failures],
        "remarks": [asdict(remark) for remark in standing.remarks],
        "notices": list(standing.notices),
        "associations": list(standing.associations.values()),
    }
