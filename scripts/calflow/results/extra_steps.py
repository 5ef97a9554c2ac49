"""What became of extra steps, as headers of products say."""

from collections.abc import Iterable
from pathlib import Path

from calflow.inputs.fits_headers import HeaderError, read_hdus
from calflow.plan.extra_steps import Cleaning
from calflow.results.made import NOT_MADE
from calflow.results.tables import COMPLETE, SKIPPED

_ORDER = (SKIPPED, COMPLETE, NOT_MADE)


def extra_steps_in(products: Iterable[tuple[Path, Cleaning | None]]) -> tuple[dict[str, str], dict[str, int | None]]:
    """Return the state of each extra step, and how many pixels it has changed where it tells.

    Parameters
    ----------
    products : iterable of (Path, Cleaning or None)
        Products whose headers say so, each with the steps that it went through.

    Returns
    -------
    dict of step to str
        ``not made`` if it is so in any product, else COMPLETE if it is in any, else SKIPPED. The summary names the
        products of which a step was skipped.
    dict of step to int or None
        The sum over all products. None: none tells.
    """
    states: dict[str, str] = {}
    pixels: dict[str, int | None] = {}
    for product, cleaning in products:
        for step in cleaning.steps if cleaning else ():
            values = _keywords(product, step.keyword, step.pixels_keyword)
            said = values.get(step.keyword)
            state = str(said) if said in _ORDER else NOT_MADE
            states[step.name] = max(states.get(step.name, state), state, key=_ORDER.index)
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
