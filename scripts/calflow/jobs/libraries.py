"""The versions of the libraries whose code a job runs, as far as they count.

Of libraries that hold algorithms each release counts: a patch release of photutils may deblend in another way. Of the
others, which are the ground, releases of one series (2.3.1, 2.3.2) count as the same: by their rules these mend defects
and change no results, nearly all jobs need them, and a security fix would make all products of an archive again.
"""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

ALGORITHMS = {"drizzle", "photutils", "tweakwcs"}
# Called by way of another library: the world coordinates in an ASDF tree are those of gwcs.
BROUGHT = {"asdf": "gwcs"}
DISTRIBUTIONS = {"yaml": "PyYAML"}  # where it has another name than the module
HEAD = "libraries: "


def versions(modules: Iterable[str]) -> str:
    """Return the libraries that modules belong to, such as ``libraries: numpy 2.3, photutils 3.0.0``.

    Parameters
    ----------
    modules : iterable of str
        Names of top-level modules. One that is not installed here is left out.
    """
    named = set(modules)
    named |= {BROUGHT[module] for module in named & BROUGHT.keys()}
    return HEAD + ", ".join(f"{module} {found}" for module in sorted(named) if (found := _version(module)))


def changes(before: str, now: str) -> list[str]:
    """Return what differs between two texts of `versions`, such as ``photutils 3.0.0 -> 3.1.1``.

    Parameters
    ----------
    before : str
        As it is on record.
    now : str
        As it is now.
    """
    old, new = (dict(each.split(" ", 1) for each in _listed(text)) for text in (before, now))
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return [f"{name} {old.get(name, '(none)')} -> {new.get(name, '(none)')}" for name in names]


def _listed(text: str) -> list[str]:
    return [each for each in text.removeprefix(HEAD).split(", ") if " " in each]


@cache
def _version(module: str) -> str:
    try:
        release = version(DISTRIBUTIONS.get(module, module))
    except PackageNotFoundError:
        return ""
    return release if module in ALGORITHMS else ".".join(release.split(".")[:2])
