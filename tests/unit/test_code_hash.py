"""The fingerprint of code: what changes it and what does not."""

import os
import sys

import pytest

from calflow.jobs import code_hash as module
from calflow.jobs.code_hash import CodeHashes, cache_of_code, remember_code


def code_hash(script):
    """Return the hash as a run finds it: what was remembered by the run before is used."""
    hashes = CodeHashes(script.parent / "cache")
    found = hashes.hash(script)
    hashes.save()
    return found


@pytest.fixture
def tree(tmp_path):
    """A script that imports a step, which imports a helper; and a step that nobody imports."""
    steps = tmp_path / "steps"
    steps.mkdir()
    (steps / "__init__.py").write_text('"""Steps."""\n')
    (steps / "used.py").write_text("def work():\n    from steps.helper import help\n    return help()\n")
    (steps / "helper.py").write_text('def help():\n    """Help."""\n    return 1\n')
    (steps / "unused.py").write_text("x = 1\n")
    (tmp_path / "script.py").write_text("import numpy\nfrom steps import used\nused.work()\n")
    return tmp_path


def changes(tree, name, text):
    """Tell whether the hash changes when a file gets this text."""
    before = code_hash(tree / "script.py")
    (tree / name).write_text(text)
    return code_hash(tree / "script.py") != before


def test_the_script_counts(tree):
    assert changes(tree, "script.py", "from steps import used\nused.work(2)\n")


def test_an_imported_module_counts(tree):
    assert changes(tree, "steps/used.py", "def work():\n    return 2\n")


def test_a_module_imported_inside_a_function_counts(tree):
    assert changes(tree, "steps/helper.py", "def help():\n    return 2\n")


def test_a_module_that_is_not_imported_does_not_count(tree):
    assert not changes(tree, "steps/unused.py", "x = 2\n")


def test_of_a_module_only_what_is_used_counts(tree):
    helper = "LIMIT = 3\n\ndef help():\n    return LIMIT\n\ndef other():\n    return {other}\n"
    (tree / "steps/helper.py").write_text(helper.format(other=1))
    assert not changes(tree, "steps/helper.py", helper.format(other=2))
    assert changes(tree, "steps/helper.py", helper.format(other=2).replace("LIMIT = 3", "LIMIT = 4"))
    assert changes(tree, "steps/used.py", "def work():\n    from steps.helper import other\n    return other()\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("register(1)", "register(2)"),
        ("things[1] = 2", "things[1] = 3"),
        ("if things:\n    done = 1", "if things:\n    done = 2"),
        ("@register\ndef registered(): return 1", "@register\ndef registered(): return 2"),
    ],
)
def test_what_a_module_does_when_it_is_imported_counts(tree, before, after):
    helper = "things = {}\ndef register(x): return x\ndef help(): return 1\n"
    (tree / "steps/helper.py").write_text(helper + before)
    assert changes(tree, "steps/helper.py", helper + after)


@pytest.mark.parametrize(
    "uses",
    [
        "def work(size=SIZE): return size",
        "class Work:\n    size = SIZE\ndef work(): return Work()",
        "def work(): return [(lambda: SIZE)() for _ in range(2)]",
        "def work(): return f'{SIZE}'",
        "work = SIZE",
        "try:\n    work = SIZE\nexcept NameError:\n    pass",
        "work, play = SIZE, 1",
    ],
)
def test_a_name_counts_wherever_it_is_used(tree, uses):
    text = "from steps.sizes import SIZE\n" + uses.replace("work", "help")
    (tree / "steps/sizes.py").write_text("SIZE = 1\n")
    (tree / "steps/helper.py").write_text(text)
    assert changes(tree, "steps/sizes.py", "SIZE = 2\n")


def test_a_local_name_and_a_type_are_no_use(tree):
    (tree / "steps/sizes.py").write_text("SIZE = 1\n")
    (tree / "steps/helper.py").write_text(
        "from typing import TYPE_CHECKING\nfrom steps.sizes import SIZE\n"
        "if TYPE_CHECKING:\n    from steps.unused import x\n"
        "def help(size: SIZE = 1) -> SIZE:\n    return [SIZE for SIZE in (1, size)]\n"
    )
    assert not changes(tree, "steps/sizes.py", "SIZE = 2\n")
    assert not changes(tree, "steps/unused.py", "x = 2\n")


def test_another_library_counts(tree):
    (tree / "steps/helper.py").write_text("from numpy import sum as total\ndef help(): return total\n")
    assert changes(tree, "steps/helper.py", "from math import fsum as total\ndef help(): return total\n")


def test_a_function_that_the_plan_names_counts(tree):
    hashes = CodeHashes(tree / "cache")
    alone, named = (hashes.hash(tree / "script.py", *functions) for functions in ((), ("steps.unused:x",)))
    (tree / "steps/unused.py").write_text("x = 2\n")
    hashes = CodeHashes(tree / "cache")
    assert hashes.hash(tree / "script.py") == alone
    assert hashes.hash(tree / "script.py", "steps.unused:x") != named


def test_comments_docstrings_and_layout_do_not_count(tree):
    assert not changes(tree, "steps/helper.py", 'def help():\n    """Say more."""\n\n    # why\n    return (1)\n')


def test_the_meaning_of_a_parameter_does_not_count_but_its_limits_and_default_do(tree):
    declared = 'class help:\n    width: Annotated[float, Range(gt=0), "a width"] = 1.5\n'
    (tree / "steps/helper.py").write_text(declared)
    assert not changes(tree, "steps/helper.py", declared.replace("a width", "another text"))
    assert changes(tree, "steps/helper.py", declared.replace("gt=0", "gt=1"))
    assert changes(tree, "steps/helper.py", declared.replace("1.5", "2.5"))
    assert changes(tree, "steps/helper.py", declared.replace("float", "int"))


def test_the_place_of_the_code_does_not_count(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("elsewhere")
    for path in tree.rglob("*.py"):
        target = other / path.relative_to(tree)
        target.parent.mkdir(exist_ok=True)
        target.write_text(path.read_text())
    assert code_hash(other / "script.py") == code_hash(tree / "script.py")


def test_what_is_remembered_gives_the_same_hash(tree):
    assert code_hash(tree / "script.py") == code_hash(tree / "script.py")
    (tree / "cache").unlink()
    first = code_hash(tree / "script.py")
    (tree / "cache").write_text("damaged")
    assert code_hash(tree / "script.py") == first


@pytest.mark.parametrize("prefix", [None, "new/folder"])
def test_what_modules_say_is_remembered_where_python_keeps_what_it_compiles(prefix, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", prefix and str(tmp_path / prefix))
    cache = cache_of_code(tmp_path / "other")
    assert cache.parent.is_relative_to(tmp_path / prefix) if prefix else cache.parent.name == "__pycache__"
    assert cache.suffix == ".definitions"


def test_what_modules_say_is_remembered_elsewhere_where_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "new"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert cache_of_code(tmp_path / "other") == tmp_path / "other"


def test_where_python_may_write_nothing_counts_what_was_remembered_beforehand(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "new"))
    assert cache_of_code(tmp_path / "other") == tmp_path / "other"
    remember_code(tree)
    cache = cache_of_code(tmp_path / "other")
    assert cache.is_relative_to(tmp_path / "new")
    monkeypatch.setattr(module, "_looked_at", None)
    assert CodeHashes(cache).hash(tree / "script.py")


def test_what_is_remembered_is_not_looked_at_again(tree, monkeypatch):
    first = code_hash(tree / "script.py")
    monkeypatch.setattr(module, "_looked_at", None)
    assert code_hash(tree / "script.py") == first
