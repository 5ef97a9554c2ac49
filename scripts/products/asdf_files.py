"""ASDF: the trees of reference files, and the WCS of an exposure as bytes."""

import io
from pathlib import Path
from typing import Any


def read_tree(path: Path) -> dict[str, Any]:
    """Read the whole tree of an ASDF file."""
    with _asdf().open(path, lazy_load=False, memmap=False) as file:
        return dict(file.tree)


def wcs_from_bytes(content: bytes) -> Any:
    """Return the gwcs that an ASDF file holds as ``meta.wcs``, or None."""
    with _asdf().open(io.BytesIO(content), lazy_load=False, ignore_missing_extensions=True) as file:
        return file.tree.get("meta", {}).get("wcs")


def wcs_to_bytes(wcs: Any) -> bytes:
    """Return an ASDF file that holds a gwcs as ``meta.wcs``; the same WCS gives the same bytes."""
    buffer = io.BytesIO()
    with _asdf().AsdfFile({"meta": {"wcs": wcs}}) as file:
        file.write_to(buffer)
    return _sorted_history(buffer.getvalue())


def _asdf() -> Any:
    """Return the package asdf, imported so that it starts fast.

    It reads 49 manifests with PyYAML's safe loader. libyaml's safe loader gives the same in a sixth of the time,
    which saves a quarter second of each job.
    """
    import yaml

    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]  # on purpose, see above
    import asdf

    return asdf


def _sorted_history(content: bytes) -> bytes:
    """Sort the list of extensions in an ASDF file's history: asdf writes it in the random order of a set."""
    head, key, rest = content.partition(b"\nhistory:\n  extensions:\n")
    entries, meta, tail = rest.partition(b"\nmeta:\n")
    mark = b"  - !core/extension_metadata"
    items = sorted(mark + item.rstrip(b"\n") for item in entries.split(mark)[1:])
    return head + key + b"\n".join(items) + meta + tail if items else content
