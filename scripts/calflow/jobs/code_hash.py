"""A fingerprint of the code behind a rule, so that an edited step rebuilds its own products only.

Snakemake's own ``code`` trigger looks at the time of the rule script and at nothing it imports:
a fresh clone would rebuild everything, an edited step nothing.
"""

import ast
import hashlib
import platform
from functools import cache
from pathlib import Path
from typing import Any

from calflow.inputs.header_cache import HeaderCache

WITH_DOCSTRING = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
# What is remembered of a module: the writing of a syntax tree as text differs from one Python to the next.
KIND = f"code {platform.python_version()}"


class CodeHashes:
    """Hashes of scripts with all that they import.

    Parameters
    ----------
    cache : Path
        Where it is remembered between runs what each module says and imports; `save` writes it.
    """

    def __init__(self, cache: Path):
        self._cache = HeaderCache(cache)
        self._modules: dict[Path, tuple[str, list[str]]] = {}

    def hash(self, script: Path) -> str:
        """Return a short hash of a script and of every local module it imports, directly or not.

        Comments, docstrings, layout and the texts of ``Annotated`` do not count. Local are the modules beside the
        script and in the packages there. Deferred imports inside functions count too.
        """
        script = Path(script).resolve()
        files = sorted(self._reachable(script), key=lambda path: path.relative_to(script.parent).as_posix())
        digest = hashlib.sha256()
        for file in files:
            digest.update(file.relative_to(script.parent).as_posix().encode())
            digest.update(self._module(file)[0].encode())
        return digest.hexdigest()[:12]

    def save(self) -> None:
        """Remember what was found for the next run."""
        self._cache.save()

    def _reachable(self, script: Path) -> set[Path]:
        found, todo = set(), [script]
        while todo:
            file = todo.pop()
            if file not in found:
                found.add(file)
                todo += _local_modules(script.parent, tuple(self._module(file)[1]))
        return found

    def _module(self, file: Path) -> tuple[str, list[str]]:
        """Return a hash of what a module says, and the names it imports."""
        if file not in self._modules:
            entry = self._cache.remembered(file, KIND, lambda: _looked_at(file))
            self._modules[file] = entry["hash"], entry["imports"]
        return self._modules[file]


def _looked_at(file: Path) -> dict[str, Any]:
    """Return what is remembered of a module."""
    said, names = _read(file)
    return {"hash": hashlib.sha256(said.encode()).hexdigest(), "imports": sorted(names)}


def _read(file: Path) -> tuple[str, set[str]]:
    """Return what a module says, without comments, docstrings and meanings of parameters, and the names it imports."""
    tree = ast.parse(file.read_text(), str(file))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            node.body[0] = ast.Pass()
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and _names_annotated(node.value):
            node.slice.elts = [item for item in node.slice.elts if not _is_text(item)]
    # Not ast.dump: it differs from one version of Python to the next.
    return ast.unparse(tree), names


def _names_annotated(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "Annotated"


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@cache
def _local_modules(root: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the modules and packages below a folder that have these names."""
    paths = set()
    for name in names:
        parts = name.split(".")
        packages = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
        paths |= {path for path in [root.joinpath(*parts).with_suffix(".py"), *packages] if path.is_file()}
    return tuple(sorted(paths))
