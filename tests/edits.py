"""Edits of code, as a developer makes them."""

import ast


def edit_function(path, name):
    """Have a function of a module do something else, so that its text differs; nothing else is changed."""
    lines = path.read_text().splitlines(keepends=True)
    function = next(node for node in ast.parse("".join(lines)).body if getattr(node, "name", None) == name)
    last = function.body[-1]
    lines.insert(last.lineno - 1, f"{' ' * last.col_offset}edited = True\n")
    path.write_text("".join(lines))
