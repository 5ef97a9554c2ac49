"""The forecast of a run: its jobs with their causes and costs, and what they add up to."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from calflow.engine.needed_jobs import NeededJob, NeededJobs
from calflow.engine.reasons import FOLLOWS, KINDS, NEW
from calflow.forecast.costs import Cost
from calflow.forecast.schedule import Schedule, schedule
from calflow.references.reference_change import ReferenceChange

HEAVIEST = 10


@dataclass(frozen=True)
class RuleTotal:
    """All jobs of a rule: how many, of which causes, seconds of a core, the largest memory and the disk space, MB."""

    rule: str
    jobs: int
    kinds: Mapping[str, int]
    cpu: float
    memory: float
    disk: float


@dataclass(frozen=True)
class Least:
    """What of a run is done even if all that comes out again has the bytes it had: jobs, and seconds on the clock."""

    jobs: int
    wall: float


def least_of(jobs: Sequence[NeededJob], costs: Sequence[Cost], cores: int) -> Least | None:
    """Return the least that a run has to do: jobs with a reason of their own, and the layers that these read.

    None if these are all.

    Parameters
    ----------
    jobs : sequence of NeededJob
        All that may have to run.
    costs : sequence of Cost
        Of each of them.
    cores : int
        That a run has.
    """
    sure = {number for number, job in enumerate(jobs) if job.kind != FOLLOWS}
    ahead = list(sure)
    while ahead:
        layers = {other for other in jobs[ahead.pop()].after if not jobs[other].outputs} - sure
        sure |= layers
        ahead += layers
    if len(sure) == len(jobs):
        return None
    numbers = {number: new for new, number in enumerate(sorted(sure))}
    kept = [
        replace(jobs[number], after=tuple(numbers[n] for n in jobs[number].after if n in sure)) for number in numbers
    ]
    return Least(len(kept), schedule(kept, [costs[number] for number in numbers], cores).wall)


@dataclass(frozen=True)
class Forecast:
    """What a run is going to do.

    Attributes
    ----------
    targets : tuple of str
    cores : int
    jobs : tuple of NeededJob
        In an order in which they may run.
    costs : tuple of Cost
        Of the jobs.
    schedule : Schedule
    products, up_to_date : int
        How many products the targets stand for, and how many of them are not made again.
    replaced : float
        What of the disk space is taken by products that are made again, MB.
    recorded : mapping of rule to int
        How many records of earlier runs the estimates of a rule are from.
    unrecorded : tuple of str
        Products without a record of what they were made with.
    exposures, associations : tuple of str
        Which are concerned.
    changes : tuple of ReferenceChange or None
        What another context of CRDS would change; None if that was not asked.
    parameters : tuple of mapping
        What parameter references change, as `calflow.plan.parameter_record` tells it.
    least : Least or None
        What runs for sure, where that is less; None: all of it does.
    """

    targets: tuple[str, ...]
    cores: int
    jobs: tuple[NeededJob, ...]
    costs: tuple[Cost, ...]
    schedule: Schedule
    products: int
    up_to_date: int
    replaced: float
    recorded: Mapping[str, int] = field(default_factory=dict)
    unrecorded: tuple[str, ...] = ()
    exposures: tuple[str, ...] = ()
    associations: tuple[str, ...] = ()
    changes: tuple[ReferenceChange, ...] | None = None
    parameters: tuple[Mapping[str, Any], ...] = ()
    least: Least | None = None

    @property
    def cpu(self) -> float:
        """Seconds of a core, of all jobs together."""
        return sum(cost.cpu for cost in self.costs)

    @property
    def disk(self) -> float:
        """What is written and kept, MB."""
        return sum(cost.disk for cost in self.costs)

    def rules(self) -> list[RuleTotal]:
        """Return a summary of each rule, in the order in which rules begin."""
        grouped: dict[str, list[int]] = {}
        for number, job in enumerate(self.jobs):
            grouped.setdefault(job.rule, []).append(number)
        return [self._rule(rule, numbers) for rule, numbers in grouped.items()]

    def _rule(self, rule: str, numbers: Sequence[int]) -> RuleTotal:
        kinds = Counter(self.jobs[number].kind for number in numbers)
        costs = [self.costs[number] for number in numbers]
        ordered = {kind: kinds[kind] for kind in KINDS if kind in kinds}
        cpu, disk = sum(cost.cpu for cost in costs), sum(cost.disk for cost in costs)
        return RuleTotal(rule, len(numbers), ordered, cpu, max(cost.memory for cost in costs), disk)

    def heaviest(self) -> list[tuple[NeededJob, Cost]]:
        """Return the jobs that take longest."""
        numbers = sorted(range(len(self.jobs)), key=lambda number: (-self.costs[number].cpu, number))
        return [(self.jobs[number], self.costs[number]) for number in numbers[:HEAVIEST]]

    def causes(self) -> dict[str, Counter]:
        """Return for each kind of cause what it is about, and how many jobs it makes run."""
        found: dict[str, Counter] = {kind: Counter() for kind in KINDS}
        for job in self.jobs:
            for cause in job.causes:
                found[cause.kind][cause.about] += 1
        return {kind: counts for kind, counts in found.items() if counts}

    def as_json(self) -> str:
        """Return the forecast as JSON, times in seconds, memory and disk in MB: one line for each job."""
        jobs = (json.dumps(_job_tree(job, cost)) for job, cost in zip(self.jobs, self.costs, strict=True))
        head = json.dumps(self._summary(), indent=1).removesuffix("\n}")
        return head + ',\n "jobs": [\n' + ",\n".join(jobs) + "\n ]\n}\n"

    def _summary(self) -> dict[str, Any]:
        return {
            "targets": list(self.targets),
            "cores": self.cores,
            "products": self.products,
            "up_to_date": self.up_to_date,
            "totals": {
                "jobs": len(self.jobs),
                "cpu_s": round(self.cpu, 2),
                "wall_s": round(self.schedule.wall, 2),
                "least_jobs": self.least.jobs if self.least else len(self.jobs),
                "least_wall_s": round(self.least.wall if self.least else self.schedule.wall, 2),
                "peak_memory_mb": round(self.schedule.memory),
                "written_mb": round(self.disk, 1),
                "replaced_mb": round(self.replaced, 1),
                "temporary_mb": round(self.schedule.temporary, 1),
            },
            "rules": {
                total.rule: {
                    "jobs": total.jobs,
                    "why": dict(total.kinds),
                    "cpu_s": round(total.cpu, 2),
                    "memory_mb": round(total.memory),
                    "written_mb": round(total.disk, 1),
                    "records": self.recorded.get(total.rule, 0),
                }
                for total in self.rules()
            },
            "why": {kind: dict(counts.most_common()) for kind, counts in self.causes().items()},
            "exposures": list(self.exposures),
            "associations": list(self.associations),
            "unrecorded": list(self.unrecorded),
            "parameter_references": list(self.parameters),
            "reference_changes": [asdict(change) for change in self.changes or ()],
        }


def _job_tree(job: NeededJob, cost: Cost) -> dict[str, Any]:
    return {
        "rule": job.rule,
        "wildcards": job.wildcards,
        "why": [[cause.kind, cause.about] if cause.about else [cause.kind] for cause in job.causes],
        "cpu_s": round(cost.cpu, 2),
        "memory_mb": round(cost.memory),
        "written_mb": round(cost.disk, 2),
        "output": [*job.outputs, *job.temporary],
    }


def joined(found: Iterable[NeededJobs]) -> NeededJobs:
    """Return the jobs of several graphs as if they were of one.

    Parameters
    ----------
    found : iterable of NeededJobs
        Of each graph.
    """
    jobs: list[NeededJob] = []
    unrecorded: list[str] = []
    for graph in found:
        jobs += [job.moved(len(jobs)) for job in graph.jobs] if jobs else graph.jobs
        unrecorded += graph.unrecorded
    return NeededJobs(jobs, unrecorded)


def size_on_disk(jobs: Iterable[NeededJob]) -> float:
    """Return how much the files take now, MB, that jobs are going to replace.

    Parameters
    ----------
    jobs : iterable of NeededJob
        Those that have to run.
    """
    total = 0
    for job in jobs:
        for path in () if job.kind == NEW else job.outputs:
            try:
                total += Path(path).stat().st_size
            except OSError:
                continue
    return total / 1e6
