"""The versions of the environment are the same wherever they are written down."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
DECLARED = {"core": PROJECT["dependencies"], **EXTRAS, **GROUPS}
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# What stands in which lock files: those of one environment, the last of them for the thing itself.
LOCKED = {
    "core": ["lock.txt"],
    "crds": ["lock.txt"],
    "fast": ["lock.txt"],
    "cluster-generic": ["lock.txt"],
    "parquet": ["lock.txt", "parquet.txt"],
    "slurm": ["lock.txt", "test.txt", "slurm.txt"],
    "kubernetes": ["lock.txt", "cloud.txt"],
    "s3": ["lock.txt", "cloud.txt"],
    "test": ["lock.txt", "test.txt"],
    "test-s3": ["lock.txt", "test.txt", "cloud.txt", "test-s3.txt"],
    "docs": ["lock.txt", "docs.txt"],
    "tools": ["tools.txt"],
}
# Folders with Python code, and the extras and groups that the code may use.
CODE = {
    "scripts": ["core", "crds", "fast"],
    "envs": [],
    "benchmarks": ["core", "test"],
    "tests": ["core", "crds", "test", "test-s3"],
}
# Packages of other environments, imported by scripts that run there, and those that are asked for by a key.
ELSEWHERE = {
    "scripts/calflow/files/catalogs.py": {"pyarrow"},
    "benchmarks/run_jwst.py": {"jwst"},
    "benchmarks/run_jwst_cleaning.py": {"jwst", "stdatamodels"},
    "benchmarks/run_sep.py": {"fitsio", "sep"},
    "tests/parity/jwst_products.py": {"jwst"},
    "tests/validate_crate.py": {"rdflib", "rocrate", "rocrate_validator"},
}


def pins(requirements, python="3.11"):
    """Return the versions by normalised name on Linux; every requirement has to be of the form name==version."""
    environment = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    versions = {}
    for requirement in map(Requirement, requirements):
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", requirement
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = normalised(requirement.name)
            assert versions.setdefault(name, specifier.version) == specifier.version, requirement
    return versions


def normalised(name):
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def lock(*names):
    """Return the requirements of lock files, without hashes."""
    lines = [line for name in names for line in (ROOT / "envs" / name).read_text().splitlines()]
    return [line.removesuffix("\\") for line in lines if not line.startswith(("#", " "))]


def imported(path):
    """Return the top-level names of all modules that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("what", DECLARED)
def test_lock_files_have_the_versions_of_pyproject(what, python):
    wanted = pins(DECLARED[what], python)
    locked = pins(lock(*LOCKED[what]), python)
    assert {name: locked.get(name) for name in wanted} == wanted


def test_lock_files_fit_together():
    """What several have, because they are not installed together, they have in one version."""
    names = [name for files in LOCKED.values() for name in files if name != "tools.txt"]
    requirements = lock(*dict.fromkeys(names))
    assert all(pins(requirements, python) for python in PYTHONS)


@pytest.mark.parametrize(
    "name", ["lock.txt", "test.txt", "parquet.txt", "slurm.txt", "cloud.txt", "test-s3.txt", "docs.txt", "tools.txt"]
)
def test_each_locked_version_has_hashes_and_no_source(name):
    text = (ROOT / "envs" / name).read_text()
    blocks = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[2:]
    assert blocks
    assert [block for block in blocks if "    --hash=sha256:" not in block] == []
    assert "://" not in text
    assert "index-url" not in text


def test_an_observer_installs_no_tools_of_development():
    of_snakemake = {"jsonschema", "packaging", "psutil"}
    assert set(pins(GROUPS["test"])) & set(pins(lock("lock.txt"))) <= of_snakemake


@pytest.mark.parametrize("python", PYTHONS)
def test_conda_environment_has_the_versions_of_pyproject(python):
    environment = yaml.safe_load((ROOT / "envs" / "calflow.yaml").read_text())
    (packages,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    core = pins(PROJECT["dependencies"], python) | pins(EXTRAS["fast"], python)
    # Snakemake starts the jobs; inside of them it brings itself along.
    core.pop("snakemake")
    assert pins(packages, python) == core


def test_python_versions_are_the_same_everywhere():
    oldest, newest = PYTHONS[0].split("."), PYTHONS[-1].split(".")
    assert PROJECT["requires-python"] == f">={'.'.join(oldest)},<{newest[0]}.{int(newest[1]) + 1}"
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python ::" in line]
    assert named == PYTHONS
    assert f"({', '.join(oldest)}) <= sys.version_info < (3, {int(newest[1]) + 1})" in (ROOT / "Makefile").read_text()


def test_citation_has_the_version_of_pyproject():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGES.md").read_text()


@pytest.mark.parametrize("folder", CODE)
def test_every_imported_package_is_declared(folder):
    """A package that is there only because another one needs it may go when that one changes."""
    declared = set().union(*(pins(DECLARED[what]) for what in CODE[folder]))
    distributions = packages_distributions()
    own = {path.stem for room in CODE for path in (ROOT / room).rglob("*.py")}
    own |= {path.name for room in (ROOT, ROOT / "scripts") for path in room.iterdir() if path.is_dir()}
    for path in (ROOT / folder).rglob("*.py"):
        allowed = ELSEWHERE.get(path.relative_to(ROOT).as_posix(), set())
        for name in imported(path) - own - allowed - set(sys.stdlib_module_names):
            providers = {normalised(distribution) for distribution in distributions.get(name, [])}
            assert providers & declared, f"{path}: {name}"


@pytest.mark.parametrize("pin", [("jwst", "3.0.0"), ("stcal", "1.20.0")], ids=lambda pin: pin[0])
def test_jwst_environment_is_pinned(pin):
    lines = (ROOT / "benchmarks" / "jwst-requirements.txt").read_text().splitlines()
    versions = pins(line for line in lines if not line.startswith("#"))
    assert versions[pin[0]] == pin[1]
