"""What is written from the declared parameters: config.yaml, its JSON schema and the page of all keys."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import Field, ValidationError

from calflow.configuration import documents
from calflow.configuration.allowed import in_words, schema_of
from calflow.configuration.documents import config_schema, default_config, parameters_page
from calflow.configuration.section import Section
from calflow.configuration.settings import Settings
from calflow.configuration.shared import OutputGrid, SipApproximation, SourceFinding
from calflow.configuration.stage2 import AssignWcs, Resample
from calflow.configuration.stage3 import CombinedResample, Grid, SourceCatalog, Tweakreg

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads(config_schema())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("config.yaml", default_config),
        ("config.schema.json", config_schema),
        ("docs/configuration.md", parameters_page),
    ],
)
def test_files_are_written_from_the_declarations(name, write):
    assert (ROOT / name).read_text() == write()


@pytest.mark.parametrize(
    ("options", "text"), [([], default_config()), (["--schema"], config_schema()), (["--page"], parameters_page())]
)
def test_the_script_prints_them(options, text):
    script = [sys.executable, ROOT / "scripts/settings.py", *options]
    assert subprocess.run(script, check=True, capture_output=True, text=True).stdout == text


def wrong(config):
    """Return where a configuration is wrong for an editor."""
    return [".".join(map(str, error.absolute_path)) for error in VALIDATOR.iter_errors(config)]


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


RECIPES = [f"docs/recipes/{path.name}" for path in sorted((ROOT / "docs" / "recipes").glob("*.yaml"))]


@pytest.mark.parametrize("path", ["config.yaml", "rules/demo.yaml", "rules/demo_iris.yaml", *RECIPES])
def test_configurations_begin_with_the_schema_and_are_valid(path):
    text = (ROOT / path).read_text()
    name = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)[1]
    assert json.loads(((ROOT / path).parent / name).read_text()) == SCHEMA
    assert wrong(yaml.safe_load(text)) == []


def test_examples_of_the_documentation_are_valid():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    blocks = [block for page in pages for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)]
    configs = [
        config for block in blocks if (config := yaml.safe_load(block)) and set(config) <= set(Settings.model_fields)
    ]
    assert len(configs) > 5
    assert [wrong(config) for config in configs] == [[]] * len(configs)


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"outputt": "results"}, ""),
        ({"stage2": {"photom": {"skp": True}}}, "stage2.photom"),
        ({"stage2": {"photom": {"skip": "maybe"}}}, "stage2.photom.skip"),
        ({"stage2": {"resample": {"pixfrac": 3}}}, "stage2.resample.pixfrac"),
        ({"stage2": {"bkg_subtract": {"filter_size": 4}}}, "stage2.bkg_subtract.filter_size"),
        ({"stage3": {"resample": {"kernel": "round"}}}, "stage3.resample.kernel"),
        ({"max_output_pixels": 0}, "max_output_pixels"),
        ({"grids": {"mine": {"pixel_scale": 0.1}}}, "grids.mine"),
        ({"references": {"override": {"flat": 3}}}, "references.override.flat"),
    ],
)
def test_what_editors_mark(config, place):
    """With the key that is wrong, or the section that holds it."""
    assert deepest(VALIDATOR.iter_errors(config)) == place


def deepest(errors):
    """Return the place furthest below: sections may be empty, so each error has two sides."""
    places = []
    for error in errors:
        places.append(".".join(map(str, error.absolute_path)))
        places.append(deepest(error.context) if error.context else "")
    return max(places, key=len, default="")


@pytest.mark.parametrize("empty", [{"stage3": None}, {"stage2": {"resample": None}}, {"grids": None}, {}])
def test_sections_may_be_empty(empty):
    assert wrong(empty) == []


# Of which calflow reads texts, to say whether they have a meaning
READ = {"dqbits", "good_bits", "snr", "scale", "dark_output"}
# Values of all types, at and beyond limits
VALUES = [
    True,
    -1,
    0,
    0.5,
    1,
    2,
    3,
    4,
    8,
    200,
    10**13,
    None,
    "",
    "some words",
    [],
    [1.0],
    [1.0, 2.0],
    ["a"],
    [True],
    {},
]


def all_keys(section=Settings, path=""):
    for name, declared in section.model_fields.items():
        below = documents.section_of_key(declared)
        if below:
            yield from all_keys(below, f"{path}{name}.")
        else:
            yield pytest.param(section, name, id=path + name)


@pytest.mark.parametrize(("section", "name"), list(all_keys()))
def test_schema_and_calflow_agree(section, name):
    """Editors mark what calflow refuses, and nothing else, for values that are written as what they are."""
    schema = schema_of(section)["properties"][name]
    values = [value for value in VALUES if not (isinstance(value, str | None) and name in READ)]
    if schema.get("type") == "boolean":  # calflow takes 0 and 1 for false and true
        values = [value for value in values if value is True or value not in (0, 1)]
    marked = [repr(value) for value in values if not jsonschema.Draft7Validator(schema).is_valid(value)]
    assert marked == [repr(value) for value in values if refuses(section, name, value)]


def refuses(section, name, value):
    try:
        section.model_validate({name: value})
    except ValidationError as error:
        return any(item["loc"][:1] == (name,) for item in error.errors())
    return False


@pytest.mark.parametrize(
    ("shared", "sections"),
    [
        (SourceFinding, (Tweakreg, SourceCatalog)),
        (SipApproximation, (Tweakreg, AssignWcs)),
        (OutputGrid, (Resample, CombinedResample, Grid)),
    ],
)
def test_sections_that_share_keys_differ_in_defaults_alone(shared, sections):
    for section in sections:
        properties = section.model_json_schema()["properties"]
        for name, declared in shared.model_json_schema()["properties"].items():
            if name != "skip":
                assert properties[name] | {"default": None} == declared | {"default": None}


def test_part():
    """What belongs to a group, and no more."""
    assert Tweakreg(skip=True, sip_npoints=20, minobj=3).part(SipApproximation) == {
        "sip_approx": True,
        "sip_max_pix_error": 0.01,
        "sip_degree": None,
        "sip_max_inv_pix_error": 0.01,
        "sip_inv_degree": None,
        "sip_npoints": 20,
    }


class Example(Section):
    """An example."""

    old: int = Field(3, description="was there")
    new: float = Field(0.5, gt=0, le=2, description="a | b")


def test_a_new_parameter_is_everywhere(monkeypatch):
    monkeypatch.setattr(documents, "Settings", Example)
    assert "new: 0.5  # a | b" in documents.default_config()
    new = {"default": 0.5, "description": "a | b", "exclusiveMinimum": 0, "maximum": 2, "type": "number"}
    assert json.loads(documents.config_schema())["properties"]["new"] == new
    assert "| `new` | number > 0 and <= 2 | `0.5` | a \\| b |" in documents.parameters_page()


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 6}, "integer from 1 to 6"),
        ({"type": "integer", "minimum": 1, "not": {"multipleOf": 2}}, "odd integer >= 1"),
        ({"type": "string", "minLength": 1}, "text that is not empty"),
        ({"type": "string", "minLength": 10}, "text of at least 10 characters"),
        ({"type": "boolean"}, "`true`, `false`"),
        ({"enum": [4, 8], "type": "integer"}, "`4`, `8`"),
        ({"anyOf": [{"type": "number"}, {"const": "NAN"}]}, "number, or `NAN`"),
        ({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3}, "list of 2 or 3 numbers"),
        ({"type": "array", "items": {"type": "string"}}, "list of texts"),
    ],
)
def test_what_is_allowed_in_words(schema, words):
    assert in_words(schema) == words
