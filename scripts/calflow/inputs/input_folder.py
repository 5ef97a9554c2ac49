"""The folder `input`, with the folders below it in which archives deliver exposures, one in each."""

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from calflow.configuration.problems import GIVE_INPUT
from calflow.configuration.settings import Settings
from calflow.files.names import exposure_suffix, other_packing, unpacked_name

DEEPEST = 4  # folders below `input`; archives deliver <download>/<mission>/<exposure>/
EXPOSURES = frozenset({"rate", "rateints", "cal", "calints"})
COUNT_RATES = frozenset({"rate", "rateints"})
_RUN = ".snakemake"  # in a folder in which Snakemake has worked: what is below it are products


@dataclass(frozen=True)
class InputFolder:
    """The files in a folder, and in those below it.

    Folders that are hidden, the output, and those in which Snakemake works or has worked, are not looked into.

    Attributes
    ----------
    path : Path
        The folder itself.
    output : Path or None
        The folder of the products.
    """

    path: Path
    output: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> "InputFolder":
        """Return that of a configuration.

        Parameters
        ----------
        settings : Settings
        """
        return cls(Path(settings.input), Path(settings.output))

    @property
    def is_working_folder(self) -> bool:
        """Whether it is where the run works: there the results are, and not what is delivered."""
        return os.path.realpath(self.path) == os.path.realpath(".")

    @cached_property
    def direct(self) -> Mapping[str, Path]:
        """The files in the folder itself, by name; raises OSError if it cannot be looked into."""
        os.scandir(self.path).close()  # raises it; below, what is out of reach is left out
        return {path.name: path for path in _listed(self.path)[0]}

    @cached_property
    def below(self) -> Mapping[str, Path]:
        """The files in the folders below, by name; of several with one name the least deep one.

        Empty in the working folder.
        """
        return {} if self.is_working_folder else {path.name: path for path in reversed(self._all_below)}

    @property
    def has_exposures(self) -> bool:
        """Whether exposures are in the folder itself."""
        return any(_suffix(name) in EXPOSURES for name in self.direct)

    def exposures(self) -> Mapping[str, Path]:
        """Return the files of which exposures are taken, by name: those in the folder itself, else those below."""
        return self.direct if self.has_exposures else {**self.below, **self.direct}

    def not_taken(self) -> list[tuple[str, str]]:
        """Return the count rates below that are not taken, and why; those that are there twice are one."""
        rates = (
            [] if self.is_working_folder else [path for path in self._all_below if _suffix(path.name) in COUNT_RATES]
        )
        if self.has_exposures:
            why = f"{str(self.path)!r} has exposures itself, so that none is taken of the folders below it"
            rates = [path for path in rates if not {path.name, other_packing(path.name)} & self.direct.keys()]
        else:
            why = "an exposure of the same name in another folder is taken"
            rates = [path for path in rates if self.below[path.name] != path]
        return [(os.path.relpath(path, self.path), why) for path in rates]

    def find(self, name: str) -> Path | None:
        """Return the file of a name, perhaps packed, in the folders below; None if there is none.

        Parameters
        ----------
        name : str
        """
        return self.below.get(name) or self.below.get(other_packing(name))

    def lack(self) -> tuple[str, str]:
        """Say what is wrong with a folder in which no exposures are, and what would be right."""
        wrong = f"no exposures (_rate, _cal) in {str(self.path)!r}"
        if not self.is_working_folder:
            return f"{wrong}, nor in folders below it", GIVE_INPUT
        # It is not looked below, but told if there is something.
        if rate := next((path for path in self._all_below if _suffix(path.name) in COUNT_RATES), None):
            return wrong, f"there are some in {str(rate.parent)!r}: give input, that folder or one above it"
        return wrong, GIVE_INPUT

    @cached_property
    def _all_below(self) -> Sequence[Path]:
        """The files in the folders below, the least deep first."""
        found: list[Path] = []
        folders = [self.path]
        for _ in range(DEEPEST):
            folders = [each for folder in folders for each in _listed(folder)[1] if self._is_looked_into(each)]
            found += [path for folder in folders for path in _listed(folder)[0]]
        return found

    def _is_looked_into(self, folder: Path) -> bool:
        return not (folder / _RUN).is_dir() and (not self._places or os.path.realpath(folder) not in self._places)

    @cached_property
    def _places(self) -> Collection[str]:
        """Where the run works and writes, as far as that is below the folder."""
        top = os.path.join(os.path.realpath(self.path), "")
        places = [os.path.realpath(place) for place in (".", self.output) if place is not None]
        return [place for place in places if place.startswith(top)]


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files and the folders in a folder, sorted; none of one that cannot be looked into."""
    with suppress(OSError), os.scandir(folder) as entries:
        shown = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
        files = [folder / entry.name for entry in shown if entry.is_file()]
        return files, [folder / entry.name for entry in shown if entry.is_dir()]
    return [], []


def _suffix(name: str) -> str | None:
    return exposure_suffix(unpacked_name(name))
