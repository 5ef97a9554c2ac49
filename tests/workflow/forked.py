"""Runs of Snakemake that are forked from one of two processes, of `snakemake_server`, and so start in no time.

One of them has loaded what the Snakefile of this clone imports, for runs of that; the other runs all other Snakefiles.
"""

import atexit
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
SNAKEFILE = str(ROOT / "Snakefile")
_busy = threading.Lock()
_servers: dict[bool, subprocess.Popen] = {}


def run_snakemake(arguments: list[str], folder: Path, environment: dict[str, str], timeout: float) -> tuple[int, str]:
    """Run Snakemake in a folder; return its exit status, and its standard output followed by its standard error."""
    if not _busy.acquire(blocking=False):  # by another thread: the server has one run at a time
        return start_snakemake(arguments, folder, environment, timeout)
    try:
        with tempfile.NamedTemporaryFile("r") as output, tempfile.NamedTemporaryFile("r") as error:
            request = {"arguments": arguments, "folder": str(folder), "environment": environment}
            status = _ask(request | {"outputs": [output.name, error.name]}, timeout)
            text = output.read() + error.read()
    finally:
        _busy.release()
    assert status, f"stopped after {timeout:g} s\n{text}"
    return int(status), text


def start_snakemake(arguments: list[str], folder: Path, environment: dict[str, str], timeout: float) -> tuple[int, str]:
    """Do the same in a process that Python is started for."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=timeout)
    return done.returncode, done.stdout + done.stderr


def _ask(request: dict, timeout: float) -> str:
    """Return the server's answer, which is empty if it has been stopped."""
    own = SNAKEFILE in request["arguments"]
    if own not in _servers:
        command = [sys.executable, str(Path(__file__).with_name("snakemake_server.py")), *(_modules() if own else [])]
        pipe = subprocess.PIPE
        # In a process group of its own, together with its runs and their jobs.
        _servers[own] = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, process_group=0)
    server = _servers[own]
    timer = threading.Timer(timeout, _stop)
    timer.start()
    try:
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        return server.stdout.readline()
    finally:
        timer.cancel()


def _modules() -> list[str]:
    """Return the folder of the scripts, and the modules there that each run imports."""
    found = re.findall(r"^ *from (calflow\.\S+) import ", Path(SNAKEFILE).read_text(), re.MULTILINE)
    return [str(ROOT / "scripts"), *found]


@atexit.register
def _stop() -> None:
    while _servers:
        _, server = _servers.popitem()
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        with server:  # waits, and closes the pipes
            pass
