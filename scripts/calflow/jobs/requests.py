"""What jobs ask of a machine or a cluster: more than they were measured to take, by a stated margin."""

import math
from collections.abc import Callable
from typing import Any

from calflow.jobs.measured_costs import MeasuredCosts
from calflow.jobs.sizes import Sizes

# What was measured holds for these libraries, here; and a line through two sizes is not the truth.
MEMORY_MARGIN, MEMORY_BESIDE_MB = 1.5, 200
# Nodes are slower, their disks shared by all; and each minute of an hour's limit is cheap.
TIME_MARGIN, MINUTES_BESIDE = 20, 5
# Beside the script two Snakemakes run in each job of a cluster, one that starts the other: 120 MB each.
SNAKEMAKE_MB = 300
EXPOSURES_PER_MB = 20


class Requests:
    """
    The memory and the time to ask for.

    A job that is tried again asks for twice and three times as much, since the first may have been too little.

    Parameters
    ----------
    sizes : Sizes
    local : callable
        Tells whether jobs run in this machine, where no Snakemake stands between.
    exposures : int
        In the plan, which each job of a cluster loads.
    cores : callable
        Tells how many this run has for its jobs; 1 if they do not run on this machine.
    """

    def __init__(
        self, sizes: Sizes, local: Callable[[], bool], exposures: int = 0, cores: Callable[[], int] = lambda: 1
    ):
        self._sizes = sizes
        self._local = local
        self._exposures = exposures
        self._cores = cores
        self._costs = MeasuredCosts()

    def memory(self, rule: str, wildcards: Any, attempt: int, threads: int = 1) -> int:
        """
        Return the memory to ask for, MB.

        Parameters
        ----------
        rule : str
        wildcards : mapping of name to str
        attempt : int
            1 for the first one.
        threads : int
        """
        cost = self._costs.of(rule)
        size = self._sizes.of(wildcards, whole=cost.work.whole).with_threads(threads)
        script = MEMORY_MARGIN * cost.memory_of(size) + MEMORY_BESIDE_MB
        beside = 0 if self._local() else SNAKEMAKE_MB + self._exposures // EXPOSURES_PER_MB
        return attempt * (math.ceil(script) + beside)

    def threads(self, wildcards: Any, mpixels: float) -> int:
        """Return the number of threads for an image: of the cores of this machine what each of all images gets.

        More would have jobs of several images wait for each other. Where jobs run elsewhere it is 1, unless the user
        says otherwise (``--set-threads``).

        Parameters
        ----------
        wildcards : mapping of name to str
            ``association``.
        mpixels : float
            Of the image for each thread, at least: a job with threads waits until so many cores are free.
        """
        size = self._sizes.of(wildcards, whole=False)
        return max(1, min(self._cores() // self._sizes.images, int(size.image / mpixels)))

    def minutes(self, rule: str, wildcards: Any, attempt: int) -> int:
        """Return the time after which a job is ended, minutes.

        Parameters
        ----------
        rule : str
            Its name.
        wildcards : mapping of name to str
        attempt : int
            1 for the first one.
        """
        cost = self._costs.of(rule)
        seconds = cost.seconds_of(self._sizes.of(wildcards, whole=cost.work.whole))
        return attempt * (MINUTES_BESIDE + math.ceil(TIME_MARGIN * seconds / 60))
