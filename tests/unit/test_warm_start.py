"""Scripts that are forked from a process with the libraries loaded: the same as started by Python."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from snakemake.benchmark import BenchmarkRecord

from calflow.engine import inside
from calflow.engine.warm_start import launcher as module
from calflow.engine.warm_start.launcher import Launcher, ServerIsGone, start_early, start_launcher, stop_launcher
from calflow.engine.warm_start.libraries import libraries
from calflow.engine.warm_start.server import Server, Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")


@pytest.fixture(scope="module")
def launcher():
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture
def new_launcher():
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / "script.py"
        path.write_text(text)
        return str(path)

    return write


def test_a_script_is_run_as_the_main_module_in_its_own_process(launcher, script, tmp_path):
    path = script(
        "import os, sys\n"
        f"file = open({str(tmp_path / 'out')!r}, 'w')\n"
        "print(__name__, sys.argv, os.getpid(), repr(sys.stdin.read()), file=file)"
    )
    assert launcher.run(path, "", {}) == 0
    name, argument, process, stdin = (tmp_path / "out").read_text().split()
    assert (name, argument, stdin) == ("__main__", f"[{path!r}]", "''")
    assert int(process) != os.getpid()


def test_a_script_leaves_nothing_behind_for_the_next(launcher, script):
    assert launcher.run(script("import sys; sys.calflow_was_here = True"), "", {}) == 0
    assert launcher.run(script("import sys; sys.exit(hasattr(sys, 'calflow_was_here'))"), "", {}) == 0


PROCESS = "import os, sys; print(os.getpid(), file=open(sys.argv[0] + '.id', 'a'))\n"


def processes_of(launcher, path, *rules):
    """Run a script for each of some rules, one after the other, and return the processes that did."""
    for rule in rules:
        launcher.run(path, rule, {})
    return Path(path + ".id").read_text().split()


def test_a_process_does_the_jobs_of_several_rules(new_launcher, script):
    first, *others = processes_of(new_launcher, script(PROCESS), "calibrate", "calibrate", "combine")
    assert others == [first, first]


def test_a_script_that_may_be_a_users_has_a_process_of_its_own(new_launcher, script):
    done = processes_of(
        new_launcher, script(PROCESS), "calibrate", "apply_extra_steps", "apply_extra_steps", "calibrate"
    )
    assert len(set(done)) == 4


def test_a_process_that_failed_is_not_used_again(new_launcher, script):
    assert len(set(processes_of(new_launcher, script(PROCESS + "sys.exit(3)"), "calibrate", "calibrate"))) == 2


def test_a_process_that_was_killed_while_it_waited_is_not_used_again(new_launcher, script):
    path = script(PROCESS)
    (idle,) = processes_of(new_launcher, path, "calibrate")
    os.kill(int(idle), signal.SIGKILL)
    while psutil.pid_exists(int(idle)) and psutil.Process(int(idle)).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert new_launcher.run(path, "calibrate", {}) == 0
    assert processes_of(new_launcher, path)[1] != idle


def test_a_process_that_waits_holds_no_more_jobs_than_run_at_once(new_launcher, script):
    """One that has fewer libraries than the server by now ends when a job of another rule comes."""
    path = script(PROCESS)
    (old,) = processes_of(new_launcher, path, "calibrate")
    new_launcher.load(["count_outliers"])
    *_, new = processes_of(new_launcher, path, "count_outliers")
    assert new != old
    assert psutil.Process(new_launcher._process.pid).children() == [psutil.Process(int(new))]


@pytest.fixture
def loading(monkeypatch):
    """A server that loads what a job of `combine` needs, for as long as the test lasts, and a worker of `calibrate`."""
    over = threading.Event()
    monkeypatch.setattr("calflow.engine.warm_start.server.load", lambda library: over.wait())
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
    server = Server(pairs[0][0])
    server._order["calibrate"] = 0
    server._waiting.extend(["drizzle", "combine"])
    server._load_next()
    server._workers.append(Worker(pairs[1][0], "find_stars", 1, idle=True))
    yield server, pairs[1]
    over.set()
    server._wait()
    for each in (*pairs[0], *pairs[1], server._ended, server._end):
        each.close()


def test_a_process_that_waits_gets_a_job_while_something_is_loaded(loading):
    server, (ours, theirs) = loading
    assert server._give({"rule": "calibrate"}, ours)
    message, handles, _, _ = socket.recv_fds(theirs, 100, 1)
    os.close(handles[0])
    assert json.loads(message) == {"rule": "calibrate"}
    assert server._loading


@pytest.mark.parametrize("loaded", [1, 2])
def test_but_not_one_whose_libraries_it_has_not(loading, loaded):
    server, _ = loading
    (worker,) = server._workers
    worker.loaded = loaded
    assert not server._has_all(worker, "combine")
    assert server._has_all(worker, "drizzle") == (loaded == 2)


def test_the_next_job_of_a_process_finds_all_as_the_first_did(new_launcher, script, tmp_path):
    text = (
        "import logging, os, sys, warnings\n"
        "logging.captureWarnings(True)\n"
        f"handler = logging.FileHandler({str(tmp_path / 'log')!r}); logging.getLogger().addHandler(handler)\n"
        "warnings.warn('as in each job', stacklevel=1); logging.getLogger().removeHandler(handler)\n"
        "state = os.environ.pop('HOME', None), os.environ.get('TMPDIR'), len(sys.path); sys.path.append('x')\n"
        f"print(os.getpid(), *state, file=open({str(tmp_path / 'out')!r}, 'a'))\n"
    )
    path = script(text)
    for environment in ({}, {"TMPDIR": "elsewhere"}, {}):
        assert new_launcher.run(path, "calibrate", environment) == 0
    first, second, third = (tmp_path / "out").read_text().splitlines()
    assert first == third
    assert second.split()[:2] == first.split()[:2]
    assert second.split()[2] == "elsewhere"
    assert (tmp_path / "log").read_text().count("as in each job\n") == 3


def test_a_process_tells_what_each_of_its_jobs_took(new_launcher, script):
    large, small = BenchmarkRecord(), BenchmarkRecord()
    # In blocks that the process keeps: of 32 MB and more it would keep none.
    text = (
        "import sys, time; end = time.process_time() + 0.3\n"
        "blocks = [bytearray(2**24) for _ in range(20)]; del blocks\n"
        "while time.process_time() < end: pass"
    )
    assert new_launcher.run(script(text), "calibrate", {}, large) == 0
    assert new_launcher.run(script("pass"), "combine", {}, small) == 0
    assert large.max_rss > 320
    assert small.max_rss < large.max_rss - 300
    assert large.cpu_time >= 0.3
    assert small.cpu_time < 0.3


def test_a_script_imports_what_stands_beside_it(launcher, script, tmp_path):
    (tmp_path / "beside_the_script.py").write_text("ANSWER = 42")
    assert launcher.run(script("import sys, beside_the_script as b; sys.exit(b.ANSWER)"), "", {}) == 42


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("pass", 0),
        ("raise SystemExit", 0),
        ("raise SystemExit(3)", 3),
        ("raise SystemExit('told on stderr')", 1),
        ("raise ValueError('told on stderr')", 1),
        ("1 +", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGKILL),
    ],
)
def test_the_exit_status(launcher, script, text, status):
    assert launcher.run(script(text), "", {}) == status


def test_the_environment_of_a_job_is_its_own(launcher, script, tmp_path):
    text = "import sys, tempfile; sys.exit(tempfile.gettempdir() != sys.argv[0].rpartition('/')[0])"
    assert launcher.run(script(text), "", {"TMPDIR": str(tmp_path)}) == 0
    assert launcher.run(script(text), "", {}) == 1


def test_what_is_buffered_is_written(script, tmp_path):
    output = tmp_path / "output"
    code = (
        "import sys; from calflow.engine.warm_start.launcher import Launcher; launcher = Launcher();"
        "launcher.run(sys.argv[1], 'no rule', {}); launcher.close()"
    )
    with output.open("w") as file:
        text = "import logging, sys; logging.basicConfig(); logging.warning('log'); print('out'); sys.exit('err')"
        command = [sys.executable, "-c", code, script(text)]
        scripts = str(Path(module.__file__).parents[3])
        subprocess.run(command, stdout=file, stderr=file, check=True, env=os.environ | {"PYTHONPATH": scripts})
    assert sorted(output.read_text().split()) == ["WARNING:root:log", "err", "out"]


def test_jobs_run_at_the_same_time(launcher, script, tmp_path):
    """Each of two jobs waits for the other."""
    text = (
        "import pathlib, sys, time; name, = pathlib.Path(sys.argv[0]).parent.glob('*.now'); end = time.time() + 30\n"
        "while len(list(name.parent.glob('*.seen'))) < 2:\n"
        "    name.with_suffix(f'.{__import__(\"os\").getpid()}.seen').touch(); time.sleep(0.01)\n"
        "    assert time.time() < end\n"
    )
    (tmp_path / "x.now").touch()
    path, statuses = script(text), []
    threads = [threading.Thread(target=lambda: statuses.append(launcher.run(path, "", {}))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [0, 0]


def test_time_and_memory_are_those_of_the_job(launcher, script):
    record = BenchmarkRecord()
    text = (
        "import time; block = bytearray(200 * 2**20); del block; end = time.process_time() + 0.2\n"
        "while time.process_time() < end: pass"
    )
    assert launcher.run(script(text), "", {}, record) == 0
    assert record.max_rss > 200
    assert record.max_vms > record.max_rss
    # The kernel counts the CPU time of processes to some milliseconds.
    assert 0.2 <= record.cpu_time <= record.running_time + 0.02
    named = dict(zip(record.get_header(), record.to_tsv(False).split("\t"), strict=True))
    assert {name for name, value in named.items() if value == "-"} <= {"max_uss", "max_pss", "io_in", "io_out"}
    assert float(named["mean_load"]) == pytest.approx(100 * record.cpu_time / record.running_time, abs=0.01)


def test_a_job_that_fails_says_what_it_took_and_one_that_is_killed_does_not(launcher, script):
    failed, killed = BenchmarkRecord(), BenchmarkRecord()
    assert launcher.run(script("raise SystemExit(3)"), "", {}, failed) == 3
    assert failed.max_rss > 0
    assert launcher.run(script("import os; os.kill(os.getpid(), 9)"), "", {}, killed) == -9
    assert not killed.data_collected


def test_when_the_server_is_killed_scripts_are_refused(script):
    launcher = Launcher()
    path = script("pass")
    assert launcher.run(path, "", {}) == 0
    launcher._process.kill()
    launcher._process.wait()
    with pytest.raises(ServerIsGone):
        launcher.run(path, "", {})
    launcher.close()


def test_the_server_ends_when_the_other_side_is_gone():
    code = "from calflow.engine.warm_start.launcher import Launcher; Launcher(); import os; os._exit(9)"
    scripts = str(Path(module.__file__).parents[3])
    # The server holds the standard output, too: this waits for it to end.
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": scripts},
    )
    assert done.returncode == 9


JOB = SimpleNamespace(rule=SimpleNamespace(script="../scripts/calibrate.py"))


def workflow(jobs=10, **changes):
    facts = {
        "deployment_settings": SimpleNamespace(deployment_method=set()),
        "local_exec": True,
        "is_main_process": True,
        "resource_settings": SimpleNamespace(cores=2),
        "output_settings": SimpleNamespace(dryrun=False),
        "dag": SimpleNamespace(needrun_jobs=lambda: [JOB] * jobs),
    }
    return SimpleNamespace(**facts | changes)


@pytest.mark.parametrize(
    "run",
    [
        workflow(jobs=3),
        workflow(local_exec=False),
        workflow(is_main_process=False),
        workflow(deployment_settings=SimpleNamespace(deployment_method={"conda"})),
    ],
    ids=["few jobs", "cluster", "job of a cluster", "conda"],
)
def test_runs_that_snakemake_starts_itself(run, monkeypatch):
    monkeypatch.setattr(module, "Launcher", lambda: pytest.fail("started"))
    start_launcher(run, 0)
    assert not module._launchers


class Script:
    """As much of Snakemake's PythonScript as is looked at."""

    def __init__(self, tmpdir=None):
        self.resources, self.bench_record = {"tmpdir": tmpdir}, None
        self.path = SimpleNamespace(get_filename=lambda: "calibrate.py")
        self.started = []

    def execute_script(self, fname, edit=False):
        self.started.append(fname)


@pytest.fixture
def hooked(monkeypatch):
    """A run with a launcher that only says what it was asked."""
    asked = []

    class Recorder:
        status: int | Exception = 0

        def load(self, scripts, pixels=0):
            asked.append((set(scripts), pixels))

        def close(self):
            asked.append("closed")

        def run(self, script, rule, environment, record):
            asked.append((script, rule, environment))
            if isinstance(self.status, Exception):
                raise self.status
            return self.status

    monkeypatch.setattr(inside, "PythonScript", type("PythonScript", (Script,), {}))
    monkeypatch.setattr(module, "Launcher", Recorder)
    monkeypatch.setattr(module, "_launchers", [])
    start_launcher(workflow(), 5)
    assert asked.pop() == ({"calibrate"}, 5)
    return SimpleNamespace(asked=asked, launcher=Recorder, script=inside.PythonScript)


@pytest.fixture
def early(hooked, monkeypatch, tmp_path):
    """A launcher that is started while a run is planned."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "_launchers", [])
    start_early(workflow(), {})
    assert len(module._launchers) == 1
    scripts, pixels = hooked.asked.pop()
    assert "calibrate" in scripts
    assert pixels == 0
    return hooked


def test_of_later_runs_those_with_another_configuration_start_early(hooked, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    module.LOCK.parent.mkdir(parents=True)
    module.LOCK.touch()

    def started(config, **changes):
        monkeypatch.setattr(module, "_launchers", [])
        start_early(workflow(**changes), config)
        return [asked[0] for asked in (hooked.asked.pop() for _ in module._launchers)]

    assert started({"a": 1, "b": {"c": None}}) == [{"flag_outliers"}]
    assert started({"b": {"c": None}, "a": 1}) == []
    assert started({"a": 2}, output_settings=SimpleNamespace(dryrun=True)) == []
    assert started({"a": 2}) == [{"flag_outliers"}]
    assert started({"a": 2}) == []


def test_what_was_started_early_does_the_jobs_of_the_run(early):
    before = list(module._launchers)
    start_launcher(workflow(jobs=1), 5)
    assert module._launchers == before
    assert early.asked == [({"calibrate"}, 5)]


@pytest.mark.parametrize(
    "run", [workflow(local_exec=False), workflow(deployment_settings=SimpleNamespace(deployment_method={"conda"}))]
)
def test_what_was_started_early_is_ended_where_it_is_of_no_use(early, run):
    start_launcher(run, 0)
    assert early.asked == ["closed"]
    assert not module._launchers


@pytest.mark.parametrize(
    "changes",
    [
        {"is_main_process": False},
        {"output_settings": SimpleNamespace(dryrun=True)},
        {"resource_settings": SimpleNamespace(cores=None)},
        {"deployment_settings": SimpleNamespace(deployment_method={"conda"})},
    ],
    ids=["job of a cluster", "dry run", "cluster", "conda"],
)
def test_nothing_is_started_early_for_what_is_no_run_here(changes, monkeypatch):
    monkeypatch.setattr(module, "Launcher", lambda: pytest.fail("started"))
    start_early(workflow(**changes), {})
    assert not module._launchers


def test_what_is_loaded_is_what_the_scripts_of_a_run_need():
    stage2, stage3 = libraries({"calibrate"}, 0), libraries({"flag_outliers", "catalog_sources"}, 0)
    assert {"numpy", "gwcs.fitswcs", "calibrate"} <= set(stage2)
    assert not {"align", "catalog_sources", "skimage.segmentation", "drizzle.resample"} & set(stage2)
    assert {"numpy", "gwcs.fitswcs", "flag_outliers", "skimage.segmentation"} <= set(stage3)
    assert not {"calibrate", "tweakwcs.linearfit", "drizzle.resample"} & set(stage3)
    assert libraries({"unknown"}, 0) == stage2[: len(libraries({"unknown"}, 0))]


def test_a_server_that_is_killed_while_a_run_is_planned_leaves_the_jobs_to_snakemake(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inside, "PythonScript", type("PythonScript", (Script,), {}))
    monkeypatch.setattr(module, "_launchers", [])
    start_early(workflow(), {})
    module._launchers[0]._process.kill()
    module._launchers[0]._process.wait()
    start_launcher(workflow(), 0)
    script = inside.PythonScript()
    script.execute_script("a.py")
    assert script.started == ["a.py"]
    stop_launcher()


def test_scripts_go_to_the_launcher(hooked):
    script = hooked.script(tmpdir="elsewhere")
    script.execute_script("a.py")
    assert hooked.asked == [("a.py", "calibrate", dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), "elsewhere"))]
    assert not script.started


def test_a_script_that_fails_fails_as_it_would_without(hooked):
    hooked.launcher.status = 1
    with pytest.raises(subprocess.CalledProcessError, match=r"a\.py.* exit status 1"):
        hooked.script().execute_script("a.py")


def test_without_a_server_snakemake_starts_the_script(hooked):
    hooked.launcher.status = ServerIsGone()
    script = hooked.script()
    script.execute_script("a.py")
    assert script.started == ["a.py"]
