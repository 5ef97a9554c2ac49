"""Something done when the script of a job has ended well, before Snakemake looks at what it made."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calflow.engine.inside import evaluate_scripts_by
from calflow.engine.outcome import FAILED
from calflow.printable import printable


@dataclass(frozen=True)
class EndedScript:
    """The script of a job that has ended well.

    Attributes
    ----------
    rule : str
    inputs : mapping of str to list of str
        The files that it read, by role.
    outputs : list of str
    parameters : mapping of str to object
    """

    rule: str
    inputs: Mapping[str, list[str]]
    outputs: list[str]
    parameters: Mapping[str, Any]


def after_scripts(act: Callable[[EndedScript], None]) -> None:
    """
    From now on do something when a script has ended well; if that fails, the job has failed, and its log says why.

    Parameters
    ----------
    act : callable
        What is done.
    """

    def evaluate_and_act(script: Any, evaluate: Callable[[], None]) -> None:
        evaluate()
        try:
            act(_ended(script))
        except Exception as error:
            _tell(script, error)
            raise

    evaluate_scripts_by(evaluate_and_act)


def _ended(script: Any) -> EndedScript:
    inputs = {role: [files] if isinstance(files, str) else list(files) for role, files in script.input.items()}
    return EndedScript(
        script.rulename,
        {role: list(map(str, files)) for role, files in inputs.items()},
        list(map(str, script.output)),
        dict(script.params.items()),
    )


def _tell(script: Any, error: Exception) -> None:
    """Write the reason into the log of a job, as the job does itself (`calflow.job`)."""
    reason = printable(f"{FAILED} {script.rulename} {', '.join(script.wildcards)}: {type(error).__name__}: {error}")
    try:
        with Path(str(next(iter(script.log)))).open("a") as log:
            log.write(f"{reason}\n")
    except OSError:
        logging.getLogger(__name__).warning("%s", reason)
