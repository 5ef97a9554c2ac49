"""What jobs cost: figures measured for calflow, scaled by size, and by what earlier runs here took."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from calflow.engine.needed_jobs import NeededJob
from calflow.jobs.measured_costs import MEASURED, MeasuredCost, MeasuredCosts
from calflow.jobs.sizes import Size, Sizes
from calflow.plan.combination import UnknownAssociation
from calflow.plan.plan import UnknownExposure

# Enough records of a rule to know how this machine compares.
RECORDS = 40
# Snakemake's records look at a process every half second or so: shorter jobs have no time and no memory in them.
LEAST_RECORDED = 0.05


@dataclass(frozen=True)
class Cost:
    """Of one job: seconds of a core, largest memory and what it leaves on disk, MB."""

    cpu: float
    wall: float
    memory: float
    disk: float
    temporary: float


class Costs:
    """Estimates of the costs of jobs.

    Parameters
    ----------
    sizes : Sizes
    records : Path
        Folder of the benchmark records of earlier runs: a folder for each rule.
    measured : Path, optional
        The table of measured costs.
    """

    def __init__(self, sizes: Sizes, records: Path, measured: Path = MEASURED):
        self._sizes = sizes
        self._records = records
        self._measured = MeasuredCosts(measured)
        self._factors: dict[str, dict[str, float]] = {}
        self.recorded: dict[str, int] = {}  # how many records there are of each rule that was asked for

    def of(self, job: NeededJob) -> Cost:
        """Return what a job is going to take.

        Parameters
        ----------
        job : NeededJob
        """
        measured = self._measured.of(job.rule)
        size = self._sizes.of(job.wildcards, whole=measured.work.whole).with_threads(job.threads)
        factors = self._factors_of(job, measured)
        seconds = measured.seconds_of(size)
        disk, temporary = measured.disk_of(size)
        return Cost(
            cpu=seconds * factors["cpu_time"],
            # What was recorded of earlier runs is with threads already.
            wall=seconds * factors["s"] / (1 if self.recorded[job.rule] else job.threads),
            memory=measured.memory_of(size) * factors["max_rss"],
            disk=disk,
            temporary=temporary,
        )

    def _factors_of(self, job: NeededJob, measured: MeasuredCost) -> dict[str, float]:
        """Return how earlier runs compare with the table: the median over records of the same rule."""
        if job.rule not in self._factors:
            found = list(self._recorded_jobs(job, measured))
            self.recorded[job.rule] = len(found)
            self._factors[job.rule] = {
                column: median([row[column] / row[f"measured {column}"] for row in found if row.get(column)] or [1.0])
                for column in ("s", "cpu_time", "max_rss")
            }
        return self._factors[job.rule]

    def _recorded_jobs(self, job: NeededJob, measured: MeasuredCost) -> Iterable[dict[str, float]]:
        folder = self._records / job.rule
        paths = sorted(folder.glob("**/*.tsv"))
        for path in paths[:: max(1, len(paths) // RECORDS)]:
            row = _read_record(path)
            wildcards = _wildcards(job.wildcards, path.relative_to(folder).with_suffix("").parts)
            size = self._known_size(wildcards, measured)
            if row and size and row.get("s", 0) > LEAST_RECORDED:
                seconds, memory = measured.seconds_of(size), measured.memory_of(size)
                yield row | {"measured s": seconds, "measured cpu_time": seconds, "measured max_rss": memory}

    def _known_size(self, candidates: Iterable[dict[str, str]], measured: MeasuredCost) -> Size | None:
        """Return the size of the first of some guesses that the plan knows."""
        for wildcards in candidates:
            try:
                return self._sizes.of(wildcards, whole=measured.work.whole)
            except (KeyError, UnknownAssociation, UnknownExposure):  # of another configuration
                continue
        return None


def _wildcards(like: Mapping[str, str], parts: tuple[str, ...]) -> Iterable[dict[str, str]]:
    """Return the wildcards that a record may belong to, by the name of its file, such as ``a/b`` or ``a_suffix``."""
    names = [name for name in like if name not in ("cal", "bsub", "catalog", "group")]
    if len(names) == len(parts):
        yield dict(zip(names, parts, strict=True))
    if len(names) == 1:
        yield {names[0]: parts[-1].rpartition("_")[0]}


def _read_record(path: Path) -> dict[str, float]:
    """Return the numbers of a benchmark record of Snakemake; empty if it is none."""
    try:
        with path.open(newline="") as file:
            row = next(csv.DictReader(file, delimiter="\t"), {})
    except (OSError, csv.Error, UnicodeDecodeError):
        return {}
    return {key: number for key, text in row.items() if (number := _number(text)) is not None}


def _number(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
