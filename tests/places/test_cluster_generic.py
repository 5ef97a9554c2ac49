"""Jobs through the commands of a queueing system, with a stand-in for it."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ROOT, SCENE, Workflow, own_code, simulate  # noqa: F401

PROFILE = ROOT / "profiles" / "cluster-generic"
SCHEDULER = Path(__file__).with_name("fake_scheduler.sh")


def status(system, id, commands, tmp_path):
    """Run status.sh with commands that are shell scripts of this content."""
    for name, text in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", str(PROFILE / "status.sh"), system, id]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("system", "commands", "expected"),
    [
        ("lsf", {"bjobs": "echo PEND"}, "running"),
        ("lsf", {"bjobs": "echo DONE"}, "success"),
        ("lsf", {"bjobs": "echo EXIT"}, "failed"),
        ("lsf", {"bjobs": "exit 255"}, "running"),
        ("pbs", {"qstat": "echo '    job_state = R'"}, "running"),
        ("pbs", {"qstat": "echo '    job_state = F'; echo '    Exit_status = 0'"}, "success"),
        ("pbs", {"qstat": "echo '    job_state = F'; echo '    Exit_status = 271'"}, "failed"),
        ("sge", {"qstat": "exit 0"}, "running"),
        ("sge", {"qstat": "exit 1", "qacct": "exit 1"}, "running"),
        ("sge", {"qstat": "exit 1", "qacct": "echo 'failed       0'; echo 'exit_status  0'"}, "success"),
        ("sge", {"qstat": "exit 1", "qacct": "echo 'failed       0'; echo 'exit_status  137'"}, "failed"),
    ],
)
def test_status_of_a_job(system, commands, expected, tmp_path):
    assert status(system, "7", commands, tmp_path) == f"{expected}\n"


def test_bsub_prints_the_id_alone(tmp_path):
    (tmp_path / "bsub").write_text('#!/bin/sh\necho "Job <4711> is submitted to queue <normal>."\n')
    (tmp_path / "bsub").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", str(PROFILE / "bsub.sh"), "-n", "1", "job.sh"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "4711\n"


@pytest.fixture
def queue(tmp_path, monkeypatch):
    folder = tmp_path / "queue"
    folder.mkdir()
    monkeypatch.setenv("QUEUE", str(folder))
    return folder


@pytest.fixture
def options(tmp_path):
    """The profile as shipped, with the commands of the stand-in in place of those of LSF."""
    pytest.importorskip("snakemake_executor_plugin_cluster_generic")
    settings = yaml.safe_load((PROFILE / "config.yaml").read_text())
    settings["cluster-generic-submit-cmd"] = settings["cluster-generic-submit-cmd"].replace(
        'sh "$CALFLOW/profiles/cluster-generic/bsub.sh"', f"sh {SCHEDULER} submit"
    )
    settings["cluster-generic-status-cmd"] = f"sh {SCHEDULER} status"
    settings.pop("cluster-generic-cancel-cmd")
    settings |= {"seconds-between-status-checks": 1, "latency-wait": 5, "retries": 0, "jobs": 2}
    folder = tmp_path / "profile"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return ["--profile", str(folder)]


def fields(tmp_path):
    for name in ("local", "cluster"):
        simulate(tmp_path / name / "data", SCENE)
    return [Workflow(tmp_path / name) for name in ("local", "cluster")]


@pytest.mark.slow
def test_same_bytes_as_local_and_requests_of_the_rules(queue, options, own_code, tmp_path):  # noqa: F811
    local, cluster = fields(tmp_path)
    assert local.run().code == 0
    # Jobs have the plan of the run that submits them.
    planner = own_code / "scripts/calflow/plan/planner.py"
    begins = "        return _Planner(settings, HeaderCache(cache), is_job)."
    text = planner.read_text()
    assert text.count(begins) == 1
    refusing = '        import sys\n        assert "--mode" not in sys.argv, "planned anew"\n'
    planner.write_text(text.replace(begins, refusing + begins))
    cluster.snakefile = own_code / "Snakefile"
    run = cluster.run(options=options)
    assert run.code == 0, run.output
    assert local.products() == cluster.products() != set()
    for name in local.products():
        assert local.product(name).read_bytes() == cluster.product(name).read_bytes(), name
    submitted = (queue / "submitted").read_text().splitlines()
    # An exposure and its quick look travel together: the largest memory (1.5 times the 150 MB of the quick look, 200
    # MB, and 300 MB of Snakemake), the sum of the times.
    assert len([line for line in submitted if "calibrate_resample" in line and "-n 1 -M 726 " in line]) == 2, submitted
    # An average that comes out as it was: neither group is submitted again.
    before = {name: cluster.product(name).read_bytes() for name in cluster.products()}
    os.utime(min((cluster.folder / "data/rate").glob("jw01234002*_rate.fits")))
    run = cluster.run(options=options)
    assert run.code == 0, run.output
    assert run.rules == {"combine_background": 1}
    assert len((queue / "submitted").read_text().splitlines()) == len(submitted) + 1
    assert {name: cluster.product(name).read_bytes() for name in cluster.products()} == before


@pytest.mark.slow
def test_a_failed_job_is_told_and_the_others_go_on(queue, options, tmp_path):
    _, cluster = fields(tmp_path)
    science = min((cluster.folder / "data" / "rate").glob("*_rate.fits"))
    break_pixels(science)
    run = cluster.run("stage2", options=options)
    assert run.code == 1, run.output
    assert "no usable pixel" in run.output
    assert len([name for name in cluster.products() if name.endswith("_cal.fits")]) == 1


def break_pixels(path):
    from astropy.io import fits

    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data[:] = float("nan")
