"""Snakemake's side: hand rule scripts to the server instead of starting Python for each."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from calflow.engine.inside import start_scripts_by
from calflow.engine.lock_holder import LOCK
from calflow.engine.warm_start.libraries import AGAIN, STAGE2
from calflow.one_thread import ONE_THREAD
from calflow.whole_files import replace_text

# Below this number of jobs, loading all libraries costs more than it saves.
WORTHWHILE = 4
# Memory that a job frees it uses again for the next plane: the kernel fills what it gives with zeros, a seventh
# of all CPU time. Not so blocks of 32 MB and more: bands of a large image, of many sizes, would leave gaps that the
# next one does not fit in (3.5 GB for 20,000 x 20,000 pixels, in place of 0.55). Names of the C library of GNU;
# others ignore them.
# With an arena for each thread none would keep it: a fifth more CPU in combinations.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_ARENA_MAX": "1"}
MESSAGE = 4096  # bytes at most that a job tells
CONFIGURED = LOCK.with_name("configured")  # the configuration of the last run, as a hash
GRACE = 0.5  # seconds in which a server that was killed is gone
TEMPORARY = ("TMPDIR", "TMP", "TEMPDIR", "TEMP")


class ServerIsGone(Exception):
    """The server takes no jobs any more, or ended before it had done this one."""


class Launcher:
    """A server process, and the way to run scripts by it. Methods may be called from several threads."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sending = threading.Lock()
        command = [sys.executable, str(Path(__file__).with_name("server.py"))]
        with theirs:
            environment = KEEP_MEMORY | os.environ | ONE_THREAD
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), env=environment)  # noqa: S603

    def load(self, scripts: Collection[str], pixels: int = 0) -> None:
        """
        Have loaded what some scripts need.

        Parameters
        ----------
        scripts : collection of str
            Their names in `libraries`; others are ignored.
        pixels : int
            How many the run resamples.
        """
        self._send({"load": sorted(scripts), "pixels": pixels})

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
            with theirs:
                try:
                    self._send({"script": script, "rule": rule, "environment": environment}, theirs)
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

    def _send(self, message: dict[str, Any], *channels: socket.socket) -> None:
        with self._sending:
            socket.send_fds(self._requests, [json.dumps(message).encode()], [channel.fileno() for channel in channels])

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


def start_early(workflow: Any, config: Mapping[str, Any]) -> None:
    """
    Start a server for what is probably a run on this machine, and probably makes something, while it is planned.

    That is the first run of a folder, with what stage 2 needs, or one with another configuration than the last one had,
    with what most jobs of stage 3 need.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        Of which the Snakefile is being read.
    config : mapping
        The configuration.
    """
    # What executes the jobs is not known yet; a cluster is given a number of jobs.
    probably = workflow.resource_settings.cores and not workflow.output_settings.dryrun
    if not (probably and _is_possible(workflow)):
        return
    is_first, is_another = not LOCK.exists(), _is_another(config)
    if is_first or is_another:
        _launchers.append(Launcher())
        with suppress(OSError):  # it is gone; when it is asked for a job, Python is started
            _launchers[0].load(STAGE2 if is_first else AGAIN)


def _is_another(config: Mapping[str, Any]) -> bool:
    """Tell whether the last run had another configuration, and note that of this one."""
    text = json.dumps(config, sort_keys=True, default=str)
    found, before = hashlib.sha256(text.encode()).hexdigest(), None
    with suppress(OSError):  # of a folder that cannot be written the run tells
        before = CONFIGURED.read_text() if CONFIGURED.exists() else None
        if found != before:
            CONFIGURED.parent.mkdir(parents=True, exist_ok=True)
            replace_text(CONFIGURED, found)
    return found != before


def _is_possible(workflow: Any) -> bool:
    deployed = workflow.deployment_settings.deployment_method
    return sys.platform == "linux" and workflow.is_main_process and not deployed


def start_launcher(workflow: Any, pixels: int) -> None:
    """
    Start a server for a run, if there is none, and hand it the rule scripts from now on, where possible and worth it.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    pixels : int
        How many the run resamples.
    """
    jobs = list(workflow.dag.needrun_jobs())
    if not (_is_possible(workflow) and workflow.local_exec and (_launchers or len(jobs) >= WORTHWHILE)):
        stop_launcher()
        return
    if not _launchers:
        _launchers.append(Launcher())
    (launcher,) = _launchers
    with suppress(OSError):
        launcher.load({Path(str(job.rule.script)).stem for job in jobs if job.rule.script}, pixels)

    def start(script: Any, fname: str, start_python: Callable[[], None]) -> None:
        try:
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
