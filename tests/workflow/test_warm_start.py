"""Jobs that are forked from one process make what jobs make that Python is started for."""

import re

import pytest

pytestmark = pytest.mark.slow
IMPORT = re.compile(r"\| +astropy\.io\.fits\n")


def contents(workflow):
    results = workflow.folder / "results"
    return {
        path.relative_to(results): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.relative_to(results).parts[0] != "benchmarks"
    }


def test_the_same_bytes_and_one_import(field_workflow, monkeypatch):
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # tells of every import
    forked = field_workflow.run(started=True)
    assert forked.code == 0, forked.output
    assert len(IMPORT.findall(forked.output)) == 1
    products = contents(field_workflow)
    assert len(products) > 50

    started = field_workflow.run(options=("--no-hooks", "--forceall"), started=True)
    assert started.code == 0, started.output
    assert len(IMPORT.findall(started.output)) > 10
    assert started.rules == forked.rules
    assert contents(field_workflow) == products
