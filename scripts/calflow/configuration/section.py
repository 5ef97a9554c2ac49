"""What all sections of the configuration are made of: their base class and the types of their values."""

import os
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from calflow.configuration.paths import expanded
from calflow.science.parameters import declared_parameters


def _none_from_text(value: Any) -> Any:
    """Read "None" and "null" as None: values given with ``--config`` arrive as text."""
    return None if isinstance(value, str) and value.strip().lower() in ("none", "null") else value


def _wanted_file(value: Any) -> Any:
    """Read a path, which a file of another pipeline gives, as a wish: here the name follows from the exposure."""
    if value is None:
        return False
    is_path = isinstance(value, str) and value.strip().lower() not in (
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "0",
        "1",
    )
    return bool(value) if is_path else value


def list_from_one(value: Any) -> Any:
    """Take one text for a list of one.

    Parameters
    ----------
    value : object
        As a file or the command line gives it.
    """
    if value is not None and not isinstance(value, str | list | tuple):
        raise ValueError("give a text, or a list of texts")
    return [value] if isinstance(value, str) else value


def number_from_text(value: Any) -> Any:
    """Read "8" as 8: a choice of numbers, unlike a number, does not take text by itself.

    Parameters
    ----------
    value : object
        As a file or the command line gives it.
    """
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


def _whole_number(value: Any) -> Any:
    """Read 7.5e8 as a whole number: YAML takes "7.5e8", without a sign of the exponent, for text."""
    try:
        return int(float(value)) if isinstance(value, float | str) and float(value).is_integer() else value
    except (ValueError, OverflowError):
        return value


def _fill_value(value: Any) -> Any:
    """Read a number, NAN or INDEF as text."""
    if isinstance(value, bool):
        raise ValueError("a fill value is a number or NAN")
    if str(value).strip().upper() in ("NAN", "INDEF"):
        return "NAN"
    try:
        return str(float(value))
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a fill value is a number or NAN") from None


def _normal_path(value: str) -> str:
    """Write a path in its simplest form: Snakemake knows files by their spelling."""
    if not value:
        return value
    path = os.path.normpath(value)
    return path[1:] if path.startswith("//") else path  # normpath keeps two slashes in front


def _sky_position(value: list[float]) -> list[float]:
    """Refuse what is no position on the sky."""
    if not (-360 <= value[0] <= 360 and -90 <= value[1] <= 90):
        raise ValueError("a position is [ra, dec] in degrees, with dec from -90 to 90")
    return value


def _odd(value: int) -> int:
    """Refuse even sizes."""
    if value % 2 == 0:
        raise ValueError("the size of a filter is odd")
    return value


T = TypeVar("T")
Maybe = Annotated[T | None, BeforeValidator(_none_from_text)]
WantedFile = Annotated[bool, BeforeValidator(_wanted_file)]
# Every key that is a path, or a pattern of paths, is of one of these: ~ and variables are replaced in them.
UserPath = Annotated[str, AfterValidator(expanded)]
NormalPath = Annotated[UserPath, AfterValidator(_normal_path)]
Files = Annotated[list[UserPath], BeforeValidator(list_from_one, json_schema_input_type=str | list[str])]
SomePaths = Annotated[list[UserPath], Field(min_length=1)]
SomeFiles = Annotated[
    SomePaths, BeforeValidator(list_from_one, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)])
]
# Names, such as those of targets
Names = Annotated[list[str], BeforeValidator(list_from_one, json_schema_input_type=str | list[str])]
LargeNumber = Annotated[int, Field(ge=1, le=10**12), BeforeValidator(_whole_number)]
# For `declared.section_of`: how parameters that science declares are written
ODD = (AfterValidator(_odd), Field(json_schema_extra={"not": {"multipleOf": 2}}))
SKY_POSITION = (AfterValidator(_sky_position),)
FILL_VALUE = (BeforeValidator(_fill_value, json_schema_input_type=float | Literal["NAN"]),)


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values cannot be changed."""

    # Deferred: groups of parameters that sections inherit are never validated by themselves.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, values: Any) -> Any:
        """Take a section with nothing below it as its defaults."""
        if not isinstance(values, dict):
            return values
        sections = {name for name, field in cls.model_fields.items() if isinstance(field.default, Section | dict)}
        return {name: value for name, value in values.items() if value is not None or name not in sections}

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where a number is meant: Python, and so pydantic, takes them for 1 and 0."""
        items = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(item, bool) for item in items):
            meant = kinds(cls, str(info.field_name))
            if bool not in meant and not meant.isdisjoint((int, float)):
                raise ValueError("give a number; true and false are none")
        return value

    def part(self, *declaring: Any, prefix: str = "") -> dict[str, Any]:
        """Return the values of some of what this section is made of, in its order, but for `skip`.

        Parameters
        ----------
        *declaring : type
            Sections that this one inherits, or dataclasses whose parameters it has.
        prefix : str
            What the names of these begin with here; it is not in the names returned.
        """
        names = {
            prefix + name
            for kind in declaring
            for name in (kind.model_fields if issubclass(kind, Section) else declared_parameters(kind))
        }
        values = self.model_dump(include=names - {"skip"})
        return {name.removeprefix(prefix): value for name, value in values.items()}


class Step(Section):
    """A step, which may be left out."""

    skip: bool = Field(False, description="do not run")


@cache
def kinds(section: type[Section], name: str) -> frozenset[type]:
    """Return the plain types that are in a field's type, such as float of ``list[float] | None``.

    Parameters
    ----------
    section : type of Section
    name : str
        Of the field.
    """
    waiting, found = [section.model_fields[name].annotation], set()
    while waiting:
        kind = waiting.pop()
        if parts := get_args(kind):
            waiting += parts
        else:
            found.add(kind if isinstance(kind, type) else type(kind))  # a Literal has values
    return frozenset(found)
