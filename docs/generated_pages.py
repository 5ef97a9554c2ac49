"""Parts of pages that are written from the code: what each rule does, tables, keywords, options of strun."""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from calflow.configuration.allowed import allowed
from calflow.configuration.section import Section
from calflow.configuration.strun_history import DROPPED
from calflow.configuration.strun_translation import OF_STRUN, STAGES
from calflow.files.keywords import STATUS
from calflow.jobs.all import JOBS

ROOT = Path(__file__).parents[1]
RULE_FILES = ("stage2", "stage3", "references", "quality", "previews", "pages", "maps", "demo", "demo_iris")
_RULE = re.compile(
    r"^ *(?:use )?rule (?:(\w+) as )?(\w+)(?: with)?:\n(.*?)(?=^ *(?:use )?rule |\Z)", re.MULTILINE | re.DOTALL
)
# Tables of stage 3: where their columns are declared
TABLES = {
    "_alignment.ecsv": ("calflow.files.alignment_tables", "_COLUMNS"),
    "_sky.ecsv": ("calflow.files.sky_tables", "_COLUMNS"),
    "_outliers.ecsv": ("count_outliers", "COLUMNS"),
}


def write_pages(folder: Path) -> None:
    """Write all parts into a folder.

    Parameters
    ----------
    folder : Path
    """
    folder.mkdir(exist_ok=True)
    (folder / "rules.md").write_text(rules())
    (folder / "columns.md").write_text(columns())
    (folder / "keywords.md").write_text(keywords())
    (folder / "strun.md").write_text(strun_options())


def rules() -> str:
    """Return the table of all rules that run a script."""
    rows = []
    for file in [ROOT / "rules" / f"{stem}.smk" for stem in RULE_FILES]:
        for like, name, body in _RULE.findall(file.read_text()):
            script = re.search(r"scripts/(\w+\.py)", body)
            if like:
                says = f"As `{like}`, of other files."
            elif script:
                says = str(ast.get_docstring(ast.parse((ROOT / "scripts" / script[1]).read_text()))).splitlines()[0]
            else:
                continue
            parameters = JOBS[name].parameter_names if name in JOBS else ()
            rows.append((f"`{name}`", says, f"`{file.name}`", ", ".join(parameters)))
    return table(("rule", "what it does", "file", "what it is given"), rows)


def columns() -> str:
    """Return the columns of the tables that jobs exchange."""
    parts = []
    for suffix, (module, name) in TABLES.items():
        declared = getattr(importlib.import_module(module), name)
        rows = [(f"`{column}`", unit, meaning) for column, unit, meaning in declared]
        parts += [f"### `{suffix}`\n", table(("column", "unit", "meaning"), rows)]
    return "\n".join(parts)


def keywords() -> str:
    """Return the keywords that say what became of each step."""
    return table(("step", "keyword", "comment"), [(name, f"`{key}`", text) for name, (key, text) in STATUS.items()])


def strun_options() -> str:
    """Return what every option of jwst's steps is called here."""
    parts = []
    for stage, section in STAGES.items():
        pipeline = {"stage2": "calwebb_image2", "stage3": "calwebb_image3"}[stage]
        rows = [
            (f"`--{'steps.' if '.' in path else ''}{path}`", f"`{stage}.{path}`", allowed(owner, name), about)
            for path, owner, name, about in _options(section)
        ]
        parts += [f"### `{pipeline}`\n", table(("strun", "calflow", "allowed", "meaning"), rows)]
    gone = [(step, f"`{name}`", releases) for step, names in DROPPED.items() for name, releases in names.items()]
    parts += ["### Options of earlier releases\n", table(("step", "option", "releases"), gone)]
    parts += ["### Options of strun itself\n", "Not used, Snakemake and the configuration do this: "]
    return "\n".join(parts) + ", ".join(f"`{name}`" for name in sorted(OF_STRUN - {"skip"})) + ".\n"


def _options(section: type[Section], path: str = "") -> Iterator[tuple[str, type[Section], str, str]]:
    for name, declared in section.model_fields.items():
        kind = declared.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _options(kind, f"{path}{name}.")
        else:
            yield f"{path}{name}", section, name, str(declared.description)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown.

    Parameters
    ----------
    head : sequence of str
    rows : iterable of sequence of str
    """
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
