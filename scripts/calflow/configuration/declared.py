"""Sections of the configuration that are made of the parameters which a dataclass of the science declares."""

from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BeforeValidator, Field, create_model

from calflow.configuration.section import Maybe, Section, number_from_text
from calflow.science.parameters import Parameter, declared_parameters

# mypy takes no types that are made while running
_LIST: Any = list
_MAYBE: Any = Maybe


def section_of(kind: type, base: type[Section]) -> type[Section]:
    """Return a section with the parameters of a dataclass.

    Parameters
    ----------
    kind : type
        A dataclass that declares its parameters as `science.parameters` says.
    base : type of Section
        What else the section has, in front of them.
    """
    fields: Any = {
        name: (_as_read(declared), Field(declared.default, description=declared.meaning))
        for name, declared in declared_parameters(kind).items()
    }
    return create_model(kind.__name__, __base__=base, __doc__=kind.__doc__, **fields)


def _as_read(declared: Parameter) -> Any:
    """Return the type of a value as configuration files and the command line give it."""
    kind = declared.kind
    if get_origin(kind) is tuple:
        kind = _LIST[get_args(kind)[0]]
    elif get_origin(kind) is Literal and isinstance(get_args(kind)[0], int):
        kind = Annotated[kind, BeforeValidator(number_from_text)]
    limits: dict[str, Any] = {name: limit for name, limit in asdict(declared.range).items() if limit is not None}
    if declared.length:
        limits |= {"min_length": declared.length.least, "max_length": declared.length.most}
    if limits:
        kind = Annotated[kind, Field(**limits)]
    return _MAYBE[kind] if declared.optional else kind
