"""When jobs would run on a number of cores, and what they need at the same time."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from calflow.engine.needed_jobs import NeededJob
from calflow.forecast.costs import Cost

# Snakemake's own work for each job, and for a run, seconds: measured with thousands of small jobs.
PER_JOB = 0.03
PER_RUN = 2.0


@dataclass(frozen=True)
class Schedule:
    """What a run takes: seconds from start to end; largest sum of memory and of temporary files, MB; when jobs end."""

    wall: float
    memory: float
    temporary: float
    ends: tuple[float, ...] = ()


def schedule(jobs: Sequence[NeededJob], costs: Sequence[Cost], cores: int) -> Schedule:
    """Let jobs run, each on its cores, as soon as what they wait for is done and these are free.

    Parameters
    ----------
    jobs : sequence of NeededJob
        Each after those it waits for.
    costs : sequence of Cost
    cores : int

    Returns
    -------
    Schedule
    """
    waiting = [len(job.after) for job in jobs]
    readers: list[list[int]] = [[] for _ in jobs]
    for number, job in enumerate(jobs):
        for other in job.after:
            readers[other].append(number)
    unread = [len(numbers) for numbers in readers]
    ready = [(-job.priority, number) for number, job in enumerate(jobs) if not job.after]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    taken = [min(job.threads, cores) for job in jobs]
    free = cores
    ends = [0.0] * len(jobs)
    now = memory = temporary = 0.0
    peak = Peak()
    while ready or running:
        for number in _that_fit(ready, taken, free):
            free -= taken[number]
            heapq.heappush(running, (now + costs[number].wall + PER_JOB, number))
            memory += costs[number].memory
            temporary += costs[number].temporary
            peak.see(memory, temporary)
        now, number = heapq.heappop(running)
        ends[number] = now
        free += taken[number]
        memory -= costs[number].memory
        for other in jobs[number].after:  # a temporary file goes with its last reader
            unread[other] -= 1
            temporary -= 0.0 if unread[other] else costs[other].temporary
        for other in readers[number]:
            waiting[other] -= 1
            if not waiting[other]:
                heapq.heappush(ready, (-jobs[other].priority, other))
    return Schedule(now + (PER_RUN if jobs else 0.0), peak.memory, peak.temporary, tuple(ends))


def _that_fit(ready: list[tuple[int, int]], taken: Sequence[int], free: int) -> list[int]:
    """Take off a heap the jobs that can start; those that need more cores than are free let others go before them."""
    starting, held = [], []
    while ready and free:
        entry = heapq.heappop(ready)
        if taken[entry[1]] <= free:
            free -= taken[entry[1]]
            starting.append(entry[1])
        else:
            held.append(entry)
    for entry in held:
        heapq.heappush(ready, entry)
    return starting


class Peak:
    """The largest values seen."""

    def __init__(self) -> None:
        self.memory = self.temporary = 0.0

    def see(self, memory: float, temporary: float) -> None:
        """Take note of what is in use at some time, MB.

        Parameters
        ----------
        memory : float
            Of all jobs that run.
        temporary : float
            Of all files that are going to be removed.
        """
        self.memory = max(self.memory, memory)
        self.temporary = max(self.temporary, temporary)
