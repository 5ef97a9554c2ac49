"""Whether the files of a CRDS cache are those that were published: by what they say themselves, and by the server.

A mapping says its own SHA-1, over all of its lines but that one. Of a reference only the server knows.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calflow.references.crds_texts import read_selector
from calflow.web.client import WebError
from calflow.web.crds_server import CrdsServer

_OWN_SHA1 = re.compile(rb"""["']sha1sum["']\s*:\s*["']([0-9a-fA-F]{40})["']""")
_MAPPINGS = (".imap", ".rmap")


@dataclass
class CacheCheck:
    """What was found out about files of a cache.

    Attributes
    ----------
    by_itself, by_server : list of Path
        Files that were compared, with their own checksum and with the server.
    differences : list of str
        What is wrong with a file, one line each.
    unknown : list of Path
        Files that the server does not know.
    not_asked : dict of observatory to str
        Why no server was asked.
    """

    by_itself: list[Path] = field(default_factory=list)
    by_server: list[Path] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)
    not_asked: dict[str, str] = field(default_factory=dict)


def mappings_of(folder: Path, context: str) -> list[Path]:
    """Return the mappings of a context that are there: it, those of its instruments, those of their types.

    Parameters
    ----------
    folder : Path
        With the mappings of the observatory.
    context : str
        Such as ``jwst_1364.pmap``.
    """
    found: dict[Path, None] = {}
    ahead = [folder / context]
    while ahead:
        path = ahead.pop()
        if path not in found and path.is_file():
            found[path] = None
            ahead += [folder / name for name in _selected(path) if Path(name).name == name]
    return sorted(found)


def _selected(path: Path) -> list[str]:
    """Return the mappings that a context, or the mapping of an instrument, selects; none if it cannot be read."""
    if path.suffix == ".rmap":
        return []
    try:
        names = read_selector(path).values()
    except (OSError, ValueError):
        return []  # its checksum tells
    return [name for name in names if isinstance(name, str) and name.endswith(_MAPPINGS)]


def mapping_difference(path: Path) -> str | None:
    """Say in what a mapping differs from its own checksum; None if it does not."""
    lines = path.read_bytes().splitlines(keepends=True)
    told = [match[1] for line in lines if (match := _OWN_SHA1.search(line))]
    if not told:
        return "it has no checksum (sha1sum) of its own"
    content = b"".join(line for line in lines if b"sha1sum" not in line)
    own = hashlib.sha1(content, usedforsecurity=False).hexdigest()  # what CRDS publishes
    stated = told[0].decode().lower()
    return None if own == stated else f"its SHA-1 is {own} instead of {stated}, as it says itself"


def check_cache(
    mappings: Mapping[str, Iterable[Path]],
    references: Mapping[str, Iterable[Path]],
    servers: Mapping[str, CrdsServer | None],
) -> CacheCheck:
    """Compare files of a cache with what is published of them.

    Parameters
    ----------
    mappings, references : mapping of observatory to paths
    servers : mapping of observatory to CrdsServer or None
        None: no server is known. One that does not answer is no error, what it was to say is not checked.
    """
    check = CacheCheck()
    for path in (path for paths in mappings.values() for path in paths):
        check.by_itself.append(path)
        if reason := mapping_difference(path):
            check.differences.append(f"{path}: {reason}")
    for observatory in sorted({*mappings, *references}):
        paths = [*mappings.get(observatory, ()), *references.get(observatory, ())]
        _ask(servers.get(observatory), observatory, paths, check)
    return check


def _ask(server: CrdsServer | None, observatory: str, paths: list[Path], check: CacheCheck) -> None:
    """Compare files with what a server publishes."""
    if server is None:
        check.not_asked[observatory] = f"no server of {observatory} is known"
        return
    try:
        published = server.published(observatory, [path.name for path in paths], required=False)
    except WebError as error:
        check.not_asked[observatory] = str(error)
        return
    for path in paths:
        if path.name not in published:
            check.unknown.append(path)
            continue
        check.by_server.append(path)
        if reason := published[path.name].difference(path):
            check.differences.append(f"{path}: {reason}, as {server.url} says")
