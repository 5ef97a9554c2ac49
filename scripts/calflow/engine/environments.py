"""The software environment of jobs, for ``--sdm conda``."""

from typing import Any


def set_environment(workflow: Any, file: str) -> None:
    """
    Give the same environment to all rules that run a script, so that none has to name it.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        With all its rules.
    file : str
        What the directive ``conda`` of each rule would say: a path relative to the file of the rule.
    """
    for rule in workflow.rules:
        if rule.is_script:
            rule.conda_env = file
