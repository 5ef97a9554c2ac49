"""A fingerprint of the code behind a rule, so that an edited step rebuilds its own products only.

Snakemake's own ``code`` trigger looks at the time of the rule script and at nothing it imports:
a fresh clone would rebuild everything, an edited step nothing.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

WITH_DOCSTRING = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


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
        digest.update(_read(file)[0].encode())
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
def _read(file: Path) -> tuple[str, frozenset[str]]:
    """Return what a module says, without comments and docstrings, and the names it imports."""
    tree = ast.parse(file.read_text(), str(file))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            node.body[0] = ast.Pass()
    # Not ast.dump: it differs from one version of Python to the next.
    return ast.unparse(tree), frozenset(names)


@cache
def _local_imports(file: Path, root: Path) -> tuple[Path, ...]:
    paths = set()
    for name in _read(file)[1]:
        parts = name.split(".")
        packages = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
        paths |= {path for path in [root.joinpath(*parts).with_suffix(".py"), *packages] if path.is_file()}
    return tuple(sorted(paths))
