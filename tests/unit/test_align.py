"""What the job of an alignment remarks, and when it fails."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

import align
from calflow.files.alignment_tables import AlignmentRow
from calflow.job import UnusableExposure


def row(name, status="COMPLETE", reference=False, reason=""):
    return AlignmentRow(name, f"group {name}", status, reason, True, np.zeros((4, 2)), reference)


def remarks(caplog, rows):
    with caplog.at_level(logging.INFO):
        align._remark_sets(rows, "tweakreg")
    return [record.getMessage() for record in caplog.records]


def test_sets_that_nothing_ties_together_are_remarked(caplog):
    rows = [row("a", reference=True), row("b"), row("c", reference=True), row("d"), row("e", "FAILED")]
    (text,) = remarks(caplog, rows)
    assert text.startswith("REMARK tweakreg COMPLETE a, c: 2 sets of exposures with no star in common")


def test_one_set_is_as_it_should_be(caplog):
    assert remarks(caplog, [row("a", reference=True), row("b"), row("c", "FAILED")]) == []


def test_dropped_exposures_are_not_used():
    rows = align._without_failures([row("a", reference=True), row("b", "FAILED")], "drop")
    assert [each.used for each in rows] == [True, False]


def test_when_all_are_dropped_nothing_is_made():
    rows = [row(f"e{number}", "FAILED", reason="has no stars") for number in range(7)]
    with pytest.raises(UnusableExposure, match=r"all 7 are dropped, .*e4: has no stars; and 2 more$"):
        align._without_failures(rows, "drop")
    assert all(each.used for each in align._without_failures(rows, "keep"))


def test_rows_tell_the_exposures_that_were_taken_at_once_whatever_moved_together(monkeypatch):
    written, moved = [], {}
    monkeypatch.setattr(align, "read_geometry", lambda path: None)
    monkeypatch.setattr(align, "_tweak", lambda names, *_: moved.update(names) or [row("a"), row("b")])
    monkeypatch.setattr(align, "write_alignment", lambda path, rows, meta: written.extend(rows))
    params = SimpleNamespace(
        members=[("a", "1"), ("b", "2")],
        alignment_step="tweakreg",
        status={},
        targets=None,
        pointings={},
        groups={"a": "visit", "b": "visit"},
        tweakreg={"on_failure": "keep"},
    )
    inputs = type("Input", (), {"geometries": ["a", "b"], "get": lambda self, name: None})()
    align.align(inputs, SimpleNamespace(table="t.ecsv"), params)
    assert moved == {"a": "visit", "b": "visit"}
    assert [each.group for each in written] == ["1", "2"]


def test_what_failed_is_remarked(caplog, monkeypatch):
    monkeypatch.setattr(align, "read_geometry", lambda path: None)
    monkeypatch.setattr(align, "_tweak", lambda *_: [row("a", "FAILED", reason="has no stars"), row("b")])
    monkeypatch.setattr(align, "write_alignment", lambda *_: None)
    params = SimpleNamespace(
        members=[("a", "1"), ("b", "2")],
        alignment_step="tweakreg",
        status={},
        targets=None,
        pointings={},
        groups={},
        tweakreg={"on_failure": "drop"},
    )
    inputs = type("Input", (), {"geometries": ["a", "b"], "get": lambda self, name: None})()
    with caplog.at_level(logging.INFO):
        align.align(inputs, SimpleNamespace(table="t.ecsv"), params)
    assert [record.getMessage() for record in caplog.records] == [
        "REMARK tweakreg FAILED a: has no stars; it is left out of the combination",
        "b tweakreg COMPLETE ",
    ]
