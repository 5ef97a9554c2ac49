"""A run of the Snakefile by a Snakemake that calflow does not know: the same products, by its documented ways alone."""

import sys
from collections.abc import Mapping
from typing import Any

from calflow.engine.reading import is_job, is_local
from calflow.engine.targets import TOLD, asks_for
from calflow.engine.timers import stop_timers
from calflow.engine.versions import untested
from calflow.plan.handed_on import hand_on
from calflow.plan.plan import Plan


class PlainRun:
    """
    As `calflow.run.Run`, without what that puts around an execution.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    version : str
        Of Snakemake.
    """

    def __init__(self, workflow: Any, version: str) -> None:
        self._workflow = workflow
        self.is_job = is_job(workflow)
        if asks_for(TOLD):
            sys.exit(untested(version))
        if not self.is_job:
            print(untested(version), file=sys.stderr)

    def surround(self, plan: Plan, config: Mapping[str, Any]) -> None:
        """Take note of the plan."""
        self._plan, self._config = plan, config

    def begin(self) -> None:
        """Do what comes before the first job."""
        if not is_local(self._workflow):
            hand_on(self._plan, self._config)

    def end(self) -> None:
        """Do what comes after the last job."""
        stop_timers()
