"""What the terminal gets of a run, in place of Snakemake's own text, which is in its log file as ever.

Snakemake tells of a run by records with an event (`LogEvent` of its interface for logger plugins). A plugin is a
package that is installed, and named on the command line before the Snakefile is read; calflow runs where it lies, by
the plain command. So its words are put in place of those of Snakemake's handler for the terminal, by a filter and a
formatter.
"""

import logging
from pathlib import Path
from typing import Any, Protocol

import snakemake
from snakemake.logging import LogEvent, logger

HANDLER = "DefaultStreamHandler"
# How a run is made: its plan, log file and summary have it.
SILENT = {
    LogEvent.WORKFLOW_STARTED,
    LogEvent.RESOURCES_INFO,
    LogEvent.RUN_INFO,
    LogEvent.GROUP_INFO,
    LogEvent.SHELLCMD,
    LogEvent.JOB_STARTED,
    LogEvent.PROGRESS,
    LogEvent.RULEGRAPH,
}
INTERRUPTED = "Terminating processes on user request"
# What Snakemake says without an event, and people need: how these lines begin.
KEPT = ("Nothing to be done", "Trying to restart", "Will exit after", INTERRUPTED, "Complete log")
# What it says of failures, of which the jobs and the summary say more.
SAID = ("Exiting because a job execution failed", "WorkflowError:\nAt least one job did not complete successfully")
# Before an execution, and of no use.
BEFORE = ("Config file", "Assuming unrestricted shared filesystem usage")


class Listener(Protocol):
    """Who hears of the jobs of a run, by the numbers that Snakemake gives them, and says what is to be told."""

    def started(self, number: int, rule: str, message: str) -> str:
        """Hear that a job runs, or waits in the queue of a cluster, and return what to tell; nothing: not a line."""

    def finished(self, number: int) -> str:
        """Hear that a job is done, and return what to tell."""

    def failed(self, number: int, log: str, *, of_a_group: bool) -> str:
        """Hear that a job failed, alone or together with others, and return what to tell."""

    def left_out(self, number: int) -> str:
        """Hear that a job is not run since it would make what is there, and return what to tell."""


class RunLog(logging.Formatter):
    """
    The words of a listener in place of Snakemake's, on its handler for the terminal.

    Parameters
    ----------
    handler : logging.Handler
        That handler.
    listener : Listener
    """

    def __init__(self, handler: logging.Handler, listener: Listener) -> None:
        super().__init__()
        self._handler, self._listener = handler, listener
        self._original = handler.formatter or self
        self._is_interrupted = False
        self._said: set[str] = set()

    def put_in_place(self) -> None:
        """Begin to take the place of Snakemake's words."""
        self._handler.addFilter(self.filter)
        self._handler.addFilter(_is_new)  # which stays: some of it is said at the very end
        self._handler.setFormatter(self)

    def give_back(self) -> None:
        """Let Snakemake speak again."""
        self._handler.removeFilter(self.filter)
        self._handler.setFormatter(self._original)

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether anything is told of a record."""
        told = self._told(record)
        record.__dict__["told"] = told
        return told != ""

    def format(self, record: logging.LogRecord) -> str:
        """Return what is told of a record."""
        told = record.__dict__.get("told")
        return self._original.format(record) if told is None else str(told)

    def _told(self, record: logging.LogRecord) -> str | None:
        """Return what is told of a record in other words than Snakemake's: "" nothing, None those of Snakemake."""
        event, content, listener = getattr(record, "event", None), record.__dict__, self._listener
        self._is_interrupted |= str(record.msg).startswith(INTERRUPTED)
        if self._is_interrupted and event in (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR):
            return ""  # that it did not end is what was asked for, and no failure
        if event == LogEvent.JOB_INFO:
            return listener.started(content["jobid"], content["rule_name"], content["rule_msg"] or "")
        if event == LogEvent.JOB_FINISHED:
            return listener.finished(content["job_id"])
        if event == LogEvent.JOB_ERROR:
            log = next(iter(content["log"]), "")
            return listener.failed(content["jobid"], log, of_a_group=content["indent"])
        if event == LogEvent.GROUP_ERROR:
            rules = ", ".join(info["rule_name"] for info in content["job_error_info"])
            return f"A group of jobs failed: {rules} (log: {', '.join(content['aux_logs'])})"
        if "left_out" in content:
            return listener.left_out(content["left_out"])
        return None if event not in SILENT and _is_needed(record) and self._is_first(record) else ""

    def _is_first(self, record: logging.LogRecord) -> bool:
        """Tell whether a warning of Snakemake, or of a plugin, is new: some are said again for each job."""
        if record.levelno != logging.WARNING or not _is_of_snakemake(record.pathname):
            return True
        is_first = str(record.msg) not in self._said
        self._said.add(str(record.msg))
        return is_first


def _is_needed(record: logging.LogRecord) -> bool:
    kept = str(record.msg).startswith(KEPT)
    return record.levelno > logging.INFO or kept or not _is_of_snakemake(record.pathname)


def _is_new(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(SAID)


def _is_of_snakemake(path: str) -> bool:
    """Tell whether a module is one of Snakemake, or of a plugin of it."""
    folder = Path(path).parent
    return folder.is_relative_to(Path(snakemake.__file__).parent) or any(
        name.startswith("snakemake_") for name in folder.parts
    )


def asks_for_other_text(workflow: Any) -> bool:
    """
    Tell whether more or less text than usual is asked for, or another logger.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    asked = vars(workflow.output_settings)
    names = ("verbose", "quiet", "printshellcmds", "show_failed_logs", "debug_dag", "log_handler_settings")
    return any(asked[name] for name in names)


def terminal_handler(workflow: Any) -> logging.StreamHandler | None:
    """
    Return Snakemake's handler for the terminal if what it tells is left to calflow.

    Who asks for more, less or another logger (``--verbose``, ``--quiet``, ``--printshellcmds``, ``--show-failed-logs``,
    ``--debug-dag``, ``--logger``) gets Snakemake's own text.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    if workflow.output_settings.dryrun or asks_for_other_text(workflow) or not workflow.is_main_process:
        return None
    handlers = [handler for handler in logger.handlers if handler.name == HANDLER]
    return handlers[0] if handlers and isinstance(handlers[0], logging.StreamHandler) else None


def is_silent(workflow: Any) -> bool:
    """
    Tell whether the terminal gets nothing at all, by ``--quiet all``.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    return any(each.name == "ALL" for each in workflow.output_settings.quiet or ())


def say(text: str) -> None:
    """Tell something as the run tells of itself: on the terminal, and in the log file."""
    logger.info(text)


def begin_quietly(workflow: Any) -> None:
    """
    Leave out what Snakemake says of no use before an execution, if what it tells is left to calflow.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    if handler := terminal_handler(workflow):
        handler.addFilter(_is_of_use)


def _is_of_use(record: logging.LogRecord) -> bool:
    begun = getattr(record, "event", None) == LogEvent.WORKFLOW_STARTED  # in 9.20 it comes before
    return not begun and not (record.levelno == logging.INFO and str(record.msg).startswith(BEFORE))
