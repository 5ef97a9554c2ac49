"""Early cut-off: what lies behind a job that has made the same bytes again is left out of the run.

Snakemake's records have the checksum of each input for that (`Checksums`); it also goes by them in later runs, where an
input is newer than what was made of it.
"""

import logging
import os
from collections.abc import Callable, Collection, Iterable
from typing import Any

from snakemake.logging import logger

from calflow.engine.execution import Execution, Layer
from calflow.engine.inside import compare_content_by, schedule_by
from calflow.engine.spare_jobs import SpareJobs
from calflow.engine.unchanged import PART, Checksums, Unchanged, members


def leave_out_unchanged(folders: Collection[str]) -> Layer:
    """
    Return what has runs leave out jobs that would make what is there. With data in S3 it does nothing.

    Parameters
    ----------
    folders : collection of str
        Where products are, as the paths of Snakemake begin.
    """
    checksums = Checksums(lambda path: path.startswith(tuple(folders)))

    def compare_content_and_execute(execution: Execution, execute: Callable[[], Any]) -> Any:
        if not execution.is_stored_elsewhere:
            execution.compare_content()
            compare_content_by(checksums.of_input, _may_tell)
            schedule_by(type("CutOffScheduler", (CutOff,), {"checksums": checksums}))
        return execute()

    return compare_content_and_execute


def _may_tell(job: Any) -> bool:
    """
    Tell whether the records of a job may say, before a run, that nothing has changed.

    Those of temporary files may not: when one is made again, its record agrees with its input, though what was made of
    it before does not.
    """
    return not any(path.is_temp for path in job.output) and all(map(os.path.exists, map(str, job.output)))


class CutOff(SpareJobs):
    """The scheduler of a run. It does not start jobs whose products would come out as they are.

    Parameters
    ----------
    *arguments : object
        What Snakemake's scheduler takes.
    **options : object
        Alike.
    """

    checksums: Checksums

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unchanged = Unchanged(self.workflow, self.checksums)

    @property
    def left_out(self) -> set[Any]:
        """The jobs that were not started."""
        return self._unchanged.left_out

    def run(self, jobs: Iterable[Any], executor: Any = None) -> None:
        """Start jobs that are ready, except those whose products would come out as they are.

        Parameters
        ----------
        jobs : iterable of Snakemake's jobs
        executor : Snakemake's executor
            The one for local jobs; None: the usual one.
        """
        jobs = list(jobs)
        if not (self.dryrun or self.touch):
            unchanged = self._unchanged_of(jobs)
            jobs = [job for job in jobs if job not in unchanged]
            if unchanged:
                self._leave_out(unchanged)
            for job in jobs:
                self._unchanged.expect(job)
        if jobs:
            super().run(jobs, executor)
            if not (self.dryrun or self.touch):
                self.checksums.read_ahead(
                    str(path) for job in jobs for one in members(job) for path in one.input if PART not in path.flags
                )

    def _unchanged_of(self, jobs: list[Any]) -> list[Any]:
        try:
            return self._unchanged.among(jobs)
        except Exception as error:  # to run more than is needed is never wrong
            logger.warning(f"it cannot be told whether jobs would make what is there: {error!r}")
            return []

    def _leave_out(self, jobs: list[Any]) -> None:
        """Have jobs count as finished, as the scheduler does with those that have run."""
        with self._lock:
            for job in jobs:
                self._unchanged.leave_out(job)
                self.finished_jobs += len(job)
                self.running.remove(job)
                self._free_resources(job)
                for one in members(job):
                    text = f"As before, not run: {one.rule.name} {', '.join(map(str, one.wildcards))}"
                    logger.log(logging.INFO, text, extra={"left_out": one.jobid})
                self.workflow.async_run(self.workflow.dag.finish(job, update_checkpoint_dependencies=False))
            if self.print_progress:
                self.progress()
            self._open_jobs.release()
