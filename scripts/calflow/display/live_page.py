"""A file that tells how far a run is, written anew every few seconds while it goes on."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from calflow.pages.live import RELOADED
from calflow.whole_files import replace_text


class LivePage:
    """
    A page that is written by a thread until it is closed.

    Parameters
    ----------
    path : Path
        Of the page.
    text : callable
        From whether the run goes on to the page.
    """

    def __init__(self, path: Path, text: Callable[[bool], str]) -> None:
        self._path, self._text = path, text
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._write_until_closed, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write the page for the last time: a browser need not load it again."""
        self._closed.set()
        self._thread.join()

    def _write_until_closed(self) -> None:
        while True:
            is_over = self._closed.wait(0)
            with suppress(Exception):  # of a full disk and the like the run does not take harm
                replace_text(self._path, self._text(not is_over))
            if is_over:
                return
            self._closed.wait(RELOADED)
