"""How the parameters of an algorithm are declared: in a dataclass beside it, with type, range, default and meaning.

The configuration, its schema, the page of all keys and the checks here follow from that one place::

    @dataclass(frozen=True, kw_only=True)
    class Clipping:
        sigma: Annotated[float, Range(gt=0), "clipping threshold, in sigma"] = 3.0
        maxiters: Annotated[int | None, Range(ge=1), "clipping rounds; null: until nothing changes"] = None

        def __post_init__(self):
            check_parameters(self)

The text is what stands in config.yaml, where None is null. Types are float, int, bool, str, ``Literal``,
``tuple[float, ...]``, and each of them or None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Range:
    """Limits of a number: larger than `gt` or equal to `ge` at the least, below `lt` or equal to `le` at the most."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    def holds(self, value: Any) -> bool:
        """Tell whether a number lies between the limits; NaN does not, if there are any.

        Parameters
        ----------
        value : float or int
        """
        return (
            (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
        )


@dataclass(frozen=True)
class Length:
    """How many numbers a list has."""

    least: int
    most: int


@dataclass(frozen=True)
class Parameter:
    """A declared parameter.

    Attributes
    ----------
    kind : type
        Without None.
    optional : bool
        Whether it may be None.
    default : object
    meaning : str
    range : Range
        Of a tuple: of each number in it.
    length : Length or None
        Of a tuple.
    """

    kind: Any
    optional: bool
    default: Any
    meaning: str
    range: Range = Range()
    length: Length | None = None


@cache
def declared_parameters(kind: type) -> Mapping[str, Parameter]:
    """Return the parameters that a dataclass declares, by name, in their order.

    Parameters
    ----------
    kind : type
        The dataclass.

    Raises
    ------
    TypeError
        If one has no meaning.
    """
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: _parameter(field.name, hints[field.name], field.default) for field in fields(kind)}


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    plain, *told = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    optional = get_origin(plain) in (Union, UnionType) and NoneType in get_args(plain)
    if optional:
        (plain,) = (part for part in get_args(plain) if part is not NoneType)
    by_kind = {type(item): item for item in told}
    if str not in by_kind:
        raise TypeError(f"{name} is declared without a meaning")
    return Parameter(plain, optional, default, by_kind[str], by_kind.get(Range, Range()), by_kind.get(Length))


def check_parameters(values: Any) -> None:
    """Check the values of a dataclass against its declarations.

    Parameters
    ----------
    values : object
        Of a dataclass that declares its parameters.

    Raises
    ------
    ValueError
        If a value has another type than is declared, or is out of its range; with the name of the parameter.
    """
    kind: Any = type(values)
    check_values(kind, **{name: getattr(values, name) for name in declared_parameters(kind)})


def check_values(kind: type, **values: Any) -> None:
    """Check some values against the declarations of a dataclass.

    Parameters
    ----------
    kind : type
        The dataclass.
    **values : object
        Values by the names of their parameters.

    Raises
    ------
    ValueError
        As by `check_parameters`.
    """
    declarations = declared_parameters(kind)
    for name, value in values.items():
        declared = declarations[name]
        if value is None and declared.optional:
            continue
        if right := _right(declared, value):
            says = f"are {value!r}; they" if declared.length else f"is {value!r}; it"
            raise ValueError(f"{name} {says} must {right}")


def _right(declared: Parameter, value: Any) -> str:
    """Say what a value must do; nothing if it does."""
    if get_origin(declared.kind) is Literal:
        choices = get_args(declared.kind)
        return "" if value in choices else f"be one of {', '.join(map(str, choices))}"
    if (length := declared.length) and not length.least <= len(value) <= length.most:
        ends = dict.fromkeys((_WORDS[length.least], _WORDS[length.most]))
        return f"be {' or '.join(ends)} numbers"
    number = get_args(declared.kind)[0] if get_origin(declared.kind) is tuple else declared.kind
    if number not in (int, float):
        return ""
    kind = Integral if number is int else Real
    items = value if declared.length else [value]
    right = all(isinstance(item, kind) and declared.range.holds(item) for item in items)
    return "" if right else ("each " if declared.length else "") + _right_number(declared.range, number is int)


_WORDS = ("no", "one", "two", "three", "four")


def _right_number(limits: Range, whole: bool) -> str:
    strict = limits.gt is not None
    low = limits.gt if strict else limits.ge
    high = limits.le if limits.lt is None else limits.lt
    number = "be an integer" if whole else "be a number"
    if high is not None and low is not None:
        ends = ", both excluded" if strict and limits.lt is not None else ""
        between = f"between {low:g} and {high:g}{ends}"
        return f"{number} {between}" if whole else f"lie {between}"
    if high is not None:
        return f"{number} of {high:g} at the most"
    if low is None:
        return number
    if whole:
        return f"{number} larger than {low:g}" if strict else f"{number} of {low:g} or more"
    return f"be larger than {low:g}" if strict else f"be {low:g} or larger"
