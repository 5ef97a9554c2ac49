"""The versions of the environment are the same wherever they are written down."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Not in the lock file: see envs/lock.py
LOCKED = {name: pins for name, pins in EXTRAS.items() if name not in ("kubernetes", "s3")}
# Folders with Python code, and the extras that the code may use.
CODE = {"scripts": ["crds", "fast"], "envs": [], "benchmarks": ["test"], "tests": ["crds", "test"]}
# Packages of jwst's environment, imported by scripts that run there.
OF_JWST = {"benchmarks/run_jwst.py": {"jwst"}}


def pins(requirements):
    """Return the versions by normalised name; every requirement has to be of the form name==version."""
    split = [requirement.split("==") for requirement in requirements]
    assert all(len(pin) == 2 for pin in split), requirements
    return {normalised(name): version for name, version in split}


def normalised(name):
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def lock():
    lines = (ROOT / "envs" / "lock.txt").read_text().splitlines()
    return pins(line for line in lines if not line.startswith("#"))


def imported(path):
    """Return the top-level names of all modules that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("requirements", [PROJECT["dependencies"], *LOCKED.values()], ids=["core", *LOCKED])
def test_lock_has_the_versions_of_pyproject(requirements):
    wanted = pins(requirements)
    assert {name: lock().get(name) for name in wanted} == wanted


def test_conda_environment_has_the_versions_of_pyproject():
    environment = yaml.safe_load((ROOT / "envs" / "calflow.yaml").read_text())
    (packages,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    core = pins(PROJECT["dependencies"]) | pins(EXTRAS["fast"])
    # Snakemake starts the jobs; inside of them it brings itself along.
    core.pop("snakemake")
    assert pins(packages) == core


def test_citation_has_the_version_of_pyproject():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGES.md").read_text()


@pytest.mark.parametrize("folder", CODE)
def test_every_imported_package_is_declared(folder):
    """A package that is there only because another one needs it may go when that one changes."""
    declared = set(pins(PROJECT["dependencies"])).union(*(pins(EXTRAS[extra]) for extra in CODE[folder]))
    distributions = packages_distributions()
    own = {path.stem for room in CODE for path in (ROOT / room).rglob("*.py")}
    own |= {path.name for room in (ROOT, ROOT / "scripts") for path in room.iterdir() if path.is_dir()}
    for path in (ROOT / folder).rglob("*.py"):
        allowed = OF_JWST.get(path.relative_to(ROOT).as_posix(), set())
        for name in imported(path) - own - allowed - set(sys.stdlib_module_names):
            providers = {normalised(distribution) for distribution in distributions.get(name, [])}
            assert providers & declared, f"{path}: {name}"


@pytest.mark.parametrize("pin", [("jwst", "3.0.0"), ("stcal", "1.20.0")], ids=lambda pin: pin[0])
def test_jwst_environment_is_pinned(pin):
    lines = (ROOT / "benchmarks" / "jwst-requirements.txt").read_text().splitlines()
    versions = pins(line for line in lines if not line.startswith("#"))
    assert versions[pin[0]] == pin[1]
