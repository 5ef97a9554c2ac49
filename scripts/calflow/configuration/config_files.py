"""Configuration files as they are written: in which line a key stands, and what reading them loses in silence.

Snakemake reads them before calflow is asked, and hands on what they come to. Of a key that stands twice YAML keeps the
last, and some numbers are others than they seem to be; so the files are looked at once more.
"""

import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from calflow.configuration.paths import NO_FILE, advice, what_is_at
from calflow.configuration.problems import Problem, key_of

ABSENT = object()
MAX_VALUES = 1_000_000  # of a file, aliases followed; a list of ten thousand exposures has a hundredth of that
KEYS = "a configuration has lines such as 'output: results', as in config.yaml"
# The loader in C takes a tenth of the time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What JSON files may have, and is text in YAML
_JSON_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_MERGE = "tag:yaml.org,2002:merge"
# What YAML takes for something else than a text: null, yes, 1, 1.5, 2024-01-01
_NO_NAMES = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "timestamp")}
NO_NAME, IN_QUOTES = "is no name", "put it in quotes"
# YAML 1.1, as Python reads it: 010 is eight, 12:30:00 is 45000.
_ODD_NUMBER = {
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0[0-7_]+|.*:.*)"),
    "tag:yaml.org,2002:float": re.compile(r".*:.*"),
}


class ConfigFile:
    """A configuration file, YAML or JSON.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: Path):
        self.path = path
        self._values: dict[tuple[str | int, ...], Any] = {}  # hundreds of problems may lie below one key

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """Keys that stand twice or are no names, and numbers that are read as others."""
        return tuple(self._look_at(self._root, ())) if self._root else ()

    @cached_property
    def endless(self) -> Problem | None:
        """That it stands for more values than can be looked at."""
        return _endless(self._root, self.path) if self._root else None

    def value(self, keys: Sequence[str | int]) -> Any:
        """Return what stands at a key, such as ``["stage2", "photom"]``; ABSENT if there is no such key.

        Parameters
        ----------
        keys : sequence of str or int
            From the top of the file down: names, and numbers of items in lists.
        """
        place = tuple(keys)
        if place not in self._values:
            self._values[place] = self._construct(place)
        return self._values[place]

    def _construct(self, keys: Sequence[str | int]) -> Any:
        node = self._node(keys)
        try:
            value = yaml.constructor.SafeConstructor().construct_document(node) if node else ABSENT
        except yaml.YAMLError:
            return ABSENT
        return _JSON_NUMBERS[value] if isinstance(value, str) and value in _JSON_NUMBERS and self._is_json else value

    def line(self, keys: Sequence[str | int]) -> int | None:
        """Return the line, counted from 1, in which the value of a key begins; None if there is no such key.

        Parameters
        ----------
        keys : sequence of str or int
            From the top of the file down: names, and numbers of items in lists.
        """
        node = self._node(keys)
        return node.start_mark.line + 1 if node else None

    @cached_property
    def _root(self) -> yaml.Node | None:
        # Read when it is asked for: of the defaults it never is unless something is wrong.
        return _compose(self.path)

    @cached_property
    def _is_json(self) -> bool:
        # Whatever its name, Snakemake reads as JSON what is JSON.
        try:
            json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return False
        return True

    def _node(self, keys: Sequence[str | int]) -> yaml.Node | None:
        node = self._root
        for key in keys:
            node = _below(node, key)
        return node

    def _look_at(self, root: yaml.Node, keys: tuple[str | int, ...]) -> Iterator[Problem]:
        """Yield what is wrong with a part of the file, what several keys refer to once."""
        seen: set[int] = set()
        waiting = [(root, keys)]
        while waiting:
            node, keys = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield from self._own_problems(node, keys)
            waiting += [(value, (*keys, name)) for name, value in reversed(_items(node))]

    def _own_problems(self, node: yaml.Node, keys: tuple[str | int, ...]) -> Iterator[Problem]:
        place = key_of(keys)
        if isinstance(node, yaml.MappingNode):
            lines: dict[tuple[str, str], list[int]] = {}
            for key, _ in node.value:
                if key.tag != _MERGE and isinstance(key, yaml.ScalarNode):
                    lines.setdefault((key.tag, key.value), []).append(key.start_mark.line + 1)
            for (tag, name), found in lines.items():
                if tag in _NO_NAMES:
                    where = f" (line {found[0]})"
                    yield Problem(str(self.path), key_of([*keys, name]), NO_NAME, IN_QUOTES + where)
                if len(found) > 1:
                    shown = f"{', '.join(map(str, found[:-1]))} and {found[-1]}"
                    wrong = f"stands more than once, in lines {shown}: only the last would count"
                    yield Problem(str(self.path), key_of([*keys, name]), wrong, "put all that belongs to it into one")
        elif isinstance(node, yaml.ScalarNode) and not node.style:
            odd = _ODD_NUMBER.get(node.tag)
            if odd and odd.fullmatch(node.value):
                number = yaml.constructor.SafeConstructor().construct_document(node)
                wrong = f"{node.value} (line {node.start_mark.line + 1}) is read as {number}, by the rules of YAML"
                right = (
                    "write degrees as a decimal number" if ":" in node.value else "write it without the zero in front"
                )
                yield Problem(str(self.path), place, wrong, right)


def unreadable(path: Path) -> Problem | None:
    """Return why a configuration cannot be read from a file; None if it can.

    Parameters
    ----------
    path : Path
    """

    def problem(wrong: str, right: str) -> Problem:
        return Problem(str(path), "", wrong, right)

    if not os.path.isfile(path):
        found = what_is_at(path)
        right = advice(str(path)) if found == NO_FILE else "give a file"
        return problem(found if found == NO_FILE else f"is {found}", right)
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
        found = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return problem(f"is not UTF-8 text: byte {content[error.start]:#x} in line {line}", "save it as UTF-8")
    except yaml.MarkedYAMLError as error:
        return _syntax_problem(path, text, error)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        return problem(f"is not YAML: {str(error).splitlines()[0]}", KEYS)
    except (ArithmeticError, LookupError):  # PyYAML's own, for `!!bool maybe` and `!!int ""`
        return problem("has a value that is not of the kind it is marked with (!!bool, !!int...)", "leave out the mark")
    if found is None:
        return problem("is empty", KEYS)
    if isinstance(found, str):
        return problem("has no keys", f"{KEYS}; a blank belongs after each colon")
    return None if isinstance(found, dict) else problem("has no keys at the top", KEYS)


def _syntax_problem(path: Path, text: str, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line if mark else 0
    written = next(iter(text.splitlines()[line : line + 1]), "")
    began = error.context_mark.line if error.context and error.context_mark else line
    more = f" ({error.context} that begins in line {began + 1})" if began != line else ""
    right = KEYS
    if "\t" in written:
        right = "indent with blanks, not with tabs"
    elif re.search(r"alias|anchor|cannot start any token", f"{error.context} {error.problem}"):
        right = "put a value that begins with * & @ % or ` into quotes"
    return Problem(str(path), f"line {line + 1}", f"{written.strip()!r} is not YAML: {error.problem}{more}", right)


def same_value(first: Any, second: Any) -> bool:
    """Tell whether two values of a configuration are the same, NaN included.

    Parameters
    ----------
    first, second : object
        As YAML gives them.
    """
    return first == second or (_is_nan(first) and _is_nan(second))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _compose(path: Path) -> yaml.Node | None:
    """Return the tree of a file; None if it cannot be read, which Snakemake has then told."""
    try:
        text = path.read_text("utf-8")
        try:
            return yaml.compose(text, Loader=_LOADER)
        except yaml.YAMLError:
            json.loads(text)
            return yaml.compose(text.replace("\t", " "), Loader=_LOADER)  # between the values of JSON may be tabs
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _endless(root: yaml.Node, path: Path) -> Problem | None:
    """Return the problem of aliases of aliases, or of brackets in brackets, without end."""
    try:
        if _expanded(root, {}) <= MAX_VALUES:
            return None
    except RecursionError:
        return Problem(str(path), "", "is nested too deeply", "no key of calflow lies deeper than a few levels")
    wrong = f"its aliases (*name) stand for more than {MAX_VALUES} values"
    return Problem(str(path), "", wrong, "write out the few that are meant")


def _expanded(node: yaml.Node, known: dict[int, float]) -> float:
    """Return the number of values of a tree with what its aliases stand for; each node is looked at once."""
    if id(node) not in known:
        known[id(node)] = math.inf  # for what refers to itself
        known[id(node)] = 1 + sum(_expanded(item, known) for _, item in _items(node))
    return known[id(node)]


def _items(node: yaml.Node) -> list[tuple[str | int, yaml.Node]]:
    """Return the names and values below a node; the items of a list are named by their number."""
    if isinstance(node, yaml.MappingNode):
        return [(str(key.value), value) for key, value in node.value]
    return [*enumerate(node.value)] if isinstance(node, yaml.SequenceNode) else []


def _below(node: yaml.Node | None, name: str | int) -> yaml.Node | None:
    """Return what stands below a node under a name, the last of several; what is merged (``<<``) comes after that."""
    items = _items(node) if node else []
    found = [value for key, value in items if key == name]
    if found or not isinstance(node, yaml.MappingNode):
        return found[-1] if found else None
    merged = [value for key, value in node.value if key.tag == _MERGE]
    flat = [item for value in merged for item in (value.value if isinstance(value, yaml.SequenceNode) else [value])]
    return next((value for item in flat if (value := _below(item, name)) is not None), None)
