"""The documentation: every page is in a room, links lead somewhere, and what is written from code is complete."""

import importlib.util
import re

import pytest

from calflow.configuration.settings import SHIPPED
from calflow.jobs.all import JOBS

ROOT = SHIPPED.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
ROOMS = ("index", "tutorial", "howto", "reference", "why")


@pytest.fixture(scope="module")
def generated():
    """The module that writes parts of pages, which is no part of calflow."""
    specification = importlib.util.spec_from_file_location("generated_pages", DOCS / "generated_pages.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_page_is_in_one_room():
    blocks = [re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / f"{room}.md").read_text(), re.DOTALL) for room in ROOMS]
    lines = [line for found in blocks for block in found for line in block.splitlines()]
    listed = [line for line in lines if line and not line.startswith(":") and (DOCS / f"{line}.md").exists()]
    assert sorted(listed) == sorted(page.stem for page in PAGES if page.stem != "index")


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_links_lead_to_files(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    assert [link for link in links if link and "://" not in link and not (page.parent / link).exists()] == []


def test_rules_are_those_that_run_a_script(generated):
    text = generated.rules()
    assert [name for name in JOBS if f"| `{name}` |" not in text] == []
    assert "| `align` | " in text


def test_options_of_strun_have_their_keys(generated):
    text = generated.strun_options()
    assert "| `--steps.tweakreg.minobj` | `stage3.tweakreg.minobj` | integer >= 1 | " in text
    assert "| `--save_bsub` | `stage2.save_bsub` | `true`, `false` | " in text
    assert "| outlier_detection | `nlow` | to 1.16 |" in text
    assert "`save_results`" in text.splitlines()[-1]


def test_tables_and_keywords(generated):
    assert "| `rms` | arcsec | of the residuals |" in generated.columns()
    assert "| tweakreg | `S_TWKREG` | Tweakreg image alignment |" in generated.keywords()


def test_a_bar_in_a_cell_is_no_column(generated):
    assert generated.table(("a", "b"), [("x | y", "z")]) == "| a | b |\n| --- | --- |\n| x \\| y | z |\n"
