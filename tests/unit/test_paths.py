"""Paths that the user gave: what is at them, and what is meant by those at which nothing is."""

import os
from pathlib import Path

import pytest

from calflow.configuration.paths import advice, misread, seen_from_here, what_is_at
from calflow.configuration.problems import Problems
from calflow.configuration.settings import read_settings
from calflow.inputs.folder_checks import check_input, check_output


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("$HOME/data", "variables"),
        ("data/${RUN}", "variables"),
        ("https://archive/x_rate.fits", "URL"),
        ("s3:/bucket/x", "URL"),  # as Python writes it after normalising
        ("C:\\data", "Windows"),
        ("D:", "Windows"),
        ("data\\rate", "Windows"),
        ("~nobody.here/data", "'~nobody.here' is no user"),
    ],
)
def test_paths_that_are_none_of_this_system(path, words):
    assert words in misread(path)
    assert advice(path) == misread(path)


@pytest.mark.parametrize("path", ["data", "/data/x", "~/x", "a:b", "12:30/x", "x.fits"])
def test_plain_paths(path):
    assert misread(path) is None
    assert os.getcwd() in advice(path)
    assert advice(path, "give one") == "give one"


def test_what_is_at_a_path(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "broken").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    found = {name: what_is_at(tmp_path / name) for name in ("file", "broken", "loop", "fifo", "none", "file/x", ".")}
    assert found == {
        "file": "a file",
        "broken": "a link to 'gone', which is not there",
        "loop": "a link that leads in a circle",
        "fifo": "a named pipe",
        "none": "no such file",
        "file/x": "out of reach (Not a directory)",
        ".": "a folder",
    }
    assert what_is_at(tmp_path / ("x" * 300)) == "out of reach (File name too long)"


def test_paths_are_shown_as_they_are_seen_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert seen_from_here(tmp_path / "a" / "my.yaml") == Path("a/my.yaml")
    assert seen_from_here(tmp_path.parent / "my.yaml") == tmp_path.parent / "my.yaml"
    assert seen_from_here(Path("my.yaml")) == Path("my.yaml")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("$HOME/results", "variables"),
        ("${HOME}/results", "variables"),
        ("~nobody.here/results", "'~nobody.here' is no user"),
        ("//", "root of the file system"),
        ("/", "root of the file system"),
        ("/tmp/..", "root of the file system"),
        ("../" * 40, "root of the file system"),
        (" ", "no name of a folder"),
        ("a\nb", "no name of a folder"),
        ("C:\\results", "Windows"),
        ("https://x/y", "URL"),
        ("out/{x}", "braces"),
        ("file/x", "is not a folder"),
        ("broken/x", "'broken' is a link to 'gone'"),
    ],
)
def test_outputs_that_cannot_be(tmp_path, monkeypatch, output, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "broken").symlink_to("gone")
    problems = Problems()
    check_output(read_settings({"output": output}), problems)
    (problem,) = problems
    assert problem.key == "output"
    assert words in f"{problem.wrong}; {problem.right}"


@pytest.mark.parametrize("output", ["results", ".", "../results", "~/results", "a b", "$there"])
def test_outputs_that_can_be(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "$there").mkdir()
    problems = Problems()
    check_output(read_settings({"output": output}), problems)
    assert not problems


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("none", "relative paths are taken from"),
        ("$DATA", "variables"),
        ("https://x", "URL"),
        ("file", "is a file; give the folder"),
        ("broken", "'broken' is a link to 'gone'"),
        ("", None),
        (".", None),
    ],
)
def test_the_folder_of_the_exposures(tmp_path, monkeypatch, folder, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "broken").symlink_to("gone")
    problems = Problems()
    assert check_input(read_settings({"input": folder}), problems) == (words is None)
    assert all(problem.key == "input" and words in str(problem) for problem in problems)
    assert len(problems) == (words is not None)


def test_an_output_has_one_slash_in_front():
    assert read_settings({"output": "//data//x/"}).output == "/data/x"
