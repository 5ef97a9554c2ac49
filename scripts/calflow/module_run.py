"""A run of another workflow, which uses this one as a module: what surrounds it is that workflow's own business."""

import sys
from collections.abc import Mapping
from typing import Any

from calflow.engine.reading import is_job
from calflow.plan.plan import Plan


class ModuleRun:
    """
    As `calflow.run.Run`, without all that it does to a run: Snakemake calls no hooks of a module.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The other one.
    version : str
        Of Snakemake.
    """

    def __init__(self, workflow: Any, version: str) -> None:
        self.is_job = is_job(workflow)

    def surround(self, plan: Plan, config: Mapping[str, Any]) -> None:
        """Write the associations that were made, which a run of its own does when it begins."""
        if plan.made_associations and {"-n", "--dry-run"}.isdisjoint(sys.argv):
            plan.made_associations.write()

    def begin(self) -> None:
        """Do nothing: nobody calls this."""

    def end(self) -> None:
        """Do nothing: nobody calls this."""
