"""A fingerprint of the code behind a rule, so that an edited step rebuilds its own products only.

Snakemake's own ``code`` trigger looks at the time of the rule script and at nothing it imports:
a fresh clone would rebuild everything, an edited step nothing.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path


def code_hash(script: Path) -> str:
    """Return a short hash of a script and of every local module it imports, directly or not.

    Comments, docstrings and layout do not count. Local are the modules beside the script and in
    the packages there. Deferred imports inside functions count too.
    """
    script = Path(script).resolve()
    files = sorted(_reachable(script), key=lambda path: path.relative_to(script.parent).as_posix())
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(script.parent).as_posix().encode())
        digest.update(_meaning(file).encode())
    return digest.hexdigest()[:12]


def _reachable(script: Path) -> set[Path]:
    found, todo = set(), [script]
    while todo:
        file = todo.pop()
        if file not in found:
            found.add(file)
            todo += _local_imports(file, script.parent)
    return found


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


@cache
def _local_imports(file: Path, root: Path) -> tuple[Path, ...]:
    names = set()
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    paths = set()
    for name in names:
        base = root.joinpath(*name.split("."))
        packages = [root.joinpath(*name.split(".")[:depth]) / "__init__.py" for depth in range(1, name.count(".") + 2)]
        paths |= {path for path in [base.with_suffix(".py"), *packages] if path.is_file()}
    return tuple(sorted(paths))


@cache
def _meaning(file: Path) -> str:
    """Return the syntax tree of a module as text, without docstrings."""
    tree = ast.parse(file.read_text(), str(file))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body[0] = ast.Pass()
    return ast.dump(tree)
