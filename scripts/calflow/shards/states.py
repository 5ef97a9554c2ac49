"""How far the shards are, as their last runs say."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from calflow.engine.exit_statuses import SHELL_OFFSET
from calflow.engine.lock_holder import LOCK, holder_of, in_words, may_be_alive, seconds_since_change
from calflow.shards.folders import ASSOCIATIONS, CONFIG, EXPOSURES, OUTPUT, folder_of, shards_in
from calflow.shards.scripts import PRINTED, RECORD, SUMMARY

WAITING, RUNNING, COMPLETE, FAILED = "waiting", "running", "COMPLETE", "FAILED"
TOLD = 3  # failures of a shard that are told
QUIET = 180  # seconds without a sign of life, after which that is told
_THERE = ("made", "as_before", "up_to_date")


@dataclass(frozen=True)
class State:
    """How far a shard is.

    Attributes
    ----------
    number : int
    exposures : int
        How many it has.
    state : str
        ``waiting``: not begun, or changed since its last run; ``running``; ``COMPLETE``; ``FAILED``.
    made, products : int or None
        How many products were there when its last run ended, and how many were asked for; None before.
    why : tuple of str
        What failed, or what is worth knowing of a run.
    """

    number: int
    exposures: int
    state: str
    made: int | None = None
    products: int | None = None
    why: tuple[str, ...] = ()


def states_in(folder: Path) -> list[State]:
    """Return the states of all shards.

    Parameters
    ----------
    folder : Path
        That of all shards.
    """
    return [
        state_of(number, len(exposures), folder / folder_of(number))
        for number, exposures in shards_in(folder).items()
        if exposures
    ]


def state_of(number: int, exposures: int, folder: Path) -> State:
    """Return the state of a shard.

    Parameters
    ----------
    number : int
    exposures : int
        How many it has.
    folder : Path
        That of the shard.
    """
    summary = _read(folder / SUMMARY)
    made, products = _counts(summary)
    state, why = _state(folder, summary)
    if state == COMPLETE:  # a run with nothing to make leaves the summary of an earlier one, perhaps of one killed
        if products is None:
            _, products = _counts(_read(folder / OUTPUT / "logs" / SUMMARY))
        made = products
    return State(number, exposures, state, made, products, tuple(why))


def _state(folder: Path, summary: dict[str, Any]) -> tuple[str, list[str]]:
    record, lock = folder / RECORD, folder / LOCK
    # A run holds the lock when it has planned; what runs it has a record from the start.
    began = {path: holder for path in (lock, record) if (holder := holder_of(path))}
    if any(may_be_alive(holder, path) for path, holder in began.items()):
        silent = min(map(seconds_since_change, began))
        return RUNNING, [f"no sign of life for {silent:.0f} s"] if silent > QUIET else []
    status = _exit_status(record)
    if began and not (lock in began and status is not None and _is_newer(record, lock)):
        by = in_words(next(iter(began.values()))).replace("Another run", "the run")
        return FAILED, [f"{by} was killed, or its machine died; what it printed: {folder / PRINTED}"]
    if status is None:
        return WAITING, []
    if max(_time(folder / name) for name in (CONFIG, EXPOSURES, ASSOCIATIONS)) > _time(record):
        return WAITING, ["its exposures or its configuration changed since its last run"]
    if status == 0:
        return COMPLETE, []
    if status <= SHELL_OFFSET and _is_newer(folder / SUMMARY, record) and (why := _failures(folder, summary)):
        return FAILED, why
    killed = f"killed by signal {status - SHELL_OFFSET}, perhaps out of memory"
    why = [killed] if status > SHELL_OFFSET else _last_lines(folder / PRINTED)
    return FAILED, [*why, f"what it printed: {folder / PRINTED}"]


def _exit_status(record: Path) -> int | None:
    """Return how a run ended; None if there was none, or it has not."""
    status = _read(record).get("ended")
    return status if isinstance(status, int) else None


def _time(path: Path) -> float:
    """Return when a file was written, or when a file was put into a folder; long ago if there is none."""
    return path.stat().st_mtime if path.exists() else 0.0


def _is_newer(one: Path, other: Path) -> bool:
    return _time(one) > _time(other)


def _failures(folder: Path, summary: dict[str, Any]) -> list[str]:
    failures = summary.get("failures", [])
    lines = [
        f"{one['rule']} {', '.join(one['wildcards'])}: {one['reason']} (log: {folder / one['log']})"
        for one in failures[:TOLD]
    ]
    if len(failures) > TOLD:
        lines.append(f"and {len(failures) - TOLD} more: {folder / OUTPUT}/logs/summary.txt")
    not_run = summary.get("jobs", {}).get("not_run", 0)
    return [*lines, *([f"stopped before the end: {not_run} jobs not run"] if not_run else [])]


def _counts(summary: dict[str, Any]) -> tuple[int | None, int | None]:
    counts = {
        state: found if isinstance(found, int) else len(found) for state, found in summary.get("products", {}).items()
    }
    return (sum(counts.get(state, 0) for state in _THERE), sum(counts.values())) if counts else (None, None)


def _read(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing if it is not there, or is being written."""
    try:
        tree = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _last_lines(path: Path) -> list[str]:
    """Return the end of what a run printed."""
    try:
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return []
    return lines[-TOLD:]


def as_json(states: Sequence[State]) -> str:
    """Return states for programs.

    Parameters
    ----------
    states : sequence of State
    """
    return json.dumps({"shards": [asdict(state) for state in states]}, indent=1)
