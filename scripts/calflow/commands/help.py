"""``snakemake help``: targets, commands and keys with a line each; with a name, the keys of a step or a section."""

import shutil

from calflow.commands.asked import Answer, Asked
from calflow.commands.names import COMMANDS
from calflow.configuration.key_help import WIDTH, all_keys, entry, help_with, names
from calflow.configuration.problems import InputError, Problem, nearest

EXAMPLES = """\
calflow: imaging of JWST, Liger and IRIS, from count rates to combined images and catalogues

  snakemake --cores 8 --config input=/data/program1234    all that can be made of a folder of _rate exposures
  snakemake --cores 8 --configfile my.yaml                the same by a file with keys of your own
  snakemake --cores 8 --configfile my.yaml -- stage2      a target, behind --"""
TARGETS = {
    "(none)": "all products of the configuration",
    "stage2": "calibrated exposures, _cal, and their quick looks",
    "stage3": "aligned and combined images, and their catalogues",
    "quality": "how good the images are: printed, and exit status 1 if something is wrong (docs/page.md)",
    "pages": "a page on each association and on the run, for people (docs/page.md)",
    "previews": "pictures of all products (docs/page.md)",
    "colour": "colour pictures of the grids that images in three filters share (docs/page.md)",
    "map": "maps of all combined images to pan and zoom in, opened from disk (docs/map.md)",
    "references": "the reference files of reference_makers",
    "demo_data, demo": "simulate a small data set; reduce it (README.md)",
    "update_crds": "fetch a new context of CRDS",
    "check_crds": "compare the reference files in use with what CRDS publishes of them",
    "FILE": "one product, such as results/stage2/..._cal.fits",
}
TOLD = {
    "plan": "what a run would do, why, and what it would cost",
    "lineage": "`lineage FILE`: what a product was made of, and whether a run would make it again; docs/provenance.md",
}


def answer(asked: Asked) -> Answer:
    """Return the help, or that of each name that is asked for.

    Parameters
    ----------
    asked : Asked

    Raises
    ------
    InputError
        If there is nothing of such a name.
    """
    width = min(max(shutil.get_terminal_size((WIDTH, 24)).columns, 40), WIDTH)
    if not asked.words:
        return Answer("\n".join(_overview(width)))
    texts = [_about(word, width) for word in asked.words]
    return Answer("\n\n".join("\n".join(lines) for lines in texts))


def _overview(width: int) -> list[str]:
    commands = TOLD | {name: command.meaning for name, command in COMMANDS.items()}
    return [
        EXAMPLES,
        "",
        "Targets:",
        *(line for name, text in TARGETS.items() for line in entry(name, text, width)),
        "",
        "Commands in place of targets, which make no product:",
        *(line for name, text in commands.items() for line in entry(name, text, width)),
        "",
        "Keys of the configuration (all with their defaults: config.yaml):",
        *all_keys(width),
        "",
        "snakemake --help has the options of Snakemake; -n tells what would run.",
    ]


def _about(word: str, width: int) -> list[str]:
    words = TARGETS | TOLD | {name: command.meaning for name, command in COMMANDS.items()}
    lines = [f"{word}: {words[word]}"] if word in words else []
    found = help_with(word, width)
    if not lines and not found:
        right = nearest(word, names()).partition("known are")[0] or "`snakemake help` lists them"
        raise InputError([Problem("command line", f"help {word}", "no such step or key", right)])
    return [*lines, *([""] if lines and found else []), *found]
