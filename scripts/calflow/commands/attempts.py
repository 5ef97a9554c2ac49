"""``snakemake attempts``: every attempt of every job, with time, memory and outcome; ``attempts json`` for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from calflow.commands.asked import Answer, Asked
from calflow.configuration.problems import InputError, Problem
from calflow.engine.attempts import FAILED, Attempt, attempts_in
from calflow.plan.plan import output_folder

FORM = "json"


def answer(asked: Asked) -> Answer:
    """Return the attempts on record, the oldest first.

    Parameters
    ----------
    asked : Asked

    Raises
    ------
    InputError
        If something else than ``json`` is asked for, or something is wrong with the configuration.
    """
    if list(asked.words) not in ([], [FORM]):
        wrong = f"{' '.join(asked.words)!r} is not valid"
        raise InputError([Problem("command line", "attempts", wrong, f"give nothing, or {FORM}")])
    found = attempts_in(Path(f"{output_folder(asked.settings)}logs"))
    return Answer(json.dumps([asdict(each) for each in found], indent=1) if asked.words else _table(found))


def _table(attempts: Sequence[Attempt]) -> str:
    if not attempts:
        return "no attempt of a job is on record"
    rows = [("started", "attempt", "outcome", "time", "CPU", "memory", "job")]
    for each in attempts:
        reason = f": {each.reason}" if each.outcome == FAILED and each.reason else ""
        amounts = f"{each.seconds:.1f} s", f"{each.cpu:.1f} s", f"{each.memory:.0f} MB"
        job = f"{each.rule} {', '.join(each.wildcards)}{reason}"
        rows.append((each.started[:19], str(each.number), each.outcome, *amounts, job))
    *columns, _ = zip(*rows, strict=True)
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    )
