"""The parameter files of ``strun`` and ``lirun``: ``.cfg`` files and ASDF parameter references (``pars-*``).

Both hold the parameters of one step, or of a pipeline and its steps. What the parameters mean to calflow is said in
`configuration.strun_translation`.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calflow.configuration.paths import expanded
from calflow.configuration.problems import Problem, Problems

MAX_BYTES = 1024**2  # such files have some kilobytes
# The time of configobj grows with the square of their number, and, at the beginning of a line, with the cube.
_MANY_BLANKS = re.compile(r"\s{300}")
MAX_NODES = 100_000  # of YAML, aliases followed
_CONSTANTS = {"none": None, "true": True, "false": False}
_CFG_ERRORS = {"DuplicateError": "repeats a name", "NestingError": "has other brackets than its section"}
_YAML_VALUES = tuple(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float"))


@dataclass(frozen=True)
class StrunParameters:
    """The parameters of a pipeline or of a step, as one file gives them.

    Attributes
    ----------
    file : str
        The file, as the user named it.
    place : str
        What the keys of its parameters begin with in that file, such as ``steps.tweakreg.``.
    class_name : str
        The last part of the Python class, such as ``Image2Pipeline``; empty if the file does not say it.
    values : mapping of str to value
        Numbers of a ``.cfg`` file are text, lists are lists of text.
    steps : mapping of str to list of StrunParameters
        Of a pipeline, by the name that the step has in the file. The later of the same step wins.
    """

    file: str
    place: str
    class_name: str
    values: Mapping[str, Any]
    steps: Mapping[str, list["StrunParameters"]] = field(default_factory=dict)


class _NotReadable(Exception):
    """What is wrong with a file, at which key, and what would be right."""

    def __init__(self, wrong: str, right: str = "", key: str = ""):
        super().__init__(wrong)
        self.wrong, self.right, self.key = wrong, right, key


def read_strun_file(path: str, problems: Problems) -> StrunParameters | None:
    """Read a parameter file.

    Parameters
    ----------
    path : str
        A ConfigObj file (INI with sections nested by brackets), or an ASDF file, of which only the YAML text is read
        and no tag is acted upon. The step of a pipeline may have a ``config_file``, a path relative to this file; what
        stands here wins over it.
    problems : Problems
        What is wrong with the file is added here; nothing is raised.

    Returns
    -------
    StrunParameters or None
        None if the file cannot be read.
    """
    try:
        found = _read(path)
    except FileNotFoundError:
        problems.add(Problem(path, "", "no such file", "give an existing file"))
    except _NotReadable as error:
        problems.add(Problem(path, error.key, error.wrong, error.right))
    else:
        return replace(found, steps={name: _with_config_file(step, problems) for name, (step,) in found.steps.items()})
    return None


def _with_config_file(step: StrunParameters, problems: Problems) -> list[StrunParameters]:
    """Return what the ``config_file`` of a step holds, if it has one, and the other parameters of the step."""
    path = step.values.get("config_file")
    own = replace(step, values={name: value for name, value in step.values.items() if name != "config_file"})
    if not path:
        return [own]
    try:
        beside = str(Path(step.file).parent / expanded(str(path)))
    except ValueError as error:
        problems.add(Problem(step.file, f"{step.place}config_file", f"{path!r} is not valid", str(error)))
        return [own]
    try:
        found = _read(beside)
    except FileNotFoundError:
        wrong, right = f"no such file {beside!r}", f"relative paths begin at the folder of {step.file}"
        problems.add(Problem(step.file, f"{step.place}config_file", wrong, right))
    except _NotReadable as error:
        problems.add(Problem(beside, error.key, error.wrong, error.right))
    else:
        if not found.steps:
            return [found, own]
        wrong = f"{step.file} takes the parameters of one step from here, not those of a pipeline"
        problems.add(Problem(beside, "steps", wrong, "name the file of a step"))
    return [own]


def _read(path: str) -> StrunParameters:
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # opening a pipe would wait for ever
            raise _NotReadable("not a file", "give a parameter file")
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _NotReadable(f"cannot be read ({reason})", "make it readable") from None
    if len(content) > MAX_BYTES:
        raise _NotReadable("too long for a parameter file", f"it has at most {MAX_BYTES} bytes")
    return _from_asdf(path, content) if content.startswith(b"#ASDF") else _from_cfg(path, content)


def _from_cfg(path: str, content: bytes) -> StrunParameters:
    from configobj import ConfigObj, ConfigObjError

    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
        for number, line in enumerate(lines, 1):
            if _MANY_BLANKS.search(line):
                wrong = f"not readable as .cfg (line {number} has hundreds of blanks in a row)"
                raise _NotReadable(wrong, "see docs/parameter_files.md")
        tree = ConfigObj(lines, interpolation=False).dict()
    except UnicodeDecodeError:
        raise _NotReadable("not text", "give a .cfg file, or an ASDF file") from None
    except ConfigObjError as error:
        # Not its text, which shows the line: a file may name any other as `config_file`.
        first = (getattr(error, "errors", None) or [error])[0]
        kind = _CFG_ERRORS.get(type(first).__name__, "is no section and no 'name = value', or has an open quote")
        wrong = f"not readable as .cfg (line {first.line_number} {kind})"
        raise _NotReadable(wrong, "see docs/parameter_files.md") from None
    sections = tree.pop("steps", {})
    if not isinstance(sections, dict):
        raise _NotReadable("not a section", "write [steps], and below it [[tweakreg]]", "steps")
    steps = {}
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise _NotReadable(
                "stands outside of a step", "write a section such as [[tweakreg]] above", f"steps.{name}"
            )
        steps[name] = [_parameters(path, f"steps.{name}.", _cfg_values(section, f"steps.{name}."))]
    return _parameters(path, "", _cfg_values(tree, ""), steps)


def _cfg_values(section: Mapping[str, Any], place: str) -> dict[str, Any]:
    for name, value in section.items():
        if isinstance(value, dict):
            right = "sections are [steps] and, below it, those of steps in double brackets"
            raise _NotReadable("no section is expected here", right, f"{place}{name}")
    return {name: _constant(value) for name, value in section.items()}


def _constant(value: Any) -> Any:
    return _CONSTANTS.get(value.strip().lower(), value) if isinstance(value, str) else value


def _from_asdf(path: str, content: bytes) -> StrunParameters:
    # A line "..." ends the YAML text; binary blocks could follow.
    text, *rest = re.split(rb"^\.\.\.[ \r]*$", content, maxsplit=1, flags=re.MULTILINE)
    if not rest:
        raise _NotReadable("truncated: the YAML text does not end with a line '...'", "get the file again")
    tree = _yaml_tree(text)
    # Older files have the class, and the steps, among the parameters.
    values = _mapping(tree.get("parameters"), "parameters")
    about = tree if "class" in tree else values
    if "class" not in about:
        raise _NotReadable("holds no parameters of a step", "give a pars-* file, with class and parameters")
    found = about.get("steps") or []
    steps = {}
    for number, item in enumerate(found if isinstance(found, list) else [found]):
        step = _mapping(item, f"steps[{number}]")
        name = str(step.get("name") or "")
        if not name:
            raise _NotReadable("has no name", "give the name of the step", f"steps[{number}]")
        given = dict(_mapping(step.get("parameters"), f"steps.{name}.parameters"))
        steps[name] = [_parameters(path, f"steps.{name}.", given | {"class": step.get("class")})]
    own = {name: value for name, value in values.items() if name != "steps"}
    return _parameters(path, "", own | {"class": about["class"]}, steps)


def _mapping(value: Any, key: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _NotReadable("not a mapping of names to values", "give a file that strun or CRDS wrote", key)
    return value


def _parameters(path: str, place: str, values: dict[str, Any], steps: Any = None) -> StrunParameters:
    """Take the name and the class, which are no parameters, out of the values."""
    values.pop("name", None)
    class_name = str(values.pop("class", None) or "").rpartition(".")[2]
    return StrunParameters(path, place, class_name, values, steps or {})


def _yaml_tree(text: bytes) -> dict[str, Any]:
    """Return the part of a YAML document that holds parameters."""
    import yaml

    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise _NotReadable("not a parameter file", "give a pars-* file, with class and parameters")
        wanted = ("class", "name", "parameters", "steps")
        count = [0]
        return {key.value: _plain(node, loader, count) for key, node in root.value if key.value in wanted}
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise _NotReadable(f"not readable as ASDF ({str(error).splitlines()[0]})", "get the file again") from None
    except RecursionError:
        raise _NotReadable("nested too deeply", "give a file that strun or CRDS wrote") from None


def _plain(node: Any, loader: Any, count: list[int]) -> Any:
    """Return a node as mapping, list, number, truth value, None or text; other tags count for nothing."""
    import yaml

    count[0] += 1
    if count[0] > MAX_NODES:  # some aliases suffice to make any number of nodes of a few
        raise _NotReadable("too long for a parameter file", "give a file that strun or CRDS wrote")
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value, loader, count) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, loader, count) for item in node.value]
    try:
        return loader.construct_object(node) if node.tag in _YAML_VALUES else node.value
    except (ArithmeticError, LookupError, ValueError):  # all of them from PyYAML, for `!!bool maybe`, `!!int ""`
        kind = node.tag.rpartition(":")[2]
        raise _NotReadable(f"{node.value!r} is no {kind}", "give a file that strun or CRDS wrote") from None
