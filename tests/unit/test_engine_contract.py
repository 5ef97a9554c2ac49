"""What the engine uses of Snakemake's inside is there and behaves as it must, name by name."""

import ast
import json
import os
from pathlib import Path

import pytest
import snakemake.cli  # noqa: F401  before the others: they import each other
from snakemake.workflow import Workflow

from tests.engine_contract import CONTRACT, ROOT, SCRIPT, SNAKEFILE, problems, takes
from tests.workflow.forked import start_snakemake

ENGINE = ROOT / "scripts/calflow/engine"
# Under which names the files of the engine know the objects; elsewhere these words mean other things.
FILES = {
    "workflow": None,
    "dag": {"inside.py", "made_parts.py", "outcome.py", "needed_jobs.py", "spare_jobs.py", "unchanged.py"},
    "job": {
        "graph_jobs.py",
        "made_parts.py",
        "outcome.py",
        "needed_jobs.py",
        "reasons.py",
        "spare_jobs.py",
        "unchanged.py",
        "up_to_date.py",
    },
    "reason": {"reasons.py", "needed_jobs.py", "unchanged.py"},
    "persistence": {"made_parts.py", "reasons.py", "needed_jobs.py", "unchanged.py", "inside.py"},
    "record": {"unchanged.py"},
    "path": {"made_parts.py", "needed_jobs.py", "reasons.py", "unchanged.py"},
    "script": {"after_scripts.py", "attempts.py", "exit_statuses.py", "launcher.py"},
    "PythonScript": None,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What is not as it should be, by the name: tried by a run that finds another parameter, and a new input."""
    folder = tmp_path_factory.mktemp("contract")
    for name, text in (("Snakefile", SNAKEFILE), ("script.py", SCRIPT), ("a.txt", "1"), ("b.txt", "1"), ("c.txt", "1")):
        (folder / name).write_text(text)
    options = "--cores 1 --scheduler greedy --default-resources mem_mb=100 --rerun-triggers params input mtime".split()
    for number in (1, 2):
        code, output = start_snakemake([*options, "--config", f"number={number}"], folder, dict(os.environ), 60)
        assert code == 0, output
        (folder / "c.txt").write_text("another")
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("name", CONTRACT)
def test_the_name(name, found):
    assert name not in found, found[name]


def names_used(path, text):
    """Return the names of the contract that a file of the engine uses."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        chain = []
        while isinstance(node, ast.Attribute):
            chain.insert(0, node.attr)
            node = node.value
        if not chain:
            continue
        chain.insert(0, node.id if isinstance(node, ast.Name) else "")
        for start in ("workflow", "_workflow"):  # as in execution.workflow
            if start in chain:
                chain = ["workflow", *chain[chain.index(start) + 1 :]]
        if chain[:2] in (["workflow", "dag"], ["workflow", "persistence"], ["workflow", "scheduler"]) and chain[2:]:
            chain = chain[1:]
        elif chain[0] in FILES and FILES[chain[0]] and path.name not in FILES[chain[0]]:
            continue
        if chain[0] in {*FILES, "scheduler"} and len(chain) > 1:
            names.add(".".join(chain[:2]))
    return names


def test_each_name_that_the_engine_uses_is_in_the_contract():
    used = {name for path in ENGINE.rglob("*.py") for name in names_used(path, path.read_text())}
    assert used <= set(CONTRACT)
    of_other_kinds = ("cli.", "exceptions.", "logging.", "benchmark.", "common.", "scheduler.", "inside.")
    unused = {name for name in CONTRACT if name not in used and not name.startswith(of_other_kinds)}
    assert unused <= {"workflow.JobScheduler", "job.is_group", "reason.no_metadata"}  # by other words, or of a call


def test_names_are_found_in_a_chain():
    text = "execution.workflow.dag.init()\nself._workflow._dag = 1\nreason.forced"
    found = {"workflow.dag", "dag.init", "workflow._dag"}
    assert names_used(Path("reasons.py"), text) == {*found, "reason.forced"}
    assert names_used(Path("lock.py"), text) == found


def test_what_is_gone_is_told_with_what_breaks(monkeypatch):
    contract, objects = {"workflow._prepare_dag": CONTRACT["workflow._prepare_dag"]}, {"workflow": Workflow}
    objects["takes"] = takes
    assert problems(objects, contract) == {}
    monkeypatch.setattr(Workflow, "_prepare_dag", lambda self, forceall: None)
    (other,) = problems(objects, contract).values()
    assert other.startswith("workflow._prepare_dag: takes(workflow._prepare_dag, 'forceall', ")
    monkeypatch.delattr(Workflow, "_prepare_dag")
    (gone,) = problems(objects, contract).values()
    assert "no attribute '_prepare_dag'" in gone
    assert "this breaks: `snakemake plan`" in gone
