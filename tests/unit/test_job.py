"""What surrounds a rule script: the log, the one-line reason, the signals, the full disk."""

import errno
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from calflow import job
from calflow.engine.leftovers import OLD, remove_leftovers
from calflow.files.exposure import Exposure
from calflow.job import NO_SPACE, UnusableExposure, arguments_of, remark_on, run
from calflow.science.image import Image
from calflow.whole_files import replacing


class Wildcards(list):
    pass


@pytest.fixture(autouse=True)
def logging_as_before():
    level = logging.getLogger().level
    yield
    logging.captureWarnings(False)
    logging.getLogger().setLevel(level)


def do(folder, error, log="a.log"):
    """Run a job that raises an error; return its exit status."""

    def work(input, output, params):
        raise error

    snakemake = SimpleNamespace(
        log=[str(folder / log)], rule="calibrate", wildcards=["a", "cal"], output=[str(folder / "new/a.fits")]
    )
    snakemake.input = snakemake.params = None
    with pytest.raises(SystemExit) as end:
        run(work, snakemake)
    return end.value.code


def chained(error, cause):
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnusableExposure("no usable pixel"), "no usable pixel"),
        (ValueError("bad"), "bad"),
        (KeyError("x"), "KeyError: 'x'"),
        (OSError(errno.EACCES, "Permission denied", "x"), "PermissionError: [Errno 13] Permission denied: 'x'"),
    ],
)
def test_the_last_line_of_the_log_is_the_reason(tmp_path, capfd, error, reason):
    assert do(tmp_path, error) == 1
    assert (tmp_path / "a.log").read_text().splitlines()[-1] == f"ERROR FAILED calibrate a, cal: {reason}"
    assert capfd.readouterr().err == f"FAILED calibrate a, cal: {reason} (log: {tmp_path / 'a.log'})\n"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("Not enough space on disk: requested 40000, available 0. "),
        OSError("10000 requested and 8400 written"),
        chained(RuntimeError("could not write"), OSError(errno.ENOSPC, "No space left on device")),
    ],
)
def test_a_full_disk_is_named(tmp_path, error):
    assert do(tmp_path, error) == NO_SPACE
    line = (tmp_path / "a.log").read_text().strip()
    assert line.startswith("ERROR FAILED calibrate a, cal: no space left on /")
    assert " MB free; make space and run again" in line


def test_without_a_place_for_the_log_the_reason_is_told(tmp_path, capfd):
    assert do(tmp_path, UnusableExposure("no usable pixel"), log="none/a.log") == 1
    assert "FAILED calibrate a, cal: no usable pixel" in capfd.readouterr().err


SLEEPER = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from calflow.job import run
from calflow.files.exposure import Exposure
from calflow.whole_files import replacing

def work(input, output, params):
    with replacing(Path(output[0])) as partial:
        partial.write_text("half")
        print("ready", flush=True)
        time.sleep(60)

run(work, SimpleNamespace(log=["a.log"], rule="r", wildcards=["a"], output=["out/a.fits"], input=None, params=None))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_signals(tmp_path, number):
    environment = os.environ | {"PYTHONPATH": str(Path(job.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.readline()
    assert len(list((tmp_path / "out").iterdir())) == 1
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert remove_leftovers([tmp_path / "out"]) == 1
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 1
        assert (tmp_path / "a.log").read_text() == f"ERROR FAILED r a: stopped by {number.name}\n"
        assert b"Traceback" not in errors
        assert (b"stopped by" in errors) == (number == signal.SIGTERM)  # who presses Ctrl-C knows
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")
def test_a_job_ends_with_its_parent():
    code = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', sys.argv[1]]); print(p.pid); input()"
    sleeper = "from calflow import job; import time; job.end_with_parent(); time.sleep(60)"
    environment = os.environ | {"PYTHONPATH": str(Path(job.__file__).parents[1])}
    parent = subprocess.Popen(
        [sys.executable, "-uc", code, sleeper],
        env=environment,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    child = int(parent.stdout.readline())
    time.sleep(0.5)  # for its imports
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and "State:\tZ" not in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_is_being_written_is_no_leftover(tmp_path):
    with replacing(tmp_path / "a_cal.fits") as partial:
        partial.write_text("half")
        assert remove_leftovers([tmp_path]) == 0
        partial.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a_cal.fits"]


def test_what_a_zombie_wrote_is_a_leftover(tmp_path):
    # In a container nobody may ask for the killed jobs of a killed run.
    code = "import os; print(os.getpid(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdin
        pid = int(writer.stdout.readline())
        with replacing(tmp_path / "a_cal.fits") as partial:
            partial.write_text("whole")
        (tmp_path / partial.name.replace(f"-{os.getpid()}.", f"-{pid}.")).write_text("half")
        assert remove_leftovers([tmp_path]) == 0
        writer.stdin.write(b"\n")
        writer.stdin.close()
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
        assert remove_leftovers([tmp_path]) == 1


def test_a_new_process_of_the_number_of_a_dead_one_keeps_nothing(tmp_path):
    with replacing(tmp_path / "a_cal.fits") as partial:
        partial.write_text("whole")
    partial.write_text("half")
    os.utime(partial, (0, 0))
    assert remove_leftovers([tmp_path]) == 1


@pytest.mark.parametrize(("age", "removed"), [(OLD - 60, 0), (OLD + 60, 1)])
def test_of_another_host_only_old_ones_are_leftovers(tmp_path, age, removed):
    path = tmp_path / "deeper" / ".a_cal.partial-00000000-1.fits"
    path.parent.mkdir()
    path.write_text("")
    os.utime(path, (time.time() - age,) * 2)
    (tmp_path / "deeper" / ".a.partial").write_text("someone else's")
    assert remove_leftovers([tmp_path, tmp_path / "none"]) == removed
    assert path.exists() is not bool(removed)


def test_what_is_odd_about_a_file_is_remarked(caplog):
    image = Image(*(np.zeros((2, 2), kind) for kind in ("f4", "f4", "u4")))
    remark_on(Exposure(image, {}), "resample", "a_cal.fits")
    assert caplog.messages == []
    remark_on(Exposure(image, {}, discarded={"sci": 3}, damaged=("ERR",)), "resample", "a_cal.fits")
    checksum, values = caplog.messages
    assert checksum.startswith("REMARK checksum FAILED a_cal.fits: of ERR is wrong")
    assert values.startswith("REMARK resample COMPLETE a_cal.fits: no value")
    assert values.endswith(": 3 of SCI")


def test_a_function_gets_what_it_takes():
    def add(x, *, y=1, z=2):
        return x + y + z

    assert arguments_of(add, {"z": 5, "other": 0}) == {"z": 5}
    assert arguments_of(add, {}) == {}
