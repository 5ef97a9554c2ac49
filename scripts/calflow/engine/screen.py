"""A terminal with lines that scroll, and below them a block of lines that is drawn anew.

While it is up, all that this process and its jobs write to the terminal goes through a pipe, so that nothing is written
into the block. The cursor is never hidden and rests below the block: whatever ends this process, the terminal is sane.
"""

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

REDRAWN = 1.0  # seconds after which the block is drawn again, if nothing is written
UNKNOWN = 80  # columns of a terminal that does not say how wide it is
UP_AND_CLEAR = "\x1b[{}F\x1b[J"  # to the beginning of so many lines above, and all below is empty


class Screen:
    """
    A terminal with a block of lines at its end.

    Parameters
    ----------
    terminal : int
        A file descriptor of the terminal, which is standard output or standard error.
    block : callable
        Returns the lines of the block, which are no longer than the number of columns it gets.
    """

    def __init__(self, terminal: int, block: Callable[[int], Sequence[str]]) -> None:
        self._block = block
        self._drawn: Sequence[str] = ()
        self._partial = b""
        self._terminal = os.dup(terminal)
        self._read, write = os.pipe()
        self._woken, wake = os.pipe()
        self._wake: int | None = wake
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        device = os.fstat(terminal).st_rdev
        self._saved = {number: os.dup(number) for number in (1, 2) if os.fstat(number).st_rdev == device}
        for number in self._saved:
            os.dup2(write, number)
        os.close(write)
        self._thread = threading.Thread(target=self._show, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Draw the block for the last time, and give the terminal back."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        while self._saved:  # an interrupt may come at any place, and then this is called again
            number, saved = next(iter(self._saved.items()))
            os.dup2(saved, number)
            del self._saved[number]
            os.close(saved)
        wake, self._wake = self._wake, None
        if wake is not None:
            os.close(wake)
        self._thread.join()

    def _show(self) -> None:
        """Write what comes through the pipe, and the block below it, until the terminal is given back."""
        self._until_woken()
        for number in (self._read, self._woken, self._terminal):
            os.close(number)

    def _until_woken(self) -> None:
        drawn = 0.0
        while True:
            wait = max(drawn + REDRAWN - time.monotonic(), 0.0)
            ready, _, _ = select.select([self._read, self._woken], [], [], wait)
            text = os.read(self._read, 65536) if self._read in ready else b""
            if self._woken in ready and not text:
                break
            *lines, self._partial = (self._partial + text).split(b"\n")
            if lines or not text:
                self._draw(b"".join(line + b"\n" for line in lines))
                drawn = time.monotonic()
        self._draw(self._partial + b"\n" if self._partial else b"")

    def _draw(self, text: bytes) -> None:
        with suppress(OSError):  # a terminal that is gone: the run goes on
            columns = os.get_terminal_size(self._terminal).columns or UNKNOWN
            # A terminal that has become narrower shows lines of the block on several of its own.
            rows = sum(1 + max(len(line) - 1, 0) // columns for line in self._drawn)
            above = UP_AND_CLEAR.format(rows).encode() if rows else b""
            self._drawn = self._lines(columns - 1)
            below = "".join(f"{line}\n" for line in self._drawn).encode()
            _write(self._terminal, above + text + below)

    def _lines(self, columns: int) -> Sequence[str]:
        """Return the block; nothing in the background, where a shell has the terminal."""
        with suppress(OSError):  # without a terminal of its own a process is in no background
            if os.tcgetpgrp(self._terminal) != os.getpgrp():
                return ()
        try:
            return self._block(columns)
        except Exception:  # what is wrong with the block must not take the text of the run with it
            return ()


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
