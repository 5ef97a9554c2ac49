"""Jobs that are forked from one process make what jobs make that Python is started for."""

import re

import pytest

from calflow.simulation import Scene, simulate
from tests.workflow.conftest import FIELD, combining

pytestmark = pytest.mark.slow
IMPORT = re.compile(r"\| +astropy\.io\.fits\n")


def contents(workflow):
    results = workflow.folder / "results"
    return {
        path.relative_to(results): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.relative_to(results).parts[0] != "benchmarks"
    }


def test_the_same_bytes_and_one_import(tmp_path, monkeypatch):
    """Of two exposures, which is each rule of stage 3; to start Python for a job takes a second."""
    simulate(tmp_path / "data", Scene(**FIELD | {"exposures": 2}))
    workflow = combining(tmp_path)
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # tells of every import
    forked = workflow.run(started=True)
    assert forked.code == 0, forked.output
    assert len(IMPORT.findall(forked.output)) == 1
    products = contents(workflow)
    assert len(products) > 40

    started = workflow.run(options=("--no-hooks", "--forceall"), started=True)
    assert started.code == 0, started.output
    assert len(IMPORT.findall(started.output)) > 10
    assert started.rules == forked.rules
    assert contents(workflow) == products
