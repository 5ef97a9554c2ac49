"""Context against context: which references another context of CRDS would choose, and for what."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from calflow.configuration.problems import Problem
from calflow.configuration.settings import Settings
from calflow.inputs.headers import ExposureHeader
from calflow.instruments.family import Family
from calflow.plan.combination import PlannedAssociation
from calflow.plan.plan import PlannedExposure, PlannedMerge, stage_folder
from calflow.references.crds_contexts import CrdsContext, find_context
from calflow.references.crds_references import CrdsSelector
from calflow.references.parameter_references import known_types
from calflow.references.reference_change import ReferenceChange
from calflow.references.reference_choice import ReferenceChooser, crds_parameters

NONE = "none"


def compare_contexts(
    settings: Settings,
    chooser: ReferenceChooser,
    exposures: Iterable[PlannedExposure],
    associations: Iterable[PlannedAssociation],
    merges: Iterable[PlannedMerge] = (),
) -> tuple[ReferenceChange, ...]:
    """Return what another context, ``references.compare_context``, would change; nothing if none is set.

    A context that cannot be used is a problem.

    Parameters
    ----------
    settings : Settings
        The configuration.
    chooser : ReferenceChooser
        What chooses the references of this run.
    exposures : iterable of PlannedExposure
        Of stage 2.
    associations : iterable of PlannedAssociation
        Of stage 3.
    merges : iterable of PlannedMerge, optional
        Full frames with subarrays.
    """
    if not settings.references.compare_context:
        return ()
    exposures, associations = list(exposures), list(associations)
    comparison = _Comparison(settings, chooser)
    for exposure in exposures:
        comparison.add_exposure(exposure)
    for association in associations:
        comparison.add_association(association)
    return comparison.changes(_users(settings, exposures, associations, merges))


def _users(
    settings: Settings,
    exposures: Iterable[PlannedExposure],
    associations: Iterable[PlannedAssociation],
    merges: Iterable[PlannedMerge],
) -> dict[str, set[str]]:
    """Return the products of stage 3 that are made of each exposure, by its root, merged with others or not."""
    users: dict[str, set[str]] = {}
    for association in associations:
        for member in association.members:
            users.setdefault(member.root, set()).add(association.name)
    folder = stage_folder(settings, 2)
    merged = {part: merge.root for merge in merges for part in (merge.full, *merge.subarrays.values())}
    for exposure in exposures if merged else ():
        if root := merged.get(f"{folder}/{exposure.product('cal')}"):
            users.setdefault(exposure.root, set()).update(users.get(root, ()))
    return users


def comparison_lines(changes: Sequence[ReferenceChange]) -> list[str]:
    """Return the changes as the lines of a table for the terminal.

    Parameters
    ----------
    changes : sequence of ReferenceChange
        Of single types of reference.
    """
    if not changes:
        return ["no reference changes"]
    rows = [("reference", "before", "after", "exposures", "associations")]
    rows += [
        (change.reftype, change.before, change.after, str(len(change.exposures)), str(len(change.associations)))
        for change in changes
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    exposures = {root for change in changes for root in change.exposures}
    associations = {name for change in changes for name in change.associations}
    total = f"stale: {len(exposures)} exposures, {len(associations)} associations"
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:], total]


class _Comparison:
    """Gathers the exposures and associations of each change."""

    def __init__(self, settings: Settings, chooser: ReferenceChooser):
        self.settings = settings
        self.chooser = chooser
        self._selectors: dict[tuple[str, ...], tuple[CrdsSelector, CrdsSelector] | None] = {}
        self._exposures: dict[tuple[str, str, str], list[str]] = {}
        self._associations: dict[tuple[str, str, str], set[str]] = {}

    def add_exposure(self, exposure: PlannedExposure) -> None:
        family = exposure.family
        steps = {step for step in family.step_names if not self.settings.stage2.skips(step)}
        for change in self._changes(exposure.header, family, steps, "stage2"):
            self._exposures.setdefault(change, []).append(exposure.root)

    def add_association(self, association: PlannedAssociation) -> None:
        header = ExposureHeader(Path(association.members[0].cal), dict(association.header), ())
        steps = {"source_catalog"} if association.runs("source_catalog") else set()
        for change in self._changes(header, association.family, steps, "stage3"):
            self._associations.setdefault(change, set()).add(association.name)

    def changes(self, users: Mapping[str, set[str]]) -> tuple[ReferenceChange, ...]:
        found = []
        for change in self._exposures.keys() | self._associations.keys():
            roots = self._exposures.get(change, [])
            names = self._associations.get(change, set()) | {name for root in roots for name in users.get(root, ())}
            found.append(ReferenceChange(*change, tuple(sorted(roots)), tuple(sorted(names))))
        return tuple(sorted(found))

    def _changes(
        self, header: ExposureHeader, family: Family, steps: set[str], stage: str
    ) -> list[tuple[str, str, str]]:
        """Return type, before and after of what changes for an exposure, of all that rules choose for it."""
        instrument = str(header.values["INSTRUME"])
        reftypes = [
            name
            for name, kind in family.references.items()
            if kind.step in steps and name not in self.chooser.overrides and instrument in kind.selectors
        ]
        selectors = self._selectors_of(family)
        if selectors is None:
            return []
        if self.settings.references.parameters:
            known = {name for s in selectors for name in known_types(s.mappings, s.context, instrument)}
            reftypes += [name for name in family.parameter_types[stage] if name in known]
        parameters = crds_parameters(header, family)
        before, after = (selector.names(parameters, reftypes) for selector in selectors)
        pairs = {name: (_shown(before[name]), _shown(after[name])) for name in before}
        return [(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1]]

    def _selectors_of(self, family: Family) -> tuple[CrdsSelector, CrdsSelector] | None:
        key = tuple(family.observatories)
        if key not in self._selectors:
            self._selectors[key] = None
            context, other = self.chooser.crds_context(family), self._other(family)
            if context and other:
                before, after = self.chooser.selector(context), self.chooser.selector(other)
                self._selectors[key] = (before, after) if before and after else None
        return self._selectors[key]

    def _other(self, family: Family) -> CrdsContext | None:
        if self.chooser.crds_path is None:
            return None  # told already
        wanted = self.settings.references.compare_context
        found = find_context(
            wanted, self.chooser.crds_path, family.observatories, self.chooser.cache, "compare_context"
        )
        if isinstance(found, Problem):
            self.chooser.problems.add(found)
            return None
        return found


def _shown(name: str | Problem) -> str:
    return NONE if isinstance(name, Problem) else name
