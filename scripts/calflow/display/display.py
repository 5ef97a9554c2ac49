"""The display of a run: which of the two kinds, and what is said of each job."""

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from calflow.display.bars import (
    BLOCKS,
    HASHES,
    bar_lines,
    clock,
    counts_of,
    shown_rows,
    times_of,
    whole_line,
)
from calflow.display.progress import Progress, Task
from calflow.display.tasks import tasks_of
from calflow.engine.execution import Execution, Layer
from calflow.engine.needed_jobs import needed_jobs
from calflow.engine.outcome import reason_in
from calflow.engine.run_log import RunLog, say, terminal_handler
from calflow.engine.screen import Screen
from calflow.forecast.target import EVERYTHING
from calflow.plan.components import TARGETS
from calflow.plan.plan import Plan

if TYPE_CHECKING:
    from calflow.display.live_page import LivePage

MOST_ON_PAGE = 200  # associations


class Display:
    """
    What a run tells while it runs; a `calflow.engine.run_log.Listener`.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    plan : Plan
    reason : callable
        From the log of a job that has left no reason there to why it failed.
    """

    def __init__(self, workflow: Any, plan: Plan, reason: Callable[[str], str]) -> None:
        self._workflow, self._plan, self._reason = workflow, plan, reason
        self._handler = terminal_handler(workflow)
        self._log: RunLog | None = None
        self._progress = Progress(())
        self._screen: Screen | None = None
        self._page: Path | None = None
        self._live: LivePage | None = None
        self._failures: dict[int, str] = {}  # by the numbers of jobs
        self._started = time.time()
        self._at_once: int | None = None
        self._is_local = True

    def write_page(self, path: Path) -> None:
        """Have a page tell how far the run is while it goes on.

        Parameters
        ----------
        path : Path
            Where what surrounds the run writes another one at its end.
        """
        self._page = path

    def tasks(self) -> list[Task]:
        """Return the jobs of the run, with what they were expected to take; none if there is no display."""
        return list(self._progress.tasks.values())

    def around(self) -> Layer:
        """Return what has executions tell of themselves in calflow's words."""

        def execute_and_tell(execution: Execution, execute: Callable[[], Any]) -> Any:
            # Without the hooks of the Snakefile nobody says that a run begins.
            if self._handler is None or execution.is_dry or execution.touches or not execution.tells_its_end:
                return execute()
            self._at_once, self._is_local = execution.at_once, execution.is_local
            self._log = RunLog(self._handler, self)
            self._log.put_in_place()
            try:
                return execute()
            finally:
                self.end()
                self._log.give_back()

        return execute_and_tell

    def begin(self) -> None:
        """Begin to show the jobs of the graph that there is now."""
        if self._handler is None or self._log is None:
            return
        try:
            self._begin(self._handler)
        except Exception as error:  # to run without a display is never wrong
            self.end()
            self._log.give_back()
            say(f"there is no display: {error!r}")

    def _begin(self, handler: logging.StreamHandler) -> None:
        self._started = time.time()
        jobs = needed_jobs(self._workflow).jobs
        self._progress = Progress(tasks_of(self._plan, jobs, self._at_once or len(jobs)))
        if not jobs:
            return
        whole = self._progress.whole(0.0)
        about = f", about {clock(whole.left)}" if whole.left is not None else ""
        say(f"{whole.total} job{'' if whole.total == 1 else 's'}{about}")
        if self._page:
            from calflow.display.live_page import LivePage  # which runs without a page need not load

            self._live = LivePage(self._page, self._live_text)
        if is_live(handler.stream):
            marks = BLOCKS if "utf" in (handler.stream.encoding or "").lower() else HASHES
            self._screen = Screen(
                handler.stream.fileno(),
                lambda columns: bar_lines(self._progress, self._now(), columns, marks=marks, at_work=self._at_work()),
            )

    def end(self) -> None:
        """Leave the bars as they are, and the terminal to others."""
        self._progress.end()
        if self._live:
            self._live.close()
            self._live = None
        if self._screen:
            self._screen.close()
            self._screen = None

    def started(self, number: int, rule: str, message: str) -> str:
        """Take note that a job runs; of one that makes no file return what it is about, unless the summary says it."""
        self._progress.begin(number, self._now())
        return "" if number in self._progress.tasks or rule in (EVERYTHING, *TARGETS) else message

    def finished(self, number: int) -> str:
        """Take note that a job is done, and return a line for each of its products; with bars, none."""
        self._progress.finish(number, self._now())
        self._failures.pop(number, None)  # if it was tried again
        task = self._progress.tasks.get(number)
        if task is None or self._screen:
            return ""
        return "\n".join(f"{self._count()}  {path}" for path in task.products)

    def left_out(self, number: int) -> str:
        """Take note that a job is not run."""
        self._progress.finish(number, self._now(), left_out=True)
        task = self._progress.tasks.get(number)
        return "" if task is None or self._screen else f"{self._count()}  as before: {task.rule} {task.name}"

    def failed(self, number: int, log: str, *, of_a_group: bool) -> str:
        """Take note that a job failed, and return why, if it cannot have said so itself."""
        task = self._progress.tasks.get(number)
        if task is None:
            return ""
        wildcards = task.name.split(", ") if task.name else []
        told = reason_in(Path(log), task.rule, wildcards, self._started)
        self._progress.fail(number, self._now())
        if told or not of_a_group:
            self._failures[number] = f"{task.rule} {task.name}: {told or self._reason(log)}"
        if (told and self._is_local) or (of_a_group and not told):  # another job of the group is to blame
            return ""
        return f"FAILED {task.rule} {task.name}: {told or self._reason(log)} (log: {log})"

    def _live_text(self, runs: bool) -> str:
        """Return the page of the run that goes on."""
        from calflow.pages.live import Bar, live_page

        now, progress = self._now(), self._progress
        rows = shown_rows(progress, now, MOST_ON_PAGE)
        return live_page(
            [Bar(label, row.total, row.done, counts_of(row), times_of(row)) for label, row in rows],
            whole_line(progress, now, self._at_work()),
            list(self._failures.values()),
            folder=self._plan.output,
            done=f"{progress.done}/{progress.total}",
            time=time.strftime("%H:%M:%S on %-d %B %Y"),
            runs=runs,
        )

    def _at_work(self) -> str:
        """Return what stands before jobs that Snakemake has begun; on a cluster they may wait."""
        return "now" if self._is_local else "submitted"

    def _now(self) -> float:
        return time.time() - self._started

    def _count(self) -> str:
        total = str(self._progress.total)
        return f"{time.strftime('%H:%M:%S')}  {self._progress.done:{len(total)}}/{total}"


def is_live(stream: TextIO) -> bool:
    """Tell whether bars can be drawn: in a terminal that understands it, and not in a log of continuous integration.

    Parameters
    ----------
    stream : file
        Where Snakemake writes to.
    """
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not in_ci and sys.platform != "win32"
