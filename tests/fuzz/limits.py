"""Limits of a case: seconds, and memory."""

import resource
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 5  # of the processor
CLOCK_SECONDS = 100  # of the clock: a case that waits takes no time of the processor
MEMORY = 2**30


class Hang(BaseException):
    """A case took too long. Not an Exception: what is tried catches those."""


@contextmanager
def limited_time() -> Iterator[None]:
    """Raise Hang after some seconds of the processor, and after more of the clock: a busy machine fails nothing."""

    def stop(*_: Any) -> None:
        raise Hang(f"more than {SECONDS} s of the processor, or {CLOCK_SECONDS} s")

    limits = {signal.SIGPROF: (signal.ITIMER_PROF, SECONDS), signal.SIGALRM: (signal.ITIMER_REAL, CLOCK_SECONDS)}
    before = {number: signal.signal(number, stop) for number in limits}
    for timer, seconds in limits.values():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for number, (timer, _) in limits.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def limit_memory(more: int = MEMORY) -> None:
    """Let this process have so many bytes more than it has now; beyond them Python raises MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)


@contextmanager
def strict_warnings() -> Iterator[None]:
    """Take warnings for errors, but those of astropy about the files that it reads, and of files left open by it."""
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for category in (AstropyWarning, ResourceWarning, DeprecationWarning):
            warnings.simplefilter("ignore", category)
        yield
