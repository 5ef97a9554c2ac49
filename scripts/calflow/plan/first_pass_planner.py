"""Planning the first pass: what is made without masks of sources, so that its images tell where sources are.

An association that an exposure with such a mask has a part in is made twice: in the first pass of exposures that go
without it, then of those that have it. What of the plan a mask changes, by whatever way, has a first pass; the rest is
looked at as it is. So no mask waits for what it changes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from calflow.configuration.extra_steps import OWN_ASSOCIATION
from calflow.configuration.problems import Problem, Problems, nearest, some
from calflow.plan.combination import PlannedAssociation, PlannedMember, catalog_candidates
from calflow.plan.extra_steps import Cleaning, Collection, cleaned_name
from calflow.plan.first_pass import FIRST, SourceMask, first_path, mask_file
from calflow.plan.plan import FirstPass, PlannedExposure, PlannedMerge
from calflow.science.cleaning.shipped import CAL, IMAGE, LIGHT, RATE, SOURCES, StepOfExposure


@dataclass(frozen=True)
class Planned:
    """What is planned of exposures, before there is a first pass.

    Attributes
    ----------
    exposures : sequence of PlannedExposure
    merges : sequence of PlannedMerge
    associations : sequence of PlannedAssociation
    cleanings : sequence of Cleaning
    collections : sequence of Collection
    keys : mapping of str to str
        Where the configuration has a step, by its name.
    folders : (str, str)
        Of stages 2 and 3.
    """

    exposures: Sequence[PlannedExposure]
    merges: Sequence[PlannedMerge]
    associations: Sequence[PlannedAssociation]
    cleanings: Sequence[Cleaning]
    collections: Sequence[Collection]
    keys: Mapping[str, str]
    folders: tuple[str, str]


@dataclass(frozen=True)
class WithFirstPass:
    """What takes the place of what was planned.

    Attributes
    ----------
    cleanings : list of Cleaning
        Those that take a mask have it as an input; with those of the first pass.
    collections : list of Collection
        With those of the first pass.
    first_pass : FirstPass
    """

    cleanings: list[Cleaning]
    collections: list[Collection]
    first_pass: FirstPass = field(default_factory=FirstPass)


def plan_first_pass(planned: Planned, problems: Problems, notices: list[str]) -> WithFirstPass:
    """Plan the masks that extra steps take, and the images of a first pass that these are made of.

    Parameters
    ----------
    planned : Planned
    problems : Problems
        What is wrong is added.
    notices : list of str
        Exposures that go without a mask are added.
    """
    if not any(step.mask_from for cleaning in planned.cleanings for step in cleaning.steps):
        return WithFirstPass(list(planned.cleanings), list(planned.collections))
    return _FirstPassPlanner(planned, problems, notices).plan()


class _FirstPassPlanner:
    """Gathers what a first pass is made of."""

    def __init__(self, planned: Planned, problems: Problems, notices: list[str]):
        self.planned = planned
        self.problems = problems
        self.notices = notices
        self.folder, self.combined = planned.folders
        self.exposures = {exposure.root: exposure for exposure in planned.exposures}
        self.associations = {association.name: association for association in planned.associations}
        self.cleanings = {cleaning.name: cleaning for cleaning in planned.cleanings}
        self.collections = {collection.name: collection for collection in planned.collections}
        self.own: dict[str, list[str]] = {}  # the associations of an exposure
        self.geometries: dict[str, str] = {}
        for association in planned.associations:
            for member in association.members:
                self.own.setdefault(member.root, []).append(association.name)
                self.geometries[member.root] = member.geometry
        self.masked = {
            place: {c.root for c in planned.cleanings if c.place == place and any(s.mask_from for s in c.steps)}
            for place in (RATE, CAL)
        }
        self.by_light = {c.root for c in planned.cleanings if any(s.takes_light for s in c.steps)}
        # What stage 2 makes another one of in the first pass, each with the root of its name.
        remade = self.masked[RATE] & self.exposures.keys()
        self.remade = {f"{self.folder}/{self.exposures[root].product('cal')}": root for root in remade}
        self.changed = self._changed()
        self.masks: dict[tuple[str, str], SourceMask] = {}
        self.first: dict[str, PlannedAssociation] = {}
        self.first_exposures: dict[str, PlannedExposure] = {}
        self.first_cleanings: dict[str, Cleaning] = {}
        self.first_collections: dict[str, Collection] = {}
        self.with_mask: set[tuple[str, str]] = set()  # the names of steps, and exposures that have a mask for them
        self.lights: dict[str, dict[str, str]] = {}  # by collections and exposures in them

    def plan(self) -> WithFirstPass:
        """Return what takes the place of what was planned."""
        self._refuse_merges()
        cleanings = [self._with_masks(cleaning) for cleaning in self.planned.cleanings]
        self._tell_without(cleanings)
        collections = [self._with_lights(collection) for collection in self.planned.collections]
        exposures, associations = tuple(self.first_exposures.values()), tuple(self.first.values())
        return WithFirstPass(
            [*cleanings, *self.first_cleanings.values()],
            [*collections, *self.first_collections.values()],
            FirstPass(exposures, associations, tuple(self.masks.values())),
        )

    # What masks change --------------------------------------------------------------------------------------

    def _changed(self) -> set[str]:
        """Return the associations that masks change: by an exposure, a grid that is shared, or a catalogue."""
        roots = self.masked[RATE] | self.masked[CAL]
        roots |= {
            c.root
            for c in self.planned.cleanings
            if c.place == CAL and not self.remade.keys().isdisjoint(self._read(c))
        }
        found = {name for root in roots for name in self.own.get(root, ())}
        before = -1
        while len(found) > before:
            before = len(found)
            grids = {self.associations[name].common_grid for name in found} - {""}
            found |= {a.name for a in self.planned.associations if a.common_grid in grids or a.catalog_of in found}
        return found

    def _read(self, cleaning: Cleaning) -> Iterator[str]:
        """Yield the other exposures that the steps of one read, by themselves or for what is collected of them."""
        for step in cleaning.steps:
            yield from step.others or ()
            yield from self.collections[step.collected].members if step.collected else ()

    def _refuse_merges(self) -> None:
        for merge in self.planned.merges:
            if not self.remade.keys().isdisjoint((merge.full, *merge.subarrays.values())):
                wrong = f"mask_from or light_from is for exposures that merge to {merge.root}, which has no first pass"
                self.problems.add(Problem("config", "extra_steps.rate", wrong, "leave it out for them"))

    # Masks --------------------------------------------------------------------------------------------------

    def _with_masks(self, cleaning: Cleaning) -> Cleaning:
        """Return the steps of an exposure with the masks that they take."""
        steps = []
        for step in cleaning.steps:
            mask = self._mask(cleaning, step) if step.mask_from else None
            if mask is not None:
                self.with_mask.add((step.name, cleaning.root))
                if step.takes_light and not mask.calibrated:
                    step = replace(step, takes_light=False)
                step = self._with_mask(cleaning, step, mask_file(self.folder, mask.source, mask.exposure))
            steps.append(step)
        return replace(cleaning, steps=tuple(steps))

    def _with_mask(self, cleaning: Cleaning, step: StepOfExposure, path: str) -> StepOfExposure:
        """Return a step with the mask and the light that it takes, unless what is collected takes the light."""
        if step.collects_light:
            if step.takes_light:
                self.lights.setdefault(step.collected, {})[cleaning.source] = path
            return step
        light = {LIGHT: (path, "" if step.is_own else LIGHT)} if step.takes_light else {}
        return replace(step, inputs={**step.inputs, SOURCES: (path, "" if step.is_own else IMAGE), **light})

    def _with_lights(self, collection: Collection) -> Collection:
        lights = self.lights.get(collection.name, {})
        return replace(collection, lights=tuple(lights.get(path, "") for path in collection.members) if lights else ())

    def _mask(self, cleaning: Cleaning, step: StepOfExposure) -> SourceMask | None:
        """Return the mask of an exposure for a step; None if no image tells of its sources."""
        root, own = cleaning.root, self.own.get(cleaning.root, [])
        if step.mask_from == OWN_ASSOCIATION:
            source, names = OWN_ASSOCIATION, own
        else:
            source = self._named(step, own[0] if own else "") if own or root in self.exposures else ""
            names = [source] if source else []
        names = [name for name in names if self._has_image(step, name)]
        if not names:
            return None
        if (source, root) not in self.masks:
            placed = [(self._first(name), self._first(name if name in own or not own else own[0])) for name in names]
            images = tuple((name, by if own else "") for name, by in placed)
            if root in self.masked[RATE]:
                self._first_exposure(root)
            geometry = self._geometry(root, self.geometries.get(root, ""))
            self.masks[source, root] = SourceMask(root, source, images, geometry)
        if step.takes_light and len({each.root for name in names for each in self.associations[name].members}) > 1:
            of_rate = cleaning.place == RATE
            cal = f"{self.folder}/{self.exposures[root].product('cal')}" if of_rate else cleaning.source
            self.masks[source, root] = replace(self.masks[source, root], calibrated=self._cal(cal))
        return self.masks[source, root]

    def _named(self, step: StepOfExposure, own: str) -> str:
        """Return the association that a step names; empty after adding a problem."""
        pattern = step.mask_from
        found = catalog_candidates(own, pattern, self.associations)
        if len(found) == 1:
            return found[0]
        if found:
            wrong, right = f"of {pattern!r} there are {some(found)}", "give the name of one"
        else:
            wrong, right = f"{pattern!r} is no product of a level-3 association", nearest(pattern, self.associations)
        self._refuse(step, wrong, right)
        return ""

    def _has_image(self, step: StepOfExposure, name: str) -> bool:
        if self.associations[name].runs("resample"):
            return True
        self._refuse(step, f"{name} gets no combined image, to find sources in", "let stage3.resample run")
        return False

    def _refuse(self, step: StepOfExposure, wrong: str, right: str) -> None:
        problem = Problem("config", f"{self.planned.keys[step.name]}.{_key(step)}", wrong, right)
        if problem not in self.problems:
            self.problems.add(problem)

    def _tell_without(self, cleanings: Iterable[Cleaning]) -> None:
        """Tell which exposures have no image of their association, which is a problem if none has."""
        if self.problems:
            return
        steps = [(step, cleaning.root) for cleaning in cleanings for step in cleaning.steps if step.mask_from]
        for name in dict.fromkeys(step.name for step, _ in steps):
            ours = [(step, root) for step, root in steps if step.name == name]
            without = [root for _, root in ours if (name, root) not in self.with_mask and root in self.exposures]
            alone = [root for step, root in ours if _key(step) == "mask_from" and root in self.by_light]
            if alone:
                what = "their light" if ours[0][0].collects_light else "their stripes from light but the mask"
                wrong = f"alone in their associations, so that nothing tells {what}"
                self.notices.append(f"{name}: {wrong}: {some(alone)}")
            if not any((name, root) in self.with_mask for _, root in ours):
                wrong = f"none of its exposures, such as {ours[0][1]}, is in a level-3 association"
                self._refuse(ours[0][0], wrong, f"give their associations, or leave {_key(ours[0][0])} out")
            elif without:
                self.notices.append(f"{name}: in no level-3 association, and so without its mask: {some(without)}")

    # The first pass -----------------------------------------------------------------------------------------

    def _first(self, name: str) -> str:
        """Return the name under which an association is looked at: its own if no mask changes it."""
        if name not in self.changed:
            return name
        if name not in self.first:
            association = self.associations[name]
            self.first[name] = association  # an association may be aligned to itself
            catalog_of = self._first(association.catalog_of) if association.catalog_of else ""
            members = tuple(self._first_member(member) for member in association.members)
            self.first[name] = replace(
                association, name=FIRST + name, members=members, common_grid="", pieces=(), catalog_of=catalog_of
            )
        return FIRST + name

    def _first_member(self, member: PlannedMember) -> PlannedMember:
        clean = self._first_cleaning(cleaned_name(member.root, CAL))
        cal, geometry = self._cal(member.cal), self._geometry(member.root, member.geometry)
        return replace(member, root=FIRST + member.root, cal=cal, geometry=geometry, clean=clean)

    def _first_exposure(self, root: str) -> None:
        if root not in self.first_exposures:
            clean = self._first_cleaning(cleaned_name(root, RATE))
            first = replace(self.exposures[root], root=FIRST + root, clean=clean, quick_look=False)
            self.first_exposures[root] = first

    def _first_cleaning(self, name: str) -> str:
        """Return the file that the extra steps of an exposure make in the first pass; empty if there are none."""
        cleaning = self.cleanings.get(name)
        steps = [self._first_step(step) for step in cleaning.steps if _runs(step)] if cleaning else []
        if cleaning is None or not steps:
            return ""
        source, geometry = self._cal(cleaning.source), cleaning.geometry
        if geometry:
            geometry = self._geometry(cleaning.root, geometry)
        first = replace(cleaning, root=FIRST + cleaning.root, source=source, geometry=geometry, steps=tuple(steps))
        self.first_cleanings[name] = first
        return f"{self.folder}/{first.name}.fits"

    def _first_step(self, step: StepOfExposure) -> StepOfExposure:
        others = None if step.others is None else tuple(map(self._cal, step.others))
        collected = self._first_collection(step.collected) if step.collected else ""
        parameters = {**step.parameters, **step.before_light}
        first = replace(step, others=others, collected=collected, parameters=parameters)
        return replace(first, mask_from="", takes_light=False, before_light={})

    def _first_collection(self, name: str) -> str:
        """Return the name of what is collected in the first pass: the same if no mask changes it."""
        collection = self.collections[name]
        if self.remade.keys().isdisjoint(collection.members):
            return name
        first = replace(collection, name=f"{name}_first_pass", members=tuple(map(self._cal, collection.members)))
        self.first_collections[name] = first
        return first.name

    def _cal(self, path: str) -> str:
        """Return where a calibrated exposure is in the first pass."""
        if path not in self.remade:
            return path
        self._first_exposure(self.remade[path])
        return first_path(path)

    def _geometry(self, root: str, otherwise: str) -> str:
        """Return where the geometry of an exposure is that no mask changes."""
        if root not in self.masked[RATE] or root not in self.exposures:
            return otherwise
        cal = PurePath(self.exposures[root].product("cal")).stem
        return f"{self.folder}/geometry/{FIRST}{cal}.json"


def _key(step: StepOfExposure) -> str:
    return "light_from" if step.takes_light else "mask_from"


def _runs(step: StepOfExposure) -> bool:
    """Tell whether a step runs in the first pass: the user's own may not do without the mask that it asks for.

    What is collected without the light that is asked for has a part of that, and would take it off the images.
    """
    return not (step.mask_from and (step.is_own or step.collects_light))
