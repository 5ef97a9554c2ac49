"""What a command is asked with, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from calflow.configuration.settings import SHIPPED, Settings, read_settings

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
    given_files : sequence of Path
        The user's configuration files, the strongest first.
    is_dry : bool
        Whether nothing may be written.
    """

    words: Sequence[str]
    config: Mapping[str, Any]
    given: Mapping[str, Any]
    given_files: Sequence[Path] = ()
    is_dry: bool = False

    @property
    def files(self) -> list[Path]:
        """All configuration files, the strongest first."""
        return [*self.given_files, SHIPPED]

    @cached_property
    def settings(self) -> Settings:
        """The configuration, checked; raises InputError."""
        return read_settings(self.config, self.files, given=self.given)


@dataclass(frozen=True)
class Answer:
    """What a command says, and the exit status it ends with."""

    text: str
    status: int = 0
