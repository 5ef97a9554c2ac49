"""What became of extra steps, as headers of products say."""

from collections.abc import Iterable
from pathlib import Path

from calflow.inputs.fits_headers import HeaderError, read_hdus
from calflow.plan.extra_steps import Cleaning
from calflow.results.made import NOT_MADE
from calflow.results.tables import COMPLETE


def extra_steps_in(products: Iterable[tuple[Path, Cleaning | None]]) -> tuple[dict[str, str], dict[str, int | None]]:
    """Return the state of each extra step, and how many pixels it has changed where it tells.

    Parameters
    ----------
    products : iterable of (Path, Cleaning or None)
        Products whose headers say so, each with the steps that it went through.

    Returns
    -------
    dict of step to str
        COMPLETE, if it is so in all products; else ``not made``.
    dict of step to int or None
        The sum over all products. None: none tells.
    """
    states: dict[str, str] = {}
    pixels: dict[str, int | None] = {}
    for product, cleaning in products:
        for step in cleaning.steps if cleaning else ():
            values = _keywords(product, step.keyword, step.pixels_keyword)
            state = str(values.get(step.keyword, NOT_MADE))
            states[step.name] = state if states.get(step.name, COMPLETE) == COMPLETE else states[step.name]
            number = values.get(step.pixels_keyword)
            before = pixels.setdefault(step.name, None)
            if isinstance(number, int):
                pixels[step.name] = (before or 0) + number
    return states, pixels


def _keywords(product: Path, *keywords: str) -> dict:
    try:
        with product.open("rb") as file:
            return read_hdus(file, keywords)[0][0]
    except (OSError, HeaderError):
        return {}
