"""What SLURM's commands say, as a message before the run."""

import pytest

from calflow.engine.slurm import few_cores, refusal, unknown_ends


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Commands that say what they are told to, and nothing else on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def command(name, script):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return command


def test_no_sbatch(slurm):
    assert "login node" in refusal(None, None)


def test_accepted(slurm):
    slurm("sbatch", '[ "$*" = "--test-only --account a --partition p --time=5 --mem=500 --wrap=true" ]')
    assert refusal("a", "p") is None
    assert refusal(None, "p") is not None


def test_refused_names_the_accounts_there_are(slurm):
    slurm("sbatch", "echo 'sbatch: error: Invalid account' >&2; exit 1")
    slurm("sacctmgr", "echo stars; echo dust")
    text = refusal("b", None)
    assert "would refuse them: Invalid account" in text
    assert "--default-resources slurm_account=NAME" in text
    assert "your accounts: dust, stars" in text
    assert "partitions" not in text


@pytest.mark.parametrize(
    ("command", "age", "sacct", "works"),
    [("squeue", 30, 1, True), ("squeue", 29, 1, False), ("squeue", 29, 0, True), ("sacct", 300, 1, False)],
)
def test_ends_that_nobody_tells(slurm, command, age, sacct, works):
    slurm("scontrol", f"echo 'MinJobAge               = {age} sec'")
    slurm("sacct", f"exit {sacct}")
    assert (unknown_ends(command, 30) is None) is works


@pytest.mark.parametrize(
    ("nodes", "cores", "told"),
    [("4\\n2+", None, "--cores 4"), ("4", 4, None), ("4", 100, "--cores 4"), ("16", None, None), ("", None, None)],
)
def test_nodes_that_have_fewer_cores_than_a_job_asks_for(slurm, nodes, cores, told):
    slurm("sinfo", f"printf '{nodes}'")
    found = few_cores("p", cores)
    assert found is None if told is None else told in found


def test_without_sinfo_nothing_is_said_of_cores(slurm):
    assert few_cores(None, None) is None
