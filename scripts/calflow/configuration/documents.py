"""What is written from the declared parameters: config.yaml, its JSON schema for editors, and the page of all keys.

Only ``scripts/settings.py`` and tests import this: a run needs none of it. A test holds each file to what is
written here; `make config` writes all three.
"""

import json
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from calflow.configuration.allowed import in_words, schema_of
from calflow.configuration.extra_steps import parameter_section
from calflow.configuration.section import Section
from calflow.configuration.settings import Settings
from calflow.science.cleaning.shipped import SHIPPED

SCHEMA_NAME = "config.schema.json"
# The draft that all editors know; nothing newer is used
DRAFT = "http://json-schema.org/draft-07/schema#"


def default_config() -> str:
    """Return the text of ``config.yaml``: every key with its default and one line of explanation."""
    head = (
        f"# yaml-language-server: $schema={SCHEMA_NAME}\n"
        "# Every parameter of calflow with its default; what values are allowed is in docs/configuration.md.\n"
        "# Copy the lines you want to change into a file of your own and run with --configfile my.yaml.\n"
        "# What wins: --config, then --configfile, then parameter_files, then pars-* references, then these defaults.\n"
        "# Written from scripts/calflow/configuration: edit there, then `make config`.\n"
    )
    return head + "\n".join(_section_lines(Settings(), 0)) + "\n"


def _section_lines(section: Section, depth: int) -> list[str]:
    lines = []
    for name, declared in type(section).model_fields.items():
        value, indent = getattr(section, name), "  " * depth
        if isinstance(value, Section):
            lines += [
                "",
                f"{indent}# {declared.description}",
                f"{indent}{name}:",
                *_section_lines(value, depth + 1),
            ]
        else:
            lines.append(f"{indent}{name}: {written(value)}  # {declared.description}")
    return lines


def written(value: Any) -> str:
    """Write a value on one line, lists too; of a plain value the "..." that YAML puts below it is left out.

    Parameters
    ----------
    value : object
    """
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def config_schema() -> str:
    """Return the text of ``config.schema.json``: which keys there are, and the type and range of each, as JSON schema.

    It has the values as they are written in a file. What else is understood on the command line, such as numbers in
    quotes, is not in it, nor what values have to go together.
    """
    schema = schema_of(Settings)
    return json.dumps({"$schema": DRAFT} | schema, indent=1) + "\n"


def parameters_page() -> str:
    """Return the text of ``docs/configuration.md``: every key with what is allowed, its default and its meaning."""
    several: dict[type[Section], str] = {}  # what two lists have items of is told once
    told = [
        (path, section)
        for path, section in all_sections()
        if "[]" not in path or several.setdefault(section, path) == path
    ]
    tables = "\n".join(_section_text(*section) for section in told)
    return f"{_PAGE_HEAD}\n{tables}"


_PAGE_HEAD = f"""\
# Every key of the configuration

Written from the declarations in `scripts/calflow/configuration` by `make config`: edit there.

A file of your own has only the keys that differ from these defaults, below the names of their sections, as in
[config.yaml](../config.yaml). `.venv/bin/python scripts/settings.py my.yaml` looks at a file without a run.

Editors that know JSON schema (VS Code with its YAML extension; Vim, Emacs and others with yaml-language-server)
complete keys, show their meaning and mark what is wrong, if the file begins with the path or the address of
[{SCHEMA_NAME}](../{SCHEMA_NAME}):

```yaml
# yaml-language-server: $schema=/path/to/calflow/{SCHEMA_NAME}
```

Which values have to go together, only calflow itself knows, and tells before any job.
"""


def sections(section: type[Section], path: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Yield a section and all below it, in the order of config.yaml; a name of the user's is ``<name>``.

    Parameters
    ----------
    section : type of Section
    path : str
        Its own, with dots.
    """
    yield path, section
    for name, declared in section.model_fields.items():
        if below := section_of_key(declared):
            yield from sections(below, f"{path}.{name}".lstrip(".") + _ITEMS.get(get_origin(declared.annotation), ""))


def all_sections() -> Iterator[tuple[str, type[Section]]]:
    """Yield all sections, and the parameters of the extra steps that calflow has, each with its path."""
    every = list(sections(Settings))
    alone = {section for path, section in every if "[]" not in path}
    yield from ((path, section) for path, section in every if "[]" not in path or section not in alone)
    yield from ((f"extra_steps.parameters.{name}", parameter_section(name)) for name in SHIPPED)


def section_of_key(declared: FieldInfo) -> type[Section] | None:
    """Return the section that a key is, or that each name below it is, or each item of a list.

    Parameters
    ----------
    declared : FieldInfo
        Of the key.
    """
    several = get_origin(declared.annotation) in _ITEMS
    kind = get_args(declared.annotation)[-1] if several else declared.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


# What stands in a key for one of several sections
_ITEMS: dict[Any, str] = {dict: ".<name>", list: "[]"}


def _section_text(path: str, section: type[Section]) -> str:
    """Write a section as a heading, what it is about, and the table of its keys."""
    keys = {name: declared for name, declared in section.model_fields.items() if not section_of_key(declared)}
    about = (section.__doc__ or "").splitlines()[0]
    lines = [f"## {f'`{path}`' if path else 'At the top'}", "", about, ""]
    if keys:
        may_be = allowed_of(section)
        lines += ["| key | allowed | default | meaning |", "|---|---|---|---|"]
        for name, declared in keys.items():
            default = "to be given" if declared.is_required() else f"`{written(declared.default)}`"
            cells = (f"`{name}`", may_be[name], default, str(declared.description))
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def allowed_of(section: type[Section]) -> dict[str, str]:
    """Say in words what each key of a section may be, other than a section.

    Parameters
    ----------
    section : type of Section
    """
    properties = schema_of(section)["properties"]
    plain = [name for name, declared in section.model_fields.items() if not section_of_key(declared)]
    return {name: in_words(properties[name]) for name in plain}
