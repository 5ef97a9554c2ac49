"""What every rule script needs around its work: a log file, and one clear line when it fails."""

import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


class UnusableExposure(Exception):
    """An exposure that cannot be processed, for a reason that only its pixels tell."""


def run(work: Callable[[Any, Any, Any], None], snakemake: Any) -> None:
    """Call ``work(input, output, params)`` of a rule, with logging to the rule's log file.

    A failure ends the job with its reason as one line on stderr and at the end of the log;
    a defect of calflow leaves its traceback in the log too.
    """
    log = Path(snakemake.log[0])
    handler = logging.FileHandler(log, mode="w")
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        work(snakemake.input, snakemake.output, snakemake.params)
    except Exception as error:
        if not isinstance(error, UnusableExposure):
            logging.error(traceback.format_exc())
        reason = f"FAILED {snakemake.rule} {', '.join(snakemake.wildcards)}: {_reason(error)}"
        logging.error(reason)
        print(f"{reason} (log: {log})", file=sys.stderr)
        sys.exit(1)
    finally:
        handler.close()
        root.removeHandler(handler)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    return text if isinstance(error, UnusableExposure | ValueError) and text else f"{type(error).__name__}: {text}"
