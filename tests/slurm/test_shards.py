"""A survey as an array of shards: one is killed, told of, and submitted again alone; all is as one run makes it."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

pytest.importorskip("snakemake_executor_plugin_slurm", reason="run by `make test-slurm`")

from tests.slurm.conftest import CONFIG, environment, products, snakemake

pytestmark = pytest.mark.slow
PROGRAMMES = ("jw00001", "jw00002", "jw00003")
SHARDS = {**CONFIG, "shards": {"exposures": 3}}


@pytest.fixture
def survey(local_folder, tmp_path):
    """Return a folder with the same field as three programmes."""
    for number in PROGRAMMES:
        for path in (local_folder / "data").rglob("*"):
            place = tmp_path / path.relative_to(local_folder).with_name(path.name.replace("jw01234", number))
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".json":
                place.write_text(path.read_text().replace("jw01234", number))
            elif path.is_file() and not place.exists():
                os.link(path, place)
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(SHARDS))
    return tmp_path


@pytest.fixture
def slow_python(tmp_path):
    """Return a Python with which shard 2, the first time, comes as far as `_cal`, and then waits to be killed."""
    program = tmp_path / "python"
    program.write_text(f"""\
#!/bin/sh
if [ "$(basename "$PWD")" = 0002 ] && mkdir {tmp_path}/waits 2>/dev/null; then
    {sys.executable} "$@" --until calibrate
    sleep 600
fi
exec {sys.executable} "$@"
""")
    program.chmod(0o755)
    return str(program)


def run(survey, *arguments, cluster=None, code=0, **variables):
    command = arguments if cluster else [*snakemake(*arguments), "--configfile", "my.yaml"]
    variables = environment(cluster) | variables
    done = subprocess.run(command, cwd=survey, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def wait_until(ready, seconds=180):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := ready():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")


def jobs(cluster):
    """Return the jobs that are not over: by the number of the shard."""
    lines = cluster.query("squeue", "--array", "--noheader", "--format=%A %K").splitlines()
    return {int(number): job for job, number in map(str.split, lines)}


def states(text):
    return re.findall(r"^000\d +\d+ +(?:-|\d+ of \d+)  (.+)$", text, re.MULTILINE)


def test_a_shard_is_killed_and_submitted_again_alone(cluster, survey, slow_python):
    told = run(survey, "shards")
    assert "9 exposures in 3 shards" in told
    command = re.search(r"^to run: (.+)$", told, re.MULTILINE)[1].split()
    assert command[:2] == ["sbatch", "--array=1-3"]
    run(survey, *command, cluster=cluster, PYTHON=slow_python)
    wait_until(lambda: any((survey / "shards/0002/results/stage2").glob("*_cal.fits")))
    assert states(run(survey, "shards", "status"))[1] == "running"
    wait_until(lambda: cluster.kill_job(jobs(cluster)[2], signal.SIGKILL))
    wait_until(lambda: not jobs(cluster))
    told = run(survey, "shards", "status", code=1)
    assert states(told) == ["COMPLETE", "FAILED", "COMPLETE"]
    assert re.search(r"^0002: the run \(.*\) was killed, or its machine died", told, re.MULTILINE)
    kept = {name: products(survey / f"shards/{name}") for name in ("0001", "0003")}
    command = re.search(r"^again: (.+)$", told, re.MULTILINE)[1].split()
    assert command[:2] == ["sbatch", "--array=2"]
    run(survey, *command, cluster=cluster)
    wait_until(lambda: not jobs(cluster))
    assert states(run(survey, "shards", "status")) == 3 * ["COMPLETE"]
    done = json.loads(run(survey, "shards", "status", "json"))["shards"]
    assert {(one["exposures"], one["made"] == one["products"] > 3) for one in done} == {(3, True)}
    assert kept == {name: products(survey / f"shards/{name}") for name in kept}

    run(survey, "--cores", "2")  # all of it as one run
    whole = products(survey)
    shards = [products(survey / f"shards/{number:04d}") for number in (1, 2, 3)]
    assert sum(map(len, shards)) == len(whole)
    assert {name: content for shard in shards for name, content in shard.items()} == whole
