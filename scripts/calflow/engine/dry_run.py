"""What a dry run prints, short enough to be read: of each reason of a job the first files, and how many there are more.

Snakemake names all of them: for a combination of 100 exposures 300 files, for the job of all products thousands. Which
files changed, and what follows from that, is told by ``snakemake plan``.
"""

import logging
import re
from typing import Any

from snakemake.logging import LogEvent, logger

from calflow.engine.run_log import HANDLER

NAMED = 3  # files of each reason
CHARACTERS = 3000  # of parameters that have changed
FILES = re.compile(
    r"(Missing output files|Incomplete output files|Updated input files|Input files updated by another job): ([^;]+)"
)
PARAMETERS = re.compile(rf"(?<=Params have changed since last execution: )((?:.|\n){{{CHARACTERS}}})(?:.|\n)+")


def shorten_reasons(workflow: Any) -> None:
    """
    Have the reasons of a dry run name a few files each, but with ``--verbose``.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    settings = workflow.output_settings
    if settings.dryrun and not settings.verbose:
        for handler in logger.handlers:
            if handler.name == HANDLER:
                handler.addFilter(_shorten)


def _shorten(record: logging.LogRecord) -> bool:
    if getattr(record, "event", None) == LogEvent.JOB_INFO:
        content = record.__dict__
        content["reason"] = shortened(content["reason"])
    return True


def shortened(reason: str) -> str:
    """
    Return why a job runs, with the first files of each reason by name, and the beginning of changed parameters.

    Parameters
    ----------
    reason : str
        As Snakemake has it: ``Missing output files: b, a; Code has changed since last execution``.
    """
    return PARAMETERS.sub(r"\1 ...", FILES.sub(_with_first_files, reason))


def _with_first_files(match: re.Match[str]) -> str:
    what, names = match[1], sorted(match[2].split(", "))
    if len(names) <= NAMED + 1:  # "and 1 more" is no shorter than a name
        return f"{what}: {', '.join(names)}"
    return f"{what}: {', '.join(names[:NAMED])} and {len(names) - NAMED} more"
