"""The rooms of the code import one way only, as docs/architecture.md says."""

import ast
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
CALFLOW = SCRIPTS / "calflow"
MAY_IMPORT = {
    "job": {"files", "printable"},
    "printable": set(),
    "science": set(),
    "instruments": set(),
    "files": {"science"},
    "web": {"files", "science"},
    "calibration": {"files", "science"},
    "configuration": {"printable", "science"},
    # These three still import each other.
    "inputs": {"configuration", "files", "instruments", "references", "science"},
    "references": {"configuration", "engine", "files", "inputs", "instruments", "plan", "science", "web"},
    "plan": {"configuration", "files", "inputs", "instruments", "printable", "references", "science", "web"},
    "jobs": {"inputs"},
    "engine": {"configuration", "files", "job", "printable", "science"},
    "forecast": {"plan", "references"},
    "simulation": {"files", "science"},
    "pictures": {"files"},
}


def imports(path):
    """Return the rooms that a module imports, at its top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "calflow":
            names |= {f"calflow.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[1] for name in names if name.startswith("calflow.")}


def room(path):
    return path.relative_to(CALFLOW).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(CALFLOW.rglob("*.py")), ids=lambda path: str(path.relative_to(CALFLOW)))
def test_a_room_imports_only_what_it_may(path):
    assert imports(path) <= MAY_IMPORT.get(room(path), set()) | {room(path)}


@pytest.mark.parametrize("path", sorted((CALFLOW / "science").rglob("*.py")), ids=lambda path: path.name)
def test_science_knows_no_files_and_no_telescopes(path):
    text = path.read_text()
    assert "astropy.io" not in text
    assert "telescope ==" not in text.lower()


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_rule_scripts_connect_and_are_short(path):
    assert not imports(path) & {"inputs", "plan"}
    assert len(path.read_text().splitlines()) <= 130
