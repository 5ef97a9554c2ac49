"""Parts of a large plan that a run leaves up to date: known as it ends, so that the next one builds no graph of them.

A graph would say so if it were built now. What it would look at is looked at here: that all is there, that nothing is
older than what it was made of, and that records tell of the jobs of this graph. Whatever is in doubt is not noted, and
the next run builds its graph.
"""

import os
import stat
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from calflow.engine.execution import Execution
from calflow.engine.inside import file_of_record
from calflow.engine.up_to_date import LEAST_AGE, Files, State, digest_of


@dataclass(frozen=True)
class Looked:
    """What was seen of a file: its state, and nanoseconds. Of a link they are those of the link or of its target."""

    state: State
    oldest: int
    newest: int
    changed: int


def files_of_made_parts(execution: Execution, parts: Sequence[Sequence[str]], since: float) -> list[Files | None]:
    """Return for each part of a run the files by which it is up to date; None if it is not, or if that is in doubt.

    Parameters
    ----------
    execution : Execution
        Which has ended, however that was.
    parts : sequence of sequence of str
        The products of each.
    since : float
        As of `MadeParts`.
    """
    workflow = execution.workflow
    # A run that was forced to make what is there will be so by the next command that is like it.
    if execution.is_dry or workflow.dag is None or workflow.dag_settings.forcerun:
        return [None] * len(parts)
    made = MadeParts(workflow, since)
    return [made.files_of(part) for part in parts]


class MadeParts:
    """
    What a run that has ended, with jobs that failed or without, tells of the parts of its plan.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        With the graph of the run.
    since : float
        When the run began to look at files, in seconds: what was not made by it and is younger may have changed since
        Snakemake looked at it.
    """

    def __init__(self, workflow: Any, since: float) -> None:
        self._workflow, self._dag = workflow, workflow.dag
        self._begun, self._settled = int(since * 1e9), int((since - LEAST_AGE) * 1e9)
        self._now = int((time.time() - LEAST_AGE) * 1e9)
        self._maker = {str(path): job for job in self._dag.jobs for path in job.output}
        self._looked: dict[str, Looked | None] = {}
        self._written: dict[Any, list[str]] = {}

    def files_of(self, targets: Sequence[str]) -> Files | None:
        """
        Return the files by which a part is up to date; None if it is not, or if that is in doubt.

        Parameters
        ----------
        targets : sequence of str
            The products of the part.
        """
        jobs = self._behind(targets)
        if not jobs or not all(map(self._is_up_to_date, jobs)):
            return None
        files = sorted({path for job in jobs for path in [*map(str, job.input), *self._written[job]]})
        states = [looked.state if (looked := self._look(path)) else () for path in files]
        # What changes after this look has to get another time by that.
        if any(looked.changed > self._now for path in files if (looked := self._look(path))):
            return None
        return digest_of(files, states), files

    def _behind(self, targets: Iterable[str]) -> list[Any]:
        """Return the jobs that a part consists of; none if one of its products has no job in this graph."""
        ahead = [self._maker.get(path) for path in targets]
        found: dict[Any, None] = {}
        while ahead:
            job = ahead.pop()
            if job is None:
                return []
            if job not in found:
                found[job] = None
                ahead += self._dag.job_dependencies(job)
        return list(found)

    def _is_up_to_date(self, job: Any) -> bool:
        has_run = self._dag.finished(job)
        if self._dag.needrun(job) and not has_run:
            return False
        records = [record for path in job.output if (record := file_of_record(self._workflow, path))]
        kept = [str(path) for path in job.output if not path.is_temp]
        if len(records) < len(job.output) or not all(map(self._look, [*records, *kept])):
            return False
        self._written[job] = list(map(str, [*job.output, *records, *([job.benchmark] if job.benchmark else [])]))
        if not has_run:
            return all(map(self._is_settled, self._written[job])) and self._is_in_order(job)
        return self._is_of_this_run(kept, records, job) and self._is_in_order(job)

    def _is_of_this_run(self, kept: Iterable[str], records: Iterable[str], job: Any) -> bool:
        """Tell whether the files of a job that has finished are new, and so are the records of how it made them."""
        if any(looked.oldest < self._begun for path in kept if (looked := self._look(path))):
            return False
        if all(looked.oldest >= self._begun for path in records if (looked := self._look(path))):
            return True
        # It was left out, since it would have made what is there; or no records are kept.
        persistence = self._workflow.persistence
        return not (
            persistence.has_outdated_metadata(job)
            or persistence.params_changed(job)
            or any(persistence.input_changed(job))
        )

    def _is_in_order(self, job: Any) -> bool:
        """Tell whether all inputs are there, none of them younger than what was made of it."""
        own = self._times(job) or [time for other in self._dag.depending[job] for time in self._times(other)]
        return bool(own) and all(self._is_older(path, min(own)) for path in job.input)

    def _is_older(self, path: Any, written: int) -> bool:
        looked, maker = self._look(str(path)), self._maker.get(str(path))
        if looked is None:  # what is wanted of its job is asked of that
            return maker is not None
        return (path.is_ancient or looked.newest <= written) and (maker is not None or self._is_settled(str(path)))

    def _is_settled(self, path: str) -> bool:
        """Tell whether a file has not changed since before the run looked at it."""
        looked = self._look(path)
        return looked is None or looked.changed < self._settled

    def _times(self, job: Any) -> list[int]:
        """Return when the files of a job were written."""
        files = map(str, [*job.output, *([job.benchmark] if job.benchmark else [])])
        return [looked.oldest for path in files if (looked := self._look(path))]

    def _look(self, path: str) -> Looked | None:
        """Return what is seen of a file, which is looked at once; None if it is not there."""
        if path not in self._looked:
            self._looked[path] = _looked_at(path)
        return self._looked[path]


def _looked_at(path: str) -> Looked | None:
    try:
        link = os.lstat(path)
        file = os.stat(path) if stat.S_ISLNK(link.st_mode) else link
    except OSError:
        return None
    times = link.st_mtime_ns, file.st_mtime_ns
    state = file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns
    return Looked(state, min(times), max(times), max(link.st_ctime_ns, file.st_ctime_ns))
