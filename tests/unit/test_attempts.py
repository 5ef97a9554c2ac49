"""Every attempt of a job is on record: one that failed with its reason, one that was killed as cut short."""

import json
from types import SimpleNamespace

import pytest

from calflow.commands.asked import Asked
from calflow.commands.attempts import answer
from calflow.configuration.problems import InputError
from calflow.engine import attempts as module
from calflow.engine.attempts import attempts_in, record_attempts
from calflow.whole_files import this_host


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """What runs a script once attempts are recorded: takes the function that does its work."""
    recording = []
    monkeypatch.setattr(module, "evaluate_scripts_by", recording.append)
    record_attempts(tmp_path / "logs")
    log = tmp_path / "a.log"
    measured = SimpleNamespace(cpu_time=1.234, max_rss=150.06)

    def evaluated(work, rule="combine", measured=measured):
        script = SimpleNamespace(rulename=rule, wildcards=["o001", "x"], log=[str(log)], bench_record=measured)
        recording[0](script, work)

    evaluated.log = log
    return evaluated


def nothing():
    pass


def test_time_memory_and_outcome(evaluate, tmp_path):
    evaluate(nothing)
    evaluate(nothing, rule="align", measured=None)
    made, other = attempts_in(tmp_path / "logs")
    assert (made.rule, made.wildcards, made.number, made.outcome) == ("combine", ("o001", "x"), 1, "made")
    assert (made.cpu, made.memory) == (1.23, 150.1)
    assert 0 <= made.seconds < 60
    assert (other.rule, other.number, other.cpu, other.memory) == ("align", 1, 0, 0)


def test_a_failure_is_on_record_with_the_reason_in_the_log_and_the_next_attempt_after_it(evaluate, tmp_path):
    def fail():
        evaluate.log.write_text("ERROR FAILED combine o001, x: no pixel has weight\n")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        evaluate(fail)
    evaluate(nothing)
    failed, made = attempts_in(tmp_path / "logs")
    assert (failed.number, failed.outcome, failed.reason) == (1, "failed", "no pixel has weight")
    assert (made.number, made.outcome, made.reason) == (2, "made", "")


def test_what_was_killed_with_its_run_is_cut_short_and_damaged_lines_are_left_out(evaluate, tmp_path):
    path = tmp_path / "logs/attempts" / f"{this_host()}.jsonl"

    def killed():
        lines = path.read_text().splitlines()
        path.with_name("other.jsonl").write_text("\n".join([lines[-1], "{", "[]", '{"id": "x"}', lines[-1][:20]]))

    evaluate(killed)
    assert sorted(each.outcome for each in attempts_in(tmp_path / "logs")) == ["cut short", "made"]


def test_a_job_does_its_work_though_its_attempt_cannot_be_written(evaluate, tmp_path):
    (tmp_path / "logs").write_text("a file where the folder should be")
    evaluate(nothing)
    assert attempts_in(tmp_path / "logs") == []


def test_the_command_tells_them_as_a_table_or_for_programs(evaluate, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = {"config": {"output": "."}, "given": {"output": "."}}
    assert answer(Asked([], **asked)).text == "no attempt of a job is on record"
    evaluate(nothing)
    head, line = answer(Asked([], **asked)).text.splitlines()
    assert head.split() == ["started", "attempt", "outcome", "time", "CPU", "memory", "job"]
    assert line.endswith(" s  1.2 s  150 MB  combine o001, x")
    (tree,) = json.loads(answer(Asked(["json"], **asked)).text)
    assert (tree["rule"], tree["wildcards"]) == ("combine", ["o001", "x"])
    with pytest.raises(InputError, match="give nothing, or json"):
        answer(Asked(["all"], **asked))
