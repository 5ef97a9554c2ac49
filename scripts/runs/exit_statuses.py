"""How the processes of jobs ended: a job that was killed cannot say so itself."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from job import NO_SPACE

SHELL_OFFSET = 128  # a shell adds this to the signal that ended its last command


class ExitStatuses:
    """The exit statuses of the failed scripts of a local run, by the log file of the job."""

    def __init__(self) -> None:
        self._of_log: dict[str, int] = {}

    @contextmanager
    def watched(self, log: str) -> Iterator[None]:
        """Remember the status with which a script fails in this block."""
        try:
            yield
        except subprocess.CalledProcessError as error:
            self._of_log[log] = error.returncode
            raise

    def reason(self, log: str) -> str:
        """Return why a job failed that left no reason in its log."""
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
    """Remember how the scripts end that this process runs from now on."""
    from snakemake.script import PythonScript

    execute_script = PythonScript.execute_script

    def execute(script: Any, fname: str, edit: bool = False) -> None:
        with statuses.watched(str(next(iter(script.log), ""))):
            execute_script(script, fname, edit)

    PythonScript.execute_script = execute  # type: ignore[method-assign]
