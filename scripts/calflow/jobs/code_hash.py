"""A fingerprint of the code behind a job, so that an edited step rebuilds its own products only.

Snakemake's own ``code`` trigger looks at the time of the rule script and at nothing it imports:
a fresh clone would rebuild everything, an edited step nothing.

What counts are definitions, not modules: the functions, classes and constants that a script uses, those that they use,
and so on. So an edit of a fit makes nothing of the jobs again that read its result from the same module.
"""

import ast
import hashlib
import importlib.util
import os
import platform
import symtable
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from calflow.inputs.header_cache import HeaderCache

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
# What is remembered of a module: the writing of a syntax tree as text differs from one Python to the next.
KIND = f"definitions {platform.python_version()}"
EVERYTHING = "*"  # of a module; the empty name stands for what happens when it is imported
# Decorators that make nothing known elsewhere; what another one decorates counts when its module is imported.
HARMLESS = {"cache", "contextmanager", "dataclass", "njit"}


def cache_of_code(otherwise: Path) -> Path:
    """Return where to remember what each module says: beside this one, where Python keeps what it compiles.

    So it is found out once for a clone, and not once for each folder that is worked in: 0.9 s.

    Parameters
    ----------
    otherwise : Path
        Where to remember it if there is nothing yet, and nothing can be written there or Python is told not to.
    """
    beside = _beside()
    there = next(folder for folder in beside.parents if folder.exists())
    may_write = not sys.dont_write_bytecode and os.access(there, os.W_OK)
    return beside if may_write or beside.exists() else otherwise


def remember_code(folder: str | Path) -> None:
    """Find out beforehand what each module says, and remember it beside this one.

    Parameters
    ----------
    folder : str or Path
        With the modules, in any depth.
    """
    hashes = CodeHashes(_beside())
    for file in sorted(Path(folder).resolve().rglob("*.py")):
        hashes._module(file)
    hashes.save()


def _beside() -> Path:
    return Path(importlib.util.cache_from_source(__file__)).with_suffix(".definitions")


class CodeHashes:
    """Hashes of scripts with all that they use.

    Parameters
    ----------
    cache : Path
        Where it is remembered between runs what each module says; `save` writes it.
    """

    def __init__(self, cache: Path):
        self._cache = HeaderCache(cache)
        self._modules: dict[Path, dict[str, Any]] = {}
        self._found: dict[tuple[Path, tuple[str, ...]], list[str]] = {}

    def hash(self, script: Path, *functions: str) -> str:
        """Return a short hash of a script and of all local code that it uses, directly or not.

        Comments, docstrings, layout, the annotations of functions and the texts of ``Annotated`` do not count. Local
        are the modules beside the script and in the packages there. Of an imported module count the statements that
        define nothing, such as a call, and the definitions that are used; deferred imports inside functions count too.

        Parameters
        ----------
        script : Path
        *functions : str
            What else the job calls, which the script does not name, such as ``calflow.calibration.dark:remove_dark``.
            Of a function of the user's own, ``file.py:function``, local is what lies beside its file.
        """
        return hashlib.sha256("\n".join(self._all_of(script, functions)).encode()).hexdigest()[:12]

    def libraries(self, script: Path, *functions: str) -> set[str]:
        """Return the modules of other libraries, by their first names, that the code of a job imports.

        Parameters
        ----------
        script : Path
            The script of the job.
        *functions : str
            What the script loads besides, as ``module:function``.
        """
        named = {said.partition(":")[0].partition(".")[0] for said in self._all_of(script, functions) if ":" in said}
        return named - sys.stdlib_module_names

    def save(self) -> None:
        """Remember what was found for the next run."""
        self._cache.save()

    def _all_of(self, script: Path, functions: tuple[str, ...]) -> list[str]:
        key = Path(script).resolve(), functions
        if key not in self._found:
            own = [function for function in functions if is_own(function)]
            found = _Search(self._module, key[0].parent).found(key[0], tuple(f for f in functions if f not in own))
            for file, _, name in (function.rpartition(":") for function in own):
                path = Path(file).resolve()
                found |= _Search(self._module, path.parent).found_of(path, name)
            self._found[key] = sorted(found)
        return self._found[key]

    def _module(self, file: Path) -> dict[str, Any]:
        if file not in self._modules:
            self._modules[file] = self._cache.remembered(file, KIND, lambda: _looked_at(file))
        return self._modules[file]


def is_own(function: str) -> bool:
    """Tell whether a function is one of the user's own, ``file.py:function``.

    Parameters
    ----------
    function : str
        As the plan names it.
    """
    return function.rpartition(":")[0].endswith(".py")


class _Search:
    """The search for all that a script uses: from each statement to those that define the names in it."""

    def __init__(self, look: Callable[[Path], dict[str, Any]], root: Path):
        self._look, self._root = look, root
        self._said: set[str] = set()
        self._seen: set[tuple[Path, str]] = set()
        self._todo: list[tuple[Path, str]] = []

    def found(self, script: Path, functions: tuple[str, ...]) -> set[str]:
        """Return the place and hash of each statement that counts, and the names of what is not local."""
        for function in functions:
            self._import(function.split(":"))
        return self.found_of(script, EVERYTHING)

    def found_of(self, file: Path, name: str) -> set[str]:
        """Return the same of one name in a file, and of all that was asked for before."""
        self._todo.append((file, name))
        while self._todo:
            item = self._todo.pop()
            if item not in self._seen:
                self._seen.add(item)
                self._visit(*item)
        return self._said

    def _visit(self, file: Path, name: str) -> None:
        module = self._look(file)
        if (file, "") not in self._seen:  # it is executed as a whole, which also executes what it imports
            self._seen.add((file, ""))
            self._count(file, module["effects"])
            for source, _ in module["imports"].values():
                self._todo += [(path, "") for path in _files(self._root, source)]
        if name == EVERYTHING:
            self._count(file, range(len(module["statements"])))
            for imported in module["imports"].values():
                self._import(imported)
        elif name in module["imports"]:
            self._import(module["imports"][name])
        elif name in module["names"]:
            self._count(file, module["names"][name])
        elif name:
            self._todo.append((file, EVERYTHING))  # defined in a way that is not understood here

    def _count(self, file: Path, numbers: Iterable[int]) -> None:
        module = self._look(file)
        for number in numbers:
            statement = module["statements"][number]
            self._said.add(f"{file.relative_to(self._root).as_posix()} {statement['hash']}")  # no colon
            known = module["imports"].keys() | module["names"].keys()
            self._todo += [(file, name) for name in statement["uses"] if name in known]
            for imported in statement["imports"]:
                self._import(imported)

    def _import(self, imported: Sequence[str]) -> None:
        """Count what ``from module import name`` brings, or all of the module if no name is given."""
        source, name = imported
        own, *packages = _files(self._root, source) or (None,)
        if own is None:
            self._said.add(f"{source}:{name}")
            return
        self._todo += [(package, "") for package in packages]
        module = self._look(own)
        submodule = name not in module["names"] and name not in module["imports"] and f"{source}.{name}"
        if name and submodule and _files(self._root, submodule):
            self._todo.append((own, ""))
            self._import((submodule, ""))
        else:
            self._todo.append((own, name or EVERYTHING))


@cache
def _files(root: Path, module: str) -> tuple[Path, ...]:
    """Return the file of a module below a folder, then those of the packages around it; nothing if it is not there."""
    *around, _ = parts = module.split(".")
    path = root.joinpath(*parts)
    own = next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
    packages = [root.joinpath(*around[:depth], "__init__.py") for depth in range(1, len(parts))]
    return () if own is None else (own, *(package for package in packages if package.is_file()))


def _looked_at(file: Path) -> dict[str, Any]:
    """Return the statements of a module, as far as the hash of what uses them needs to know.

    Returns
    -------
    dict
        ``statements`` of its top level, each with its hash, the names it uses and the imports in it; ``names``, each
        with the numbers of the statements that define it; ``imports`` at the top, (module, name) by the name they
        get here; ``effects``, the numbers of statements that do something when the module is imported.
    """
    statements: list[dict[str, Any]] = []
    names: dict[str, list[int]] = {}
    imports: dict[str, tuple[str, str]] = {}
    effects: list[int] = []
    for node in ast.parse(file.read_text(), str(file)).body:
        if _is_docstring(node) or _is_for_types_alone(node):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom) and "*" not in (found := dict(_imported(node))):
            imports |= found
            continue
        for name in _defined(node):
            names.setdefault(name, []).append(len(statements))
        if not _only_defines(node):
            effects.append(len(statements))
        inner = [imported for each in ast.walk(node) for _, imported in _imported(each)]
        text = _without_comments(node)
        uses = sorted(_names_used(symtable.symtable(text, str(file), "exec")))
        said = hashlib.sha256(text.encode()).hexdigest()
        statements.append({"hash": said, "uses": uses, "imports": inner})
    return {"statements": statements, "names": names, "imports": imports, "effects": effects}


def _imported(node: ast.AST) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the name that an import gives to something, with the (module, name) of that; no name: the module itself."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0], (alias.name, "")
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            yield alias.asname or alias.name, (node.module, "" if alias.name == "*" else alias.name)


def _defined(node: ast.stmt) -> set[str]:
    """Return the names that a statement of the top level defines."""
    if isinstance(node, Definition):
        return {node.name}
    stored = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    inner = {each.name for each in ast.walk(node) if isinstance(each, Definition)}
    return stored | inner | {name for each in ast.walk(node) for name, _ in _imported(each)}


def _only_defines(node: ast.stmt) -> bool:
    """Tell whether a statement matters to those alone who use the names that it defines."""
    if isinstance(node, Definition):
        return all(_last_name(each) in HARMLESS for each in node.decorator_list)
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return isinstance(node, ast.Assign | ast.AnnAssign) and all(
        isinstance(each, ast.Name | ast.Tuple) for each in targets
    )


def _last_name(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_for_types_alone(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _without_comments(statement: ast.stmt) -> str:
    """Return a statement as text, without comments, docstrings, annotations of functions, meanings of parameters."""
    for node in ast.walk(statement):
        if isinstance(node, Definition) and _is_docstring(node.body[0]):
            node.body[0] = ast.Pass()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Tuple)
            and _last_name(node.value) == "Annotated"
        ):
            node.slice.elts = [item for item in node.slice.elts if not _is_text(item)]
    # Not ast.dump: it differs from one version of Python to the next.
    return ast.unparse(statement)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _names_used(table: symtable.SymbolTable) -> Iterator[str]:
    """Yield the names that code takes from the top level of its module, or from the built-in ones."""
    for symbol in table.get_symbols():
        if symbol.is_global() or (symbol.is_referenced() and table.get_type() != "function"):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _names_used(inner)
