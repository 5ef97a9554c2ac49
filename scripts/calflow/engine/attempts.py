"""A record of every attempt of every job: when, on which host, how long, with how much memory, and what became of it.

Each process that runs scripts adds lines to a file of its host: processes of several hosts would disturb each other. A
line is written when a script begins and another when it ends, so that what was killed with its run is on record, too.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from calflow.engine.inside import evaluate_scripts_by
from calflow.engine.outcome import reason_in
from calflow.whole_files import this_host

FOLDER = "attempts"  # in that of the logs
MADE, FAILED, CUT_SHORT = "made", "failed", "cut short"


@dataclass(frozen=True, order=True)
class Attempt:
    """
    An attempt of a job.

    Attributes
    ----------
    started : str
        When, as ISO 8601 has it.
    rule : str
    wildcards : tuple of str
        What its product is, among those of the rule.
    number : int
        Which attempt of this job it was, from 1.
    outcome : str
        ``made``, ``failed``, or ``cut short``: how it ended, nobody could write down; or it still runs.
    reason : str
        Why it failed, as far as its log says.
    seconds, cpu : float
        Time on the clock, and of a core.
    memory : float
        The largest, MB. It is 0, as is the CPU time, where that was not measured.
    host : str
    """

    started: str
    rule: str
    wildcards: tuple[str, ...]
    number: int
    outcome: str
    reason: str = ""
    seconds: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    host: str = ""


def record_attempts(logs: Path) -> None:
    """From now on record the attempts of the scripts that this process runs. If they cannot be written, they are not.

    Parameters
    ----------
    logs : Path
        The folder of the logs.
    """
    path = logs / FOLDER / f"{this_host()}.jsonl"
    host, numbers = os.uname().nodename, count(1)

    def evaluate_and_record(script: Any, evaluate: Callable[[], None]) -> None:
        key, started = f"{os.getpid()}-{next(numbers)}-{time.time_ns()}", time.time()
        job = {"rule": script.rulename, "wildcards": [*map(str, script.wildcards)]}
        when = datetime.fromtimestamp(started, UTC).isoformat(timespec="milliseconds")
        _add(path, {"id": key, "started": when, "host": host, **job})
        try:
            evaluate()
        except BaseException:
            log = Path(str(next(iter(script.log), "")))
            reason = reason_in(log, script.rulename, job["wildcards"], started)
            _add(path, {"id": key, "outcome": FAILED, "reason": reason, **_measured(script, started)})
            raise
        _add(path, {"id": key, "outcome": MADE, **_measured(script, started)})

    evaluate_scripts_by(evaluate_and_record)


def attempts_in(logs: Path) -> list[Attempt]:
    """Return all attempts on record, the oldest first. Lines that are damaged are left out.

    Parameters
    ----------
    logs : Path
        The folder of the logs.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((logs / FOLDER).glob("*.jsonl")):
        for line in path.read_text(errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                tree = json.loads(line)
                found.setdefault(f"{path.name} {tree['id']}", {}).update(tree)
    numbers: Counter[tuple[str, ...]] = Counter()
    attempts: list[Attempt] = []
    for tree in sorted(found.values(), key=lambda tree: str(tree.get("started", ""))):
        with suppress(ValueError, KeyError, TypeError):
            job = str(tree["rule"]), *map(str, tree["wildcards"])
            attempts.append(_attempt(tree, job, numbers[job] + 1))
            numbers[job] += 1
    return attempts


def _attempt(tree: Mapping[str, Any], job: tuple[str, ...], number: int) -> Attempt:
    return Attempt(
        started=str(tree["started"]),
        rule=job[0],
        wildcards=job[1:],
        number=number,
        outcome=str(tree.get("outcome", CUT_SHORT)),
        reason=str(tree.get("reason", "")),
        seconds=float(tree.get("seconds", 0)),
        cpu=float(tree.get("cpu", 0)),
        memory=float(tree.get("memory", 0)),
        host=str(tree["host"]),
    )


def _measured(script: Any, started: float) -> dict[str, float]:
    measured = script.bench_record
    cpu, memory = (getattr(measured, name, None) or 0.0 for name in ("cpu_time", "max_rss"))
    return {"seconds": round(time.time() - started, 3), "cpu": round(cpu, 2), "memory": round(memory, 1)}


def _add(path: Path, tree: Mapping[str, Any]) -> None:
    """Add a line in one piece."""
    line = json.dumps(tree).encode() + b"\n"
    with suppress(OSError):
        try:
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(file, line)
        finally:
            os.close(file)
