"""Runs with a Snakemake that is older or newer than those with which calflow is tested."""

import pytest

from tests.workflow.test_warm_start import contents

pytestmark = pytest.mark.slow


@pytest.fixture
def tested_with(workflow, own_code):
    """Have another range of versions count as tested."""
    versions = own_code / "scripts/calflow/engine/versions.py"

    def change(oldest, newest):
        line = f"OLDEST, NEWEST = {oldest}, {newest}"
        versions.write_text(versions.read_text().replace("OLDEST, NEWEST = (9, 20), (9, 27)", line))
        workflow.snakefile = own_code / "Snakefile"
        return workflow

    return change


def test_a_newer_one_makes_the_same_products_in_its_own_way(tested_with, finished):
    workflow = tested_with((9, 0), (9, 1))
    run = workflow.run()
    assert run.code == 0, run.output
    assert run.output.count("is newer than 9.0 to 9.1, with which calflow is tested") == 1
    assert "Products:" not in run.output
    made, expected = (
        {path: content for path, content in contents(one).items() if path.parts[0].startswith("stage")}
        for one in (workflow, finished)
    )
    assert made == expected
    assert len(made) > 5
    refused = workflow.run("plan")
    assert refused.code == 1
    assert "there is no 'snakemake plan'" in refused.output
    status = workflow.run("status")
    assert status.code == 0, status.output
    assert "COMPLETE" in status.output


def test_an_older_one_does_nothing(tested_with):
    workflow = tested_with((99, 0), (99, 1))
    run = workflow.run()
    assert run.code == 1
    assert "is too old: calflow is tested with 99.0 to 99.1. Run 'make environment'" in run.output
    assert "Traceback" not in run.output
    assert not (workflow.folder / "results").exists()
