"""The detector window of an image, as its header gives it."""

from collections.abc import Mapping
from typing import Any

from calflow.science.windows import Window


def detector_window(header: Mapping[str, Any], shape: tuple[int, ...]) -> Window:
    """Return the detector pixels that an image has; without SUBSTRT1 and SUBSTRT2 it starts at (1, 1).

    Parameters
    ----------
    header : mapping of keyword to value
    shape : tuple of int
        Of the image, (..., ny, nx). It is believed rather than SUBSIZE1 and SUBSIZE2.

    Raises
    ------
    ValueError
        If SUBSTRT1 or SUBSTRT2 is no position on a detector.
    """
    ny, nx = shape[-2:]
    start = []
    for keyword in ("SUBSTRT1", "SUBSTRT2"):
        value = header.get(keyword)
        if value is not None and (type(value) is not int or value < 1):
            raise ValueError(f"{keyword} is {value!r}; it must be a whole number, 1 or more")
        start.append(1 if value is None else value)
    return Window(start[0], start[1], nx, ny)
