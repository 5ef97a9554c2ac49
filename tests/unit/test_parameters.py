"""Parameters that are declared once, beside the algorithm."""

import ast
import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from calflow.configuration.declared import section_of
from calflow.configuration.reference_makers import ReferenceMaker
from calflow.configuration.section import Section, Step
from calflow.configuration.stage2 import Stage2
from calflow.configuration.stage3 import Grid, Stage3
from calflow.science.parameters import Length, Range, check_parameters, declared_parameters

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Example:
    """An example."""

    width: Annotated[float, Range(gt=0), "a width"] = 1.5
    least: Annotated[float, Range(ge=0), "a limit"] = 0.0
    fraction: Annotated[float, Range(ge=0, le=1), "a fraction"] = 0.5
    shift: Annotated[float, "any number"] = -2.0
    rounds: Annotated[int | None, Range(ge=1), "rounds; null: no end"] = None
    percent: Annotated[int, Range(gt=0, lt=100), "percent"] = 30
    order: Annotated[Literal[1, 3], "an order"] = 1
    method: Annotated[Literal["mean", "median"], "a method"] = "mean"
    radii: Annotated[tuple[float, ...] | None, Length(2, 3), "radii"] = None
    corner: Annotated[tuple[float, ...], Length(2, 2), Range(ge=0), "a corner"] = (1.0, 2.0)
    robust: Annotated[bool, "whether"] = True

    def __post_init__(self):
        check_parameters(self)


WRONG = [
    ("width", 0, "width is 0; it must be larger than 0"),
    ("width", float("nan"), "width is nan; it must be larger than 0"),
    ("width", "wide", "width is 'wide'; it must be larger than 0"),
    ("width", None, "width is None; it must be larger than 0"),
    ("least", -0.5, "least is -0.5; it must be 0 or larger"),
    ("fraction", 1.5, "fraction is 1.5; it must lie between 0 and 1"),
    ("shift", "left", "shift is 'left'; it must be a number"),
    ("rounds", 0, "rounds is 0; it must be an integer of 1 or more"),
    ("rounds", 2.5, "rounds is 2.5; it must be an integer of 1 or more"),
    ("percent", 100, "percent is 100; it must be an integer between 0 and 100, both excluded"),
    ("order", 2, "order is 2; it must be one of 1, 3"),
    ("method", "mode", "method is 'mode'; it must be one of mean, median"),
    ("radii", (1.0,), r"radii are \(1.0,\); they must be two or three numbers"),
    ("corner", (1.0,), r"corner are \(1.0,\); they must be two numbers"),
    ("corner", (1.0, -2.0), r"corner are \(1.0, -2.0\); they must each be 0 or larger"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_wrong_values_are_refused_by_the_dataclass(name, value, words):
    with pytest.raises(ValueError, match=words):
        Example(**{name: value})


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_and_by_the_section_that_is_made_of_it(name, value, words):
    with pytest.raises(ValidationError) as caught:
        section_of(Example, Step)(**{name: value})
    assert [error["loc"][0] for error in caught.value.errors()] == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [("width", np.float32(2)), ("width", 2), ("rounds", np.int64(3)), ("percent", 99), ("fraction", 1), ("order", 3)],
)
def test_right_values(name, value):
    assert getattr(Example(**{name: value}), name) == value


def test_a_section_has_the_defaults_and_the_order():
    section = section_of(Example, Step)()
    assert [*type(section).model_fields] == ["skip", *declared_parameters(Example)]
    assert section.model_dump(exclude={"skip"}) == asdict(Example()) | {"corner": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("rounds", "None", None), ("order", "3", 3), ("width", "0.5", 0.5), ("robust", "false", False)],
)
def test_a_section_reads_the_command_line(name, text, value):
    assert getattr(section_of(Example, Step)(**{name: text}), name) == value


def test_a_parameter_has_a_meaning():
    @dataclass
    class Silent:
        width: Annotated[float, Range(gt=0)] = 1.0

    with pytest.raises(TypeError, match="width is declared without a meaning"):
        declared_parameters(Silent)


ADDED = '    halo: Annotated[float, Range(gt=0, le=9), "radius of the halo, pixels"] = 2.5\n'
SHOW = """
import ast
import json
from calflow.configuration import documents
from calflow.configuration.settings import read_settings
from calflow.science.sources.catalog_parameters import CatalogParameters
from calflow.science.stars.star_finding import StarFinding
settings = read_settings({"stage3": {"tweakreg": {"halo": "4"}}}).stage3
texts = [documents.default_config(), documents.config_schema(), documents.parameters_page()]
finding = settings.tweakreg.finder_parameters()
del finding["refine"]
measuring = settings.source_catalog.catalog_parameters()
step = [StarFinding(**finding).halo, CatalogParameters(**measuring).halo]
print(json.dumps([*texts, step]))
"""


def test_a_parameter_is_added_in_one_place(tmp_path):
    """It is in config.yaml, the schema, the page and the step, of both sections that find sources."""
    shutil.copytree(ROOT / "scripts/calflow", tmp_path / "calflow", ignore=shutil.ignore_patterns("__pycache__"))
    declaration = tmp_path / "calflow/science/stars/finding_parameters.py"
    head, name, rest = declaration.read_text().partition("    deblend:")
    declaration.write_text(head + ADDED + name + rest)
    shown = subprocess.run(
        [sys.executable, "-c", SHOW], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, check=True, capture_output=True
    ).stdout
    config, schema, page, step = json.loads(shown)
    assert config.count("    halo: 2.5  # radius of the halo, pixels\n") == 2
    halo = {"default": 2.5, "description": "radius of the halo, pixels", "exclusiveMinimum": 0, "maximum": 9}
    for section in ("Tweakreg", "SourceCatalog"):
        assert json.loads(schema)["$defs"][section]["properties"]["halo"] == halo | {"type": "number"}
    assert page.count("| `halo` | number > 0 and <= 9 | `2.5` | radius of the halo, pixels |") == 2
    assert step == [4.0, 2.5]


# Functions that take another quantity which has the name of a parameter
OTHER_QUANTITIES = {
    ("reference_making", "normalised_flat", "dark"): "the dark itself, of which a configuration has the file",
    ("geometry", "outline", "stepsize"): "of whatever outline; None is that of a footprint",
    ("sip", "sip_approximation", "crpix"): "the reference pixel of the header, not of a grid",
    ("sky_model", "subtract_sky", "scale"): "a ratio of sky levels",
    ("star_matching", "match", "searchrad"): "None: that of the parameters",
}


def declared_names():
    """Return the names of all parameters of the steps, with and without the prefix of their section."""
    waiting, names = [Stage2, Stage3, Grid, ReferenceMaker], set()
    while waiting:
        for name, field in waiting.pop().model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                waiting.append(field.annotation)
            else:
                names |= {name, *(name.removeprefix(prefix) for prefix in ("abs_", "sip_", "pixmap_"))}
    return names


def written_defaults(tree):
    """Yield (function, parameter) for each default of a public function or class that is written as a value."""
    classes = {id(each): node.name for node in tree.body if isinstance(node, ast.ClassDef) for each in node.body}
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or (node.name.startswith("_") and node.name != "__init__"):
            continue
        taken = [*node.args.posonlyargs, *node.args.args]
        defaults = dict(zip(reversed(taken), reversed(node.args.defaults), strict=False))
        defaults |= {
            each: value for each, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if value
        }
        for argument, value in defaults.items():
            if not any(isinstance(part, ast.Name) for part in ast.walk(value)):
                yield classes.get(id(node), node.name), argument.arg


def test_written_defaults_are_found():
    tree = ast.parse(
        "def a(b, c=1, *, d=(1, 2), e=D.e, f=None, g): ...\ndef _a(b=1): ...\nclass A:\n def __init__(self, h=-1): ..."
    )
    assert [*written_defaults(tree)] == [("a", "c"), ("a", "d"), ("a", "f"), ("A", "h")]


def test_no_default_stands_twice():
    """What a section of the configuration has as default, a function takes from the same declaration."""
    names = declared_names()
    twice = {
        (path.stem, function, parameter)
        for path in sorted((ROOT / "scripts/calflow/science").rglob("*.py"))
        for function, parameter in written_defaults(ast.parse(path.read_text()))
        if parameter in names
    }
    assert twice == OTHER_QUANTITIES.keys()
