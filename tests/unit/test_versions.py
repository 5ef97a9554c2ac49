"""Which versions of Snakemake calflow runs with, and what it says of others."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from calflow.engine import versions
from calflow.engine.versions import NEWEST, OLDEST, is_tested, untested

ROOT = Path(__file__).parents[2]
SNAKEFILE = (ROOT / "Snakefile").read_text()


@pytest.mark.parametrize("version", ["9.20.0", "9.27.1", "9.27.9", "9.27.1+3.gabcdef"])
def test_of_the_tested_series_any_release_will_do(version):
    assert is_tested(version)


@pytest.mark.parametrize("version", ["9.28.0", "10.0.0rc1"])
def test_a_newer_one_works_in_its_own_way(version):
    assert not is_tested(version)
    assert untested(version).startswith(f"Snakemake {version} is newer than 9.20 to 9.27, with which")


@pytest.mark.parametrize("version", ["9.19.0", "9.3.5", "8.30.0", "unknown"])
def test_an_older_one_is_refused_with_what_would_do(version):
    with pytest.raises(SystemExit, match=re.escape("'snakemake>=9.20,<9.28'. Nothing was done.")) as caught:
        is_tested(version)
    assert str(caught.value).startswith(f"Snakemake {version} is too old: calflow is tested with 9.20 to 9.27. ")


def test_the_newest_is_the_pinned_one():
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (pin,) = [text.partition("==")[2] for text in dependencies if text.startswith("snakemake==")]
    assert tuple(map(int, pin.split(".")[:2])) == NEWEST


def test_the_oldest_is_the_minimum_that_snakemake_is_told():
    assert re.findall(r'^min_version\("(.+)"\)$', SNAKEFILE, re.MULTILINE) == [".".join(map(str, OLDEST))]


def test_the_version_is_looked_at_before_anything_else_of_calflow():
    first, second = re.findall(r"^ *from (calflow\S*|snakemake\.\S*) import (.*)$", SNAKEFILE, re.MULTILINE)[:2]
    assert (first, second) == (("snakemake.utils", "min_version"), ("calflow.engine.versions", "is_tested"))
    nodes = ast.walk(ast.parse(Path(versions.__file__).read_text()))
    imports = [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports == ["import re", "import sys"]
