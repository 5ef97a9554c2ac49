"""The jobs that have to run, taken from Snakemake's graph."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from calflow.engine.reasons import FOLLOWS, Cause, causes_of, name_of


@dataclass(frozen=True)
class NeededJob:
    """A job that has to run.

    Attributes
    ----------
    rule : str
    wildcards : mapping of name to str
    causes : tuple of Cause
        Why; the most telling first.
    outputs, temporary : tuple of str
        The files it makes: those that are kept, and those that are removed when they have been read.
    after : tuple of int
        The jobs it waits for, as indices into the list that this job is in.
    priority : int
        Of jobs that are ready, those with the highest go first.
    number : int
        By which the log records of a run call it.
    threads : int
        The cores that it takes.
    """

    rule: str
    wildcards: dict[str, str]
    causes: tuple[Cause, ...]
    outputs: tuple[str, ...]
    temporary: tuple[str, ...]
    after: tuple[int, ...]
    priority: int = 0
    number: int = -1
    threads: int = 1

    @property
    def name(self) -> str:
        """Its wildcards, in one text."""
        return ", ".join(self.wildcards.values())

    def moved(self, by: int) -> "NeededJob":
        """Return the job as one of a list in which others stand before it.

        Parameters
        ----------
        by : int
            How many jobs stand before it.
        """
        return replace(self, after=tuple(number + by for number in self.after))

    @property
    def kind(self) -> str:
        """The kind of its first cause."""
        return self.causes[0].kind if self.causes else FOLLOWS


@dataclass(frozen=True)
class NeededJobs:
    """What has to run of a graph.

    Attributes
    ----------
    jobs : list of NeededJob
        Each after those it waits for; without the target rules, which make nothing.
    unrecorded : list of str
        Products that are there but of which Snakemake has no record: it takes them for up to date unless an input is
        newer.
    """

    jobs: list[NeededJob]
    unrecorded: list[str]


def needed_jobs(workflow: Any, is_reference: Callable[[str], bool] | None = None) -> NeededJobs:
    """Return the jobs of the graph that Snakemake has built and that it would run.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        Its ``dag`` is initialised.
    is_reference : callable, optional
        Tells whether a path is that of a reference file. Without it the causes are not looked for.

    Returns
    -------
    NeededJobs
    """
    dag = workflow.dag
    index: dict[Any, int] = {}
    needed: list[NeededJob] = []
    unrecorded: list[str] = []
    for level in dag.toposorted():
        unrecorded += [name_of(job.output[0]) for job in level if dag.reason(job).no_metadata and not dag.needrun(job)]
        for job in sorted((job for job in level if dag.needrun(job) and job.output), key=_order):
            index[job] = len(needed)
            temporary = tuple(name_of(path) for path in job.output if path.is_temp)
            needed.append(
                NeededJob(
                    rule=job.rule.name,
                    wildcards=dict(job.wildcards_dict),
                    causes=_causes(job, workflow, is_reference) if is_reference else (),
                    outputs=tuple(name_of(path) for path in job.output if not path.is_temp),
                    temporary=temporary,
                    after=tuple(sorted(index[other] for other in dag.job_dependencies(job) if other in index)),
                    priority=int(job.rule.priority or 0),
                    number=job.jobid,
                    threads=_threads(job),
                )
            )
    return NeededJobs(needed, sorted(unrecorded))


def _threads(job: Any) -> int:
    """Return the cores that a job takes: asked only of jobs whose rule says something of them, since it takes time."""
    return 1 if job.rule.resources["_cores"].raw == 1 else int(job.threads)


def _causes(job: Any, workflow: Any, is_reference: Callable[[str], bool]) -> tuple[Cause, ...]:
    """Return why a job runs; of one behind another also what Snakemake does not look at: what changed of its own."""
    reason, persistence = workflow.dag.reason(job), workflow.persistence
    causes = causes_of(job, reason, persistence, is_reference)
    if causes != (Cause(FOLLOWS),) or not persistence.has_metadata(job):
        return causes
    reason.params_changed = persistence.params_changed(job)
    reason.input_changed = any(persistence.input_changed(job))
    return causes_of(job, reason, persistence, is_reference)


def _order(job: Any) -> tuple[str, list[str]]:
    return job.rule.name, sorted(map(str, job.output))
