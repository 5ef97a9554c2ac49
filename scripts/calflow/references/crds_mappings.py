"""The mappings of a CRDS cache: which belong to a context, and whether they are whole.

A mapping says its own SHA-1, over all of its lines but that one.
"""

import hashlib
import os
import re
from pathlib import Path

from calflow.references.crds_texts import read_selector

_OWN_SHA1 = re.compile(rb"""["']sha1sum["']\s*:\s*["']([0-9a-fA-F]{40})["']""")
_MAPPINGS = (".imap", ".rmap")


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
        if path not in found and os.path.isfile(path):  # unlike Path.is_file, also of what no path can be
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
