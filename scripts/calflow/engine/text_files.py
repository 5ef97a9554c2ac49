"""Text files that are never half-written."""

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write a file under another name, and move it into its place."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    os.replace(partial, path)
