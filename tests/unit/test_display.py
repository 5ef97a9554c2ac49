"""What a run tells while it runs: bars with counts and times, or lines, from events that are made up here."""

import logging
import os
import pty
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from snakemake.logging import LogEvent

from calflow.display.bars import HASHES, bar_lines, clock
from calflow.display.display import Display, is_live
from calflow.display.live_page import LivePage
from calflow.display.progress import OTHER, STAGE2, STAGE3, Progress, Row, Task
from calflow.engine import run_log
from calflow.engine.run_log import HANDLER, RunLog
from calflow.engine.screen import Screen


def two_stages(ends=True):
    """Return two exposures that are calibrated, 10 s each on one core, and combined in another 10 s."""
    times = (10.0, 20.0, 30.0) if ends else (None, None, None)
    return Progress(
        [
            Task(1, "calibrate", "a, cal", STAGE2, products=("a_cal",), end=times[0]),
            Task(2, "calibrate", "b, cal", STAGE2, products=("b_cal",), end=times[1]),
            Task(3, "combine", "o001", STAGE3, "o001", ("o001_i2d",), after=(1, 2), end=times[2]),
        ]
    )


def test_bars_at_the_start_in_the_middle_and_at_the_end():
    progress = two_stages()
    progress.begin(1, 0.0)
    assert bar_lines(progress, 0.0, 60, marks=HASHES) == [
        "stage 2       ------------------  0/2  0:00, about 0:20 left",
        "stage 3 o001  ------------------  0/1  in all about 0:30",
        "0/3 jobs, 0:00, about 0:30 left; now calibrate",
    ]
    progress.finish(1, 10.0)
    progress.begin(2, 10.0)
    assert bar_lines(progress, 10.0, 70, marks=HASHES) == [
        "stage 2       ##############--------------  1/2  0:10, about 0:10 left",
        "stage 3 o001  ----------------------------  0/1  in all about 0:20",
        "1/3 jobs, 0:10, about 0:20 left; now calibrate",
    ]
    on_cluster = bar_lines(progress, 10.0, 70, marks=HASHES, at_work="submitted")
    assert on_cluster[-1] == "1/3 jobs, 0:10, about 0:20 left; submitted calibrate"
    progress.finish(2, 20.0)
    progress.begin(3, 20.0)
    progress.finish(3, 30.0)
    assert bar_lines(progress, 99.0, 70, marks=HASHES) == [
        "stage 2       ########################################  2/2  0:20",
        "stage 3 o001  ########################################  1/1  0:10",
        "3/3 jobs, 1:39",
    ]


def test_a_run_that_is_slower_than_forecast_takes_longer_the_more_of_it_is_seen():
    progress = two_stages()
    progress.begin(1, 0.0)
    progress.finish(1, 20.0)  # a third of the run, in twice the time: 2/3 of the forecast and 1/3 of twice of it
    assert progress.whole(20.0).left == pytest.approx(20.0 * (2 / 3 + 1 / 3 * 2))
    progress.finish(2, 40.0)
    assert progress.whole(40.0).left == pytest.approx(10.0 * (1 / 3 + 2 / 3 * 2))


def test_the_time_left_runs_down_and_is_not_told_when_it_is_over():
    progress = two_stages()
    progress.begin(1, 0.0)
    assert [progress.whole(now).left for now in (0.0, 12.0, 29.0, 31.0)] == [30.0, 18.0, 1.0, None]


def test_a_run_that_was_stopped_has_no_time_left():
    progress = two_stages()
    progress.begin(1, 0.0)
    progress.end()
    assert bar_lines(progress, 4.0, 70, marks=HASHES)[-1] == "0/3 jobs, 0:04"
    assert " left" not in bar_lines(progress, 4.0, 70, marks=HASHES)[0]


def test_what_is_left_out_makes_the_rest_no_faster():
    progress = two_stages()
    progress.finish(1, 0.5, left_out=True)
    progress.finish(2, 0.5, left_out=True)
    assert progress.whole(0.5).left == pytest.approx(10.0)


def test_without_a_forecast_no_time_is_given():
    progress = two_stages(ends=False)
    progress.begin(1, 0.0)
    assert bar_lines(progress, 5.0, 70, marks=HASHES)[0].endswith("  0/2  0:05")
    assert bar_lines(progress, 5.0, 70)[-1] == "0/3 jobs, 0:05; now calibrate"


def test_what_waits_for_a_failed_job_is_blocked_until_that_is_tried_again():
    progress = two_stages()
    progress.begin(1, 0.0)
    progress.fail(1, 3.0)
    assert progress.whole(3.0) == Row("", 3, 0, failed=1, blocked=1, elapsed=3.0, left=17.0)
    assert bar_lines(progress, 3.0, 80, marks=HASHES)[-1] == "0/3 jobs, 1 failed, 1 blocked, 0:03, about 0:17 left"
    progress.begin(1, 4.0)
    assert progress.whole(4.0) == Row("", 3, 0, elapsed=4.0, left=26.0)
    progress.finish(1, 10.0)
    assert progress.done == 1


def test_a_bar_of_what_failed_stands_still():
    progress = two_stages()
    progress.begin(1, 0.0)
    progress.fail(1, 3.0)
    progress.begin(2, 3.0)
    progress.finish(2, 8.0)
    (stage2, _), (stage3, _) = progress.rows(60.0)
    assert (stage2.elapsed, stage2.left, stage2.is_over) == (8.0, None, True)
    assert (stage3.elapsed, stage3.left, stage3.is_over) == (None, None, True)


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(columns):
    name = "jw01234-o001_t001_nircam_clear-f200w-sub64p"
    progress = Progress([Task(n, "combine", name, STAGE3, f"{name}{n}", end=1e5) for n in range(5)])
    progress.begin(0, 0.0)
    lines = bar_lines(progress, 5000.0, columns)
    assert all(len(line) <= columns for line in lines)
    assert len(lines) == 7
    assert lines[0].startswith("stage 3 ")


def test_of_many_associations_those_at_work_are_shown():
    progress = Progress([Task(n, "combine", "", STAGE3, f"o{n:03d}", end=1.0) for n in reversed(range(100))])
    for number in range(95):
        progress.finish(number, 1.0)
    progress.begin(95, 1.0)
    lines = bar_lines(progress, 2.0, 80)
    assert [line.split()[0] for line in lines[1:6]] == [f"o{n:03d}" for n in range(95, 100)]
    assert lines[6].startswith("  and 95 more, 95 of them done")
    assert lines[6].endswith("  95/95")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3730, "1:02:10")])
def test_times(seconds, text):
    assert clock(seconds) == text


def test_counting_is_cheap_with_very_many_jobs():
    progress = Progress([Task(n, "calibrate", "", STAGE2, end=float(n)) for n in range(50_000)])
    looked_at = []
    progress._states = type(
        "Seen", (dict,), {"__getitem__": lambda s, n: looked_at.append(n) or dict.__getitem__(s, n)}
    )(progress._states)
    progress.begin(0, 0.0)
    bar_lines(progress, 1.0, 80)
    assert len(looked_at) < 20


class Stream:
    """A terminal, or not."""

    encoding = "utf-8"

    def __init__(self, tty):
        self.isatty = lambda: tty


@pytest.mark.parametrize(
    ("tty", "variables", "live"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "CI": "false"}, True),
        (True, {"TERM": "xterm", "CI": ""}, True),
        (True, {"TERM": "xterm", "CI": "true"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_bars_are_for_terminals_that_somebody_looks_at(tty, variables, live, monkeypatch):
    for name in ("TERM", "CI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_live(Stream(tty)) is live


class Told(logging.StreamHandler):
    """Snakemake's handler, whose lines are kept."""

    def __init__(self):
        super().__init__()
        self.lines = []
        self.setFormatter(logging.Formatter("Snakemake: %(message)s"))

    def emit(self, record):
        self.lines.append(self.format(record))


@pytest.fixture
def told(monkeypatch):
    """A display without bars, and what sends it events and returns what was told of them."""
    handler = Told()
    monkeypatch.setattr("calflow.display.display.terminal_handler", lambda workflow: handler)
    display = Display(None, None, lambda log: "killed by signal 9")
    display._progress = two_stages()
    log = RunLog(handler, display)
    log.put_in_place()

    def tell(message, level=logging.INFO, pathname=f"{os.sep}calflow{os.sep}x.py", **content):
        before = len(handler.lines)
        record = logging.LogRecord("", level, pathname, 1, message, None, None)
        record.__dict__.update(content)
        handler.handle(record)
        return handler.lines[before:]

    yield SimpleNamespace(tell=tell, display=display, log=log, handler=handler)
    handler.close()


def test_a_line_for_each_product_and_none_for_the_rest(told):
    assert told.tell("x", event=LogEvent.JOB_INFO, jobid=1, rule_name="calibrate", rule_msg="a: flat field") == []
    (line,) = told.tell("x", event=LogEvent.JOB_FINISHED, job_id=1)
    assert re.fullmatch(r"\d\d:\d\d:\d\d  1/3  a_cal", line)
    for event in (LogEvent.WORKFLOW_STARTED, LogEvent.RUN_INFO, LogEvent.PROGRESS, LogEvent.RESOURCES_INFO):
        assert told.tell("x", event=event) == []
    assert told.tell("x", event=LogEvent.JOB_FINISHED, job_id=0) == []  # the target itself


def test_a_target_with_something_to_say_says_it(told):
    begun = {"event": LogEvent.JOB_INFO, "jobid": 0}
    assert told.tell("x", **begun, rule_name="demo", rule_msg="look at a.png") == ["look at a.png"]
    assert told.tell("x", **begun, rule_name="all", rule_msg="everything is made") == []
    assert told.tell("x", **begun, rule_name="check_crds", rule_msg=None) == []


def test_jobs_that_are_left_out_count_as_done(told):
    (line,) = told.tell("As before, not run: calibrate a, cal", left_out=1)
    assert line.endswith("  1/3  as before: calibrate a, cal")


def test_a_failure_is_told_once(told, tmp_path):
    log = tmp_path / "a.log"
    log.write_text("ERROR FAILED calibrate a, cal: no pixel\n")
    error = {"event": LogEvent.JOB_ERROR, "jobid": 1, "log": [str(log)], "indent": False}
    assert told.tell("x", logging.ERROR, **error) == []  # the job itself has said so
    told.display._is_local = False
    assert told.tell("x", logging.ERROR, **error) == [f"FAILED calibrate a, cal: no pixel (log: {log})"]
    log.write_text("INFO begun\n")
    assert told.tell("x", logging.ERROR, **error) == [f"FAILED calibrate a, cal: killed by signal 9 (log: {log})"]
    assert told.tell("x", logging.ERROR, **(error | {"indent": True})) == []  # it need not be this one of its group
    assert told.tell("Exiting because a job execution failed. Look above", logging.ERROR) == []
    failed = "WorkflowError:\nAt least one job did not complete successfully."
    assert told.tell(failed, logging.ERROR, event=LogEvent.ERROR) == []
    assert told.display._progress.whole(1.0).failed == 1


def test_a_page_tells_how_far_a_run_is(told, tmp_path):
    told.display._plan = SimpleNamespace(output="results/")
    told.tell("x", event=LogEvent.JOB_INFO, jobid=1, rule_name="calibrate", rule_msg="a: flat field")
    (tmp_path / "a.log").write_text("ERROR FAILED calibrate a, cal: no <pixel>\n")
    told.tell("x", logging.ERROR, event=LogEvent.JOB_ERROR, jobid=1, log=[str(tmp_path / "a.log")], indent=False)
    page = told.display._live_text(True)
    assert '<meta http-equiv="refresh" content="5">' in page
    assert "<title>0/3: Run in results/</title>" in page
    assert "calibrate a, cal: no &lt;pixel&gt;" in page
    assert '<progress max="2" value="0">0 of 2</progress>' in page
    assert "1 failed" in page
    told.tell("x", event=LogEvent.JOB_INFO, jobid=1, rule_name="calibrate", rule_msg="a: flat field")
    told.tell("x", event=LogEvent.JOB_FINISHED, job_id=1)  # tried again
    page = told.display._live_text(False)
    assert "refresh" not in page
    assert "What failed" not in page
    assert "<title>1/3: Run in results/</title>" in page


def test_a_page_is_written_until_it_is_closed(tmp_path):
    states = []

    def text(runs):
        states.append(runs)
        return f"runs: {runs}"

    page = LivePage(tmp_path / "results" / "page.html", text)
    while not (tmp_path / "results" / "page.html").exists():
        time.sleep(0.01)
    page.close()
    assert (tmp_path / "results" / "page.html").read_text() == "runs: False"
    assert states == [True, False]


def test_a_page_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "file").touch()
    LivePage(tmp_path / "file" / "page.html", lambda runs: "text").close()


def test_a_warning_that_a_plugin_says_for_each_job_is_told_once(told):
    plugin = f"site-packages{os.sep}snakemake_executor_plugin_slurm{os.sep}__init__.py"
    said = [told.tell("No account given.", logging.WARNING, pathname=plugin) for _ in range(3)]
    assert said == [["Snakemake: No account given."], [], []]
    assert all(told.tell("left out: a", logging.WARNING) for _ in range(2))  # of calflow


def test_what_an_interrupt_ends_did_not_fail(told, tmp_path):
    said = "Terminating processes on user request, this might take some time."
    assert told.tell(said, logging.WARNING, pathname=run_log.snakemake.__file__) == [f"Snakemake: {said}"]
    error = {"event": LogEvent.JOB_ERROR, "jobid": 1, "log": [str(tmp_path / "a.log")], "indent": False}
    assert told.tell("x", logging.ERROR, **error) == []
    assert told.display._progress.whole(1.0).failed == 0


def test_a_group_that_failed(told):
    content = {"aux_logs": ["g.log"], "job_error_info": [{"rule_name": "calibrate"}, {"rule_name": "find_stars"}]}
    assert told.tell("x", logging.ERROR, event=LogEvent.GROUP_ERROR, **content) == [
        "A group of jobs failed: calibrate, find_stars (log: g.log)"
    ]


def test_what_snakemake_chats_about_is_left_out_but_no_warning_and_nothing_of_calflow(told):
    import snakemake.dag

    assert told.tell("Building DAG of jobs...", pathname=snakemake.dag.__file__) == []
    plugin = "/x/site-packages/snakemake_executor_plugin_slurm/__init__.py"
    assert told.tell("Job 4 has been submitted", pathname=plugin) == []
    assert told.tell("Nothing to be done (x)", pathname=snakemake.dag.__file__) == ["Snakemake: Nothing to be done (x)"]
    assert told.tell("odd", logging.WARNING, snakemake.dag.__file__) == ["Snakemake: odd"]
    assert told.tell("a WorkflowError", logging.ERROR, event=LogEvent.ERROR) == ["Snakemake: a WorkflowError"]
    assert told.tell("Products: 1 made") == ["Snakemake: Products: 1 made"]


def test_snakemake_speaks_again_afterwards(told):
    told.log.give_back()
    assert told.tell("x", event=LogEvent.PROGRESS) == ["Snakemake: x"]


def test_other_jobs_tell_all_that_they_make(told):
    told.display._progress = Progress([Task(7, "demo", "", OTHER, products=("a.png", "b.png"))])
    lines = told.tell("x", event=LogEvent.JOB_FINISHED, job_id=7)[0].splitlines()
    assert [line.split()[-1] for line in lines] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "option", ["verbose", "quiet", "printshellcmds", "show_failed_logs", "debug_dag", "log_handler_settings", "dryrun"]
)
def test_who_asks_for_snakemakes_words_gets_them(option, monkeypatch):
    handler = logging.StreamHandler()
    handler.name = HANDLER
    monkeypatch.setattr(run_log.logger, "handlers", [handler])
    settings = SimpleNamespace(
        verbose=False,
        quiet=None,
        printshellcmds=False,
        show_failed_logs=False,
        debug_dag=False,
        log_handler_settings={},
        dryrun=False,
    )
    workflow = SimpleNamespace(output_settings=settings, is_main_process=True)
    assert run_log.terminal_handler(workflow) is handler
    assert run_log.terminal_handler(SimpleNamespace(output_settings=settings, is_main_process=False)) is None
    setattr(settings, option, {"rich": None} if option == "log_handler_settings" else True)
    assert run_log.terminal_handler(workflow) is None


def test_another_handler_of_snakemake_is_left_alone(monkeypatch):
    monkeypatch.setattr(run_log.logger, "handlers", [logging.StreamHandler()])
    names = ("verbose", "quiet", "printshellcmds", "show_failed_logs", "debug_dag", "log_handler_settings", "dryrun")
    workflow = SimpleNamespace(output_settings=SimpleNamespace(**dict.fromkeys(names)), is_main_process=True)
    assert run_log.terminal_handler(workflow) is None


SCRIPT = """
import os, sys, time
from calflow.engine.screen import Screen
screen = Screen(2, lambda columns: ["bar 1"[:columns], "bar 2"])
print("from stdout", flush=True)
os.system("echo from a child; echo to stderr >&2")
os.write(2, b"no end")
time.sleep(0.3)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
screen.close()
print("afterwards")
"""


def shown(how, folder):
    """Return what a terminal gets from a process with a screen."""
    ours, theirs = pty.openpty()
    (folder / "script.py").write_text(SCRIPT)
    scripts = os.path.dirname(os.path.dirname(sys.modules["calflow"].__file__))
    process = subprocess.Popen(
        [sys.executable, str(folder / "script.py"), how],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"PYTHONPATH": scripts},
        preexec_fn=lambda: _own(theirs),
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            text += os.read(ours, 4096)
        except OSError:  # nobody has it open any more
            break
    process.wait()
    os.close(ours)
    return text.decode().replace("\r\n", "\n")


def _own(terminal):
    """Make a terminal that of this process, as a shell does."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def lines_on(text):
    """Return the lines that a terminal shows of a text with the one sequence that a screen writes."""
    lines = [""]
    for part in re.split(r"(\x1b\[\d+F\x1b\[J|\n)", text):
        if part == "\n":
            lines.append("")
        elif part.startswith("\x1b"):
            lines = [*lines[: -int(re.search(r"\d+", part)[0]) - 1], ""]
        else:
            lines[-1] += part
    return lines


def test_what_is_written_scrolls_above_the_block(tmp_path):
    text = shown("to the end", tmp_path)
    assert "\x1b[?25" not in text  # the cursor is never hidden
    lines = lines_on(text)
    assert lines[:3] == ["from stdout", "from a child", "to stderr"]
    assert lines[3:] == ["no end", "bar 1", "bar 2", "afterwards", ""]


def test_a_killed_process_leaves_the_cursor_below_the_block(tmp_path):
    assert lines_on(shown("killed", tmp_path))[-3:] == ["bar 1", "bar 2", ""]


def test_a_screen_whose_terminal_is_gone_goes_on_taking_text(capfd):
    with capfd.disabled():
        ours, theirs = pty.openpty()
        kept = {number: os.dup(number) for number in (1, 2)}
        try:
            for number in kept:
                os.dup2(theirs, number)
            os.close(theirs)
            screen = Screen(2, lambda columns: ["bar"])
            os.close(ours)
            for _ in range(3):
                os.write(2, b"x" * 60_000 + b"\n")
                time.sleep(0.05)
            screen.close()
        finally:
            for number, file in kept.items():
                os.dup2(file, number)
                os.close(file)
