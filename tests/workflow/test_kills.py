"""Killed at any moment: nothing half-written, and a plain rerun makes what an undisturbed run would have made."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="orphans end by themselves on Linux"),
]

NOT_PRODUCTS = ("benchmarks", "logs")


def products(workflow):
    """Return the bytes of all files under final names that are results."""
    results = workflow.folder / "results"
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in sorted(results.rglob("[!.]*"))
        if path.is_file() and path.relative_to(results).parts[0] not in NOT_PRODUCTS
    }


def leftovers(workflow):
    return list((workflow.folder / "results").rglob("*.partial*"))


def start(workflow, *options):
    """Start a run in a process group of its own."""
    (workflow.folder / "my.yaml").write_text(yaml.safe_dump(workflow.config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(workflow.snakefile), "--cores", "2"]
    with (workflow.folder / "output.txt").open("w") as output:
        return subprocess.Popen(
            [*command, "--configfile", "my.yaml", *options],
            cwd=workflow.folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            env={name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")},
        )


def output_of(workflow):
    return (workflow.folder / "output.txt").read_text()


def wait_for(condition, seconds=120.0, pause=0.03):
    """Wait for a condition; to look at all processes takes so long that it leaves the run no core without a pause."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(pause)
    return found


def running(workflow):
    """Return the processes that work in the folder: Snakemake, the server, the jobs."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(workflow.folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            pass
    return found


def is_server(process):
    return any(part.endswith("engine/warm_start/server.py") for part in process.cmdline())


def jobs(run):
    """Return the job processes of a run: children of the server, or scripts that Snakemake started."""
    try:
        children = psutil.Process(run.pid).children()
        return [
            job
            for child in children
            for job in (child.children() if is_server(child) else [child])
            if is_server(child) or ".snakemake/scripts" in " ".join(child.cmdline())
        ]
    except psutil.Error:
        return []


def signalled_job(run, number, is_time=lambda: True):
    """Send a signal to a job of a run, and return it; not to one that ends between the look and the signal."""

    def sent():
        for job in jobs(run) if is_time() else []:
            with suppress(psutil.NoSuchProcess):
                job.send_signal(number)
                return job
        return None

    return wait_for(sent)


def servers(run):
    try:
        return [child for child in psutil.Process(run.pid).children() if is_server(child)]
    except psutil.Error:
        return []


def kill_main(number):
    return lambda run: os.kill(run.pid, number)


def kill_group(number):
    return lambda run: os.killpg(run.pid, number)


def kill_one(processes, number):
    def kill(run):
        for process in wait_for(lambda: processes(run) or (run.poll() is not None and [None])):
            if process:
                with suppress(psutil.NoSuchProcess):  # it may have ended just now
                    process.send_signal(number)
                return

    return kill


KILLS = {
    "snakemake SIGKILL": kill_main(signal.SIGKILL),
    "snakemake SIGTERM": kill_main(signal.SIGTERM),
    "snakemake SIGINT": kill_main(signal.SIGINT),
    "Ctrl-C": kill_group(signal.SIGINT),
    "all SIGKILL": kill_group(signal.SIGKILL),
    "all SIGTERM": kill_group(signal.SIGTERM),
    "job SIGKILL": kill_one(jobs, signal.SIGKILL),
    "job SIGTERM": kill_one(jobs, signal.SIGTERM),
    "server SIGKILL": kill_one(servers, signal.SIGKILL),
}


def test_killed_at_random_moments(combined, field_workflow):
    kept = products(combined)
    # A killed run may leave what is only needed in between: it has to be whole, too.
    assert combined.run(options=("--notemp", "--forcerun", "resample_group")).code == 0
    expected = products(combined)
    assert expected.items() > kept.items()
    moment = random.Random(7)
    for name in moment.sample([*KILLS], len(KILLS)):
        run = start(field_workflow)
        try:
            wait_for(lambda run=run: jobs(run) or run.poll() is not None)
            time.sleep(moment.uniform(0.0, 1.0))
            with suppress(ProcessLookupError):  # it may have ended just now
                KILLS[name](run)
            if name.startswith(("job", "server")):
                # Snakemake goes on with the others: it need not come to its end here.
                time.sleep(1.0)
                os.killpg(run.pid, signal.SIGKILL)
            run.wait(timeout=120)
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()
        wait_for(lambda: not running(field_workflow), 20.0)
        made = products(field_workflow)
        assert made.items() <= expected.items(), name
        if len(made) > len(expected) / 2:
            shutil.rmtree(field_workflow.folder / "results")
    final = field_workflow.run()
    assert final.code == 0, final.output
    made = products(field_workflow)
    assert kept.items() <= made.items() <= expected.items()
    assert leftovers(field_workflow) == []
    assert field_workflow.planned() == {}


def test_after_sigkill_a_plain_run_goes_on(workflow):
    run = start(workflow)
    wait_for(lambda: any("_cal" in name for name in workflow.products()))
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert list((workflow.folder / ".snakemake/locks").iterdir())
    wait_for(lambda: not running(workflow), 20.0)
    again = workflow.run()
    assert again.code == 0, again.output
    assert re.search(rf"The last run in this folder .*process {run.pid}.* was killed", again.output)
    assert "combine_background" not in again.rules
    assert len(workflow.products()) == 4
    assert workflow.planned() == {}
    assert leftovers(workflow) == []
    assert (workflow.folder / ".snakemake/calflow/run.lock").read_text() == ""  # the next run has nothing to tell


@pytest.mark.parametrize("options", [(), ("--no-hooks",)], ids=["forked", "started"])
def test_jobs_end_with_snakemake(workflow, options):
    run = start(workflow, *options)
    orphan = signalled_job(run, signal.SIGSTOP)  # so that it cannot have ended before
    if options:
        # It may not have come so far as to tell the kernel.
        orphan.resume()
        wait_for(lambda: list((workflow.folder / "results/logs").rglob("*.log")))
        orphan = wait_for(lambda: jobs(run))[0]
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    wait_for(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE, 20.0)


def run_of_which_a_job_gets(number, workflow, is_time=lambda: True, made=("results",)):
    """Return a run that has ended, after one of its jobs got a signal; what it has made is removed before another."""
    for _ in range(5):
        run = start(workflow)
        signalled_job(run, number, is_time)
        if run.wait(timeout=120):
            break
        for folder in made:
            shutil.rmtree(workflow.folder / folder)  # the job had just ended
    return run


def test_a_killed_job_is_named(workflow):
    run = run_of_which_a_job_gets(signal.SIGKILL, workflow)
    assert run.returncode == 1
    assert "killed by signal 9, perhaps out of memory" in output_of(workflow)


def test_a_stopped_job_says_so_in_its_log(workflow):
    logs = workflow.folder / "results/logs"
    run = run_of_which_a_job_gets(signal.SIGTERM, workflow, lambda: any(logs.rglob("*.log")))
    assert run.returncode == 1
    # The signal may come before the script is so far.
    assert re.search(": (stopped by SIGTERM|killed by signal)", output_of(workflow))


def test_jobs_of_a_killed_server_are_started_again(workflow):
    run = start(workflow)
    wait_for(lambda: jobs(run))
    servers(run)[0].kill()
    assert run.wait(timeout=120) == 0, output_of(workflow)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes, where this process may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(finished, workflow, small_disk):
    """Of products alone: Snakemake's own records are elsewhere."""
    (workflow.folder / "results").symlink_to(small_disk)
    filler = small_disk / "filler"
    space = os.statvfs(small_disk)
    filler.write_bytes(bytes(space.f_bavail * space.f_frsize - 400_000))
    full = workflow.run()
    assert full.code == 1
    assert re.search(rf"no space left (on {re.escape(str(small_disk))}|for its product)", full.output), full.output
    assert products(workflow).items() <= products(finished).items() | {("filler", filler.read_bytes())}
    filler.unlink()
    again = workflow.run()
    assert again.code == 0, again.output
    assert products(workflow) == products(finished)


def test_a_full_disk_with_snakemakes_records(finished, workflow, small_disk):
    (workflow.folder / ".snakemake").mkdir()
    for name in ("metadata", "incomplete"):
        (small_disk / name).mkdir()
        (workflow.folder / ".snakemake" / name).symlink_to(small_disk / name)
    filler = small_disk / "filler"
    space = os.statvfs(small_disk)
    filler.write_bytes(bytes(space.f_bavail * space.f_frsize - 20_000))
    full = workflow.run()
    assert full.code == 1
    assert "no space left for the records of the run" in full.output
    filler.unlink()
    again = workflow.run()
    assert again.code == 0, again.output
    assert products(workflow) == products(finished)
    assert workflow.planned() == {}


def test_a_full_disk_of_the_run_folder(workflow, small_disk):
    (workflow.folder / ".snakemake").symlink_to(small_disk)
    space = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(bytes(space.f_bavail * space.f_frsize))
    run = workflow.run()
    assert run.code == 1
    assert "run.lock: No space left on device. Nothing was done." in run.output
    assert "Traceback" not in run.output


def test_two_runs_in_a_folder(workflow):
    first = start(workflow)
    lock = Path(workflow.folder / ".snakemake/calflow/run.lock")
    wait_for(lambda: lock.exists() and lock.read_text())
    os.kill(first.pid, signal.SIGSTOP)  # else it may end before the second asks for the lock
    before = output_of(workflow)
    try:
        second = workflow.run()
        assert second.code != 0
        assert second.jobs == []
        assert f"process {first.pid}, since" in second.output
        assert "Traceback" not in second.output
        assert workflow.run(dry=True).code == 0
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert first.wait(timeout=120) == 0, output_of(workflow)
    assert before in output_of(workflow)
    assert workflow.planned() == {}
