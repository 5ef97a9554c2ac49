"""Jobs that nothing waits for, as quick looks, are kept for the end of a run, where a single job leaves cores idle.

Snakemake starts whatever is ready while a core is free. So the moment in which an association is aligned goes to a
quick look, which then holds up what all exposures wait for; and when the image is combined, and its sources are found,
nothing is left for the other core. A job that wants several cores is started when so many are free: one after another,
each that becomes free goes to a quick look, and the image comes last. So it gets fewer while these are there, too.
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


def threads_beside(wanted: int, others: int, cores: int, free: int) -> int:
    """
    Return with how many threads a job is started beside others.

    Parameters
    ----------
    wanted : int
        With how many it would be if it were alone.
    others : int
        How many other jobs run, or are ready and have been kept.
    cores, free : int
        Of the run, and those of them on which nothing runs.

    Returns
    -------
    int
        1 at the least. What the others leave of all cores, but half of these if there are many others, which last about
        as long; and not more than are free.
    """
    return max(1, min(wanted, free, max(cores - others, cores // 2)))


class SpareJobs(Scheduler):
    """The scheduler of a run, which on this machine keeps some jobs for its end, and shares cores among the others.

    Parameters
    ----------
    *arguments : object
        What Snakemake's scheduler takes.
    **options : object
        Alike.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._wanted: dict[Any, int] = {}  # threads of jobs that want several

    def job_selector(self, jobs: Collection[Any]) -> Sequence[Any]:
        """Return which of the jobs that are ready are started.

        Parameters
        ----------
        jobs : collection of Snakemake's jobs
        """
        if self.workflow.local_exec:
            cores = self.workflow.resource_settings.cores or 1
            kept = kept_for_later(jobs, self.running, self.workflow.dag, cores)
            jobs = [job for job in jobs if job not in kept]
            self._share_cores(jobs, cores)
        return super().job_selector(jobs) if jobs else []

    def _share_cores(self, jobs: Collection[Any], cores: int) -> None:
        others = len(self.running) + sum(1 for job in jobs if job.priority < 0)
        for job in (job for job in jobs if not job.is_group()):
            wanted = self._wanted.setdefault(job, job.threads) if job.threads > 1 else self._wanted.get(job)
            if wanted:
                given = threads_beside(wanted, others, cores, self.resources["_cores"])
                job.resources._cores = job.scheduler_resources["_cores"] = given
