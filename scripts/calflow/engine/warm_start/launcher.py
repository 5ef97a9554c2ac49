"""Snakemake's side: hand rule scripts to the server instead of starting Python for each."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from calflow.engine.inside import start_scripts_by

# Below this number of jobs, loading all libraries costs more than it saves.
WORTHWHILE = 4
# All rules have one thread, and the server's libraries are loaded for that.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
MESSAGE = 4096  # bytes at most that a job tells
GRACE = 0.5  # seconds in which a server that was killed is gone
TEMPORARY = ("TMPDIR", "TMP", "TEMPDIR", "TEMP")


class ServerIsGone(Exception):
    """The server takes no jobs any more, or ended before it had done this one."""


class Launcher:
    """
    A server process, and the way to run scripts by it. Methods may be called from several threads.

    Parameters
    ----------
    pixels : int
        How many the run resamples.
    """

    def __init__(self, pixels: int) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sending = threading.Lock()
        command = [sys.executable, str(Path(__file__).with_name("server.py")), str(pixels)]
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), env=os.environ | ONE_THREAD)  # noqa: S603

    def run(self, script: str, rule: str, environment: dict[str, str], record: Any = None) -> int:
        """
        Run a script in a process of its own.

        Parameters
        ----------
        script : str
            Path of the file.
        rule : str
            Its name in `libraries`, or any other: what it needs is then not waited for.
        environment : dict
            Variables that differ from those of this process.
        record : BenchmarkRecord, optional
            Gets the time and memory of that process, if it ends by itself.

        Returns
        -------
        int
            Its exit status; negative: the signal that ended it.

        Raises
        ------
        ServerIsGone
            The script was not started, or was killed together with the server.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            message = json.dumps({"script": script, "rule": rule, "environment": environment}).encode()
            with theirs:
                try:
                    with self._sending:
                        socket.send_fds(self._requests, [message], [theirs.fileno()])
                except OSError as error:
                    raise ServerIsGone(str(error)) from None
            if not ours.recv(MESSAGE):
                raise ServerIsGone("the server ended")
            start = time.perf_counter()
            end = ours.recv(MESSAGE)
        if end:
            if record is not None:
                _fill(record, json.loads(end), time.perf_counter() - start)
            return int(json.loads(end)["status"])
        # A process that could not say how it ended was killed, as by a system out of memory. If that took the server,
        # whose jobs end with it, this one is not to blame.
        try:
            self._process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        raise ServerIsGone("the server was killed, and the script with it")

    def close(self) -> None:
        """End the server, when the jobs that are still running have ended."""
        self._requests.close()
        self._process.terminate()  # it may be loading something
        self._process.wait()


def _fill(record: Any, end: dict[str, Any], seconds: float) -> None:
    """Put into Snakemake's record what a job tells of itself.

    Snakemake looks at a process twice a second, for 13 ms of CPU in which it may not get more memory: that took a tenth
    of a small run. The kernel knows the peak, which lies between two looks, and for nothing. Of memory that no other
    process has (``max_uss``, ``max_pss``) it keeps no peak.
    """
    record.running_time = seconds
    record.cpu_time, record.cpu_usage = end["cpu_time"], 100 * end["cpu_time"]  # percent times seconds
    record.max_rss, record.max_vms, record.io_in, record.io_out = (
        end[name] for name in ("max_rss", "max_vms", "io_in", "io_out")
    )
    record.data_collected = True


_launchers: list[Launcher] = []


def start_launcher(workflow: Any, pixels: int) -> None:
    """
    Start a server for a run and hand it the rule scripts from now on, where that is possible and worth it.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    pixels : int
        How many the run resamples.
    """
    deployed = workflow.deployment_settings.deployment_method
    here = sys.platform == "linux" and workflow.local_exec and workflow.is_main_process
    if not here or deployed or sum(1 for _ in workflow.dag.needrun_jobs()) < WORTHWHILE:
        return
    launcher = Launcher(pixels)
    _launchers.append(launcher)

    def start(script: Any, fname: str, start_python: Callable[[], None]) -> None:
        try:
            if script.threads != 1:
                raise ServerIsGone("its libraries are loaded for one thread")
            folder = script.resources.get("tmpdir")
            environment = dict.fromkeys(TEMPORARY, folder) if folder else {}
            status = launcher.run(fname, Path(script.path.get_filename()).stem, environment, script.bench_record)
        except ServerIsGone:
            start_python()
            return
        if status:
            raise subprocess.CalledProcessError(status, f"{sys.executable} {fname}")

    start_scripts_by(start)


def stop_launcher() -> None:
    """End the server of a run."""
    while _launchers:
        _launchers.pop().close()
