"""The rooms of the code import one way only, as docs/architecture.md says."""

import ast
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
MAY_IMPORT = {
    "steps": {"steps"},
    "instruments": {"instruments"},
    "calibration": {"calibration", "products", "steps"},
    "products": {"products", "steps"},
    "parameters": {"parameters", "problems", "steps"},
    "planning": {"planning", "instruments", "parameters", "printable", "problems", "products", "settings", "steps"},
    "simulation": {"simulation", "products", "steps"},
    "pictures": {"pictures", "products"},
    "warm_start": {"warm_start", "job", "products", "steps"},
    "runs": {"runs", "job", "printable", "problems"},
    "forecast": {"forecast", "planning"},
}
ROOMS = {*MAY_IMPORT, "settings", "problems", "job", "printable"}


def imports(path):
    """Return the rooms that a module imports, at its top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names & ROOMS


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*/*.py")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_room_imports_only_what_it_may(path):
    assert imports(path) <= MAY_IMPORT[path.parent.name]


@pytest.mark.parametrize("path", sorted((SCRIPTS / "steps").glob("*.py")), ids=lambda path: path.name)
def test_steps_know_no_files_and_no_telescopes(path):
    text = path.read_text()
    assert "astropy.io" not in text
    assert "telescope ==" not in text.lower()


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_rule_scripts_connect_and_are_short(path):
    if path.name in ("settings.py", "problems.py", "job.py", "snakemake_timers.py", "snakemake_speed.py"):
        return
    assert "planning" not in imports(path)
    assert len(path.read_text().splitlines()) <= 130
