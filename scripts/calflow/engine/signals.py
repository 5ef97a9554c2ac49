"""Signals that ask a run to end, taken where Snakemake's scheduler can take them.

Python calls the handler of a signal in the main thread, between any two of its instructions. That of Snakemake 9 for
SIGTERM waits for the scheduler's locks; if the main thread holds one just then, it waits for itself, for ever. And the
`KeyboardInterrupt` of a Ctrl-C may come while a lock is being taken, which nobody gives back then, or inside asyncio,
which may drop it. Here a handler only notes the signal, and a thread of its own does the rest.
"""

import queue
import signal
import sys
import threading
from types import TracebackType
from typing import Any

from snakemake.scheduling.job_scheduler import JobScheduler

from calflow.engine.inside import schedule_by


def take_signals() -> None:
    """Have the runs of this process scheduled by `Scheduler`, and end at once on SIGINT before that."""
    schedule_by(Scheduler)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored, as under nohup
        signal.signal(signal.SIGINT, _interrupt)
        sys.excepthook = _tell_uncaught


def _interrupt(*_: Any) -> None:
    """Interrupt at once. In place of Python's own handler asyncio puts one that waits, for the whole graph of jobs."""
    raise KeyboardInterrupt


def _tell_uncaught(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("Stopped. The next run goes on from here.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, where)


class Scheduler(JobScheduler):
    """Snakemake's scheduler, which ends after the jobs that run on SIGTERM, and as soon as it can on SIGINT.

    A second SIGINT raises `KeyboardInterrupt` wherever it is. Dry runs have nothing to bring to an end: they die.

    Parameters
    ----------
    *arguments : object
        What Snakemake's scheduler takes.
    **options : object
        Alike.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if threading.current_thread() is not threading.main_thread():
            return
        if self.dryrun:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            return
        self._open_jobs = OpenJobs(1)
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()  # its `put` is reentrant, unlike any lock
        threading.Thread(target=self._obey, daemon=True).start()
        signal.signal(signal.SIGTERM, self._note)
        if signal.getsignal(signal.SIGINT) is _interrupt:
            signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, _: Any) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, _interrupt)
        self._signals.put(number)

    def _obey(self) -> None:
        while True:
            if self._signals.get() == signal.SIGINT:
                self._open_jobs.interrupt()
            else:
                self.exit_gracefully()


class OpenJobs(threading.Semaphore):
    """The scheduler's reasons to look for jobs, for which it waits; an interrupt ends this wait and no other."""

    _interrupted = False

    def interrupt(self) -> None:
        """Have the thread that waits here, or is the next to do so, raise `KeyboardInterrupt`."""
        self._interrupted = True
        self.release()

    def acquire(self, *arguments: Any, **options: Any) -> bool:
        """Wait, as a semaphore does, and raise `KeyboardInterrupt` after an interrupt.

        Parameters
        ----------
        *arguments : object
            What a semaphore takes.
        **options : object
            Alike.
        """
        acquired = super().acquire(*arguments, **options)
        if self._interrupted:
            raise KeyboardInterrupt
        return acquired
