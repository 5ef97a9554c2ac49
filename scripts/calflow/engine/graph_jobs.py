"""The jobs of Snakemake's graph by the files that they make: with which parameters, and why a run would do them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from snakemake.exceptions import InputFunctionException, MissingInputException, MissingRuleException

from calflow.engine.execution import Execution
from calflow.engine.graphs import with_graph
from calflow.engine.inside import forget_graph
from calflow.engine.needed_jobs import needed_jobs
from calflow.engine.reasons import Cause, name_of


@dataclass(frozen=True)
class GraphJob:
    """A job as a run would do it today.

    Attributes
    ----------
    parameters : mapping of str to str
        By name, as records have them.
    causes : tuple of Cause
        Why a run would do it; empty if its products are up to date.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()


def jobs_by_file(execution: Execution, target: str, is_reference: Callable[[str], bool]) -> dict[str, GraphJob] | None:
    """Return the jobs behind a file, by each file that they make; None if no rule makes it now.

    Parameters
    ----------
    execution : Execution
        Its targets and the graph of its workflow are other ones afterwards.
    target : str
        The file.
    is_reference : callable
        Tells whether a path is that of a reference file.
    """
    try:
        return with_graph(execution, [target], lambda workflow: _by_file(workflow, is_reference))
    except (MissingRuleException, MissingInputException, InputFunctionException):
        return None
    finally:
        forget_graph(execution.workflow)


def _by_file(workflow: Any, is_reference: Callable[[str], bool]) -> dict[str, GraphJob]:
    needed = needed_jobs(workflow, is_reference).jobs
    causes = {path: one.causes for one in needed for path in (*one.outputs, *one.temporary)}
    return {
        name: GraphJob({key: repr(value) for key, value in job.params.items()}, causes.get(name, ()))
        for job in workflow.dag.jobs
        for name in map(name_of, job.output)
    }
