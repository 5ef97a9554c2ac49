"""The detector window of an image, as its header gives it."""

from collections.abc import Mapping
from typing import Any

from steps.windows import Window


def detector_window(header: Mapping[str, Any], shape: tuple[int, ...]) -> Window:
    """Return the detector pixels that an image has; without SUBSTRT1 and SUBSTRT2 it starts at (1, 1).

    Parameters
    ----------
    header : mapping of keyword to value
    shape : tuple of int
        Of the image, (..., ny, nx). It is believed rather than SUBSIZE1 and SUBSIZE2.

    Raises
    ------
    ValueError, TypeError
        If SUBSTRT1 and SUBSTRT2 are no positions on a detector.
    """
    ny, nx = shape[-2:]
    return Window(header.get("SUBSTRT1") or 1, header.get("SUBSTRT2") or 1, nx, ny)
