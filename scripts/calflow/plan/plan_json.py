"""A plan as JSON, and back: data alone, since whoever can write the file must not thereby run code.

What a plan holds is written as a list, each object after those it is made of, and equal ones once: the name of its
kind, then its parts. A part in brackets is the number of an object earlier in the list, any other stands for itself.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from calflow.configuration.reference_makers import ReferenceMaker
from calflow.configuration.section import Section
from calflow.configuration.settings import Settings
from calflow.inputs.fits_headers import HduShape
from calflow.inputs.headers import ExposureHeader
from calflow.instruments import FAMILIES
from calflow.instruments.family import Family, Variant
from calflow.plan.combination import PlannedAssociation, PlannedMember
from calflow.plan.extra_steps import Cleaning, Collection
from calflow.plan.first_pass import SourceMask
from calflow.plan.plan import BackgroundSet, FirstPass, Plan, PlannedExposure, PlannedMerge
from calflow.references.crds_cache import CrdsCache, Fetch
from calflow.references.made_reference import MadeReference
from calflow.references.parameter_references import Chosen
from calflow.references.reference_change import ReferenceChange
from calflow.references.references import Reference
from calflow.science.cleaning.shipped import StepOfExposure
from calflow.science.windows import Window

_RECORDS = {
    kind.__name__: (kind, tuple(item.name for item in fields(kind)))
    for kind in (
        BackgroundSet,
        Chosen,
        Cleaning,
        Collection,
        ExposureHeader,
        Fetch,
        FirstPass,
        HduShape,
        MadeReference,
        PlannedAssociation,
        PlannedExposure,
        PlannedMember,
        PlannedMerge,
        SourceMask,
        StepOfExposure,
        Reference,
        ReferenceChange,
        Window,
    )
}
_SECTIONS: dict[str, type[Section]] = {kind.__name__: kind for kind in (ReferenceMaker, Settings)}
_COLLECTIONS: dict[str, type] = {kind.__name__: kind for kind in (list, tuple, set, frozenset)}
_VARIANTS = [variant for family in FAMILIES for variant in family.variants]


class NotAPlan(ValueError):
    """A text that was not written by `plan_to_json`."""


def plan_to_json(plan: Plan) -> str:
    """Return a plan as text.

    Parameters
    ----------
    plan : Plan
        What this run does.

    Raises
    ------
    TypeError, ValueError
        If it holds something of which there is no kind here.
    """
    writer = _Writer()
    writer.part(plan)
    return json.dumps(writer.objects, separators=(",", ":"))


def plan_from_json(text: str) -> Plan:
    """Return the plan that was written as text.

    Parameters
    ----------
    text : str
        As `plan_to_json` returns it.

    Raises
    ------
    NotAPlan
    """
    built: list[Any] = []
    try:
        for kind, *parts in json.loads(text):
            built.append(_BUILD[kind]([built[part[0]] if type(part) is list else part for part in parts]))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise NotAPlan(repr(error)) from None
    if not built or not isinstance(built[-1], Plan):
        raise NotAPlan("the last object is no plan")
    return built[-1]


class _Writer:
    """The objects written so far."""

    def __init__(self) -> None:
        self.objects: list[list[Any]] = []
        self._by_identity: dict[int, list[int]] = {}
        self._by_text: dict[str, list[int]] = {}
        self._kept: list[Any] = []  # so that no identity is used twice

    def part(self, value: Any) -> Any:
        """Write the parts of a value, and return what stands for the value itself."""
        if value is None or type(value) in (str, int, float, bool):
            return value
        if id(value) not in self._by_identity:
            kind, parts = _taken_apart(value)
            self._by_identity[id(value)] = self._written([kind, *map(self.part, parts)])
            self._kept.append(value)
        return self._by_identity[id(value)]

    def _written(self, item: list[Any]) -> list[int]:
        text = repr(item)
        if text not in self._by_text:
            self.objects.append(item)
            self._by_text[text] = [len(self.objects) - 1]
        return self._by_text[text]


def _taken_apart(value: Any) -> tuple[str, Any]:
    """Return the kind of an object, and its parts."""
    name = type(value).__name__
    if name in _RECORDS and isinstance(value, _RECORDS[name][0]):
        return name, [getattr(value, part) for part in _RECORDS[name][1]]
    if name in _COLLECTIONS and type(value) is _COLLECTIONS[name]:
        return name, value
    if isinstance(value, Mapping):
        return "dict", [item for pair in value.items() for item in pair]
    if isinstance(value, Path):
        return "Path", [str(value)]
    if isinstance(value, Section) and name in _SECTIONS:
        return name, [value.model_dump()]
    if isinstance(value, Family):
        return "Family", [FAMILIES.index(value)]
    if isinstance(value, Variant):
        return "Variant", [_VARIANTS.index(value)]
    if isinstance(value, CrdsCache):
        path = Path(value.references).parent if value.references else None
        return "CrdsCache", [path, list(value.fetches.values()), value.changes, value.contexts]
    if isinstance(value, Plan):
        parts = value.exposures, value.stage3.associations, value.merges
        exposures, associations, merges = (list(part.values()) for part in parts)
        parts_of_all = value.settings, exposures, associations, value.notices, merges, value.references, value.crds
        of_steps = list(value.cleanings.values()), list(value.collections.values()), value.first_pass
        return "Plan", [*parts_of_all, *of_steps]
    raise TypeError(f"a plan as JSON holds no {type(value)}")


def _record(kind: type, names: tuple[str, ...]) -> Callable[[list[Any]], Any]:
    def build(parts: list[Any]) -> Any:
        return kind(**dict(zip(names, parts, strict=True)))

    return build


def _section(kind: type[Section]) -> Callable[[list[Any]], Section]:
    return lambda parts: kind.model_validate(parts[0])


_BUILD: dict[str, Callable[[list[Any]], Any]] = {
    **{name: _record(*record) for name, record in _RECORDS.items()},
    **{name: _section(kind) for name, kind in _SECTIONS.items()},
    **_COLLECTIONS,
    "dict": lambda parts: dict(zip(parts[::2], parts[1::2], strict=True)),
    "Path": lambda parts: Path(*parts),
    "Family": lambda parts: FAMILIES[parts[0]],
    "Variant": lambda parts: _VARIANTS[parts[0]],
    "CrdsCache": lambda parts: CrdsCache(*parts),
    "Plan": lambda parts: Plan(*parts),
}
