"""Who holds the lock of a folder, as the file of the lock says."""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from calflow.engine.processes import is_alive
from calflow.printable import printable

LOCK = Path(".snakemake/calflow/run.lock")
# The kernels of two hosts that share a file system need not know of each other's locks: a run shows that it lives.
SILENCE = 600  # seconds without a sign of life, after which a run on another host counts as dead


def who_runs(path: Path = LOCK) -> str:
    """Return which run on this host holds a lock, in words; empty if none does."""
    run = holder_of(path)
    if not run or run.get("host") != this_host() or not is_alive(run["pid"], path.stat().st_mtime):
        return ""
    return f"{in_words(run).replace('Another run', 'A run')} works in this folder."


def holder_of(path: Path) -> dict[str, Any]:
    """Return who holds a lock by its file; empty if it does not say so."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    pid = content.get("pid") if isinstance(content, dict) else None
    return content if type(pid) is int and 0 < pid < 2**31 else {}


def in_words(run: dict[str, Any]) -> str:
    """Return who holds a lock, for people."""
    if not run:
        return "Another run"
    return printable(f"Another run (host {run.get('host')}, process {run.get('pid')}, since {run.get('started')})")


def this_host() -> str:
    """Return the name by which this host signs."""
    return os.uname().nodename


def may_be_alive(run: dict[str, Any], path: Path) -> bool:
    """Tell whether a run still works: on this host by its process, on another by how long it has been silent.

    Parameters
    ----------
    run : dict
        As `holder_of` returns it.
    path : Path
        The file that says so.
    """
    if run.get("host") == this_host():
        return is_alive(run["pid"], path.stat().st_mtime)
    return seconds_since_change(path) < SILENCE


def seconds_since_change(path: Path) -> float:
    """Return how old a file is by the clock of its own file system, which need not be that of this host."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent) as now:
            return max(os.stat(now.name).st_mtime - path.stat().st_mtime, 0.0)
    except OSError:
        return max(time.time() - path.stat().st_mtime, 0.0)
