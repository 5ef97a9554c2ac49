"""What jobs ask of a cluster."""

from collections.abc import Callable
from dataclasses import dataclass

# Beside the script two Snakemakes run in each job of a cluster, one that starts the other: 120 MB each.
SNAKEMAKE_MB = 300
EXPOSURES_PER_MB = 20


@dataclass(frozen=True)
class Requests:
    """
    Requests that hold what Snakemake itself takes of a job, and grow when a job is tried again.

    Attributes
    ----------
    local : callable
        Tells whether jobs run in this machine, where no Snakemake stands between.
    exposures : int
        In the plan, which each job loads.
    """

    local: Callable[[], bool]
    exposures: int = 0

    def memory(self, script_mb: int, attempt: int) -> int:
        """
        Return the memory to ask for, MB.

        Parameters
        ----------
        script_mb : int
            What the rule's script takes.
        attempt : int
            1 for the first one: another gets twice and three times as much, since the first may have been too little.
        """
        beside = 0 if self.local() else SNAKEMAKE_MB + self.exposures // EXPOSURES_PER_MB
        return attempt * (script_mb + beside)
