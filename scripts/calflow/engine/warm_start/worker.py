"""What a process that the server has forked does: a job, and then others.

What a process has got from the kernel once is there for its next job: its own copy of each page of the libraries that a
job touches, and memory for the planes of an image. That is a tenth of the CPU time of a run of four exposures.
"""

import ctypes
import json
import logging
import os
import resource
import runpy
import signal
import socket
import sys
import tempfile
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

MESSAGE = 65536  # bytes
IDLE = b"idle"
RESET_PEAK = "5"  # in clear_refs: the kernel counts the peak of memory from now on


def work(job: dict[str, Any], channel: socket.socket, server: socket.socket) -> NoReturn:
    """
    Do a job, and those that the server sends after it, until one fails or the server ends.

    Parameters
    ----------
    job : dict
        With ``script``, its ``rule`` and ``environment``.
    channel : socket.socket
        Gets the process id and, when the job is done, its exit status and what it took.
    server : socket.socket
        Gets `IDLE` when a job is done, and gives the next one with its channel.
    """
    environment, path = dict(os.environ), list(sys.path)
    while True:
        with channel:
            _do_job(job, channel, server)
        message, handles, _, _ = socket.recv_fds(server, MESSAGE, 1)
        if not message:
            os._exit(0)
        done, job, channel = job, json.loads(message), socket.socket(fileno=handles[0])
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        if job["rule"] != done["rule"]:
            _give_back_memory()


def _give_back_memory() -> None:
    """Keep nothing of what a rule needed when a job of another one begins, which may be meant to take much less."""
    with suppress(AttributeError):  # a C library other than that of GNU
        ctypes.CDLL(None).malloc_trim(0)


def _do_job(job: dict[str, Any], channel: socket.socket, server: socket.socket) -> None:
    """Run a script as ``python script`` would, and tell its exit status; if it failed, end this process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    channel.send(str(os.getpid()).encode())
    os.environ.update(job["environment"])
    tempfile.tempdir = None  # look at the environment again
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
    before = _used()
    # Afterwards a warning that was given once is forgotten, so that the log of the next job has it, too.
    with warnings.catch_warnings():
        status = _run_script(job["script"])
        logging.captureWarnings(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    if not status:
        # Before Snakemake, which may have the next job at once, hears that this one is done.
        with suppress(OSError):  # the server is at its end
            server.send(IDLE)
    channel.send(json.dumps({"status": status, **_taken(before)}).encode())
    if status:
        os._exit(status)


def _used() -> dict[str, float | None]:
    """Return the time (s) that this process has taken so far, and what went to and from disks (MB)."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    read, written = (_number_in("io", name) for name in ("read_bytes", "write_bytes"))
    return {
        "cpu_time": usage.ru_utime + usage.ru_stime,
        "io_in": read and read / 2**20,
        "io_out": written and written / 2**20,
    }


def _taken(before: dict[str, float | None]) -> dict[str, float | None]:
    """Return what this process has used since, and the peaks of its memory (MB); of addresses since it began."""
    peaks = {"max_rss": _number_in("status", "VmHWM"), "max_vms": _number_in("status", "VmPeak")}
    used = {name: None if value is None else value - (before[name] or 0) for name, value in _used().items()}
    return used | {name: peak and peak / 2**10 for name, peak in peaks.items()}


def _number_in(name: str, key: str) -> int | None:
    """Return what the kernel says of this process in one of its files, or None if it does not."""
    try:
        lines = Path("/proc/self", name).read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), None)


def _run_script(script: str) -> int:
    sys.argv = [script]
    sys.path.insert(0, str(Path(script).parent.resolve()))
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return int(end.code or 0)
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
