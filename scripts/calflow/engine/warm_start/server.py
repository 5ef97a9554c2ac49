"""The process that has the libraries loaded, and forks itself for the jobs.

Run as a script with a SOCK_SEQPACKET socket as standard input. Each message on that is JSON: what to load, or a job,
with one end of a socket pair on which the job tells its process id and, when it is done, its exit status and what it
took. A process that has done a job of a rule listed in `libraries` is given others. When the other side of the
standard input is closed, the server ends when its jobs have ended. When the process that started it is killed, it is
killed too, and so are the jobs when the server is.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__":
    # The folder of this script holds modules of no concern to the jobs; the one above holds the rule scripts.
    sys.path[0] = str(Path(__file__).resolve().parents[3])

from calflow.engine.warm_start.libraries import RULES, Library, libraries, load
from calflow.engine.warm_start.worker import IDLE, MESSAGE, work
from calflow.job import end_with_parent

REAP_INTERVAL = 0.5  # seconds between two looks for finished jobs
TOGETHER = 0.05  # seconds within which jobs come that are started together


@dataclass(eq=False)
class Worker:
    """
    A process that was forked.

    Attributes
    ----------
    channel : socket.socket
        To it.
    rule : str
        Of the last job that it was given.
    loaded : int
        How many libraries had been loaded when it was forked.
    idle : bool
        Whether it waits for a job.
    """

    channel: socket.socket
    rule: str
    loaded: int
    idle: bool = False

    def fileno(self) -> int:
        """Return what select looks at."""
        return self.channel.fileno()


class Server:
    """
    Loads libraries, and has every job done once those that it needs are loaded.

    They are loaded in a thread, so that a process that waits gets its next job meanwhile. A process is only forked
    between two of them, when there is no such thread: what that holds is held for ever in the new one.

    Parameters
    ----------
    requests : socket.socket
        Jobs come by it, and before them what they need.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._waiting: deque[Library] = deque()
        self._loading: threading.Thread | None = None
        self._ended, self._end = socket.socketpair()  # by which that thread tells that it ends
        self._order: dict[Library, int] = {}  # what is loaded, with its number
        self._workers: list[Worker] = []

    def serve(self) -> NoReturn:
        """Do what is asked until the other side is closed."""
        more_may_come = 0.0
        while True:
            sources: list[socket.socket | Worker] = [
                self._requests,
                self._ended,
                *(worker for worker in self._workers if not worker.idle),
            ]
            may_load = self._waiting and not self._loading
            ready, _, _ = select.select(sources, [], [], more_may_come if may_load else REAP_INTERVAL)
            more_may_come = 0.0
            _reap()
            for worker in [source for source in ready if isinstance(source, Worker)]:
                self._hear(worker)
            if self._ended in ready:
                self._wait()
            if self._requests in ready:
                self._answer()
                more_may_come = TOGETHER
            elif may_load:
                self._load_next()

    def _answer(self) -> None:
        message, handles, _, _ = socket.recv_fds(self._requests, MESSAGE, 1)
        if not message:
            self.end()
        job = json.loads(message)
        if "load" in job:
            known = {*self._order, *self._waiting}
            self._waiting.extend(each for each in libraries(job["load"], job["pixels"]) if each not in known)
            return
        with socket.socket(fileno=handles[0]) as channel:
            if not self._give(job, channel):
                self._fork(job, channel)

    def _load_next(self) -> None:
        library = self._waiting.popleft()
        self._order[library] = len(self._order)

        def load_and_tell() -> None:
            load(library)
            self._end.send(b".")

        self._loading = threading.Thread(target=load_and_tell)
        self._loading.start()

    def _load_for(self, rule: str) -> None:
        """Wait for what is being loaded, and load all that a job needs."""
        self._wait()
        while rule in self._waiting:
            self._load_next()
            self._wait()

    def _wait(self) -> None:
        """Wait for the thread that loads a library, if there is one."""
        if self._loading:
            self._ended.recv(MESSAGE)
            self._loading.join()
            self._loading = None

    def _hear(self, worker: Worker) -> None:
        """Note that a worker has done its job, or is gone; the script of a user may leave what changes a next job."""
        with suppress(OSError):
            worker.idle = worker.channel.recv(len(IDLE)) == IDLE and worker.rule in RULES
        if not worker.idle:
            self._dismiss(worker)

    def _dismiss(self, worker: Worker) -> None:
        """Have an idle worker end."""
        worker.channel.close()
        self._workers.remove(worker)

    def _give(self, job: dict[str, Any], channel: socket.socket) -> bool:
        """Give a job to an idle worker, if one has all that the job needs; else make room for a new one."""
        # First the one that has the memory that such a job takes.
        idle = sorted(
            (worker for worker in self._workers if worker.idle), key=lambda worker: worker.rule != job["rule"]
        )
        for worker in idle:
            if worker.rule == job["rule"] or (job["rule"] in RULES and self._has_all(worker, job["rule"])):
                with suppress(OSError):  # it was killed meanwhile
                    socket.send_fds(worker.channel, [json.dumps(job).encode()], [channel.fileno()])
                    worker.rule, worker.idle = job["rule"], False
                    return True
                self._dismiss(worker)
        if idle and idle[-1] in self._workers:
            self._dismiss(idle[-1])
        return False

    def _has_all(self, worker: Worker, rule: str) -> bool:
        """Tell whether what is loaded for a rule, or all if it has none of its own, was there when a worker began."""
        return rule not in self._waiting and self._order.get(rule, len(self._order) - 1) < worker.loaded

    def _fork(self, job: dict[str, Any], channel: socket.socket) -> None:
        self._load_for(job["rule"])
        gc.freeze()  # jobs do not look for garbage in what is loaded, which would also copy every page of it
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Before there is a process: a signal may end the server at any moment, and has to find all that wait for it.
        self._workers.append(Worker(ours, job["rule"], len(self._order)))
        if os.fork() == 0:
            gc.enable()
            for source in (self._requests, self._ended, self._end, *(worker.channel for worker in self._workers)):
                source.close()
            end_with_parent()
            work(job, channel, theirs)
        theirs.close()

    def end(self) -> NoReturn:
        """Wait for the jobs that are still running, and end without the long way out through every library."""
        for worker in self._workers:
            worker.channel.close()
        _reap(0)
        os._exit(0)


def _reap(options: int = os.WNOHANG) -> None:
    """Wait for finished processes: their CPU time then counts as this process's."""
    try:
        while os.waitpid(-1, options)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    # Ctrl-C reaches the jobs and Snakemake, which then closes the requests.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = Server(socket.socket(fileno=os.dup(0)))
    signal.signal(signal.SIGTERM, lambda *_: server.end())
    end_with_parent()
    gc.disable()  # nothing that is loaded is garbage
    server.serve()
