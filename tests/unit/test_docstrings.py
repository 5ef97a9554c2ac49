"""Public functions say what their parameters are: names, shapes, units (numpydoc)."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "scripts/calflow"
# How many of the public functions with parameters document them all. These numbers may only rise.
DOCUMENTED = {
    "science": 0.98,
    "files": 0.97,
    "configuration": 0.93,
    "associations": 0.95,
    "calibration": 0.99,
    "references": 0.95,
    "jobs": 0.98,
    "plan": 0.98,
    "engine": 0.7,
    "forecast": 0.87,
    "simulation": 0.99,
    "pictures": 0.99,
    "quality": 0.99,
    "inputs": 0.85,
    "instruments": 0.95,
    "web": 0.7,
}
HEADING = re.compile(r"^ *Parameters\n *-{10}\n", re.MULTILINE)
NEXT_HEADING = re.compile(r"^ *[A-Z][A-Za-z ]+\n *-{4,}\n", re.MULTILINE)


def public_functions(tree):
    """Yield each public function, method and class of a module: name, parameters, docstring.

    What a class is made with is documented in the docstring of the class.
    """
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, parameters(node), ast.get_docstring(node, clean=False) or ""
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if not isinstance(method, ast.FunctionDef):
                    continue
                name = f"{node.name}.{method.name}"
                if method.name == "__init__":
                    yield name, parameters(method)[1:], ast.get_docstring(node, clean=False) or ""
                elif not method.name.startswith("_"):
                    static = any(ast.unparse(each) == "staticmethod" for each in method.decorator_list)
                    taken = parameters(method)[0 if static else 1 :]
                    yield name, taken, ast.get_docstring(method, clean=False) or ""


def parameters(function):
    """Return the names of what a function takes."""
    arguments = function.args
    several = [each.arg for each in (arguments.vararg, arguments.kwarg) if each]
    return (
        [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
        + several
        + [each.arg for each in arguments.kwonlyargs]
    )


def documented(docstring):
    """Return the names of the section Parameters of a docstring."""
    heading = HEADING.search(docstring)
    if not heading:
        return set()
    section = docstring[heading.end() :]
    following = NEXT_HEADING.search(section)
    section = section[: following.start()] if following else section
    indent = re.match(r" *", docstring[heading.start() :])[0]
    names = re.findall(rf"^{indent}(\*{{0,2}}\w[\w, *]*?)(?: : .*)?$", section, re.MULTILINE)
    return {name.strip(" *") for line in names for name in line.split(",")}


def counted(room):
    """Return the public functions with parameters in a room, and those of them that leave some undocumented."""
    functions, lacking = 0, []
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for name, taken, docstring in public_functions(ast.parse(path.read_text())):
            functions += bool(taken)
            if not set(taken) <= documented(docstring):
                lacking.append(f"{path.relative_to(PACKAGE)} {name}")
    return functions, lacking


def test_parameters_of_a_docstring():
    text = """Do it.

    Parameters
    ----------
    sci, err : float array, shape (ny, nx)
        Values, and
        their errors : so.
    *stacks
        More.
    scale : float

    Returns
    -------
    float
    """
    assert documented(text) == {"sci", "err", "stacks", "scale"}
    assert documented("Do it.") == set()


@pytest.mark.parametrize("room", DOCUMENTED)
def test_public_functions_document_their_parameters(room):
    functions, lacking = counted(room)
    share = 1 - len(lacking) / functions
    assert share >= DOCUMENTED[room], "\n".join(lacking)
