"""What is thought of a number: fine, worth a look, or wrong, and by which rule."""

from collections.abc import Iterable
from typing import Literal

Judgement = Literal["fine", "look", "wrong"]
FINE: Judgement = "fine"
LOOK: Judgement = "look"
WRONG: Judgement = "wrong"
_ORDER: tuple[Judgement, ...] = (FINE, LOOK, WRONG)


def judge(value: float | None, look: float, wrong: float) -> Judgement:
    """Return what is thought of a number that should be small; one that is not known is worth a look.

    Parameters
    ----------
    value : float or None
        NaN or None: not known.
    look, wrong : float
        What is larger is worth a look, or wrong.

    Examples
    --------
    >>> [judge(value, look=0.2, wrong=0.5) for value in (0.2, 0.3, 0.6, None)]
    ['fine', 'look', 'wrong', 'look']
    """
    if value is None or value != value:
        return LOOK
    return WRONG if value > wrong else LOOK if value > look else FINE


def judge_ratio(ratio: float | None, look: float, wrong: float) -> Judgement:
    """Return what is thought of a ratio that should be 1: by the factor between the two, either way.

    Parameters
    ----------
    ratio : float or None
        NaN or None: not known. One that is not positive is wrong.
    look, wrong : float
        Factors, above 1.

    Examples
    --------
    >>> [judge_ratio(ratio, look=1.3, wrong=2.0) for ratio in (0.9, 0.7, 0.4, 3.0)]
    ['fine', 'look', 'wrong', 'wrong']
    """
    if ratio is not None and ratio <= 0:
        return WRONG
    return judge(ratio and max(ratio, 1 / ratio), look, wrong)


def worst(judgements: Iterable[Judgement]) -> Judgement:
    """Return the worst of some judgements; fine if there are none.

    Parameters
    ----------
    judgements : iterable of str
    """
    return max(judgements, key=_ORDER.index, default=FINE)
