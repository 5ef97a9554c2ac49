"""The rooms of the code import one way only, as docs/architecture.md says."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from inspect import signature
from pathlib import Path

import pytest

from calflow.jobs.all import JOBS

SCRIPTS = Path(__file__).parents[2] / "scripts"
CALFLOW = SCRIPTS / "calflow"
MAY_IMPORT = {
    "job": {"files", "printable"},
    "one_thread": set(),
    "printable": set(),
    "patches": set(),
    "whole_files": set(),
    "science": {"patches"},
    "instruments": {"files", "science", "simulation"},
    "files": {"patches", "science", "whole_files"},
    "web": {"files", "science", "whole_files"},
    "calibration": {"files", "science"},
    "configuration": {"printable", "science"},
    "inputs": {"configuration", "files", "instruments", "science", "whole_files"},
    "archive": {"configuration", "files", "instruments", "printable", "web"},
    "associations": {"configuration", "files", "inputs", "instruments", "whole_files"},
    "references": {"configuration", "files", "inputs", "instruments", "patches", "science", "web"},
    "plan": {
        "associations",
        "configuration",
        "files",
        "inputs",
        "instruments",
        "printable",
        "references",
        "science",
        "whole_files",
    },
    "jobs": {"calibration", "configuration", "inputs", "instruments", "plan", "references", "sky_map"},
    "engine": {
        "calibration",
        "configuration",
        "job",
        "jobs",
        "one_thread",
        "patches",
        "printable",
        "science",
        "whole_files",
    },
    "forecast": {"engine", "jobs", "plan", "references", "whole_files"},
    "results": {"files", "inputs", "plan"},
    "quality": {"files", "science"},
    "shards": {"configuration", "engine", "files", "forecast", "inputs", "plan", "references", "whole_files"},
    "commands": {
        "archive",
        "configuration",
        "engine",
        "files",
        "forecast",
        "plan",
        "printable",
        "provenance",
        "results",
        "shards",
        "whole_files",
    },
    "display": {"engine", "forecast", "jobs", "pages", "plan", "printable", "whole_files"},
    "provenance": {"configuration", "engine", "files", "jobs", "plan", "printable", "whole_files"},
    "run": {
        "display",
        "engine",
        "files",
        "forecast",
        "inputs",
        "jobs",
        "pages",
        "plan",
        "printable",
        "provenance",
        "quality",
        "results",
        "whole_files",
    },
    "plain_run": {"engine", "plan"},
    "module_run": {"engine", "plan"},
    "sky_map": {"files", "science", "whole_files"},
    "simulation": {"files", "science"},
    "pictures": {"files", "science"},
    "pages": set(),
}

# What the documentation of Snakemake names, for Snakefiles.
PUBLIC = {"snakemake.io.ancient"}


@cache
def nodes_of(source):
    """Return those nodes of a text's syntax tree that the tests ask for: each text is read once for all of them."""
    kinds = (ast.Import, ast.ImportFrom, ast.Attribute, ast.Assign, ast.ClassDef)
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds) and is_asked_for(node)]


def is_asked_for(node):
    if isinstance(node, ast.Attribute):
        return owner_of(node) in ("workflow", "_workflow")
    return not isinstance(node, ast.Assign) or any(isinstance(target, ast.Subscript) for target in node.targets)


def owner_of(attribute):
    value = attribute.value
    return value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")


def names_imported(source):
    """Return what of calflow a text imports, at its top or inside functions, such as ``calflow.plan.plan.Plan``."""
    return {name for name in all_imports(source) if name.startswith("calflow.")}


def all_imports(source):
    names = set()
    for node in nodes_of(source):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def names_of_snakemake(source):
    """Return the inner names of Snakemake in a text: what it imports of it, and names that only `workflow` leads to."""
    names = {name for name in all_imports(source) if name.partition(".")[0] == "snakemake"}
    names |= {f"workflow.{node.attr}" for node in nodes_of(source) if isinstance(node, ast.Attribute)}
    return names - PUBLIC


def imports(path):
    """Return the rooms that a module imports."""
    return {name.split(".")[1] for name in names_imported(path.read_text())}


def module_graph(sources):
    """Return the modules that each module imports, from the texts of all by their dotted names."""
    graph = {}
    for module, source in sources.items():
        graph[module] = set()
        for name in names_imported(source):
            while name not in sources and "." in name:  # a function or class is its module's
                name = name.rpartition(".")[0]
            if name in sources:
                graph[module].add(name)
    return graph


def module_name(path):
    return ".".join(path.relative_to(SCRIPTS).with_suffix("").parts).removesuffix(".__init__")


def room(path):
    return path.relative_to(CALFLOW).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(CALFLOW.rglob("*.py")), ids=lambda path: str(path.relative_to(CALFLOW)))
def test_a_room_imports_only_what_it_may(path):
    assert imports(path) <= MAY_IMPORT.get(room(path), set()) | {room(path)}


def test_no_module_imports_itself_by_way_of_others():
    sources = {module_name(path): path.read_text() for path in CALFLOW.rglob("*.py")}
    TopologicalSorter(module_graph(sources)).prepare()  # raises CycleError, which names the circle


def test_a_circle_is_found_whether_a_module_or_a_function_imports():
    sources = {
        "calflow.a.one": "from calflow.b.two import Two",
        "calflow.b.two": "def two():\n    from calflow.b import three",
        "calflow.b.three": "from calflow.a.one import One",
        "calflow.b.four": "import calflow.a.one",
    }
    with pytest.raises(CycleError) as caught:
        TopologicalSorter(module_graph(sources)).prepare()
    assert set(caught.value.args[1]) == {"calflow.a.one", "calflow.b.two", "calflow.b.three"}


def test_rooms_are_in_an_order():
    TopologicalSorter(MAY_IMPORT).prepare()


@pytest.mark.parametrize("path", sorted((CALFLOW / "science").rglob("*.py")), ids=lambda path: path.name)
def test_science_knows_no_files_and_no_telescopes(path):
    text = path.read_text()
    assert "astropy.io" not in text
    assert "telescope ==" not in text.lower()


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_rule_scripts_connect_and_are_short(path):
    assert not imports(path) & {"inputs", "plan"}
    assert len(path.read_text().splitlines()) <= 130


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(SCRIPTS.rglob("*.py")) if not path.is_relative_to(CALFLOW / "engine")],
    ids=lambda path: str(path.relative_to(SCRIPTS)),
)
def test_the_inside_of_snakemake_is_known_to_the_engine_alone(path):
    assert not names_of_snakemake(path.read_text())


@pytest.mark.parametrize("path", sorted((CALFLOW / "engine").rglob("*.py")), ids=lambda path: path.name)
def test_private_names_of_snakemake_stand_in_one_file(path):
    private = {name for name in names_of_snakemake(path.read_text()) if "._" in name}
    assert not private or path.name == "inside.py"


def test_rules_are_short():
    rules = [path.read_text() for path in (SCRIPTS.parent / "rules").glob("*.smk")]
    assert sum(len(text.splitlines()) for text in rules) <= 1150
    assert sum(text.count("lambda") for text in rules) <= 40


@pytest.mark.parametrize("path", sorted(SCRIPTS.rglob("*.py")), ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_a_class_has_few_public_methods(path):
    for node in nodes_of(path.read_text()):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef) and not is_property(each)]
            assert sum(not method.name.startswith("_") for method in methods) <= 15, node.name


def is_property(function):
    return any("property" in ast.unparse(decorator) for decorator in function.decorator_list)


def reached_into(source):
    """Return the private names of other packages that a text imports, and the modules in which it puts other values."""
    names = {name for name in all_imports(source) if "._" in name and not name.startswith("calflow.")}
    for node in nodes_of(source):
        if isinstance(node, ast.Assign):
            names |= {
                ast.unparse(target)
                for target in node.targets
                if isinstance(target, ast.Subscript) and ast.unparse(target).startswith("vars(")
            }
    return names


@pytest.mark.parametrize("path", sorted(SCRIPTS.rglob("*.py")), ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_other_libraries_are_changed_in_one_file(path):
    at_home = path in (CALFLOW / "patches.py", CALFLOW / "engine" / "inside.py")
    assert at_home or not reached_into(path.read_text())


def test_what_is_reached_into_is_found():
    text = "from asdf import _entry_points\nimport yaml\nvars(yaml)['SafeLoader'] = None\nfrom calflow.a import _b\n"
    assert reached_into(text) == {"asdf._entry_points", "vars(yaml)['SafeLoader']"}


def test_inner_names_are_found():
    text = "from snakemake.io import ancient\nfrom snakemake.jobs import Job\ndef f():\n    self._workflow._dag = 1\n"
    assert names_of_snakemake(text) == {"snakemake.jobs.Job", "workflow._dag"}


@pytest.mark.parametrize("name", [name for name, job in JOBS.items() if job.parameters])
def test_scripts_take_the_parameters_that_the_job_declares(name):
    """By its type, so that mypy finds a parameter that nobody gives."""
    declared = signature(JOBS[name].parameters).return_annotation
    tree = ast.parse((SCRIPTS / JOBS[name].script).read_text())
    types = {
        argument.annotation.value
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for argument in node.args.args
        if argument.arg == "params"
    }
    imported = {
        (node.module, alias.name) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert types == {declared.__name__}
    assert (declared.__module__, declared.__name__) in imported
