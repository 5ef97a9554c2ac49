"""Whether the files of a CRDS cache are those that were published: by what they say themselves, and by the server.

A mapping says its own SHA-1, over all of its lines but that one. Of a reference only the server knows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calflow.references.crds_mappings import mapping_difference
from calflow.web.client import WebError
from calflow.web.crds_server import CrdsServer


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
