"""``snakemake plan``, and runs that look only at what is stale: both before Snakemake builds its graph."""

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from calflow.engine.execution import Execution, Layer
from calflow.engine.graphs import over_graphs, processes_for, shared_out, with_graph
from calflow.engine.made_parts import files_of_made_parts
from calflow.engine.needed_jobs import NeededJob, NeededJobs, needed_jobs
from calflow.engine.targets import PLAN
from calflow.engine.up_to_date import Files, UpToDate, files_if_up_to_date, key_of
from calflow.forecast.costs import Costs
from calflow.forecast.forecast import Forecast, joined, least_of, size_on_disk
from calflow.forecast.schedule import schedule
from calflow.forecast.text import forecast_text
from calflow.jobs.code_hash import CodeHashes, cache_of_code
from calflow.jobs.sizes import Sizes
from calflow.plan.components import TARGETS, components
from calflow.plan.handed_on import key_of_code
from calflow.plan.made_beside import made_beside
from calflow.plan.parameter_record import parameter_record
from calflow.plan.plan import Plan
from calflow.plan.plan_json import plan_to_json
from calflow.whole_files import replace_text

UP_TO_DATE = Path(".snakemake/calflow/up_to_date")
REMEMBERED_CODE = Path(".snakemake/calflow/code")
SCRIPT_OF_STEPS = Path(__file__).parents[2] / "apply_extra_steps.py"
EVERYTHING = "all"
# From this number of exposures on it pays to look for what is stale before building the whole graph ...
WORTHWHILE = 100
# ... if most products are there; looked for in this many.
SAMPLE = 50


def offer_plan(plan: Plan) -> Layer:
    """Return the layer that prints the forecast and runs nothing, if `plan` is among the targets.

    Parameters
    ----------
    plan : Plan
        Of the run.
    """

    def execute_or_forecast(execution: Execution, execute: Callable[[], Any]) -> Any:
        targets = execution.targets
        if PLAN not in targets:
            return execute()
        targets.remove(PLAN)
        print(show_forecast(execution, plan, targets or [EVERYTHING]))
        return None

    return execute_or_forecast


def look_ahead(plan: Plan, tell: Callable[[Sequence[str]], None]) -> Layer:
    """Return the layer that has runs of large plans leave out what is up to date, before the graph is built.

    Parameters
    ----------
    plan : Plan
        Of the run.
    tell : callable
        Gets the products that are left out.
    """

    def execute_what_is_stale(execution: Execution, execute: Callable[[], Any]) -> Any:
        parts = _parts_of_large_run(execution, plan)
        if not parts:
            tell([])
            return execute()
        began, known = time.time(), _known_up_to_date(execution, plan)
        stale = _stale_parts(execution, known, parts) if _mostly_made(parts) else parts
        targets, up_to_date = _targets_of(stale, parts)
        execution.aim_at(execution.targets if targets is None else targets)
        tell(up_to_date)
        try:
            return execute()
        finally:
            _note(known, stale, files_of_made_parts(execution, stale, began))

    return execute_what_is_stale


def show_forecast(execution: Execution, plan: Plan, targets: Sequence[str]) -> str:
    """Write the forecast of some targets to a file, and return it as text.

    Parameters
    ----------
    execution : Execution
        What was asked for, and the workflow.
    plan : Plan
        Of the run.
    targets : sequence of str
        Files and rules.
    """
    parts = separable(execution, plan, targets)
    if parts and len(parts) > 1:
        needed = needed_of_parts(execution, plan, parts)
        products = set(itertools.chain.from_iterable(parts))
    else:
        needed = with_graph(execution, targets, lambda graph: needed_jobs(graph, plan.is_reference))
        products = {path for part in components(plan) for path in _paths(part, targets)}
        products |= {target for target in targets if not execution.is_rule(target)}
        products |= set(made_beside(plan)) if EVERYTHING in targets else set()
    forecast = _forecast(execution, plan, targets, needed, products)
    path = Path(f"{plan.output}plan.json")
    replace_text(path, forecast.as_json())
    return forecast_text(forecast, str(path))


def _forecast(
    execution: Execution, plan: Plan, targets: Sequence[str], needed: NeededJobs, products: set[str]
) -> Forecast:
    costs = Costs(Sizes(plan), Path(f"{plan.output}benchmarks"))
    estimates = [costs.of(job) for job in needed.jobs]
    cores = execution.at_once or 1
    made = {path for job in needed.jobs for path in job.outputs}
    exposures, associations = concerned(plan, needed.jobs)
    return Forecast(
        targets=tuple(targets),
        cores=cores,
        jobs=tuple(needed.jobs),
        costs=tuple(estimates),
        schedule=schedule(needed.jobs, estimates, cores),
        products=len(products),
        up_to_date=len(products - made),
        replaced=size_on_disk(needed.jobs),
        recorded=costs.recorded,
        least=least_of(needed.jobs, estimates, cores) if _leaves_out(execution, plan) else None,
        unrecorded=tuple(needed.unrecorded),
        exposures=tuple(exposures),
        associations=tuple(associations),
        parameters=tuple(parameter_record(plan)),
        changes=plan.reference_changes if plan.settings.references.compare_context else None,
    )


def _leaves_out(execution: Execution, plan: Plan) -> bool:
    return plan.settings.leave_out_unchanged and not execution.is_stored_elsewhere and not execution.forces_all


def concerned(plan: Plan, jobs: Sequence[NeededJob]) -> tuple[list[str], list[str]]:
    """Return the exposures and the associations that jobs work on, each once.

    Parameters
    ----------
    plan : Plan
        Of the run.
    jobs : sequence of NeededJob
        Those that have to run.
    """
    exposures: dict[str, None] = {}
    associations: dict[str, None] = {}
    for job in jobs:
        wildcards = job.wildcards
        if "crf" in wildcards:
            name, root = plan.stage3.crf_of(wildcards["crf"])
            associations[name] = exposures[root] = None
        for name in ("exposure", "merged", "member"):
            if name in wildcards:
                exposures[wildcards[name]] = None
        if "association" in wildcards:
            associations[wildcards["association"]] = None
    return sorted(exposures), sorted(associations)


def separable(execution: Execution, plan: Plan, targets: Sequence[str]) -> list[list[str]] | None:
    """Return the files that targets stand for, in lists whose graphs have nothing in common.

    None if the targets, or other options of the command line, need the whole graph.

    Parameters
    ----------
    execution : Execution
        What was asked for, and the workflow.
    plan : Plan
        Of the run.
    targets : sequence of str
        Files and rules.
    """
    if execution.is_whole or not set(targets) <= {EVERYTHING, *TARGETS}:
        return None
    if EVERYTHING in targets and made_beside(plan):  # pictures of a filter have one scale
        return None
    return shared_out((part.exposures, _paths(part, targets)) for part in components(plan))


def _paths(part: Any, targets: Sequence[str]) -> list[str]:
    wanted = TARGETS if EVERYTHING in targets else [target for target in TARGETS if target in targets]
    return [path for target in wanted for path in part.products[target]]


def _parts_of_large_run(execution: Execution, plan: Plan) -> list[list[str]] | None:
    """Return the parts of the plan of a run; None if it is too small for that to pay, or needs the whole graph."""
    if len(plan.exposures) < WORTHWHILE or execution.touches or execution.forces_all:
        return None
    parts = separable(execution, plan, execution.targets or [EVERYTHING])
    return parts if parts and len(parts) > 1 else None


def _targets_of(stale: Sequence[list[str]], parts: Sequence[list[str]]) -> tuple[list[str] | None, list[str]]:
    """Return the targets of a run of what is stale, None for those it has, and the products that are left out of it."""
    if len(stale) == len(parts):
        return None, []
    wanted = {path: None for part in stale for path in part}
    up_to_date = [path for part in parts for path in part if path not in wanted]
    # If all is up to date, Snakemake says so of one product.
    return (list(wanted), up_to_date) if wanted else (up_to_date[:1], up_to_date[1:])


def _stale_parts(execution: Execution, known: UpToDate | None, parts: Sequence[list[str]]) -> list[list[str]]:
    """Return the parts of a plan that have jobs to run: graphs are built of what is not known to be as it was."""
    parts = _unknown(parts, known)
    look = partial(files_if_up_to_date, since=time.time())
    found = _over_graphs(execution, parts, look)
    _note(known, parts, [files for _, files in found])
    return [part for part, (is_up_to_date, _) in zip(parts, found, strict=True) if not is_up_to_date]


def needed_of_parts(execution: Execution, plan: Plan, parts: Sequence[list[str]]) -> NeededJobs:
    """Return the jobs that have to run of parts of a plan. What is found up to date is noted for later runs.

    Parameters
    ----------
    execution : Execution
        What was asked for, and the workflow.
    plan : Plan
        Of the run.
    parts : sequence of list of str
        Files, as `separable` returns them.
    """
    since = time.time()
    # Of a new survey there is nothing to know, and nothing to note.
    is_new = not UP_TO_DATE.exists() and not _mostly_made(parts)
    known = None if is_new or execution.forces_all else _known_up_to_date(execution, plan)
    parts = _unknown(parts, known)

    def look(graph: Any) -> tuple[NeededJobs, Files | None]:
        return needed_jobs(graph, plan.is_reference), files_if_up_to_date(graph, since)[1]

    found = _over_graphs(execution, parts, look)
    _note(known, parts, [files for _, files in found])
    return joined(needed for needed, _ in found)


def _over_graphs(execution: Execution, parts: Sequence[list[str]], look: Callable[[Any], Any]) -> list[Any]:
    return over_graphs(execution, parts, look, processes_for(len(parts))) if parts else []


def _note(known: UpToDate | None, parts: Sequence[list[str]], found: Sequence[Files | None]) -> None:
    if known is not None:
        for part, files in zip(parts, found, strict=True):
            known.note(part, files)
        known.save()


def _unknown(parts: Sequence[list[str]], known: UpToDate | None) -> list[list[str]]:
    return list(parts) if known is None else [part for part in parts if not known.holds(part)]


def _known_up_to_date(execution: Execution, plan: Plan) -> UpToDate | None:
    """Return what earlier runs found; None if files are stored elsewhere, or the plan cannot be written."""
    if execution.is_stored_elsewhere:
        return None
    with suppress(TypeError, ValueError):
        return UpToDate(UP_TO_DATE, key_of(execution, plan_to_json(plan), key_of_code(), _users_code(plan)))
    return None


def _users_code(plan: Plan) -> str:
    """Return a key of what extra steps use of the user's own code; empty if there is none."""
    steps = [step for cleaning in plan.cleanings.values() for step in cleaning.steps]
    own = sorted({step.function for step in steps if step.is_own})
    return CodeHashes(cache_of_code(otherwise=REMEMBERED_CODE)).hash(SCRIPT_OF_STEPS, *own) if own else ""


def _mostly_made(parts: Sequence[Sequence[str]]) -> bool:
    paths = list(itertools.chain.from_iterable(parts))
    sample = paths[:: max(1, len(paths) // SAMPLE)]
    return sum(Path(path).exists() for path in sample) > len(sample) / 2
