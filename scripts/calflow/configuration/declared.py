"""Sections of the configuration that are made of the parameters which a dataclass of the science declares."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BeforeValidator, Field, create_model

from calflow.configuration.section import Maybe, Section, number_from_text
from calflow.science.parameters import Parameter, declared_parameters

# mypy takes no types that are made while running
_LIST: Any = list
_MAYBE: Any = Maybe


def section_of(
    kind: type,
    base: type[Section],
    *,
    prefix: str = "",
    without: Sequence[str] = (),
    read: Mapping[str, Sequence[Any]] | None = None,
) -> Any:
    """Return a section with the parameters of a dataclass.

    Parameters
    ----------
    kind : type
        A dataclass that declares its parameters as `science.parameters` says.
    base : type of Section
        What else the section has, in front of them.
    prefix : str
        What their names begin with in the section.
    without : sequence of str
        Parameters that the section does not have.
    read : mapping of str to sequence
        Of parameters that are written in several ways: pydantic's validators, by the name of the parameter.

    Returns
    -------
    type of Section
        Any for mypy, which takes no class made while running as a base.
    """
    read = read or {}
    fields: Any = {
        prefix + name: (
            _as_read(declared, *read.get(name, ())),
            Field(_as_written(declared.default), description=declared.meaning),
        )
        for name, declared in declared_parameters(kind).items()
        if name not in without
    }
    return create_model(kind.__name__, __base__=base, __doc__=kind.__doc__, **fields)


def _as_written(default: Any) -> Any:
    return [*default] if isinstance(default, tuple) else default


def _as_read(declared: Parameter, *validators: Any) -> Any:
    """Return the type of a value as configuration files and the command line give it."""
    kind = declared.kind
    limits: dict[str, Any] = {name: limit for name, limit in asdict(declared.range).items() if limit is not None}
    if get_origin(kind) is tuple:
        number = get_args(kind)[0]
        kind = _LIST[Annotated[number, Field(**limits)] if limits else number]
        limits = {}
    elif get_origin(kind) is Literal and isinstance(get_args(kind)[0], int):
        kind = Annotated[kind, BeforeValidator(number_from_text)]
    if declared.length:
        limits |= {"min_length": declared.length.least, "max_length": declared.length.most}
    if limits:
        kind = Annotated[kind, Field(**limits)]
    for validator in validators:
        kind = Annotated[kind, validator]
    return _MAYBE[kind] if declared.optional else kind
