"""What a command is asked with, and what it answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from calflow.configuration.settings import Settings, read_settings

HEADERS = Path(".snakemake/calflow/headers")


@dataclass(frozen=True)
class Asked:
    """A command as it was given.

    Attributes
    ----------
    words : sequence of str
        What stands behind it on the command line.
    config, given : mapping
        The configuration, and what of it the user gave.
    files : sequence of Path
        The configuration files, the strongest first.
    prepare : callable
        Called with the settings before files are looked for, which may be in a storage.
    is_dry : bool
        Whether nothing may be written.
    """

    words: Sequence[str]
    config: Mapping[str, Any]
    given: Mapping[str, Any]
    files: Sequence[Path] = ()
    prepare: Callable[[Settings], None] = lambda settings: None
    is_dry: bool = False

    @cached_property
    def settings(self) -> Settings:
        """The configuration, checked; raises InputError."""
        settings = read_settings(self.config, self.files, given=self.given)
        self.prepare(settings)
        return settings


@dataclass(frozen=True)
class Answer:
    """What a command says, and the exit status it ends with."""

    text: str
    status: int = 0
