"""The process that has the libraries loaded, and forks itself for each job.

Run as a script with a SOCK_SEQPACKET socket as standard input. Each message on that is JSON: what to load, or a job,
with one end of a socket pair on which the job tells its process id and, when it is done, its exit status and what it
took. When the other side of the standard input is closed, the server ends when its
jobs have ended. When the process that started it is killed, it is killed too, and so are the jobs when the server is.
"""

import gc
import json
import logging
import os
import resource
import runpy
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections import deque
from pathlib import Path
from typing import Any, NoReturn

MESSAGE = 65536  # bytes
REAP_INTERVAL = 0.5  # seconds between two looks for finished jobs


def serve(requests: socket.socket) -> NoReturn:
    """Load libraries while nothing else is to do, and fork for every job once those that it needs are loaded.

    Parameters
    ----------
    requests : socket.socket
        Jobs come by it, and before them what they need.
    """
    from calflow.engine.warm_start.libraries import Library, libraries, load
    from calflow.job import end_with_parent

    end_with_parent()
    gc.disable()  # nothing that is loaded is garbage
    waiting: deque[Library] = deque()
    while True:
        ready, _, _ = select.select([requests], [], [], 0 if waiting else REAP_INTERVAL)
        _reap()
        if not ready:
            if waiting:
                load(waiting.popleft())
            continue
        message, handles, _, _ = socket.recv_fds(requests, MESSAGE, 1)
        if not message:
            _end()
        job = json.loads(message)
        if "load" in job:
            waiting.extend(libraries(job["load"], job["pixels"]))
            continue
        while job["rule"] in waiting:
            load(waiting.popleft())
        gc.freeze()  # jobs do not look for garbage in what is loaded, which would also copy every page of it
        with socket.socket(fileno=handles[0]) as channel:
            if os.fork() == 0:
                gc.enable()
                requests.close()
                end_with_parent()
                _do_job(job, channel)


def _reap(options: int = os.WNOHANG) -> None:
    """Wait for finished jobs: their CPU time then counts as this process's."""
    try:
        while os.waitpid(-1, options)[0]:
            pass
    except ChildProcessError:
        pass


def _end(*_: Any) -> NoReturn:
    """Wait for the jobs that are still running, and end without the long way out through every loaded library."""
    _reap(0)
    os._exit(0)


def _do_job(job: dict[str, Any], channel: socket.socket) -> NoReturn:
    """Run a script as ``python script`` would, tell its exit status, and end this process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    channel.send(str(os.getpid()).encode())
    os.environ.update(job["environment"])
    tempfile.tempdir = None  # look at the environment again
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    status = _run_script(job["script"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    channel.send(json.dumps({"status": status, **_taken()}).encode())
    os._exit(status)


def _taken() -> dict[str, float | None]:
    """Return the time (s), the peak of memory and what went to and from disks (MB) of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak, read, written = (
        _number_in(*place) for place in (("status", "VmPeak"), ("io", "read_bytes"), ("io", "write_bytes"))
    )
    return {
        "cpu_time": usage.ru_utime + usage.ru_stime,
        "max_rss": usage.ru_maxrss / 2**10,
        "max_vms": peak and peak / 2**10,
        "io_in": read and read / 2**20,
        "io_out": written and written / 2**20,
    }


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


if __name__ == "__main__":
    # Ctrl-C reaches the jobs and Snakemake, which then closes the requests.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    # The folder of this script holds modules of no concern to the jobs; the one above holds the rule scripts.
    sys.path[0] = str(Path(__file__).resolve().parents[3])
    serve(socket.socket(fileno=os.dup(0)))
