"""Text files that are never half-written."""

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: under another name, which is then changed.

    Parameters
    ----------
    path : Path
        Of the file.
    text : str
        Its new content.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    os.replace(partial, path)
