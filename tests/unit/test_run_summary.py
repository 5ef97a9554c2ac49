"""What the end of a run says, from Snakemake's jobs: made, failed, blocked, not run."""

import errno
import json
import os
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.settings.enums import Quietness

from calflow.engine import summary as module
from calflow.engine.execution import Execution
from calflow.engine.exit_statuses import ExitStatuses
from calflow.engine.outcome import Failure, Outcome, outcome, reason_in
from calflow.engine.remarks import Remark
from calflow.engine.summary import Standing, Summary, summary_text, tell_of_nothing


class Job:
    def __init__(self, rule, *wildcards, output=(), log="", members=None):
        self.rule, self.wildcards, self.output = SimpleNamespace(name=rule), wildcards, output
        self.log, self.members = [log] if log else [], members

    def is_group(self):
        return self.members is not None

    def __iter__(self):
        return iter(self.members)


class Dag:
    """As Snakemake keeps it: what each job waits for, with the files, and what waits for it."""

    def __init__(self, needs, finished=(), up_to_date=()):
        self.dependencies = needs
        self.depending = defaultdict(dict)
        for job, before in needs.items():
            for other, files in before.items():
                self.depending[other][job] = files
        every = {*needs, *self.depending}
        self.targetfiles = set()
        self.targetjobs = {job for job in every if not self.depending.get(job)}
        self._needed, self._finished = every - set(up_to_date), set(finished)

    def needrun_jobs(self, exclude_finished=True):
        return iter(self._needed)

    def finished(self, job):
        return job in self._finished


def chains(folder, number, bad=(), finished=True, waiting=()):
    """Return a run of exposures: calibrate, then resample; some fail in calibrate, some were not come to."""
    needs, done, failed = {}, set(), set()
    target = Job("all")
    needs[target] = {}
    for n in range(number):
        log = folder / f"{n}.log"
        cal = Job("calibrate", f"e{n}", output=[f"{n}_cal"], log=str(log))
        i2d = Job("resample", f"e{n}", output=[f"{n}_i2d"])
        needs[cal], needs[i2d] = {}, {cal: {f"{n}_cal"}}
        needs[target] |= {cal: {f"{n}_cal"}, i2d: {f"{n}_i2d"}}
        if n in bad:
            log.write_text(f"INFO x\nERROR FAILED calibrate e{n}: no pixel of e{n} in {n} s\n")
            failed.add(cal)
        elif n not in waiting:
            done |= {cal, i2d}
    workflow = SimpleNamespace(dag=Dag(needs, done), scheduler=SimpleNamespace(failed=failed), is_main_process=True)
    workflow.output_settings = SimpleNamespace(quiet=None)
    return workflow


def unknown(log):
    return "unknown"


def test_made_failed_and_blocked(tmp_path):
    found = outcome(chains(tmp_path, 3, bad=[1]), 0.0, unknown)
    assert found.products == {
        "made": ["0_cal", "0_i2d", "2_cal", "2_i2d"],
        "as_before": [],
        "failed": ["1_cal"],
        "blocked": ["1_i2d"],
        "not_run": [],
        "up_to_date": [],
    }
    assert found.jobs == {"made": 4, "as_before": 0, "failed": 1, "blocked": 1, "not_run": 0}
    assert found.failures == (Failure("calibrate", ("e1",), "no pixel of e1 in 1 s", str(tmp_path / "1.log")),)


def test_what_was_left_out_is_as_before(tmp_path):
    run = chains(tmp_path, 2)
    run.scheduler.left_out = {job for job in run.dag.needrun_jobs() if job.output and job.output[0].endswith("_i2d")}
    found = outcome(run, 0.0, unknown)
    assert found.products["made"] == ["0_cal", "1_cal"]
    assert found.products["as_before"] == ["0_i2d", "1_i2d"]
    assert summary_text(found, 1.0) == "Products: 2 made, 2 as before (1 s)."


def test_a_stopped_run(tmp_path):
    found = outcome(chains(tmp_path, 3, waiting=[2]), 0.0, unknown)
    assert found.products["not_run"] == ["2_cal", "2_i2d"]
    assert summary_text(found, 61.0).splitlines() == [
        "Products: 4 made, 2 not run (1 min 1 s).",
        "The run was stopped before the end: 2 jobs not run.",
        "The next run with the same command does these and nothing else.",
    ]


def test_what_was_found_up_to_date_before_the_graph_counts(tmp_path):
    found = outcome(chains(tmp_path, 1), 0.0, unknown, ["a.fits", "b.fits", "c.fits"])
    assert summary_text(found, 1.0).splitlines() == ["Products: 2 made, 3 up to date (1 s)."]


def test_how_the_associations_went(tmp_path):
    found = outcome(chains(tmp_path, 1), 0.0, unknown)
    standing = Standing(["out"], associations={f"o{n:03d}: 4 aligned": {"name": f"o{n:03d}"} for n in range(22)})
    lines = summary_text(found, 1.0, standing).splitlines()
    assert lines[:2] == ["Products: 2 made (1 s), in out.", "  o000: 4 aligned"]
    assert lines[20:] == ["  o019: 4 aligned", "  and 2 more: `snakemake status`"]
    assert summary_text(found, 1.0, standing, all_of_it=True).splitlines()[-1] == "  o021: 4 aligned"


def test_what_needs_no_job_is_up_to_date():
    target, old, new = Job("all"), Job("calibrate", "a", output=["a"]), Job("calibrate", "b", output=["b"])
    dag = Dag({target: {old: {"a"}, new: {"b"}}, old: {}, new: {}}, finished=[new], up_to_date=[old])
    found = outcome(SimpleNamespace(dag=dag, scheduler=SimpleNamespace(failed=set())), 0.0, unknown)
    assert summary_text(found, 3700.0) == "Products: 1 made, 1 up to date (1 h 1 min)."


def test_of_a_file_as_target_only_that_file_counts():
    job = Job("calibrate", "a", output=["a_cal", "a_geometry"])
    dag = Dag({job: {}}, finished=[job])
    dag.targetfiles = {"a_cal"}
    found = outcome(SimpleNamespace(dag=dag, scheduler=SimpleNamespace(failed=set())), 0.0, unknown)
    assert found.products["made"] == ["a_cal"]


def test_of_a_rule_as_target_all_its_files_count():
    job = Job("demo_data", output=["a", "b"])
    found = outcome(
        SimpleNamespace(dag=Dag({job: {}}, finished=[job]), scheduler=SimpleNamespace(failed=set())), 0, unknown
    )
    assert found.products["made"] == ["a", "b"]


def test_of_a_group_the_job_that_says_so_failed(tmp_path):
    first = Job("calibrate", "a", output=["a"], log=str(tmp_path / "a.log"))
    second = Job("resample", "a", output=["b"], log=str(tmp_path / "b.log"))
    (tmp_path / "a.log").write_text("INFO fine\n")
    (tmp_path / "b.log").write_text("ERROR FAILED resample a: too small\n")
    group = Job("group", members=[first, second])
    dag = Dag({Job("all"): {first: {"a"}, second: {"b"}}, second: {first: {"a"}}, first: {}})
    found = outcome(SimpleNamespace(dag=dag, scheduler=SimpleNamespace(failed={group})), 0.0, unknown)
    assert [failure.rule for failure in found.failures] == ["resample"]
    assert found.products["failed"] == ["b"]
    assert found.products["blocked"] == ["a"]  # Snakemake deletes what a failed group has made


def test_of_a_group_that_is_silent_the_last_that_ran_failed(tmp_path):
    jobs = [Job(rule, "a", output=[rule], log=str(tmp_path / rule)) for rule in ("first", "second", "third")]
    for age, job in zip((20, 10), jobs, strict=False):
        path = tmp_path / job.rule.name
        path.write_text("INFO begun\n")
        os.utime(path, (time.time() - age,) * 2)
    dag = Dag({Job("all"): {job: set(job.output) for job in jobs}})
    failed = {Job("group", members=jobs)}
    found = outcome(SimpleNamespace(dag=dag, scheduler=SimpleNamespace(failed=failed)), 0.0, unknown)
    assert [(failure.rule, failure.reason) for failure in found.failures] == [("second", "unknown")]


def test_a_reason_of_an_earlier_run_is_not_one(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("ERROR FAILED calibrate a, cal: old\n")
    assert reason_in(log, "calibrate", ("a", "cal"), time.time() - 1) == "old"
    assert reason_in(log, "calibrate", ("a", "cal"), time.time() + 60) == ""
    assert reason_in(log, "calibrate", ("b", "cal"), 0.0) == ""
    assert reason_in(tmp_path / "none.log", "calibrate", ("a", "cal"), 0.0) == ""


def test_the_reason_at_the_end_of_a_long_log(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("WARNING long\n" * 100_000 + "ERROR FAILED calibrate a: new\n")
    assert reason_in(log, "calibrate", ("a",), 0.0) == "new"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (-9, "killed by signal 9, perhaps out of memory"),
        (137, "killed by signal 9, perhaps out of memory"),
        (-15, "killed by signal 15"),
        (1, "ended without a reason, exit status 1"),
        (74, "no space left"),
    ],
)
def test_the_exit_status_says_why(status, reason):
    statuses = ExitStatuses()
    with pytest.raises(subprocess.CalledProcessError), statuses.watched("a.log"):
        raise subprocess.CalledProcessError(status, "python")
    assert statuses.reason("a.log").startswith(reason)
    assert statuses.reason("b.log").startswith("ended without a reason, see its log; perhaps it was killed")


def test_many_failures_stay_readable(tmp_path):
    workflow = chains(tmp_path, 10_000, bad=range(0, 9_000, 30))
    found = outcome(workflow, 0.0, unknown)
    text, everything = summary_text(found, 10.0), summary_text(found, 10.0, all_of_it=True)
    assert text.splitlines() == [
        "Products: 19400 made, 300 failed, 300 blocked (10 s).",
        "300 jobs failed, 300 jobs could not run without them:",
        *(f"  calibrate e{n}: no pixel of e{n} in {n} s (log: {tmp_path / f'{n}.log'})" for n in (0, 1020, 1050, 1080)),
        f"  calibrate e1110: no pixel of e1110 in 1110 s (log: {tmp_path / '1110.log'})",
        "    and 295 more of calibrate with that reason",
        "The next run with the same command does these and nothing else.",
    ]
    assert everything.count("no pixel of") == 300


def test_many_reasons_are_cut_too():
    failures = tuple(Failure("align", (chr(97 + n),), f"reason {chr(97 + n) * 3}x{'y' * n}", "log") for n in range(14))
    nothing = {state: [] for state in ("made", "as_before", "failed", "blocked", "not_run", "up_to_date")}
    found = Outcome(failures, nothing, {"made": 0, "failed": 14, "blocked": 0, "not_run": 0})
    lines = summary_text(found, 1.0).splitlines()
    assert lines[1] == "14 jobs failed:"
    assert lines[12] == "  and 4 more for other reasons"
    assert len(summary_text(found, 1.0, all_of_it=True).splitlines()) == 17


def test_a_job_that_finds_no_space_to_begin():
    statuses = ExitStatuses()
    with pytest.raises(OSError, match="space"), statuses.watched("a.log"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert statuses.reason("a.log").startswith(f"no space left in {os.getcwd()}/.snakemake, where each job begins")


def watched(workflow, folder, notices=(), names=("e1",)):
    """Return the summary of a run that has begun long ago."""
    found = Summary(workflow, folder, notices, names)
    found._started = 0.0
    return found


def test_both_files(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(module.logger, "error", told.append)
    summary = watched(chains(tmp_path, 2, bad=[0]), tmp_path / "logs", ["flat_field is SKIPPED"])
    (tmp_path / "logs/calibrate").mkdir(parents=True)
    (tmp_path / "logs/calibrate/e1_cal.log").write_text("WARNING REMARK assign_wcs FAILED e1: bent\n")
    summary.tell()
    text = (tmp_path / "logs/summary.txt").read_text()
    assert "no pixel of e0" in text
    assert "bent" in told[0]
    assert "flat_field is SKIPPED" in told[0]
    log = tmp_path / "logs/calibrate/e1_cal.log"
    assert (
        f"Worth a look (1 x assign_wcs FAILED):\n  assign_wcs FAILED e1: bent (log: {log})\n  flat_field is SKIPPED\n"
        in text
    )
    record = json.loads((tmp_path / "logs/summary.json").read_text())
    numbers = {"made": 2, "as_before": 0, "up_to_date": 0}
    assert record["products"] == {**numbers, "failed": ["0_cal"], "blocked": ["0_i2d"], "not_run": []}
    assert record["failures"][0]["wildcards"] == ["e0"]
    remark = {"step": "assign_wcs", "status": "FAILED", "of": "e1", "reason": "bent", "log": str(log)}
    assert (record["remarks"], record["notices"]) == ([remark], ["flat_field is SKIPPED"])
    assert record["places"] == ["."]
    assert sorted(path.name for path in (tmp_path / "logs").glob("*.*")) == [
        "remarks.json",
        "summary.json",
        "summary.txt",
    ]


def test_folders_are_told_as_they_are_from_where_the_command_was_given(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(module.logger, "info", told.append)
    workflow = chains(tmp_path, 1)
    workflow.overwrite_workdir = "demo"
    watched(workflow, tmp_path / "logs").tell()
    assert told[0].endswith(", in demo.")
    assert json.loads((tmp_path / "logs/summary.json").read_text())["places"] == ["."]  # for programs in that folder


@pytest.mark.parametrize("quiet", [{Quietness.ALL}, {Quietness.PROGRESS}, None])
def test_the_summary_is_told_whatever_else_is_not(quiet, tmp_path, capsys):
    workflow = chains(tmp_path, 2)
    workflow.output_settings.quiet = quiet
    watched(workflow, tmp_path / "logs").tell()
    assert ("Products: 4 made" in capsys.readouterr().err) == (quiet == {Quietness.ALL})  # else by the logger


def test_of_many_remarks_of_a_kind_the_terminal_gets_some():
    remarks = [Remark("tweakreg", "FAILED", f"e{n}", f"has {n} stars", "a.log") for n in range(9)]
    nothing = Outcome(
        (), {state: [] for state in ("made", "as_before", "failed", "blocked", "not_run", "up_to_date")}, {"not_run": 0}
    )
    lines = summary_text(nothing, 1.0, Standing(["results/stage3"], remarks)).splitlines()
    assert lines[0] == "Products: 0 made (1 s)."
    assert lines[1] == "Worth a look (9 x tweakreg FAILED):"
    assert lines[2] == "  tweakreg FAILED e0: has 0 stars (log: a.log)"
    assert (len(lines), lines[-1]) == (8, "    and 4 more like that")


def test_what_holds_of_all_exposures_of_a_job_is_a_line():
    remarks = [Remark("tweakreg", "FAILED", f"e{n}", "no stars", "a.log") for n in range(9)]
    found = outcome(chains(Path(), 1), 0.0, unknown)
    told, all_of_it = (summary_text(found, 1.0, Standing([], remarks), all_of_it=each) for each in (False, True))
    assert told.splitlines()[1:] == [
        "Worth a look (9 x tweakreg FAILED):",
        "  tweakreg FAILED e0 and 8 more: no stars (log: a.log)",
    ]
    assert len(all_of_it.splitlines()) == 11


def test_a_run_that_has_nothing_to_make_tells_what_stands(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(module.logger, "info", told.append)
    (tmp_path / "align").mkdir()
    (tmp_path / "align/e1.log").write_text("WARNING REMARK tweakreg FAILED e0: no stars\n")
    workflow = chains(tmp_path, 2)
    workflow.execution_settings = SimpleNamespace(no_hooks=False)
    summary = Summary(workflow, tmp_path, [], ["e1"])

    def execute(dry):
        plugin = SimpleNamespace(common_settings=SimpleNamespace(dryrun_exec=dry, touch_exec=False))
        tell_of_nothing(summary)(Execution(workflow, plugin), lambda: None)

    execute(dry=True)
    execute(dry=False)
    first, _, remark = told[0].splitlines()
    assert (len(told), first) == (1, "All products are up to date, in ..")
    assert remark.startswith("  tweakreg FAILED e0: no stars")
    summary.watch()
    execute(dry=False)
    assert len(told) == 1  # the hooks have told


def test_another_snakemake_costs_the_summary_but_not_the_run(monkeypatch, tmp_path):
    warnings = []
    monkeypatch.setattr(module.logger, "warning", warnings.append)
    watched(SimpleNamespace(), tmp_path).tell()
    assert "there is no summary" in warnings[0]
