"""The one place where commands are answered."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from calflow.commands.asked import Answer, Asked
from calflow.commands.names import COMMANDS
from calflow.configuration.problems import InputError, Problem
from calflow.configuration.settings import Settings
from calflow.engine.targets import is_dry, targets_with
from calflow.printable import printable


def answer_command(
    config: Mapping[str, Any],
    given: Mapping[str, Any],
    files: Sequence[Path],
    prepare: Callable[[Settings], None] = lambda settings: None,
) -> None:
    """Answer the command on the command line, if there is one, and end this process.

    Parameters
    ----------
    config, given : mapping
        The configuration, and what of it the user gave.
    files : sequence of Path
        The configuration files, the strongest first.
    prepare : callable
        Called with the settings before files are looked for, which may be in a storage.
    """
    targets = targets_with(COMMANDS)
    if not targets:
        return
    try:
        name, *words = _split(targets)
        # A module of its own, since each needs others: help no planner.
        function: Callable[[Asked], Answer] = import_module(f"calflow.commands.{COMMANDS[name].module}").answer
        answer = function(Asked(words, config, given, files, prepare, is_dry()))
    except InputError as error:
        sys.exit(str(error))
    try:
        if answer.text:  # else it was told as it came
            print(printable(answer.text, keep="\n"), flush=True)
    except BrokenPipeError:  # as by `| head`
        sys.stderr.close()
    sys.exit(answer.status)


def _split(targets: list[str]) -> list[str]:
    """Return the command and the words behind it; raise InputError if other targets stand with one that takes none."""
    name, *words = targets
    if name in COMMANDS and (COMMANDS[name].takes_words or not words):
        return targets
    name = next(target for target in targets if target in COMMANDS)
    others = " ".join(target for target in targets if target != name)
    raise InputError([Problem("command line", name, f"cannot stand with {others}", f"give {name} alone")])
