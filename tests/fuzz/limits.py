"""Limits of a case: seconds, and memory."""

import resource
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 5  # of the processor
MEMORY = 2**30


class Hang(BaseException):
    """A case took too long. Not an Exception: what is tried catches those."""


@contextmanager
def limited_time(seconds: float = SECONDS) -> Iterator[None]:
    """Raise Hang after some seconds of the processor, so that a busy machine fails nothing."""

    def stop(*_: Any) -> None:
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


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
