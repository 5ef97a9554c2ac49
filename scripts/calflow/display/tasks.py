"""The jobs that a run is going to do, as it tells of them, with when they are expected to end."""

from collections.abc import Sequence
from pathlib import Path

from calflow.display.progress import OTHER, REFERENCES, STAGE2, STAGE3, Task
from calflow.engine.needed_jobs import NeededJob
from calflow.forecast.costs import Costs
from calflow.forecast.schedule import schedule
from calflow.jobs.sizes import Sizes
from calflow.plan.plan import Plan, reference_folder
from calflow.printable import printable


def tasks_of(plan: Plan, jobs: Sequence[NeededJob], at_once: int) -> list[Task]:
    """Return the jobs of a run.

    Parameters
    ----------
    plan : Plan
    jobs : sequence of NeededJob
        Each after those it waits for.
    at_once : int
        How many may run at the same time.
    """
    costs = Costs(Sizes(plan), Path(f"{plan.output}benchmarks"))
    taken = [costs.of(job) for job in jobs]
    ends = schedule(jobs, taken, at_once).ends
    products = set(plan.products())
    folders = {
        f"{plan.folder}/": STAGE2,
        f"{plan.stage3.folder}/": STAGE3,
        f"{reference_folder(plan.settings)}/": REFERENCES,
    }
    tasks = []
    for job, end, cost in zip(jobs, ends, taken, strict=True):
        files = [*job.outputs, *job.temporary]
        stage = next((stage for folder, stage in folders.items() if files[0].startswith(folder)), OTHER)
        kept = tuple(path for path in job.outputs if path in products or stage == OTHER)
        numbers = tuple(jobs[other].number for other in job.after)
        association = printable(_association(plan, job)) if stage == STAGE3 else ""
        name, kept = printable(job.name), tuple(map(printable, kept))
        expected = cost.cpu, cost.wall, cost.memory
        tasks.append(Task(job.number, job.rule, name, stage, association, kept, numbers, end, *expected))
    return tasks


def _association(plan: Plan, job: NeededJob) -> str:
    """Return the association that a job works for; empty if it may be several."""
    if "crf" in job.wildcards:
        return plan.stage3.crf_of(job.wildcards["crf"]).association
    return job.wildcards.get("association", "")
