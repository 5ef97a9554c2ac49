"""Snakemake's graph built part by part, in several processes: in less time and memory than as a whole.

Snakemake takes about a millisecond and 15 kB for each job of a graph, on one core. What is stale in one component of
the plan tells nothing of another, so each is a graph of its own.
"""

import gc
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from calflow.engine.execution import Execution
from calflow.engine.inside import (
    build_graph,
    compare_files_as_texts,
    forget_graph,
    look_at_files_once,
    renew_threads,
)

Result = TypeVar("Result")

# Exposures in one graph: enough that the start of a graph does not count, few enough to share out evenly.
PER_GRAPH = 100
# A graph is full of cycles, and looking for them takes a quarter of the time to build it. So nobody does, and a process
# makes way for a new one when it holds this many: 20 MB each.
GRAPHS_PER_PROCESS = 4


def with_graph(execution: Execution, targets: Sequence[str], use: Callable[[Any], Result]) -> Result:
    """Build the graph of some targets as Snakemake would for a run, and return what is made of it.

    Parameters
    ----------
    execution : Execution
        Its targets and the graph of its workflow are other ones afterwards.
    targets : sequence of str
        Files and rules.
    use : callable
        Gets the workflow with its graph.
    """
    build_graph(execution.workflow, execution.plugin, execution.plugin_settings, targets)
    return use(execution.workflow)


def over_graphs(
    execution: Execution, targets: Sequence[Sequence[str]], use: Callable[[Any], Result], processes: int
) -> list[Result]:
    """Do `with_graph` for several lists of targets, in processes of their own.

    Parameters
    ----------
    execution : Execution
    targets : sequence of sequence of str
    use : callable
        Its result goes from one process to another.
    processes : int

    Returns
    -------
    list
        In the order of `targets`.
    """
    global _task
    _task = execution, targets, use
    try:
        context = multiprocessing.get_context("fork")
        with context.Pool(min(processes, len(targets)), _begin, maxtasksperchild=GRAPHS_PER_PROCESS) as pool:
            return pool.map(_one, range(len(targets)), chunksize=1)
    finally:
        del _task


_task: tuple[Execution, Sequence[Sequence[str]], Callable[[Any], Any]]


def _begin() -> None:
    """Give the process loops and threads of its own, and keep it quiet: the main process speaks."""
    gc.disable()
    logging.disable(logging.CRITICAL)
    compare_files_as_texts()
    if not _task[0].is_stored_elsewhere:
        look_at_files_once()
    renew_threads(_task[0].workflow)


def _one(number: int) -> Any:
    execution, targets, use = _task
    result = with_graph(execution, targets[number], use)
    forget_graph(execution.workflow)
    return result


def processes_for(graphs: int) -> int:
    """Return how many processes to share graphs out to.

    Parameters
    ----------
    graphs : int
        How many there are.
    """
    return max(1, min(graphs, len(os.sched_getaffinity(0)), 8))


def shared_out(parts: Iterable[tuple[int, list[str]]]) -> list[list[str]]:
    """Join short lists of targets to longer ones, of about `PER_GRAPH` exposures each.

    Parameters
    ----------
    parts : iterable of (int, list of str)
        The number of exposures, and the targets, of each.
    """
    joined: list[list[str]] = []
    room = 0
    for exposures, targets in parts:
        if not targets:
            continue
        if not joined or room <= 0:
            joined.append([])
            room = PER_GRAPH
        joined[-1] += targets
        room -= max(exposures, 1)
    return joined
