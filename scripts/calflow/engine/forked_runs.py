"""Runs of Snakemake that are forks of one process, which has loaded what all of them need: a second of CPU for each.

As a script it is that process: it loads the modules that its arguments name. Each line of its standard input asks for a
run, with its arguments, its folder and a file for its standard error; it answers with the exit status.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[2]


class ForkedRuns:
    """
    A process to fork runs from, one at a time. As a context it ends the process.

    Parameters
    ----------
    *more : str
        Modules of calflow that it loads besides those that are loaded here.

    Attributes
    ----------
    pid : int
        Of the process.
    """

    def __init__(self, *more: str) -> None:
        modules = sorted({*more, *(name for name in sys.modules if name.startswith("calflow."))})
        pipe = subprocess.PIPE
        command = [sys.executable, __file__, *modules]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe)  # noqa: S603
        self.pid = self._process.pid

    def __enter__(self) -> "ForkedRuns":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        # Closes its input, and waits; a request that a killed process has not read cannot be written.
        with suppress(BrokenPipeError), self._process:
            pass

    def run(self, arguments: Sequence[str], folder: Path) -> tuple[int, str]:
        """Run Snakemake in a folder; return its exit status and what it wrote to standard error.

        Parameters
        ----------
        arguments : sequence of str
            Of the command line, without the command.
        folder : Path
        """
        with tempfile.NamedTemporaryFile("r", errors="replace") as said:
            request = {"arguments": list(arguments), "folder": str(folder), "error": said.name}
            answer = self._ask(request)
            return (int(answer), said.read()) if answer else (1, "the process that was to do it has been killed")

    def _ask(self, request: dict[str, Any]) -> bytes:
        """Return the answer of the process; nothing if it is gone."""
        requests, answers = self._process.stdin, self._process.stdout
        try:
            if requests and answers:
                requests.write(json.dumps(request).encode() + b"\n")
                requests.flush()
                return answers.readline()
        except OSError:
            pass
        return b""


def serve() -> dict[str, Any]:
    """Answer requests; in the process of a run, return what is asked for."""
    for line in sys.stdin:
        run = os.fork()
        if run == 0:
            return dict(json.loads(line))
        _, status = os.waitpid(run, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


def become(arguments: list[str], folder: str, error: str) -> None:
    """Have this process look as if ``python -m snakemake`` had been started in a folder.

    Parameters
    ----------
    arguments : list of str
    folder : str
    error : str
        The file that its standard error goes to. Its output goes nowhere.
    """
    os.chdir(folder)
    sys.argv = ["snakemake", *arguments]
    sys.path[0] = folder
    for number, path in enumerate((os.devnull, os.devnull, error)):
        file = os.open(path, os.O_RDWR)
        os.dup2(file, number)
        os.close(file)


def main() -> None:
    """Load what is needed, and be each run that is asked for."""
    # The folder of this script holds modules of no concern to others.
    sys.path[0] = str(SCRIPTS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the runs, and whoever asked for them
    from snakemake.cli import get_argument_parser
    from snakemake.cli import main as snakemake

    from calflow.job import end_with_parent

    end_with_parent()
    get_argument_parser()  # loads Snakemake's plugins
    for name in sys.argv[1:]:
        import_module(name)
    gc.freeze()  # runs do not look for garbage in what is loaded, which would also copy every page of it
    request = serve()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    end_with_parent()
    become(**request)
    snakemake()


if __name__ == "__main__":
    main()
