"""The table of what jobs cost, as it was measured: the one source of requests, limits and forecasts."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calflow.jobs.all import JOBS
from calflow.jobs.sizes import Size

# Made by benchmarks/job_costs.py.
MEASURED = Path(__file__).with_name("measured_costs.json")
# Of a rule that was not measured.
UNKNOWN = {"seconds": [1.0, 0.0], "memory_mb": [300.0, 0.0], "size": "total", "memory_size": "frame"}


@dataclass(frozen=True)
class Line:
    """A straight line: what a job takes without pixels, and what each Mpixel adds."""

    start: float
    slope: float

    def at(self, size: float) -> float:
        """Return what a job of a size, Mpixel, takes."""
        return self.start + self.slope * size


@dataclass(frozen=True)
class MeasuredCost:
    """
    What the jobs of a rule take.

    Attributes
    ----------
    seconds, memory_mb : Line
    size, memory_size : str
        Which of the sizes of a job its time and disk, and its memory, grow with: an attribute of `Size`, or
        ``association``, the total of all exposures even of a job that is named after one.
    disk, temporary : float
        Bytes for each pixel that stay, and that do not.
    exposure_mb, pair_mb : float
        Memory for each exposure, and for each pair of them, MB.
    context_mb : float
        Memory for each Mpixel of the image and each 32 exposures beyond the first 32: a plane of the context, MB.
    """

    seconds: Line
    memory_mb: Line
    size: str
    memory_size: str
    disk: float = 0.0
    temporary: float = 0.0
    exposure_mb: float = 0.0
    pair_mb: float = 0.0
    context_mb: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether a job that is named after an exposure works on all of its association."""
        return self.size == "association"

    def seconds_of(self, size: Size) -> float:
        """Return the time of a job, seconds."""
        return self.seconds.at(size.of(self.size))

    def memory_of(self, size: Size) -> float:
        """Return the memory of a job, MB."""
        number = size.exposures
        planes = (number - 1) // 32
        beside = self.exposure_mb * number + self.pair_mb * number**2 + self.context_mb * planes * size.image
        return self.memory_mb.at(size.of(self.memory_size)) + beside

    def disk_of(self, size: Size) -> tuple[float, float]:
        """Return what a job writes that stays, and that does not, MB."""
        return self.disk * size.of(self.size), self.temporary * size.of(self.size)


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
        """Return the entry of a rule, or of that whose costs it has."""
        job = JOBS.get(rule)
        entry = self._rules.get(job.like if job and job.like else rule, UNKNOWN)
        return MeasuredCost(
            seconds=Line(*entry["seconds"]),
            memory_mb=Line(*entry["memory_mb"]),
            size=entry["size"],
            memory_size=entry["memory_size"],
            disk=entry.get("bytes_per_pixel", 0.0),
            temporary=entry.get("temporary_bytes_per_pixel", 0.0),
            exposure_mb=entry.get("memory_mb_per_exposure", 0.0),
            pair_mb=entry.get("memory_mb_per_pair", 0.0),
            context_mb=entry.get("memory_mb_per_context_plane", 0.0),
        )
