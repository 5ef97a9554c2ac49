"""Problems with the user's input: found one by one, told all at once."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calflow.printable import printable

LONGEST = 2000  # characters of a problem as it is told
SHOWN = 4  # names in one message
GIVE_INPUT = "give input, the folder with the exposures: 'Own data' in README.md"


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


class Problems(Sequence[Problem]):
    """What is wrong with the input, in the order in which it is found.

    What reads and checks the input adds to it. What went before asks whether anything was added, so that a part of
    the input with a problem is not used, while the others are looked at too.

    Parameters
    ----------
    problems : iterable of Problem, optional
        Those that are known already.

    Examples
    --------
    >>> problems = Problems()
    >>> new = problems.from_here()
    >>> problems.add(Problem("config", "output", "is not a folder"))
    >>> new.any()
    True
    """

    def __init__(self, problems: Iterable[Problem] = ()):
        self._problems = list(problems)

    def __len__(self):
        return len(self._problems)

    def __getitem__(self, index):
        return self._problems[index]

    def __repr__(self):
        return f"Problems({self._problems!r})"

    def add(self, *problems: Problem) -> None:
        """Add problems.

        Parameters
        ----------
        *problems : Problem
        """
        self._problems += problems

    def from_here(self) -> "NewProblems":
        """Return an object that tells, whenever it is asked, whether a problem was added after this call."""
        return NewProblems(self)

    def raise_any(self) -> None:
        """Raise InputError with all problems, if there are any."""
        if self:
            raise InputError(self)


class NewProblems:
    """Tells whether something was added to the problems since a moment; made by `Problems.from_here`."""

    def __init__(self, problems: Problems):
        self._problems = problems
        self._before = len(problems)

    def any(self) -> bool:
        """Tell whether a problem was added."""
        return len(self._problems) > self._before


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
    """Return the advice ``did you mean 'x'?``, or the list of what is known if nothing is as like as `cutoff`.

    Parameters
    ----------
    name : str
        What was written.
    known : iterable of str
        What it might be.
    cutoff : float
        From 0, anything will do, to 1, nothing but itself (`difflib.get_close_matches`).
    """
    known = sorted(known)
    match = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    match = match or [each for each in known if each.casefold() == name.casefold()]
    return f"did you mean {match[0]!r}?" if match else f"known are {', '.join(known)}"


def key_of(path: Iterable[str | int]) -> str:
    """Return a place in a file as problems name it, such as ``extra_steps.rate[0].name``.

    Parameters
    ----------
    path : iterable of str or int
        From the top down: names, and numbers of items in lists.
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are.

    Parameters
    ----------
    names : sequence of str
    """
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def nothing_to_make(targets: str = "all", wrong: str = "", right: str = GIVE_INPUT) -> Problem:
    """Return the problem of a configuration that names nothing to make for some targets.

    Parameters
    ----------
    targets : str
    wrong, right : str
        What is wrong in particular, if that is known, and what would be right.
    """
    nothing = f"names nothing to make for {targets}"
    return Problem("the configuration", "", f"{nothing}: {wrong}" if wrong else nothing, right)
