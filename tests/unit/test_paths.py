"""Paths that the user gave: what is at them, and what is meant by those at which nothing is."""

import os
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from pydantic import ValidationError

from calflow.configuration.paths import advice, expanded, misread, seen_from_here, what_is_at
from calflow.configuration.problems import InputError, Problems
from calflow.configuration.section import Section
from calflow.configuration.settings import Settings, read_settings
from calflow.inputs.folder_checks import check_input, check_output


@pytest.mark.parametrize(
    ("path", "words"),
    [
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


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("~", "/home/anna"),
        ("~/x", "/home/anna/x"),
        ("~nobody.here/x", "~nobody.here/x"),
        ("$DATA/rate", "/data/1234/rate"),
        ("${DATA}_old/*_asn.json", "/data/1234_old/*_asn.json"),
        ("$DATA/$FILTER.fits", "/data/1234/f770w.fits"),
        ("$HERE/x", "/home/anna/x"),
        ("a/~/b", "a/~/b"),
        ("cost$", "cost$"),
        ("$1/$$", "$1/$$"),
        ("$given/$DATA", "$given/$DATA"),  # a file is called so, and `given` is not set
        ("GAIADR3", "GAIADR3"),
        ("N/A", "N/A"),
        ("", ""),
    ],
)
def test_home_and_variables_are_replaced(tmp_path, monkeypatch, path, found):
    monkeypatch.chdir(tmp_path)
    for name, value in {"HOME": "/home/anna", "DATA": "/data/1234", "FILTER": "f770w", "HERE": "~"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "$given").mkdir()
    (tmp_path / "$given" / "$DATA").touch()
    assert expanded(path) == found


@pytest.mark.parametrize("path", ["$NOT_SET/x", "x/${NOT_SET}", "$EMPTY/x", "$HOME/$NOT_SET", "${}", "${NOT SET}"])
def test_a_variable_without_a_value(monkeypatch, path):
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(ValueError, match=r"set the environment variable (NOT.SET|EMPTY|), which has no value here"):
        expanded(path)


# Keys with texts that are no paths; every other key with a text has to be one.
NO_PATHS = set(
    """
    targets filters make_associations.backgrounds references.crds_context references.compare_context
    references.crds_server reference_makers.useafter download.targets download.filters download.instruments
    download.url shards.image shards.queue shards.volume
    """.split()
)


def text_keys(section=Settings, above=""):
    """Yield the keys whose value may be a text, or texts, with how one is written down as YAML gives it."""
    for name, field in section.model_fields.items():
        key = f"{above}{name}"
        inner = get_args(field.annotation)[1] if get_origin(field.annotation) is dict else field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from text_keys(inner, f"{key}.")
        elif str in kinds(section, name):
            yield section, name, key


def kinds(section, name):
    """Return the types in the type of a key; of a choice, none."""
    waiting, found = [section.model_fields[name].annotation], set()
    while waiting:
        kind = waiting.pop()
        found.add(kind)
        waiting += get_args(kind) if get_origin(kind) is not Literal else ()
    return found


def value_of(section, name, text):
    """Return what a key of a section is if a text is given for it."""
    origin = get_origin(section.model_fields[name].annotation)
    needed = {
        key: "dark" if key == "type" else "x" for key, field in section.model_fields.items() if field.is_required()
    }
    value = getattr(section.model_validate(needed | {name: {"a": text} if origin is dict else text}), name)
    return value["a"] if origin is dict else value[0] if isinstance(value, list) else value


def test_in_every_path_of_the_configuration_home_and_variables_are_replaced(monkeypatch):
    monkeypatch.setenv("DATA", "/data/1234")
    monkeypatch.setenv("HOME", "/home/anna")
    seen = set()
    for section, name, key in text_keys():
        seen.add(key)
        try:
            found = [value_of(section, name, text) for text in ("$DATA/x", "~/x")]
        except ValidationError:  # no path can be given, such as for a fill value
            continue
        wanted = ["$DATA/x", "~/x"] if key in NO_PATHS else ["/data/1234/x", "/home/anna/x"]
        assert found == wanted, key
    assert seen >= NO_PATHS
    assert {"input", "references.override", "stage3.tweakreg.catfile", "grids.output_wcs"} <= seen


def test_an_unset_variable_is_one_problem_that_names_the_key(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("input: .\nreferences:\n  override: {flat: $NOT_SET/flat.fits}\n")
    config = {"input": ".", "references": {"override": {"flat": "$NOT_SET/flat.fits"}}}
    with pytest.raises(InputError) as raised:
        read_settings(config, [file])
    (problem,) = raised.value.problems
    assert (problem.file, problem.key) == (str(file), "references.override.flat")
    assert "set the environment variable NOT_SET" in problem.right
    assert "(line 3)" in problem.right
    with pytest.raises(InputError) as raised:
        read_settings({"parameter_files": "$NOT_SET/image2.asdf"})
    (problem,) = raised.value.problems
    assert problem.key == "parameter_files"
