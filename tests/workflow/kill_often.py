"""Kill many runs of a tiny scene at random moments: each has to end soon, and a plain run after it to go on.

Not one of the tests, since it takes an hour: ``python -m tests.workflow.kill_often --help`` in the folder of calflow.
Exit status 0: every run ended, no file under a final name ever differed from that of an undisturbed run, and the last
run made all of them. Where py-spy is on the path, the stacks of a run that hangs are printed. With ``--again`` the runs
make again, with the same bytes, what is there, so that what follows is left out or not at the moment of the kill.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from calflow.simulation import Scene, simulate  # noqa: E402

from .conftest import FIELD, SCENE, Workflow, combining  # noqa: E402
from .test_kills import leftovers, output_of, products, running, start  # noqa: E402

# The jobs of one of them, taken at random, are made again by each run.
AGAIN = ("calibrate", "find_stars", "measure_sky", "resample_group", "flag_outliers", "combine")
LESS = 0.7  # of the time of a first run, which such a run takes
IDLE = 30.0  # seconds without a tick of the processor, after which a run hangs


def main(arguments=None):
    """Kill, compare, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="of each signal (default: %(default)s)")
    parser.add_argument("--signals", nargs="+", default=["SIGTERM", "SIGINT", "SIGKILL"], help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--again", action="store_true", help="make again what is there, through stage 3")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell has in the background
    moments = random.Random(given.seed)
    names = given.signals * given.kills
    moments.shuffle(names)
    with tempfile.TemporaryDirectory() as folder:
        workflow = (combining if given.again else Workflow)(Path(folder) / "work")
        simulate(workflow.folder / "data", Scene(**FIELD) if given.again else SCENE)
        began = time.monotonic()
        assert workflow.run().code == 0
        duration = time.monotonic() - began
        expected = products(workflow)
        if given.again:
            # A killed run may leave what is only needed in between: it has to be whole, too.
            assert workflow.run(options=("--notemp", "--forcerun", "resample_group")).code == 0
            kept, expected = expected, products(workflow)
            assert workflow.run(options=("--delete-temp-output",)).code == 0
            assert products(workflow) == kept
        else:
            kept = expected
            shutil.rmtree(workflow.folder / "results")
        endings, hung = {name: [] for name in given.signals}, Counter()
        while names:
            options = ("--forcerun", moments.choice(AGAIN)) if given.again else ()
            moment = moments.uniform(0.0, duration * (LESS if given.again else 1.0))
            seconds = killed_run(workflow, getattr(signal, names[-1]), moment, options)
            made = products(workflow)
            assert made.items() <= expected.items(), [name for name in made if made[name] != expected.get(name)]
            if seconds is None:  # it was done before
                lacking = sorted(targets(kept) - targets(made)) if given.again else []
                assert not lacking, (options, lacking, output_of(workflow))
                if not given.again:
                    shutil.rmtree(workflow.folder / "results", ignore_errors=True)
                continue
            name = names.pop()
            endings[name].append(seconds)
            hung[name] += seconds == float("inf")
            late = sum(value > 10 for value in endings[name])
            print(
                f"{name} {len(endings[name])}: {seconds:.1f} s; {late} later than 10 s, {hung[name]} hung", flush=True
            )
        final = workflow.run()
        assert final.code == 0, final.output
        made = products(workflow)
        assert made.items() <= expected.items()
        assert targets(made) == targets(kept)
        assert leftovers(workflow) == []
    for name, values in endings.items():
        ordered = sorted(values)
        print(f"{name}: {len(values)} kills, median {ordered[len(ordered) // 2]:.1f} s, last {ordered[-1]:.1f} s")
    return int(sum(hung.values()) > 0)


def targets(names):
    """Return the names of files that somebody asks for.

    What is only read by other jobs, such as a star list, is in a folder below. Killed while it is made again for no
    reason (``--forcerun``), it is gone, and comes back when a job that reads it has to run.
    """
    return {name for name in names if name.count("/") == 1}


def killed_run(workflow, number, moment, options=()):
    """Return the seconds from a signal to the end of a run; infinity if it hangs, None if it was done before."""
    run = start(workflow, *options)
    try:
        with suppress(subprocess.TimeoutExpired):
            assert run.wait(timeout=moment) == 0, output_of(workflow)
            return None
        run.send_signal(number)
        began = time.monotonic()
        ticks, changed = 0.0, began
        while run.poll() is None and time.monotonic() - changed < IDLE:
            time.sleep(0.02)
            if (now := processor_time(run)) != ticks:
                ticks, changed = now, time.monotonic()
        seconds = time.monotonic() - began
        if run.poll() is None:
            seconds = float("inf")
            print_stacks(run)
    finally:
        run.kill()
        run.wait()
    while running(workflow):
        time.sleep(0.02)
    return seconds


def print_stacks(run):
    """Print where each thread of a run, and of the processes that it has forked, stands."""
    if shutil.which("py-spy") is None:
        return
    for process in [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]:
        subprocess.run(["py-spy", "dump", "--pid", str(process.pid)], check=False)


def processor_time(run):
    """Return the seconds that Snakemake and its jobs have computed, to tell a slow run from one that hangs."""
    try:
        main = psutil.Process(run.pid)
        return sum(sum(process.cpu_times()[:2]) for process in (main, *main.children(recursive=True)))
    except psutil.Error:
        return 0.0


if __name__ == "__main__":
    sys.exit(main())
