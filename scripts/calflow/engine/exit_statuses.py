"""How the processes of jobs ended: a job that was killed cannot say so itself."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calflow.engine.inside import evaluate_scripts_by
from calflow.job import NO_SPACE, lacks_space

SHELL_OFFSET = 128  # a shell adds this to the signal that ended its last command


class ExitStatuses:
    """The exit statuses of the failed scripts of a local run, by the log file of the job."""

    def __init__(self) -> None:
        self._of_log: dict[str, int] = {}
        self._without_space: set[str] = set()

    @contextmanager
    def watched(self, log: str) -> Iterator[None]:
        """In this block, remember the exit status with which a script fails, or that it could not even be started.

        Parameters
        ----------
        log : str
            The log file of the job.
        """
        try:
            yield
        except subprocess.CalledProcessError as error:
            self._of_log[log] = error.returncode
            raise
        except Exception as error:
            if lacks_space(error):
                self._without_space.add(log)
            raise

    def reason(self, log: str) -> str:
        """Return why a job failed that wrote no reason into its log.

        Parameters
        ----------
        log : str
            The log file of the job.
        """
        if log in self._without_space:
            folder = Path(".snakemake").absolute()
            return (
                f"no space left in {folder}, where each job begins, or its quota is reached; make space and run again"
            )
        status = self._of_log.get(log)
        if status is None:
            return "ended without a reason, see its log; perhaps it was killed: out of memory, or out of time"
        if status == NO_SPACE:
            return "no space left for its product and its log; make space and run again"
        number = -status if status < 0 else status - SHELL_OFFSET
        if number <= 0:
            return f"ended without a reason, exit status {status}: see its log, and what it printed"
        memory = ", perhaps out of memory" if number == signal.SIGKILL else ""
        return f"killed by signal {number}{memory}"


def watch_scripts(statuses: ExitStatuses) -> None:
    """From now on remember how the scripts end that this process runs.

    Parameters
    ----------
    statuses : ExitStatuses
        Where it is remembered.
    """

    def evaluate_and_watch(script: Any, evaluate: Callable[[], None]) -> None:
        with statuses.watched(str(next(iter(script.log), ""))):
            evaluate()

    evaluate_scripts_by(evaluate_and_watch)
