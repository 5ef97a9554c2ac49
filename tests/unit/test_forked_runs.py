import os
import signal

import pytest

from calflow.engine.forked_runs import ForkedRuns


@pytest.fixture(scope="module")
def runs():
    with ForkedRuns() as runs:
        yield runs


def test_a_run_is_in_its_folder_and_each_has_an_exit_status_of_its_own(runs, tmp_path):
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text("rule all:\n    output: 'made'\n    shell: 'touch {output}'\n")
    command = ["--snakefile", str(snakefile), "--cores", "1"]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert runs.run(command, tmp_path / "a")[0] == 0
    status, said = runs.run([*command, "missing"], tmp_path / "b")
    assert status == 1
    assert "missing" in said
    assert (tmp_path / "a/made").exists()
    assert not (tmp_path / "b/made").exists()
    assert runs.run(command, tmp_path / "b")[0] == 0


def test_a_process_that_was_killed_is_told():
    with ForkedRuns() as runs:
        os.kill(runs.pid, signal.SIGKILL)
        assert runs.run(["--version"], os.curdir) == (1, "the process that was to do it has been killed")
