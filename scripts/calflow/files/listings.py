"""Text files of two columns that users write: an exposure, and what belongs to it."""

import math
import os
from pathlib import Path

from calflow.files.names import product_root


class ListingError(ValueError):
    """A line that has not two columns, or the same exposure as another one.

    Attributes
    ----------
    place : str
        Such as ``line 3``; empty: the file as a whole.
    wrong : str
    """

    def __init__(self, path: Path, place: str, wrong: str):
        super().__init__(": ".join(filter(None, [str(path), place, wrong])))
        self.place, self.wrong = place, wrong


def read_listing(path: Path, *, optional: bool = False) -> dict[str, str | None]:
    """Read a text file of two columns with blanks between them; empty lines and comments (``#``) do not count.

    Parameters
    ----------
    path : Path
    optional : bool
        Whether the second column may be missing.

    Returns
    -------
    dict of str to str or None
        By exposures, without folder, suffix and extension, what the second column says.

    Raises
    ------
    ListingError
        If a line has not two columns, an exposure has two lines, or the file cannot be read.
    """
    try:
        lines = Path(path).read_text().splitlines() if os.path.isfile(path) else None  # a pipe would wait for ever
    except (OSError, UnicodeDecodeError):
        lines = None
    if lines is None:
        wrong = "is a folder" if os.path.isdir(path) else "is not a text file"
        raise ListingError(path, "", wrong if os.path.exists(path) else "is not there")
    found: dict[str, str | None] = {}
    for number, line in enumerate(lines, start=1):
        name, *others = line.split() or ["#"]
        if name.startswith("#"):
            continue
        if len(others) > 1 or not (others or optional):
            many = "one column" if not others else f"{len(others) + 1} columns"
            raise ListingError(path, f"line {number}", f"{line.strip()!r} has {many}, not two")
        root = product_root(name)
        if root in found:
            raise ListingError(path, f"line {number}", f"{root!r} has a line before")
        found[root] = others[0] if others else None
    return found


def read_levels(path: Path) -> dict[str, float]:
    """Read a listing of exposures and finite numbers.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict of str to float
        Numbers by the names of exposures.

    Raises
    ------
    ListingError
        As `read_listing`, or if something is no number.
    """
    levels = {}
    for root, text in read_listing(path).items():
        try:
            levels[root] = float(text or "")
        except ValueError:
            levels[root] = math.nan
        if not math.isfinite(levels[root]):
            raise ListingError(path, root, f"{text!r} is not a finite number")
    return levels
