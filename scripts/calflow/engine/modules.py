"""What another workflow says of this one when it uses it as a module."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from calflow.configuration.problems import InputError, Problem
from calflow.configuration.settings import COMMAND_LINE, Settings
from calflow.engine.inside import take_prefix

CONFIG = "config of the module"


def below_prefix(config: Mapping[str, Any], workflow: Any) -> dict[str, Any]:
    """
    Return a configuration with the prefix of the module in front of its output.

    Snakemake would put it in front of whatever path a rule has, and the plan is made of paths as they are. So it is
    taken from Snakemake, and all that is made follows from `output`.

    Parameters
    ----------
    config : mapping
        As the other workflow gives it.
    workflow : snakemake.workflow.Workflow
        While the module is read.

    Raises
    ------
    InputError
        If the module says in another way that paths are others.
    """
    try:
        prefix = take_prefix(workflow)
    except ValueError as error:
        right = "give input and output in its config; prefix stands in front of output"
        raise InputError([Problem("module", str(error), "cannot be used here", right)]) from None
    output = config.get("output", Settings().output)
    if prefix and isinstance(output, str) and not output.startswith(("/", "~", "$")):
        return {**config, "output": str(PurePath(prefix, output))}
    return dict(config)


def named_after_module(error: InputError) -> InputError:
    """Return the problems of a module's configuration, which no file and no command line of ours holds."""
    return InputError(
        replace(problem, file=CONFIG) if problem.file in (COMMAND_LINE, "config") else problem
        for problem in error.problems
    )
