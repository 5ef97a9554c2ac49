"""The command lines of the documentation are understood by Snakemake as they are meant."""

import re
import shlex

import pytest
from snakemake.cli import get_argument_parser, parse_config

from calflow.configuration.settings import SHIPPED

ROOT = SHIPPED.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "profiles").glob("*/config.yaml"))]
TARGETS = {"all", "plan", "stage2", "stage3", "references", "update_crds", "check_crds", "demo", "demo_data"} | {
    *("colour", "map", "pages", "previews", "quality")
}
COMMAND = re.compile(r"(?:^[# ]*|`)((?:\S*/)?snakemake --?\w[^`\n]*|(?:\S*/)?snakemake plan [^`\n]*)", re.MULTILINE)


def command_lines():
    """Return each command line, with the name of its page."""
    found = []
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        found += [(page.name, line.partition("  #")[0].rstrip(" .\\")) for line in COMMAND.findall(text)]
    return found


def test_there_are_command_lines():
    names = [name for name, _ in command_lines()]
    assert names.count("README.md") > 5
    assert {"mistakes.md", "plan.md", "references.md", "cluster.md"} <= set(names)


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_a_command_line(page, line):
    arguments = shlex.split(line.replace(" ...", ""))[1:]
    if "--profile" in arguments:  # which Snakemake would read now
        del arguments[(at := arguments.index("--profile")) : at + 2]
    given = get_argument_parser().parse_args(arguments)
    assert all(str(file).endswith(".yaml") for file in given.configfile or ())
    assert all(target in TARGETS or target.startswith("results/") for target in given.targets)
    assert isinstance(parse_config(given.config), dict)
