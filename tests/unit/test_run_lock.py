"""The lock of a working folder: held by one process, given back when that ends, explained when it is refused."""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from calflow.engine import lock as module
from calflow.engine.execution import Execution
from calflow.engine.lock import FolderInUse, RunLock, lock_runs

OUTPUT = Path("results")
HOST = os.uname().nodename
SCRIPTS = str(Path(module.__file__).parents[2])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "calflow/run.lock"


def leave(path, age=0.0, **changes):
    """Leave what a run writes that does not end by itself."""
    path.parent.mkdir()
    path.write_text(json.dumps({"host": HOST, "pid": os.getpid(), "started": "2030-01-01T20:00:00+00:00"} | changes))
    os.utime(path, (time.time() - age,) * 2)


@pytest.fixture
def without_flock(monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_it_says_who_holds_it(path):
    lock = RunLock(path)
    held = json.loads(path.read_text())
    assert (held["host"], held["pid"]) == (HOST, os.getpid())
    assert lock.killed == {}
    lock.release()
    assert path.read_text() == ""


def test_a_second_one_is_refused(path):
    lock = RunLock(path)
    with pytest.raises(
        FolderInUse, match=rf"host {HOST}, process {os.getpid()}, since 2.* works in this folder\. Wait"
    ):
        RunLock(path)
    lock.release()
    RunLock(path).release()


def test_a_killed_process_gives_it_back(path):
    code = (
        "import os, pathlib, sys; from calflow.engine.lock import RunLock; "
        "RunLock(pathlib.Path(sys.argv[1])); os._exit(9)"
    )
    command = [sys.executable, "-c", code, str(path)]
    assert subprocess.run(command, env=os.environ | {"PYTHONPATH": SCRIPTS}).returncode == 9
    lock = RunLock(path)
    assert lock.killed["host"] == HOST
    assert lock.killed["pid"] != os.getpid()
    lock.release()


def test_another_host_that_showed_life_is_believed_to_live(path):
    leave(path, host="elsewhere", age=module.SILENCE - 60)
    with pytest.raises(FolderInUse, match=r"host elsewhere.* did 5\d\d s ago.* delete .*run\.lock"):
        RunLock(path)
    assert json.loads(path.read_text())["host"] == "elsewhere"


def test_another_host_that_is_silent_is_dead(path):
    leave(path, host="elsewhere", age=module.SILENCE + 60)
    lock = RunLock(path)
    assert lock.killed["host"] == "elsewhere"
    lock.release()


def test_a_run_shows_life(path, monkeypatch):
    monkeypatch.setattr(module, "SIGN_OF_LIFE", 0.01)
    lock = RunLock(path)
    os.utime(path, (0, 0))
    end = time.monotonic() + 10
    while path.stat().st_mtime == 0:
        assert time.monotonic() < end
        time.sleep(0.005)
    lock.release()


def test_files_without_locks_and_a_process_that_lives(path, without_flock):
    leave(path)
    with pytest.raises(FolderInUse, match=f"process {os.getpid()}"):
        RunLock(path)


@pytest.mark.parametrize("pid", ["1", None, [], True, 0, -1, 2**31, 10**30, 1.5])
def test_a_damaged_file_holds_no_lock(path, without_flock, pid):
    leave(path, pid=pid)
    lock = RunLock(path)
    assert lock.killed == {}
    lock.release()


def test_files_without_locks_and_a_process_that_is_dead(path, without_flock):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    leave(path, pid=ended.pid)
    lock = RunLock(path)
    assert lock.killed["pid"] == ended.pid
    lock.release()


def test_garbage_in_the_file_is_nobody(path):
    path.parent.mkdir()
    path.write_text("[1")
    lock = RunLock(path)
    assert lock.killed == {}
    lock.release()


class Run:
    """An execution without a Snakemake: each call notes what stands in the lock."""

    def __init__(self, *, dry=False, lock=True, storage=None, execute=None):
        self.workflow = SimpleNamespace(
            execution_settings=SimpleNamespace(lock=lock),
            storage_settings=SimpleNamespace(default_storage_provider=storage),
        )
        self.plugin = SimpleNamespace(common_settings=SimpleNamespace(dryrun_exec=dry))
        self.calls, self.execute = [], execute or self.note

    def note(self):
        self.calls.append(module.LOCK.read_text() if module.LOCK.exists() else "")

    def under_locks(self, output=OUTPUT, after=lambda: None):
        lock_runs(output, after)(Execution(self.workflow, self.plugin), self.execute)


def test_a_run_holds_the_lock_from_before_the_first_act_to_its_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, before = Run(), []
    run.under_locks(after=lambda: before.append(module.LOCK.read_text()))
    assert run.calls == before
    assert json.loads(run.calls[0])["pid"] == os.getpid()
    assert module.LOCK.read_text() == ""


@pytest.mark.parametrize("options", [{"dry": True}, {"lock": False}], ids=["dry run", "--nolock"])
def test_who_needs_no_lock(tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    held, run = RunLock(), Run(**options)
    run.under_locks(after=lambda: pytest.fail("nothing is to be done before"))
    assert len(run.calls) == 1
    held.release()


def test_a_refused_run_ends_with_the_message_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    held, run = RunLock(), Run()
    with pytest.raises(SystemExit, match=r"Another run .* Nothing was done"):
        run.under_locks()
    assert run.calls == []
    held.release()


def test_after_a_killed_run_snakemake_is_unlocked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, unlocked = Run(execute=lambda: run.workflow._prepare_dag()), []
    run.workflow.persistence = SimpleNamespace(cleanup_locks=lambda: unlocked.append(1), path=tmp_path / ".snakemake")
    run.workflow._prepare_dag = lambda: None
    module.LOCK.parent.parent.mkdir()
    leave(module.LOCK, pid=1)
    run.under_locks()
    assert unlocked == [1]
    assert (tmp_path / ".snakemake/locks").is_dir()


@pytest.mark.parametrize("left", [True, False], ids=["with locks of Snakemake", "without"])
def test_an_interrupted_run_that_leaves_locks_counts_as_killed(tmp_path, monkeypatch, left):
    """So it may be interrupted before it has deleted those of a killed run, or while Snakemake deletes its own."""
    monkeypatch.chdir(tmp_path)

    def interrupt():
        if left:
            (tmp_path / ".snakemake/locks").mkdir()
            (tmp_path / ".snakemake/locks/0.input.lock").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Run(execute=interrupt).under_locks()
    later = RunLock()
    assert later.killed.get("pid") == (os.getpid() if left else None)
    later.release()


def test_no_space_for_the_records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def execute():
        raise RuntimeError("cannot record ([Errno 28] No space left on device)")

    with pytest.raises(SystemExit, match=r"no space left for the records of the run in .*\.snakemake"):
        Run(execute=execute).under_locks()


def test_runs_in_two_folders_do_not_share_an_output(tmp_path, monkeypatch):
    output = tmp_path / "results"
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "first")
    second = Run()

    def try_second():
        monkeypatch.chdir(tmp_path / "second")
        with pytest.raises(SystemExit, match=rf"Another run .*process {os.getpid()}.* writes to {output}\. Wait"):
            second.under_locks(output)
        RunLock(module.LOCK).release()  # its own folder is free again

    Run(execute=try_second).under_locks(output)
    assert second.calls == []
    second.under_locks(output)
    assert len(second.calls) == 1


def test_an_output_in_a_bucket_is_not_locked_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run(storage="s3")
    run.under_locks()
    assert (len(run.calls), OUTPUT.exists()) == (1, False)


def test_an_output_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    OUTPUT.symlink_to("gone/away")
    run = Run()
    with pytest.raises(SystemExit, match=r"Cannot write .*: results is a link to 'gone/away', which is not there"):
        run.under_locks()
    OUTPUT.unlink()
    OUTPUT.write_text("a file")
    with pytest.raises(SystemExit, match=r"Cannot write .*results/\.run\.lock: .*\. Nothing was done"):
        run.under_locks()
    RunLock(module.LOCK).release()
