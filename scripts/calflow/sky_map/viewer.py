"""The page that shows a map: HTML and a script, without a library."""

import hashlib
from pathlib import Path

_PAGE = Path(__file__).with_name("viewer.html")


def viewer_page(title: str) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    title : str
        What it is a map of.
    """
    escaped = title.replace("&", "&amp;").replace("<", "&lt;")
    return _PAGE.read_text(encoding="utf-8").replace("TITLE", escaped)


def viewer_hash() -> str:
    """Return a hash of the page, which differs when maps look and work differently."""
    return hashlib.sha256(_PAGE.read_bytes()).hexdigest()[:16]
