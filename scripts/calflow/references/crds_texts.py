"""The texts of CRDS, its mappings and records: Python that holds nothing but literals, read without running it."""

import ast
import warnings
from pathlib import Path
from typing import Any


def parse_python(text: str) -> ast.Module:
    """Return the syntax tree of a text of CRDS, which writes its mappings and records as Python.

    Parameters
    ----------
    text : str
        Of a mapping, or of a record.

    Raises
    ------
    ValueError
        If it is none, or nested more deeply than Python can read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in strings that Python may refuse one day
            return ast.parse(text)
    except (SyntaxError, RecursionError, MemoryError) as error:  # the last is how the parser says "too deep"
        raise ValueError(f"is no Python: {error}") from None


def literal(node: ast.expr) -> Any:
    """Return the value of a syntax tree that holds nothing but literals.

    Parameters
    ----------
    node : ast.expr
        Of a mapping, or of a record.

    Raises
    ------
    ValueError
        If it holds something else, or is too deep.
    """
    try:
        return ast.literal_eval(node)
    except (TypeError, RecursionError, MemoryError) as error:  # a list as key of a dict, for example
        raise ValueError(f"is no value: {error}") from None


def read_selector(path: Path) -> dict[str, Any]:
    """Return what a mapping selects: of a context the mappings by instrument, of an instrument those by type.

    Parameters
    ----------
    path : Path
        Of the mapping.

    Raises
    ------
    OSError
        If the mapping cannot be read.
    ValueError
        If it is no text, or has no selector that is a dictionary.
    """
    for node in parse_python(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["selector"]:
            selector = literal(node.value)
            if isinstance(selector, dict):
                return {str(name): selected for name, selected in selector.items()}
    raise ValueError(f"{path}: has no selector")
