"""What jobs that are done remarked: a step that FAILED, or what was left out, told by this run and the ones after it.

A job writes its remarks into its log (`job.remark`), which stays until the job is run again. Of the logs only those are
read that are newer than the last look at them.
"""

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from calflow.configuration.extra_steps import FOLDER_OF_FIRST
from calflow.job import REMARK
from calflow.whole_files import replace_text

NAME = "remarks.json"
CLOCKS = 60.0  # seconds by which the clocks of the hosts that write logs may differ
LINE = re.compile(rf"WARNING {REMARK} (?P<step>\S+) (?P<status>[A-Z]+) (?P<of>[^:]*): (?P<reason>.*)")


@dataclass(frozen=True, order=True)
class Remark:
    """
    What a job remarked.

    Attributes
    ----------
    step, status : str
        Such as ``tweakreg`` and ``FAILED``.
    of : str
        An exposure, an association or a file.
    reason : str
        One line.
    log : str
        Path of the log file of the job.
    """

    step: str
    status: str
    of: str
    reason: str
    log: str

    def __str__(self) -> str:
        return f"{self.step} {self.status} {self.of}: {self.reason}"


def one_for_same(remarks: Iterable[Remark]) -> list[Remark]:
    """
    Return one remark in place of those that a job has for the same reason, such as all exposures of an empty field.

    Parameters
    ----------
    remarks : iterable of Remark
    """
    found: dict[Remark, list[str]] = {}
    for one in remarks:
        found.setdefault(replace(one, of=""), []).append(one.of)
    return [
        replace(one, of=names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more")
        for one, names in found.items()
    ]


def standing_remarks(folder: Path, names: Collection[str]) -> list[Remark]:
    """
    Return what the jobs whose logs are in a folder remarked, in this run or earlier.

    Parameters
    ----------
    folder : Path
        Of the logs. `NAME` is written there, so that the next call need not read old logs; if that fails, it does.
    names : collection of str
        Of the exposures and associations that are of concern; there may be logs of others. Those of a first pass are
        not: what is wrong with the exposures is told of what is made of them in the end.
    """
    known, newest = _known(folder / NAME)
    logs = {str(log.relative_to(folder)): modified for log, modified in logs_in(folder)}
    found = {
        path: _in_log(folder / path) if modified >= newest - CLOCKS else known.get(path, [])
        for path, modified in logs.items()
    }
    kept = {path: remarks for path, remarks in found.items() if remarks}
    _remember(folder / NAME, kept, max(logs.values(), default=0.0))
    return sorted(
        Remark(step, status, of, reason, str(folder / path))
        for path, remarks in kept.items()
        if concerns(path, names) and FOLDER_OF_FIRST not in Path(path).parts
        for step, status, of, reason in remarks
    )


def concerns(path: str, names: Collection[str]) -> bool:
    """Tell whether a log is that of a name, or of a product of it."""
    name = Path(path).stem
    return name in names or name.rpartition("_")[0] in names


def _known(file: Path) -> tuple[dict[str, list[list[str]]], float]:
    """Return the remarks that were found before, by the path of the log, and the time of the newest log then."""
    try:
        content = json.loads(file.read_text())
        found = {
            str(path): [[str(step), str(status), str(of), str(reason)] for step, status, of, reason in remarks]
            for path, remarks in dict(content["remarks"]).items()
        }
        return found, float(content["newest"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}, 0.0


def _remember(file: Path, remarks: dict[str, list[list[str]]], newest: float) -> None:
    with suppress(OSError):
        replace_text(file, json.dumps({"newest": newest, "remarks": remarks}, indent=1) + "\n")


def logs_in(folder: Path) -> Iterator[tuple[Path, float]]:
    """Yield the logs of jobs in a folder, and when they were written."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".log"):
                log = Path(parent, name)
                with suppress(OSError):  # gone meanwhile
                    yield log, log.stat().st_mtime


def _in_log(log: Path) -> list[list[str]]:
    with suppress(OSError):
        matches = map(LINE.fullmatch, log.read_text(errors="replace").splitlines())
        return [list(match.groups()) for match in matches if match]
    return []
