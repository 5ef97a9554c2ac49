"""Extra steps: cleaning steps that calflow has, and functions of the user's own, between those of the stages."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from calflow.configuration.allowed import allowed, schema_of
from calflow.configuration.declared import section_of
from calflow.configuration.paths import no_file
from calflow.configuration.problems import Problem, Problems, nearest
from calflow.configuration.section import Maybe, Section, UserPath
from calflow.configuration.selection import ForSome
from calflow.configuration.stage2 import Stage2
from calflow.configuration.stage3 import OF_ASSOCIATION, OfAssociation, Stage3
from calflow.science.cleaning.shipped import CAL, DETECTOR, LIGHT, RATE, SHIPPED, SOURCES, Shipped

PLACES = (RATE, CAL)
# What a function of the user's own takes, by position; OTHERS or COLLECTED besides, if it asks for other exposures.
TAKES = ("planes", "parameters", "facts", "inputs")
OTHERS, COLLECTED = "others", "collected"
# What the function takes that looks at all exposures of a step together
COLLECTS = ("exposures", "parameters")
ALL = "all"
# Where a mask of sources comes from: the associations that an exposure is in
OWN_ASSOCIATION = "association"
# The folder, in each folder of products, of what is made before there are such masks
FOLDER_OF_FIRST = "first_pass"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


def _mask_source(value: Any) -> Any:
    """Read ``{association: name}`` as one text."""
    if value is None or value == OWN_ASSOCIATION or (isinstance(value, str) and value.startswith(OF_ASSOCIATION)):
        return value
    if isinstance(value, dict) and list(value) == ["association"] and isinstance(value["association"], str):
        return f"{OF_ASSOCIATION}{value['association'].strip()}"
    raise ValueError("give association, or {association: name of a product of stage 3}")


MaskSource = Annotated[
    str | None, BeforeValidator(_mask_source, json_schema_input_type=Literal["association"] | OfAssociation | None)
]


class ExtraStep(ForSome):
    """A step between the steps: one that calflow has, or a function of your own; docs/extra_steps.md."""

    model_config = ConfigDict(json_schema_extra=lambda schema: _with_parameters(schema))

    name: str = Field(description="its name in headers, logs and status: letters, digits, _ and -")
    step: Maybe[str] = Field(None, description="a step that calflow has; null: that of its name, unless file is given")
    file: Maybe[UserPath] = Field(None, description="your own: the Python file")
    function: Maybe[str] = Field(
        None, description="your own: the function in it; null: the one with the name of the step"
    )
    parameters: dict[str, Any] = Field({}, description="what the step takes, by name")
    inputs: dict[str, UserPath] = Field(
        {},
        description="files by name; {exposure}, {instrument}, {detector}, {filter}, {pupil} stand for those of each",
    )
    mask_from: MaskSource = Field(
        None,
        description="association: the mask of sources that it takes is that of the combined image of a first pass; "
        "{association: name}: of another association",
    )
    light_from: Maybe[Literal["association"]] = Field(
        None,
        description="association: as mask_from, and the light of that image is taken off before anything is measured",
    )
    others: Maybe[Literal["earlier", "all"]] = Field(
        None, description="your own: other exposures of the detector that it gets, in order of time"
    )
    within: Maybe[Annotated[float, Field(gt=0)]] = Field(
        None, description="of other exposures those that began within so many hours; null: any"
    )
    collect: Maybe[str] = Field(
        None, description="your own: a function that makes something of all exposures of a detector, once, for the step"
    )
    collect_by: Maybe[Literal["detector", "filter"]] = Field(
        None, description="filter: of each detector those of one filter; null: as the step has it, your own detector"
    )

    @property
    def shipped(self) -> Shipped | None:
        """The step that calflow has; None: the user's own."""
        return None if self.file else SHIPPED.get(self.step or self.name)

    @property
    def masked_by(self) -> str:
        """Whose image tells where sources are: `OWN_ASSOCIATION`, or a name or pattern; empty: none does."""
        return self.light_from or (self.mask_from or "").removeprefix(OF_ASSOCIATION)

    @property
    def function_name(self) -> str:
        """The name of the user's own function."""
        return self.function or self.name

    @property
    def collects_by(self) -> str:
        """Which exposures it looks at together."""
        return self.collect_by or (self.shipped.collect_by if self.shipped else DETECTOR)

    @property
    def which_others(self) -> str:
        """Which other exposures it takes; empty: none."""
        return self.shipped.others if self.shipped else self.others or ""


class ExtraSteps(Section):
    """Steps between the steps of the stages, in their order; docs/extra_steps.md."""

    rate: list[ExtraStep] = Field([], description="on _rate and _rateints, before stage 2")
    cal: list[ExtraStep] = Field([], description="on _cal, before stage 3; the _cal of stage 2 stays as it is")
    save_clean: bool = Field(False, description="keep what they make, _rate_clean and _cal_clean")

    def steps(self) -> Iterator[tuple[str, str, ExtraStep]]:
        """Yield each step with its place and its key in the configuration."""
        for place in PLACES:
            for number, step in enumerate(getattr(self, place)):
                yield place, f"extra_steps.{place}[{number}]", step


def parameter_section(name: str) -> type[Section]:
    """Return the parameters of a step that calflow has as a section.

    Parameters
    ----------
    name : str
        Of the step.
    """
    return section_of(SHIPPED[name].parameter_class(), Section)


def _with_parameters(schema: dict[str, Any]) -> None:
    """Add to the JSON schema of a step what parameters the steps take that calflow has."""
    schema["allOf"] = [
        {
            "if": {
                "anyOf": [
                    {"required": ["step"], "properties": {"step": {"const": name}}},
                    {"properties": {"name": {"const": name}, "step": {"type": "null"}, "file": {"type": "null"}}},
                ]
            },
            "then": {"properties": {"parameters": schema_of(parameter_section(name)) | {"description": name}}},
        }
        for name in SHIPPED
    ]


# Checks -------------------------------------------------------------------------------------------------


def check_extra_steps(section: ExtraSteps, problems: Problems) -> None:
    """Look at all that can be known of extra steps without exposures.

    Parameters
    ----------
    section : ExtraSteps
    problems : Problems
        What is wrong is added.
    """
    names: dict[str, str] = {}
    for place, key, step in section.steps():

        def refuse(below: str, wrong: str, right: str, key: str = key) -> None:
            problems.add(Problem("config", f"{key}.{below}", wrong, right))

        if not _NAME.fullmatch(step.name):
            refuse("name", f"{step.name!r} cannot be used", "begin with a letter; letters, digits, _ and - may follow")
        elif step.name in {*Stage2.model_fields, *Stage3.model_fields}:
            refuse("name", f"{step.name!r} is the name of a step of calflow", "give it another name")
        elif step.name in names:
            refuse("name", f"{step.name!r} is the name of {names[step.name]}, too", "give each step a name of its own")
        names.setdefault(step.name, key)
        if step.mask_from and SOURCES in step.inputs:
            refuse("mask_from", f"is given beside inputs.{SOURCES}", "leave one of them out")
        if step.light_from:
            _check_light(step, place, refuse)
        if step.file:
            _check_own(step, refuse)
        else:
            _check_shipped(step, place, refuse)


def _check_light(step: ExtraStep, place: str, refuse: Any) -> None:
    beside = ["mask_from"] if step.mask_from else [f"inputs.{role}" for role in (SOURCES, LIGHT) if role in step.inputs]
    if beside:
        refuse("light_from", f"is given beside {beside[0]}", "leave one of them out: it brings a mask of sources, too")
    shipped = step.shipped
    if shipped and shipped.collects_light:
        if shipped.instead in step.inputs:
            wrong = f"is taken off what is collected, and inputs.{shipped.instead} has that of another run"
            refuse("light_from", wrong, "leave one of them out")
    elif place != RATE:
        refuse("light_from", "has the light in the unit of _rate", f"put the step into extra_steps.{RATE}")
    if not step.file and step.parameters.get("fit_method") == "median":
        refuse("light_from", "is not taken off with fit_method: median", "give mask_from, or leave fit_method out")


def _check_shipped(step: ExtraStep, place: str, refuse: Any) -> None:
    name = step.step or step.name
    shipped = SHIPPED.get(name)
    if shipped is None:
        own = "" if step.step else "; for a function of your own give file"
        refuse("step" if step.step else "name", f"{name!r} is no step that calflow has", nearest(name, SHIPPED) + own)
        return
    for below in ("function", "others", "collect"):
        if getattr(step, below):
            refuse(
                below, f"is for functions of your own, and {name} is a step of calflow", "leave it out, or give file"
            )
    if place not in shipped.places:
        refuse(
            "step" if step.step else "name", f"{name!r} has no use here", f"put it into extra_steps.{shipped.places[0]}"
        )
    if step.mask_from and SOURCES not in shipped.inputs:
        able = ", ".join(each for each in SHIPPED if SOURCES in SHIPPED[each].inputs)
        refuse("mask_from", f"{name} takes no mask of sources", f"leave it out; {able} do")
    if step.light_from and LIGHT not in shipped.inputs and not shipped.collects_light:
        able = ", ".join(each for each in SHIPPED if LIGHT in SHIPPED[each].inputs or SHIPPED[each].collects_light)
        refuse("light_from", f"{name} takes no light of sources", f"leave it out; {able} do")
    if LIGHT in step.inputs and SOURCES not in step.inputs:
        refuse(f"inputs.{LIGHT}", f"is given without inputs.{SOURCES}", "give the mask of the same image, too")
    _check_parameters(step, name, shipped, refuse)
    unknown = [role for role in step.inputs if role not in shipped.inputs]
    for role in unknown:
        known = nearest(role, shipped.inputs) if shipped.inputs else "leave it out"
        refuse(f"inputs.{role}", f"{name} has no such input", known)
    for role in shipped.inputs:
        if role not in step.inputs and role not in shipped.optional and not unknown:
            refuse(f"inputs.{role}", "is missing", f"{name} needs this file")


def _check_parameters(step: ExtraStep, name: str, shipped: Shipped, refuse: Any) -> None:
    section: Any = parameter_section(name)
    try:
        values = section.model_validate(step.parameters)
    except ValidationError as error:
        for item in error.errors():
            parameter = str(item["loc"][0]) if item["loc"] else ""
            if parameter not in section.model_fields:
                refuse(f"parameters.{parameter}", "unknown key", nearest(parameter, section.model_fields))
            else:
                words = allowed(section, parameter).replace("`", "")
                refuse(f"parameters.{parameter}", f"{step.parameters[parameter]!r} is not valid", f"give {words}")
        return
    try:
        shipped.parameter_class()(**parameters_of(values))
    except ValueError as error:
        refuse("parameters", str(error), "docs/configuration.md has what is allowed")


def parameters_of(values: Section) -> dict[str, Any]:
    """Return the values of the parameters of a shipped step as its dataclass takes them.

    Parameters
    ----------
    values : Section
        Of `parameter_section`.
    """
    found = values.model_dump()
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def _check_own(step: ExtraStep, refuse: Any) -> None:
    path = Path(str(step.file))
    if step.step:
        refuse("step", "is a step of calflow, and file a function of your own", "leave one of them out")
    if not os.path.isfile(path):  # which no path makes an error
        refuse("file", no_file(path), "give the Python file with your function")
        return
    if path.suffix != ".py":
        refuse("file", f"{str(path)!r} is no Python file by its name", "its name ends in .py")
        return
    try:
        tree = ast.parse(path.read_text("utf-8"), str(path))
    except SyntaxError as error:
        refuse("file", f"line {error.lineno} of {path} is no Python: {error.msg}", "mend it")
        return
    except (OSError, ValueError) as error:
        refuse("file", f"{path} cannot be read: {error}", "give a Python file")
        return
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if step.collect and step.others:
        refuse("collect", "is given beside others", "leave one of them out: collect gets all exposures once")
    more = [COLLECTED] if step.collect else [OTHERS] if step.others else []
    wanted = {"function": (step.function_name, [*TAKES, *more])}
    wanted |= {"collect": (step.collect, [*COLLECTS])} if step.collect else {}
    for below, (name, given) in wanted.items():
        if name in functions:
            _check_takes(functions[name], given, path, below, refuse)
        elif name not in set(_names_defined(tree)):
            found = nearest(name, functions) if functions else "it defines none"
            refuse(below, f"no function {name!r} in {path}", found)


def _names_defined(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module gets in other ways than by ``def``: assigned, or imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _check_takes(function: ast.FunctionDef, given: list[str], path: Path, below: str, refuse: Any) -> None:
    taken = function.args
    positional = [*taken.posonlyargs, *taken.args]
    needed = len(positional) - len(taken.defaults)
    alone = [each.arg for each, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if default is None]
    if needed > len(given) or (len(positional) < len(given) and not taken.vararg) or alone:
        wrong = f"{function.name} in line {function.lineno} of {path} cannot be called with {', '.join(given)}"
        refuse(below, wrong, f"write def {function.name}({', '.join(given)})")
