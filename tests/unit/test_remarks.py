"""What jobs remark is told by the run they are in and by the ones after it, until they are run again."""

import json
import logging
import os
import time

import pytest

from calflow.engine.remarks import Remark, standing_remarks
from calflow.job import remark

NAMES = {"o001", "jw1"}


def write(path, text, age=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)


def line(step="tweakreg", status="FAILED", of="jw1", reason="no stars"):
    return f"INFO begun\nWARNING REMARK {step} {status} {of}: {reason}\nINFO done\n"


def test_a_line_in_a_log_is_a_remark(tmp_path):
    write(tmp_path / "align/o001.log", line())
    write(tmp_path / "align/o002.log", line(of="jw2"))  # of another configuration
    write(tmp_path / "calibrate/jw1_cal.log", line("assign_wcs", "COMPLETE", "jw1_cal", "no geometry: bent"))
    write(tmp_path / "calibrate/jw3_cal.log", "WARNING REMARKABLE\n")
    assert standing_remarks(tmp_path, NAMES) == [
        Remark("assign_wcs", "COMPLETE", "jw1_cal", "no geometry: bent", str(tmp_path / "calibrate/jw1_cal.log")),
        Remark("tweakreg", "FAILED", "jw1", "no stars", str(tmp_path / "align/o001.log")),
    ]
    assert str(standing_remarks(tmp_path, NAMES)[1]) == "tweakreg FAILED jw1: no stars"


def test_it_stands_until_the_job_is_run_again(tmp_path):
    log = tmp_path / "align/o001.log"
    write(log, line(), age=1000.0)
    write(tmp_path / "align/jw1.log", "")
    first = standing_remarks(tmp_path, NAMES)
    assert len(first) == 1
    assert standing_remarks(tmp_path, NAMES) == first
    write(log, "INFO all is well\n")
    assert standing_remarks(tmp_path, NAMES) == []
    write(log, line())
    log.unlink()
    assert standing_remarks(tmp_path, NAMES) == []


def test_old_logs_are_not_read_again(tmp_path):
    write(tmp_path / "align/jw1.log", "")
    log = tmp_path / "align/o001.log"
    write(log, line(), age=1000.0)
    standing_remarks(tmp_path, NAMES)
    write(log, "", age=1000.0)
    assert len(standing_remarks(tmp_path, NAMES)) == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"newest": "x", "remarks": {}}',
        '{"remarks": 1, "newest": 1}',
        '{"remarks": {"align/o001.log": 1}, "newest": 1e12}',
        '{"remarks": {"align/o001.log": [["tweakreg"]]}, "newest": 1e12}',
        "[" * 100_000,
    ],
)
def test_what_it_remembers_may_be_damaged(content, tmp_path):
    write(tmp_path / "align/o001.log", line(), age=1000.0)
    write(tmp_path / "remarks.json", content)
    assert len(standing_remarks(tmp_path, NAMES)) == 1
    assert json.loads((tmp_path / "remarks.json").read_text())["remarks"]


def test_no_logs_and_no_place_for_the_file(tmp_path):
    assert standing_remarks(tmp_path / "none", NAMES) == []


def test_a_job_writes_such_a_line(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        remark("tweakreg", "FAILED", "a:b", "two\nlines: 1")
    write(tmp_path / "align/o001.log", "".join(f"{r.levelname} {r.getMessage()}\n" for r in caplog.records))
    (found,) = standing_remarks(tmp_path, NAMES)
    assert (found.of, found.reason) == ("a_b", "two lines: 1")
