"""ASDF: the trees of reference files, and the WCS of an exposure as bytes."""

import io
import re
import warnings
from pathlib import Path
from typing import Any

from calflow.patches import start_asdf


def read_tree(path: Path) -> dict[str, Any]:
    """Read the whole tree of an ASDF file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        If a part of it is not what its tag says, which asdf would only warn of and leave as it stands.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "A node failed to convert")
        try:
            with start_asdf().open(path, lazy_load=False, memmap=False) as file:
                return dict(file.tree)
        except Warning as warning:
            raise ValueError(f"{path}: {warning}") from None


def read_wcs_file(path: Path) -> Any:
    """Return the gwcs of an ASDF file, as ``wcs`` or ``meta.wcs``.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        If there is none.
    """
    tree = read_tree(path)
    meta = tree.get("meta")
    wcs = tree["wcs"] if "wcs" in tree else meta.get("wcs") if isinstance(meta, dict) else None
    if not hasattr(wcs, "forward_transform"):
        raise ValueError(f"it has no gwcs as 'wcs' or 'meta.wcs'; its keys are {', '.join(map(str, tree))}")
    return wcs


def wcs_from_bytes(content: bytes) -> Any:
    """Return the gwcs that an ASDF file holds as ``meta.wcs``, or None.

    Parameters
    ----------
    content : bytes
        The ASDF file.
    """
    with warnings.catch_warnings():
        # Other parts of the tree refer to planes of the FITS file, which are not looked for here.
        warnings.filterwarnings("ignore", "A node failed to convert")
        with start_asdf().open(io.BytesIO(content), lazy_load=False, ignore_missing_extensions=True) as file:
            return file.tree.get("meta", {}).get("wcs")


def wcs_to_bytes(wcs: Any) -> bytes:
    """Return an ASDF file that holds a gwcs as ``meta.wcs``.

    Parameters
    ----------
    wcs : gwcs.WCS
    """
    return tree_to_bytes({"meta": {"wcs": wcs}})


def tree_to_bytes(tree: dict[str, Any]) -> bytes:
    """Return a tree as an ASDF file; the same tree gives the same bytes.

    Parameters
    ----------
    tree : dict
        Of what ASDF can hold.
    """
    buffer = io.BytesIO()
    with start_asdf().AsdfFile(tree) as file:
        file.write_to(buffer)
    return _sorted_history(buffer.getvalue())


def _sorted_history(content: bytes) -> bytes:
    """Sort the list of extensions in an ASDF file's history: asdf writes it in the random order of a set."""
    history = re.search(rb"\nhistory:\n  extensions:\n((?:  .*\n)+)", content)
    if history is None:
        return content
    mark = b"  - !core/extension_metadata"
    items = sorted(mark + item for item in history[1].split(mark)[1:])
    return content[: history.start(1)] + b"".join(items) + content[history.end(1) :]
