"""The software environment of jobs, for ``--sdm conda``."""

from pathlib import Path
from typing import Any


def set_environment(workflow: Any, file: str, folder: Path) -> None:
    """
    Give the same environment to all rules of ours that run a script, so that none has to name it.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        With all its rules, those of a workflow of which this is a module too.
    file : str
        What the directive ``conda`` of each rule would say: a path relative to the file of the rule.
    folder : Path
        Where our rules are.
    """
    for rule in workflow.rules:
        if rule.is_script and Path(rule.snakefile).is_relative_to(folder):
            rule.conda_env = file
