"""The keys of the configuration for a terminal, from the declarations: a line each, or all of a section."""

import textwrap

from pydantic.fields import FieldInfo

from calflow.configuration.documents import all_sections, allowed_of, section_of_key, written
from calflow.configuration.section import Section, Step
from calflow.configuration.settings import Settings

WIDTH = 100
SHORT = 24  # columns for a name; a longer one stands on a line of its own


def all_keys(width: int = WIDTH) -> list[str]:
    """Return a line for each key at the top, and for each step below the stages.

    Parameters
    ----------
    width : int
        Of the terminal, columns.
    """
    lines = []
    for name, declared in Settings.model_fields.items():
        lines += entry(name, str(declared.description), width)
        below = section_of_key(declared)
        for step, about in (below.model_fields if below else {}).items():
            if issubclass(section_of_key(about) or Section, Step):
                lines += entry(step, str(about.description), width, indent=4)
    return lines


def help_with(name: str, width: int = WIDTH) -> list[str]:
    """Return what is declared of a section or a key; nothing if there is none of this name.

    Parameters
    ----------
    name : str
        Such as ``tweakreg``, ``minobj`` or, of several with a name only that one, ``stage2.resample``.
    width : int
    """
    lines: list[str] = []
    for path, section in all_sections():
        place = _plain(path)
        if place and _is(place, name):
            lines += [*([""] if lines else []), *_section_lines(path, section, width)]
    if lines:
        return lines
    for path, section in all_sections():
        for key, declared in section.model_fields.items():
            place = f"{path}.{key}".lstrip(".")
            if not section_of_key(declared) and _is(_plain(place), name):
                lines += _key_lines(place, declared, allowed_of(section)[key], width)
    return lines


def names() -> set[str]:
    """Return the names of all sections and keys."""
    return {key for _, section in all_sections() for key in section.model_fields}


def entry(name: str, text: str, width: int, indent: int = 2) -> list[str]:
    """Return a name and what it is, on a line or more.

    Parameters
    ----------
    name, text : str
    width : int
    indent : int
        Blanks before the name.
    """
    start, column = " " * indent + name, " " * SHORT
    long = len(start) > SHORT - 2
    first = column if long else start.ljust(SHORT)
    lines = textwrap.wrap(text, max(width, SHORT + 20), initial_indent=first, subsequent_indent=column)
    return [start, *lines] if long else lines or [start]


def _plain(path: str) -> str:
    return path.replace(".<name>", "").replace("[]", "")


def _is(place: str, name: str) -> bool:
    return place == name or place.endswith(f".{name}")


def _section_lines(path: str, section: type[Section], width: int) -> list[str]:
    about = (section.__doc__ or "").splitlines()[0].removesuffix(".")
    lines = [*textwrap.wrap(f"{path}: {about[0].lower()}{about[1:]}", width), ""]
    may_be = allowed_of(section)
    for key, declared in section.model_fields.items():
        if key in may_be:
            lines += _key_lines(key, declared, may_be[key], width, indent=2)
        else:
            lines += entry(key, f"(section) {declared.description}", width)
    return lines


def _key_lines(name: str, declared: FieldInfo, may_be: str, width: int, indent: int = 0) -> list[str]:
    default = "to be given" if declared.is_required() else written(declared.default)
    room = max(width - indent, 40)
    head = textwrap.wrap(f"{name}: {default}  ({may_be.replace('`', '')})", room, subsequent_indent="        ")
    text = textwrap.wrap(str(declared.description), room - 4)
    return [f"{' ' * indent}{line}" for line in [*head, *(f"    {line}" for line in text)]]
