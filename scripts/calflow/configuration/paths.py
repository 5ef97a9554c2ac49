"""What can be wrong with a path that the user gave, and what would be right."""

import os
import re
import stat
from pathlib import Path

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_WINDOWS = re.compile(r"[A-Za-z]:([\\/]|$)|.*\\")
_VARIABLE = re.compile(r"\$(?:(?P<plain>[A-Za-z_]\w*)|\{(?P<braced>[^{}]*)\})", re.ASCII)
NO_FILE = "no such file"
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def expanded(path: str) -> str:
    """Return a path with ``~``, ``~user``, ``$NAME`` and ``${NAME}`` replaced, as a shell does it.

    Every path of the configuration goes through this when it is read (`section.UserPath`).

    Parameters
    ----------
    path : str
        As it was written. What is there under this very name, with a variable that is not set, is taken as it is.

    Raises
    ------
    ValueError
        If a variable of the environment is not set, or empty.
    """
    unset = [name for name in map(_name, _VARIABLE.finditer(path)) if not os.environ.get(name)]
    if unset and not os.path.lexists(path):
        raise ValueError(f"set the environment variable {unset[0]}, which has no value here, or write the path out")
    if not unset:
        path = _VARIABLE.sub(lambda found: os.environ[_name(found)], path)
    return os.path.expanduser(path)


def _name(variable: re.Match[str]) -> str:
    return variable["plain"] or variable["braced"]


def misread(path: str) -> str | None:
    """Return what is meant by a path that is none of this system, or in the folder of a user who is none; or None.

    Parameters
    ----------
    path : str
        As it was written.
    """
    if _URL.match(path):
        return "this is a URL: calflow works on files of this system (S3: docs/s3.md)"
    if _WINDOWS.match(path):
        return "this is a path of Windows: give one of this system"
    if path.startswith("~") and os.path.expanduser(path) == path:
        return f"{path.partition('/')[0]!r} is no user of this system; ~ alone, or ~/ and more, is your own folder"
    return None


def advice(path: str, otherwise: str = "") -> str:
    """Say what would be right in place of a path at which nothing is.

    Parameters
    ----------
    path : str
        As it was written.
    otherwise : str
        What to say if nothing is known of it.
    """
    return misread(path) or otherwise or f"relative paths are taken from {os.path.abspath('.')!r}"


def what_is_at(path: Path) -> str:
    """Say what is at a path at which a file should be.

    Parameters
    ----------
    path : Path
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        target = _target(path)
        return f"a link to {target!r}, which is not there" if target else NO_FILE
    except (OSError, ValueError) as error:
        if _target(path):
            return "a link that leads in a circle"
        return f"out of reach ({getattr(error, 'strerror', None) or error})"
    return _KINDS.get(kind, "a file")


def seen_from_here(path: Path) -> Path:
    """Return a path without the working folder, if it is below that.

    Parameters
    ----------
    path : Path
    """
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def no_file(path: Path) -> str:
    """Say that no file is at a path, and what is there in its place.

    Parameters
    ----------
    path : Path
    """
    found = what_is_at(path)
    return f"{NO_FILE} {str(path)!r}" if found == NO_FILE else f"{str(path)!r} is {found}"


def _target(path: Path) -> str:
    """Return where a link leads; empty if the path is none."""
    try:
        return os.readlink(path)
    except (OSError, ValueError):
        return ""
