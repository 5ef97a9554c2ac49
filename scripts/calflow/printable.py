"""Text from files and file names as a terminal may get it."""

import unicodedata


def printable(text: str, keep: str = "") -> str:
    """Return a text with what a terminal would act upon written as in Python, such as ESC with a backslash.

    Parameters
    ----------
    text : str
    keep : str
        Characters to leave as they are, such as the ends of lines.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else repr(each)[1:-1] for each in text)


def has_controls(text: str) -> bool:
    """Tell whether a text has control characters."""
    return not text.isprintable() and any(unicodedata.category(each) == "Cc" for each in text)


def shortened(text: str, length: int) -> str:
    """Return a text without its middle if it is too long: names differ at their ends.

    Parameters
    ----------
    text : str
    length : int
        The most characters.
    """
    if len(text) <= length:
        return text
    head = (length - 3) // 2
    return f"{text[:head]}...{text[len(text) - (length - 3 - head) :]}"
