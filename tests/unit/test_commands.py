"""Commands in place of targets: which is asked for, what help says of keys, and what is refused."""

import pytest

from calflow.commands import help as help_command
from calflow.commands.asked import Answer, Asked
from calflow.commands.commands import answer_command
from calflow.commands.names import COMMANDS
from calflow.configuration.key_help import all_keys, entry, help_with, names
from calflow.configuration.problems import InputError
from calflow.configuration.settings import Settings
from calflow.engine.targets import is_dry, targets_with


def helped(*words):
    return help_command.answer(Asked(words, {}, {})).text


@pytest.mark.parametrize(
    ("arguments", "targets"),
    [
        ("check --cores 2", ["check"]),
        ("--configfile my.yaml -- status json", ["status", "json"]),
        ("stage2 --cores 2", []),
        ("--config output=check", []),
        ("--configfile check -- stage2", []),
    ],
)
def test_commands_are_targets(arguments, targets):
    assert targets_with(COMMANDS, arguments.split()) == targets


def test_dry_runs_are_seen():
    assert is_dry(["associations", "-n"])
    assert is_dry(["--dry-run"])
    assert not is_dry(["associations", "--config", "output=n"])


@pytest.mark.parametrize("targets", [["stage2", "check"], ["check", "stage2"], ["associations", "all"]])
def test_a_command_that_takes_no_words_stands_alone(targets, monkeypatch):
    monkeypatch.setattr("sys.argv", ["snakemake", *targets])
    with pytest.raises(SystemExit, match=r"command line: (check|associations): cannot stand with (stage2|all); give"):
        answer_command({}, {}, [])


def test_an_answer_is_printed_and_ends_the_process(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["snakemake", "help"])
    monkeypatch.setattr(help_command, "answer", lambda asked: Answer("a\x1b[2J\nb", 1))
    with pytest.raises(SystemExit) as ended:
        answer_command({}, {}, [])
    assert ended.value.code == 1
    assert capsys.readouterr().out == "a\\x1b[2J\nb\n"


def test_without_a_command_all_goes_on(monkeypatch):
    monkeypatch.setattr("sys.argv", ["snakemake", "--cores", "2"])
    assert answer_command({}, {}, []) is None


def test_help_names_every_command_and_key():
    text = helped()
    assert set(COMMANDS) | set(Settings.model_fields) <= set(text.split())
    assert max(map(len, text.splitlines())) <= 110


def test_help_of_a_step_has_each_of_its_keys():
    lines = helped("tweakreg").splitlines()
    assert lines[0] == "stage3.tweakreg: align the exposures with each other, and with a catalogue"
    place = lines.index("  minobj: 15  (integer >= 1)")
    assert lines[place + 1] == "      least number of matches"


def test_help_of_a_name_in_two_places_has_both_unless_one_is_said():
    assert "stage2.resample: " in helped("resample")
    assert "stage3.resample: " in helped("resample")
    assert "stage3.resample: " not in helped("stage2.resample")


def test_help_of_a_key_and_of_a_section_by_name():
    assert helped("minobj").startswith("stage3.tweakreg.minobj: 15  (integer >= 1)\n    least number of matches")
    assert helped("grids").startswith("grids.<name>: a pixel grid")
    assert "dark: null  (text, or null)" in helped("reference_makers")


def test_help_of_a_target_and_of_several_names():
    assert helped("plan", "minobj").startswith("plan: what a run would do, why, and what it would cost\n\nstage3")


@pytest.mark.parametrize(("word", "right"), [("twekreg", "did you mean 'tweakreg'"), ("x", "help` lists them")])
def test_help_of_what_there_is_not(word, right):
    with pytest.raises(InputError, match=f"command line: help {word}: no such step or key; .*{right}"):
        helped(word)


def test_every_key_has_help_that_fits_into_a_narrow_terminal():
    for name in names():
        lines = help_with(name, 60)
        assert lines, name
        assert all(len(line) <= 60 for line in lines), name


def test_lines_of_the_overview_fit():
    assert all(len(line) <= 60 for line in all_keys(60))
    assert entry("short", "a meaning", 60) == ["  short                 a meaning"]
    assert entry("a" * 30, "a meaning", 60) == ["  " + "a" * 30, " " * 24 + "a meaning"]
