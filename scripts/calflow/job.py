"""What every rule script needs around its work: a log file, and one clear line when it fails."""

import ctypes
import logging
import os
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EDQUOT, ENOSPC
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calflow.printable import printable

if TYPE_CHECKING:
    from calflow.files.exposure import Exposure

NO_SPACE = 74  # the exit status when even the reason may have found no place in the log; EX_IOERR of sysexits.h
NO_SPACE_TEXT = re.compile(r"Not enough space on disk|\d+ requested and \d+ written")  # of astropy and numpy
REMARK = "REMARK"  # begins the lines of a log that the summary of the run repeats
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


class UnusableExposure(Exception):
    """An exposure that cannot be processed, for a reason that only its pixels tell."""


def run(work: Callable[[Any, Any, Any], None], snakemake: Any) -> None:
    """Call ``work(input, output, params)`` of a rule, with logging to the rule's log file.

    A failure ends the job with its reason as one line on stderr and at the end of the log;
    a defect of calflow leaves its traceback in the log too.
    """
    end_with_parent()
    log = Path(snakemake.log[0])

    def tell(why: str, *, aloud: bool = True) -> None:
        reason = printable(f"FAILED {snakemake.rule} {', '.join(snakemake.wildcards)}: {why}")
        logging.error(reason)
        if aloud:
            print(f"{reason} (log: {log})", file=sys.stderr, flush=True)

    with _logging_to(log), _told_when_stopped(tell):
        try:
            work(snakemake.input, snakemake.output, snakemake.params)
        except Exception as error:
            full = lacks_space(error)
            if not full and not isinstance(error, UnusableExposure):
                logging.error(traceback.format_exc())
            tell(_space(map(Path, snakemake.output)) if full else _reason(error))
            sys.exit(NO_SPACE if full else 1)


def arguments_of(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the parameters of a job that a function takes, which has the same names for them.

    Parameters
    ----------
    function : callable
        A function, or a class that is made with such parameters.
    values : mapping of str to object
        Parameters by name.

    Returns
    -------
    dict of str to object
        In the order of `values`; for what is not among them the function has its default.

    Examples
    --------
    >>> arguments_of(round, {"ndigits": 2, "pixfrac": 0.5})
    {'ndigits': 2}
    """
    taken = signature(function).parameters
    return {name: value for name, value in values.items() if name in taken}


def remark(step: str, status: str, of: str, reason: str) -> None:
    """Have the summary of this run, and of the next ones, tell what did not work though the job goes on.

    Parameters
    ----------
    step, status : str
        Such as ``tweakreg`` and ``FAILED``.
    of : str
        The exposure, association or file that it is about.
    reason : str
    """
    logging.warning("%s %s %s %s: %s", REMARK, step, status, of.replace(":", "_"), " ".join(reason.split()))


def remark_on(exposure: "Exposure", step: str, path: str) -> None:
    """Remark what is odd about the file that an exposure was read from, though a step goes on with it."""
    if exposure.damaged:
        remark("checksum", "FAILED", path, exposure.wrong_checksums)
    if exposure.discarded:
        remark(step, "COMPLETE", path, exposure.without_value)


def end_with_parent() -> None:
    """Have this process killed when its parent dies, where the system can do that: nobody takes its result."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def _logging_to(log: Path) -> Iterator[None]:
    """Write what is logged to a file; if that has no place, the job still does its work."""
    handler: logging.Handler
    try:
        handler = logging.FileHandler(log, mode="w")
    except OSError as error:
        print(f"no log {log}: {error.strerror}", file=sys.stderr)
        handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        root.removeHandler(handler)
        with suppress(OSError):
            handler.close()


class _Printable(logging.Formatter):
    """Leaves nothing in a log that a terminal would act upon."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n\t")


@contextmanager
def _told_when_stopped(tell: Callable[..., None]) -> Iterator[None]:
    """Let the log say it when a signal asks for the end of this process, and the terminal too unless it is Ctrl-C."""

    def stop(number: int, _: Any) -> None:
        tell(f"stopped by {signal.Signals(number).name}", aloud=number != signal.SIGINT)
        # Not by an exception: libraries may catch it. What is half-written is removed by the next run.
        os._exit(1)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    return text if isinstance(error, UnusableExposure | ValueError) and text else f"{type(error).__name__}: {text}"


def lacks_space(error: BaseException | None) -> bool:
    """Tell whether an error comes from a full disk: libraries raise others in its place."""
    while error is not None:
        if isinstance(error, OSError) and (error.errno in (ENOSPC, EDQUOT) or NO_SPACE_TEXT.search(str(error))):
            return True
        error = error.__cause__ or error.__context__
    return False


def _space(outputs: Iterable[Path]) -> str:
    """Say which of the file systems that a job writes to is full."""
    free = {}
    for folder in {next(parent for parent in path.resolve().parents if parent.exists()) for path in outputs}:
        mount = next(parent for parent in (folder, *folder.parents) if parent.is_mount())
        free[mount] = shutil.disk_usage(mount).free
    mount = min(free, key=lambda place: free[place])
    return (
        f"no space left on {mount}, or its quota is reached: {free[mount] / 1e6:.0f} MB free; make space and run again"
    )
