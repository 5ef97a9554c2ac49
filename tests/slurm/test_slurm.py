"""What runs through profiles/slurm makes, though jobs and nodes die, is what a local run makes."""

import re
import signal

import pytest

from tests.slurm.conftest import SlurmRun, products

pytest.importorskip("snakemake_executor_plugin_slurm", reason="run by `make test-slurm`")
pytestmark = pytest.mark.slow


def states(cluster):
    return [
        line.split() for line in cluster.query("squeue", "--states=all", "--noheader", "--format=%A %T %C").splitlines()
    ]


def running(cluster, what):
    """Return a job that runs a group of this name, and its node."""
    for line in cluster.query("squeue", "--states=running", "--noheader", "--format=%A %N %k").splitlines():
        job, node, comment = line.split()
        if what in comment:
            return job, node
    return None


def test_a_job_is_killed(cluster, folder, local_folder):
    run = SlurmRun(folder, cluster)
    job, _ = run.wait_until(lambda: running(cluster, "calibrate"))
    run.wait_until(lambda: cluster.kill_job(job, signal.SIGKILL))
    code, output = run.finish()
    assert code == 0, output
    assert output.count("Trying to restart job") == 1, output
    assert products(folder) == products(local_folder)
    # Three exposures, stage 3 up to the _crf, the combination, the catalogue; and another try.
    assert sorted(state for _, state, _ in states(cluster)) == 6 * ["COMPLETED"] + ["FAILED"]


def test_a_node_dies_on_a_cluster_with_accounting(accounting_cluster, folder, local_folder):
    run = SlurmRun(folder, accounting_cluster, "--default-resources", "slurm_account=astro", "slurm_partition=main")
    _, node = run.wait_until(lambda: running(accounting_cluster, "calibrate"))
    accounting_cluster.kill_node(node)
    code, output = run.finish()
    assert code == 0, output
    assert "Trying to restart job" in output
    assert products(folder) == products(local_folder)
    # The step daemons of a job may live long enough to say that it failed.
    assert {state for _, state, _ in states(accounting_cluster)} & {"FAILED", "NODE_FAIL"}
    accounts = accounting_cluster.query("sacct", "--noheader", "-X", "--format=Account").split()
    assert set(accounts) == {"astro"}


def test_what_slurm_would_refuse_is_told_before_a_job_is_submitted(cluster, folder):
    code, output = SlurmRun(folder, cluster, "--default-resources", "slurm_partition=night").finish()
    assert code == 1
    assert re.search(r"no job was submitted: SLURM would refuse them: invalid partition specified: night", output)
    assert "partitions: main" in output
    assert not states(cluster)
    assert "Traceback" not in output
