"""The table of what jobs cost, as it was measured: the one source of requests, limits and forecasts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calflow.jobs.all import JOBS
from calflow.jobs.declaration import Work
from calflow.jobs.sizes import Size

# Made by benchmarks/job_costs.py, and its memory by job_memory.py.
MEASURED = Path(__file__).with_name("measured_costs.json")
# Of a rule that was not measured.
UNKNOWN: dict[str, Any] = {"seconds": [1.0, 0.0], "memory_mb": {"start": 300.0}}


@dataclass(frozen=True)
class Line:
    """A straight line: what a job takes without pixels, and what each Mpixel adds."""

    start: float
    slope: float

    def at(self, size: float) -> float:
        """Return what a job of a size takes.

        Parameters
        ----------
        size : float
            Mpixel.
        """
        return self.start + self.slope * size


@dataclass(frozen=True)
class MeasuredCost:
    """
    What the jobs of a rule take.

    Attributes
    ----------
    seconds : Line
    memory_mb : mapping of str to float
        ``start``, what a job takes without pixels, MB, and what it takes more for each of an attribute of `Size`.
    work : Work
        What time, disk and memory grow with.
    disk, temporary : float
        Bytes for each pixel that stay, and that do not.
    """

    seconds: Line
    memory_mb: Mapping[str, float]
    work: Work
    disk: float = 0.0
    temporary: float = 0.0

    def seconds_of(self, size: Size) -> float:
        """Return the time of a job, seconds.

        Parameters
        ----------
        size : Size
            Of its work.
        """
        return self.seconds.at(size.of(self.work.time))

    def memory_of(self, size: Size) -> float:
        """Return the memory of a job, MB.

        Parameters
        ----------
        size : Size
            Of its work.
        """
        return sum(mb if name == "start" else mb * size.of(name) for name, mb in self.memory_mb.items())

    def disk_of(self, size: Size) -> tuple[float, float]:
        """Return what a job writes, MB: first what stays, then what is removed when it has been read.

        Parameters
        ----------
        size : Size
            Of its work.
        """
        pixels = size.of(self.work.disk or self.work.time)
        return self.disk * pixels, self.temporary * pixels


class MeasuredCosts:
    """
    The table.

    Parameters
    ----------
    path : Path, optional
    """

    def __init__(self, path: Path = MEASURED):
        self._rules: dict[str, Any] = json.loads(path.read_text())["rules"]

    def of(self, rule: str) -> MeasuredCost:
        """Return what the jobs of a rule take; if it was not measured, the costs of the job it is declared to be like.

        Parameters
        ----------
        rule : str
            Its name.
        """
        job = JOBS.get(rule)
        alike = self._rules.get(job.like, {}) if job else {}
        entry = UNKNOWN | alike | self._rules.get(rule, {})
        return MeasuredCost(
            seconds=Line(*entry["seconds"]),
            memory_mb=entry["memory_mb"],
            work=work_of(rule),
            disk=entry.get("bytes_per_pixel", 0.0),
            temporary=entry.get("temporary_bytes_per_pixel", 0.0),
        )


def work_of(rule: str) -> Work:
    """Return what the costs of a job grow with.

    Parameters
    ----------
    rule : str
        Its name.
    """
    job = JOBS.get(rule)
    if job is None:
        return Work()
    return JOBS[job.like].work if job.like else job.work
