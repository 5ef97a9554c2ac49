"""A signal that comes while the scheduler holds a lock of its own ends the run, too."""

import os
import signal
import subprocess
import sys

import pytest

from .conftest import ROOT

JOBS = 6
# The signal comes in the middle of what the main thread does with a lock; Python calls its handler there.
SNAKEFILE = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT / "scripts")!r})
from calflow.engine.signals import take_signals
take_signals()

rule all:
    input: expand("{{number}}.txt", number=range({JOBS}))

rule one:
    output: "{{number}}.txt"
    shell: "sleep 0.2; touch {{output}}"

numbers = [int(os.environ["SIGNAL"])]

def sending(method):
    def method_with_signal(*arguments):
        if numbers:
            os.kill(os.getpid(), numbers.pop())
        return method(*arguments)
    return method_with_signal

onstart:
    scheduler = workflow.scheduler
    if os.environ["PLACE"] == "lock":
        scheduler._free_resources = sending(scheduler._free_resources)
    else:
        scheduler._open_jobs._cond.wait = sending(scheduler._open_jobs._cond.wait)
"""


@pytest.mark.parametrize("place", ["lock", "semaphore"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_the_run_ends(number, place, tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    with (tmp_path / "output").open("w+") as output:
        run = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "1", "--scheduler", "greedy"],
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"SIGNAL": str(int(number)), "PLACE": place},
        )
        try:
            assert run.wait(timeout=60) == 1
        finally:
            run.kill()
            run.wait()
        output.seek(0)
        assert ("Will exit after" if number == signal.SIGTERM else "Terminating processes") in output.read()
    assert 0 < len(list(tmp_path.glob("*.txt"))) < JOBS
