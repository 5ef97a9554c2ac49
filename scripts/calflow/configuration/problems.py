"""Problems with the user's input: found one by one, told all at once."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calflow.printable import printable

LONGEST = 2000  # characters of a problem as it is told
SHOWN = 4  # names in one message


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with the input.

    Attributes
    ----------
    file : str
        The file that has to be changed, as the user named it.
    key : str
        The place in it: a config key, a keyword, a member; empty for the file as a whole.
    wrong : str
        What is wrong.
    right : str
        What would be right, or what to do.
    """

    file: str
    key: str
    wrong: str
    right: str = ""

    def __str__(self):
        place = f"{self.file}: {self.key}" if self.key else self.file
        return printable(f"{place}: {self.wrong}" + (f"; {self.right}" if self.right else ""))


class InputError(Exception):
    """All problems of the input together."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(dict.fromkeys(problems))
        lines = "\n".join(f"  - {_shortened(str(problem))}" for problem in self.problems)
        many = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{many} with the input, no job was started:\n{lines}")


def _shortened(text: str) -> str:
    """Return a text without its middle if it is very long: what is wrong may have been taken from a file as a whole."""
    left_out = len(text) - LONGEST
    return text if left_out <= 0 else f"{text[: LONGEST // 2]} [{left_out} characters] {text[-LONGEST // 2 :]}"


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the advice ``did you mean 'x'?``, or the list of what is known if nothing is as like as `cutoff`."""
    known = sorted(known)
    match = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    match = match or [each for each in known if each.casefold() == name.casefold()]
    return f"did you mean {match[0]!r}?" if match else f"known are {', '.join(known)}"


def some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
