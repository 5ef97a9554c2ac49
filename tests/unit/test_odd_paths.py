"""Paths that the system itself refuses: a plan says so, or does without, whatever key of the configuration has them."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from calflow.configuration.problems import InputError, Problems
from calflow.configuration.settings import read_settings
from calflow.inputs.associations import expand
from calflow.plan.planner import make_plan
from tests.fuzz.limits import limited_time

CONFIGURATIONS = {
    "input": lambda path: {"input": path},
    "output": lambda path: {"output": path},
    "associations": lambda path: {"associations": [path]},
    "exposures": lambda path: {"exposures": [path]},
    "parameter_files": lambda path: {"parameter_files": [path]},
    "directory": lambda path: {"references": {"directory": path}},
    "crds_path": lambda path: {"references": {"source": "crds", "crds_path": path, "crds_context": "jwst_1.pmap"}},
    "override": lambda path: {"references": {"override": {"flat": path}}},
    "abs_refcat": lambda path: {"stage3": {"tweakreg": {"abs_refcat": path}}},
    "catfile": lambda path: {"stage3": {"tweakreg": {"catfile": path, "use_custom_catalogs": True}}},
    "skylist": lambda path: {"stage3": {"skymatch": {"skymethod": "user", "skylist": path}}},
    "output_wcs": lambda path: {"stage3": {"resample": {"output_wcs": path}}},
    "dark": lambda path: {"reference_makers": {"flat_k": {"type": "flat", "exposures": ["x"], "dark": path}}},
}
# Accepted where nothing asks for it, and where a folder need not be there.
NEED_NOT_BE_THERE = {"output", "directory", "crds_path"}


@pytest.mark.parametrize(
    "path", ["~nobody_of_this_name/x", "a" * 300, "a/" * 3000, "loop", "loop/x", "pipe", "a\0b", "\ud800"]
)
@pytest.mark.parametrize("key", CONFIGURATIONS)
def test_a_path_that_cannot_be(key, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe")
    expected = suppress(InputError) if key in NEED_NOT_BE_THERE else pytest.raises(InputError)
    with limited_time(), expected:
        make_plan(read_settings(CONFIGURATIONS[key](path)), [], Path("cache"))


@pytest.mark.parametrize(
    "pattern", ["a/" * 2000 + "*", "a/" * 2_000_000 + "*", "\ud800/*", "[z-a]/*", "**/" * 1000 + "*"]
)
def test_a_pattern_that_matches_nothing(pattern, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    problems = Problems()
    assert expand([pattern], "exposures", problems) == []
    assert "no file matches" in problems[0].wrong


def test_an_output_of_too_long_a_name():
    with pytest.raises(InputError, match="output: holds a name of 300 bytes; at most 255 are possible"):
        make_plan(read_settings({"output": "x/" + "a" * 300}), [], Path("cache"))
