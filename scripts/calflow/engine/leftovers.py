"""Temporary files of jobs that were killed."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from calflow.engine.processes import is_alive
from calflow.whole_files import PARTIAL, this_host

OLD = 86400.0  # seconds; no job writes one file for so long


def remove_leftovers(folders: Iterable[Path]) -> int:
    """
    Delete the temporary files that nobody writes any more, and return how many there were.

    Those of processes that are alive stay, and those of other hosts for a day.

    Parameters
    ----------
    folders : iterable of Path
        Looked through with all that is below them.
    """
    host = this_host()
    removed = 0
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                match = name[0] == "." and PARTIAL.fullmatch(name)
                if match and _is_left(Path(parent, name), match["host"] == host, int(match["pid"])):
                    Path(parent, name).unlink(missing_ok=True)
                    removed += 1
    return removed


def _is_left(path: Path, ours: bool, pid: int) -> bool:
    try:
        written = path.stat().st_mtime
    except OSError:  # its writer has just moved or deleted it
        return False
    return not is_alive(pid, written) if ours else time.time() - written > OLD
