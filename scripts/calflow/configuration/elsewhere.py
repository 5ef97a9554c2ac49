"""A configuration that means the same in another folder: its paths written out."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from calflow.configuration.paths import expanded
from calflow.configuration.section import Section
from calflow.configuration.strun_translation import overlay


def with_absolute_paths(settings: Section, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the user gave, with every relative path at which something is written out.

    What names no file stays as it is: it may be the name of a catalogue, or ``N/A``.

    Parameters
    ----------
    settings : Section
        What was read from it, or a part of that. A default is a path, too, such as ``references``.
    given : mapping
        The part of the configuration that the user gave.
    """
    tree = dict(given)
    for keys, items in _lists_of_sections(settings):
        tree = overlay(tree, _nested(keys, [with_absolute_paths(item, _given(item)) for item in items]))
    for keys, value in _paths(settings):
        absolute = [_absolute(path) for path in value] if isinstance(value, list) else _absolute(value)
        if absolute != value:
            tree = overlay(tree, _nested(keys, absolute))
    return tree


def _paths(section: Section) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each key that is a path or a list of paths, and its value."""
    for name, declared in type(section).model_fields.items():
        value = getattr(section, name)
        for keys, each in _values((name,), value):
            if isinstance(each, Section):
                yield from ((keys + below, path) for below, path in _paths(each))
            elif each and _takes_paths(declared):
                yield keys, each


def _lists_of_sections(section: Section, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[Section]]]:
    """Yield each key that is a list of sections, and these."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _lists_of_sections(value, (*keys, name))
        elif isinstance(value, list) and value and isinstance(value[0], Section):
            yield (*keys, name), value


def _given(section: Section) -> dict[str, Any]:
    return section.model_dump(exclude_unset=True)


def _values(keys: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield a value, or those of a section whose keys are names of the user's."""
    if isinstance(value, dict):
        yield from (((*keys, name), each) for name, each in value.items())
    else:
        yield keys, value


def _takes_paths(declared: FieldInfo) -> bool:
    return any(map(_is_path, declared.metadata)) or _is_path(declared.annotation)


def _is_path(kind: Any) -> bool:
    """Tell whether `section.UserPath` is in a type."""
    return (isinstance(kind, AfterValidator) and kind.func is expanded) or any(map(_is_path, get_args(kind)))


def _absolute(path: str) -> str:
    # In a name after which many files are looked for, braces stand for what differs.
    return os.path.abspath(path) if os.path.lexists(path) or "{" in path else path


def _nested(keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return value
