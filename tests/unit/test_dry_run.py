"""The reasons of a dry run name a few files each."""

import logging
from types import SimpleNamespace

import pytest
from snakemake.logging import LogEvent, logger

from calflow.engine import dry_run
from calflow.engine.dry_run import shorten_reasons, shortened


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Code has changed since last execution", "Code has changed since last execution"),
        ("Missing output files: b, a", "Missing output files: a, b"),
        ("Updated input files: d, b, a, c", "Updated input files: a, b, c, d"),
        ("Updated input files: d, b, e, a, c", "Updated input files: a, b, c and 2 more"),
        (
            "Missing output files: a; Input files updated by another job: 5, 4, 3, 2, 1; Forced execution",
            "Missing output files: a; Input files updated by another job: 1, 2, 3 and 2 more; Forced execution",
        ),
        (
            "Params have changed since last execution: before: 'b', 'a', 'd', 'c', 'e' now: 2",
            "Params have changed since last execution: before: 'b', 'a', 'd', 'c', 'e' now: 2",
        ),
    ],
)
def test_of_each_reason_the_first_files_are_named(reason, expected):
    assert shortened(reason) == expected


def test_of_long_parameters_the_beginning_is_told():
    head = "Params have changed since last execution: "
    assert shortened(head + 3000 * "x") == head + 3000 * "x"
    assert shortened(head + 1500 * "x\n" + "yz") == head + 1500 * "x\n" + " ..."


@pytest.mark.parametrize(
    ("dryrun", "verbose", "expected"),
    [(True, False, "1, 2, 3 and 2 more"), (True, True, "1, 2, 3, 4, 5"), (False, False, "1, 2, 3, 4, 5")],
)
def test_a_dry_run_is_shortened_unless_all_is_asked_for(dryrun, verbose, expected, monkeypatch):
    handler = logging.Handler()
    handler.name = dry_run.HANDLER
    monkeypatch.setattr(logger, "handlers", [handler])
    shorten_reasons(SimpleNamespace(output_settings=SimpleNamespace(dryrun=dryrun, verbose=verbose)))
    record = logging.makeLogRecord({"event": LogEvent.JOB_INFO, "reason": "Missing output files: 1, 2, 3, 4, 5"})
    assert handler.filter(record)
    assert record.reason == f"Missing output files: {expected}"
