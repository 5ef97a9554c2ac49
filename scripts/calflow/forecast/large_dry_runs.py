"""Dry runs of large plans: a line for each job, of graphs that are built part by part.

Snakemake builds one graph of all, on one core, and tells each job in three lines or more: of 10,000 exposures for two
minutes and in 2 GB.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from calflow.engine.execution import Execution, Layer
from calflow.engine.needed_jobs import NeededJob
from calflow.engine.run_log import asks_for_other_text
from calflow.forecast.target import EVERYTHING, needed_of_parts, separable
from calflow.forecast.text import aligned
from calflow.plan.plan import Plan

# From this number of exposures on Snakemake's own dry run takes much longer.
LARGE = 300
NOTHING = "Nothing to be done: all products are up to date."
NAMED = 2  # causes of a job


def tell_large_dry_runs(plan: Plan) -> Layer:
    """Return the layer that tells the jobs of a dry run of a large plan, in place of Snakemake.

    What asks for more or less of Snakemake's text, or needs the whole graph, is left to it.

    Parameters
    ----------
    plan : Plan
        Of the run.
    """

    def tell_or_execute(execution: Execution, execute: Callable[[], Any]) -> Any:
        if not execution.is_dry or len(plan.exposures) < LARGE or asks_for_other_text(execution.workflow):
            return execute()
        parts = separable(execution, plan, execution.targets or [EVERYTHING])
        if not parts or len(parts) < 2:
            return execute()
        for line in dry_run_lines(needed_of_parts(execution, plan, parts).jobs):
            print(line)
        return True

    return tell_or_execute


def dry_run_lines(jobs: Sequence[NeededJob]) -> Iterator[str]:
    """Yield what a dry run tells: each job and why it would run, and how many there are of each rule.

    Parameters
    ----------
    jobs : sequence of NeededJob
    """
    if not jobs:
        yield NOTHING
        return
    for job in jobs:
        causes = [f"{cause.kind}: {cause.about}" if cause.about else cause.kind for cause in job.causes]
        more = f" and {len(causes) - NAMED} more" if len(causes) > NAMED else ""
        yield f"{job.rule} {job.name}: {'; '.join(causes[:NAMED])}{more}"
    counts = Counter(job.rule for job in jobs)
    yield ""
    yield "Job stats:"  # as Snakemake has them, for those who read them by a program
    yield from aligned([("job", "count"), *((rule, str(n)) for rule, n in counts.items()), ("total", str(len(jobs)))])
    yield ""
    yield "This was a dry run: nothing was done. What a run would cost is told by snakemake plan."
