"""Jobs that nothing waits for, as quick looks, are kept for the end of a run, where a single job leaves cores idle.

Snakemake starts whatever is ready while a core is free. So the moment in which an association is aligned goes to a
quick look, which then holds up what all exposures wait for; and when the image is combined, and its sources are found,
nothing is left for the other core.
"""

from collections.abc import Collection, Sequence
from typing import Any

from calflow.engine.signals import Scheduler

# Where more jobs are ready, or left, the end of the run does not count, and to look at all of them takes time.
MOST_READY = 50
MOST_JOBS = 1000


def kept_for_later(jobs: Collection[Any], running: Collection[Any], dag: Any, cores: int) -> set[Any]:
    """
    Return which of the jobs that are ready are not to be started yet.

    Parameters
    ----------
    jobs, running : collection of Job
        Those that are ready, and those that run.
    dag : snakemake.dag.DAG
    cores : int
        Of the run.

    Returns
    -------
    set of Job
        Those of negative priority, or none: if nothing else runs or is ready, if what is left of the others are chains
        of jobs, fewer than cores, or if as many of these chains as there are cores are going to be at the end.
    """
    spare = {job for job in jobs if job.priority < 0}
    others = [job for job in (*jobs, *running) if job.priority >= 0]
    if not spare or not others or len(jobs) > MOST_READY or len(dag) > MOST_JOBS:
        return set()
    left = {job for job in dag.needrun_jobs() if job.priority >= 0 and job.output}
    before = {job: len(left.intersection(dag.dependencies[job])) for job in left}
    after = {job: len(left.intersection(dag.depending[job])) for job in left}
    ends = sum(1 for job in left if not after[job] and before[job] <= 1)
    beginnings = sum(1 for job in left if not before[job])
    are_chains = max((*before.values(), *after.values()), default=0) <= 1
    return spare if ends < cores and not (are_chains and beginnings < cores) else set()


class SpareJobs(Scheduler):
    """The scheduler of a run, which keeps some jobs for its end if it runs on this machine.

    Parameters
    ----------
    *arguments : object
        What Snakemake's scheduler takes.
    **options : object
        Alike.
    """

    def job_selector(self, jobs: Collection[Any]) -> Sequence[Any]:
        """Return which of the jobs that are ready are started.

        Parameters
        ----------
        jobs : collection of Snakemake's jobs
        """
        if self.workflow.local_exec:
            kept = kept_for_later(jobs, self.running, self.workflow.dag, self.workflow.resource_settings.cores or 1)
            jobs = [job for job in jobs if job not in kept]
        return super().job_selector(jobs) if jobs else []
