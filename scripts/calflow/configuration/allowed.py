"""What a key of the configuration may be, in words: for the page of all keys, and for what is wrong with a value."""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from calflow.configuration.section import Section

PLURAL = {"value": "values", "number": "numbers", "integer": "integers", "text": "texts", "section": "sections"}


class _SchemaForEditors(GenerateJsonSchema):
    """Keys have no titles beside their names, and sections may be empty."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Say that no key has one."""
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """Return the schema of a key with a default, which a section has by its keys."""
        if isinstance(schema.get("default"), Section | dict):  # its defaults are those of its keys
            return {"anyOf": [self.generate_inner(schema["schema"]), {"type": "null"}]}
        return super().default_schema(schema)


def schema_of(section: type[Section]) -> dict[str, Any]:
    """Return the JSON schema of a section, as editors use it.

    Parameters
    ----------
    section : type of Section
    """
    return section.model_json_schema(schema_generator=_SchemaForEditors)


def allowed(section: type[Section], name: str) -> str:
    """Say in words what a key may be.

    Parameters
    ----------
    section : type of Section
    name : str
        Of the key.
    """
    return in_words(schema_of(section)["properties"][name])


def allowed_by_name(section: type[Section], name: str) -> str:
    """Say in words what a value may be of a key that has values by names of the user's.

    Parameters
    ----------
    section : type of Section
    name : str
        Of the key.
    """
    schema = schema_of(section)["properties"][name]
    return next(in_words(choice["additionalProperties"]) for choice in schema.get("anyOf", [schema]))


def in_words(schema: Mapping[str, Any]) -> str:
    """Say in words what a JSON schema allows.

    Parameters
    ----------
    schema : mapping
        Of one key.

    Examples
    --------
    >>> in_words({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]})
    'number > 0, or `null`'
    """
    if "anyOf" in schema:
        return ", or ".join(in_words(choice) for choice in schema["anyOf"])
    if values := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{value}`" for value in values)
    kind = schema.get("type", "section")  # of which the schema has a reference
    if kind == "array":
        return _list(schema)
    if kind == "object":
        values = schema["additionalProperties"]
        item, *limits = ["value"] if values is True else in_words(values).split(" ", 1)
        return " ".join([PLURAL[item], *limits, "by name"])
    words = {"string": "text", "boolean": "`true`, `false`", "null": "`null`"}.get(kind, kind)
    if schema.get("not") == {"multipleOf": 2}:
        words = f"odd {words}"
    return f"{words} {_limits(schema)}".rstrip()


def _limits(schema: Mapping[str, Any]) -> str:
    if least := schema.get("minLength"):
        return "that is not empty" if least == 1 else f"of at least {least} characters"
    if "minimum" in schema and "maximum" in schema:
        return f"from {schema['minimum']} to {schema['maximum']}"
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    return " and ".join(f"{sign} {schema[name]}" for name, sign in signs.items() if name in schema)


def _list(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    between = "or" if most == (least or 0) + 1 else "to"
    how_many = f"{least} {between} {most} " if most and least != most else f"{most} " if most else ""
    empty = ["that is not empty"] if least and not most else []
    if "enum" in schema["items"]:
        return " ".join([f"list of {how_many}{in_words(schema['items'])}", *empty])
    item, *limits = in_words(schema["items"]).split(" ", 1)
    return " ".join([f"list of {how_many}{PLURAL[item]}", *limits, *empty])
