"""What Snakemake is about to execute, and what stands around that."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from calflow.engine.inside import execute_by


@dataclass(frozen=True)
class Execution:
    """
    What Snakemake is about to execute, as the command line asks for it.

    Attributes
    ----------
    workflow : snakemake.workflow.Workflow
    plugin : snakemake_interface_executor_plugins.registry.Plugin
        Which executes it.
    plugin_settings : object
        Of that plugin.
    """

    workflow: Any
    plugin: Any
    plugin_settings: Any = None

    @property
    def is_dry(self) -> bool:
        """Whether it only tells what it would do."""
        return bool(self.plugin.common_settings.dryrun_exec)

    @property
    def touches(self) -> bool:
        """Whether it only gives files the time of now."""
        return bool(self.plugin.common_settings.touch_exec)

    @property
    def is_local(self) -> bool:
        """Whether jobs run on this machine."""
        return bool(self.plugin.common_settings.local_exec)

    @property
    def tells_its_end(self) -> bool:
        """Whether the hooks of the Snakefile are called."""
        return not self.workflow.execution_settings.no_hooks

    @property
    def takes_locks(self) -> bool:
        """Whether it may not work beside another in the same folder."""
        return self.workflow.execution_settings.lock and not self.is_dry

    @property
    def is_stored_elsewhere(self) -> bool:
        """Whether relative paths stand for objects in a default storage."""
        return bool(self.workflow.storage_settings.default_storage_provider)

    @property
    def at_once(self) -> int | None:
        """How many jobs may run at the same time: cores here, jobs on a cluster; None if that was not said."""
        settings = self.workflow.resource_settings
        return settings.cores if self.is_local else settings.nodes

    @property
    def targets(self) -> list[str]:
        """The rules and files that are asked for; none stands for the first rule."""
        return list(self.workflow.dag_settings.targets)

    def aim_at(self, targets: Sequence[str]) -> None:
        """Ask for other targets than those of the command line.

        Parameters
        ----------
        targets : sequence of str
            Files and rules.
        """
        self.workflow.dag_settings.targets = list(targets)

    def compare_content(self) -> None:
        """Have the content of inputs compared with the records, whatever their size."""
        self.workflow.dag_settings.max_checksum_file_size = sys.maxsize

    @property
    def forces_all(self) -> bool:
        """Whether all is made again that is there."""
        return bool(self.workflow.dag_settings.forceall)

    @property
    def is_whole(self) -> bool:
        """Whether options of the command line need the graph of all targets at once."""
        dag, scheduling = self.workflow.dag_settings, self.workflow.scheduling_settings
        whole = [dag.until, dag.omit_from, dag.batch, dag.target_jobs, scheduling and scheduling.prioritytargets]
        return any(whole) or dag.forcetargets or not all(map(self.is_rule, dag.forcerun))

    def is_rule(self, name: str) -> bool:
        """Tell whether a target is the name of a rule.

        Parameters
        ----------
        name : str
            Of the target.
        """
        return bool(self.workflow.is_rule(name))


Layer = Callable[[Execution, Callable[[], Any]], Any]


def surround(workflow: Any, layers: Sequence[Layer]) -> None:
    """
    Let what a workflow executes be surrounded; not in the job of a cluster, whose run that has done.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    layers : sequence of callable
        Each gets the `Execution` and what it stands around, which it may call or not. The first is the outermost.
    """
    if not workflow.is_main_process:
        return

    def execute(plugin: Any, plugin_settings: Any, original: Callable[[], Any]) -> Any:
        execution = Execution(workflow, plugin, plugin_settings)

        def around(inner: Callable[[], Any], layer: Layer) -> Callable[[], Any]:
            return lambda: layer(execution, inner)

        return reduce(around, reversed(layers), original)()

    execute_by(workflow, execute)
