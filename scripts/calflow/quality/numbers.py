"""Numbers as they stand in JSON files: plain, with as many digits as mean something, None for those not known."""

import math
from typing import Any

DIGITS = 10  # of an arcsecond in degrees a thousandth, of a date a second


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it, with all that is in it.

    Parameters
    ----------
    value : object
        Floats are rounded to ten significant digits; those that are not finite become None.

    Examples
    --------
    >>> plain({"a": [1 / 3, float("nan")], "b": 7})
    {'a': [0.3333333333, None], 'b': 7}
    """
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if hasattr(value, "tolist"):  # of numpy
        return plain(value.tolist())
    number = float(value)
    return float(f"{number:.{DIGITS}g}") if math.isfinite(number) else None
