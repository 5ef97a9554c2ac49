"""Planning extra steps: which exposure goes through which of them, with which files."""

import hashlib
import os
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from calflow.configuration.extra_steps import ALL, ExtraStep, ExtraSteps, parameter_section, parameters_of
from calflow.configuration.paths import no_file
from calflow.configuration.problems import Problem, Problems, some
from calflow.files.names import product_root
from calflow.inputs.headers import ExposureHeader
from calflow.inputs.times import observation_time
from calflow.instruments.family import Family
from calflow.plan.combination import PlannedAssociation
from calflow.plan.combination_checks import Source
from calflow.plan.extra_steps import Cleaning, Collection
from calflow.plan.plan import PlannedExposure
from calflow.references.references import Reference
from calflow.science.cleaning.shipped import CAL, FILTER, RATE, RESPONSE, TEXT, StepOfExposure, in_full

# Keywords that say what became of the steps of the stages.
TAKEN = frozenset(
    (
        "S_BKDSUB S_PARSSA S_WCS S_DARK S_FLAT S_PHOTOM S_MERGSA S_MTWCS S_TWKREG S_SKYMAT S_OUTLIR S_RESAMP S_SRCCAT"
    ).split()
)
_KEYWORD_OF = {"instrument": "INSTRUME", "detector": "DETECTOR", "filter": "FILTER", "pupil": "PUPIL"}
_PLACEHOLDER = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class _Exposure:
    """An exposure that extra steps may be for."""

    root: str
    source: str
    header: ExposureHeader
    size: int
    family: Family
    geometry: str = ""
    references: Mapping[str, Reference] = field(default_factory=dict)

    @property
    def values(self) -> Mapping[str, Any]:
        return self.header.values

    @property
    def start(self) -> datetime:
        return observation_time(self.header.values) or datetime.min.replace(tzinfo=UTC)

    @property
    def end(self) -> datetime:
        seconds = self.values.get("TMEASURE") or self.values.get("EFFEXPTM")
        return self.start + timedelta(seconds=float(seconds) if isinstance(seconds, int | float) else 0)

    @property
    def detector(self) -> tuple[str, str]:
        return str(self.values.get("INSTRUME")), str(self.values.get("DETECTOR"))


class ExtraStepPlanner:
    """Plans the extra steps, and gathers all that is wrong with them.

    Parameters
    ----------
    section : ExtraSteps
        Sound, as far as `check_extra_steps` can tell.
    folder : str
        Where stage 2 writes.
    read_header : callable
        From a path to its `ExposureHeader`, or None after adding a problem.
    problems : Problems
    notices : list of str

    Attributes
    ----------
    cleanings : list of Cleaning
    collections : list of Collection
        All that was planned.
    """

    def __init__(
        self,
        section: ExtraSteps,
        folder: str,
        read_header: Callable[[Path], ExposureHeader | None],
        problems: Problems,
        notices: list[str],
    ):
        self._steps = list(section.steps())
        self._folder = folder
        self._read_header = read_header
        self._problems = problems
        self._notices = notices
        self._keywords = keywords([step for _, _, step in self._steps])
        self._checked: dict[tuple[str, str], bool] = {}
        self.cleanings: list[Cleaning] = []
        self.collections: list[Collection] = []

    def before_stage2(self, exposures: Sequence[PlannedExposure]) -> list[PlannedExposure]:
        """Return exposures with what extra steps make of them, and of their backgrounds, before stage 2.

        Parameters
        ----------
        exposures : sequence of PlannedExposure
        """
        if not any(place == RATE for place, _, _ in self._steps):
            return list(exposures)
        found = [
            _Exposure(e.root, str(e.science), e.header, _pixels(e.header), e.family, references=e.references)
            for e in exposures
        ]
        clean = self._plan(RATE, [*found, *self._backgrounds(exposures, found)])
        planned = []
        for exposure in exposures:
            background = exposure.background
            if background:
                cleaned = {str(path): clean[str(path)] for path in background.members if str(path) in clean}
                background = replace(background, cleaned=cleaned)
            own = clean.get(exposure.root, "")
            planned.append(replace(exposure, background=background, clean=own))
        return planned

    def before_stage3(
        self, associations: Sequence[PlannedAssociation], sources: Mapping[str, Source]
    ) -> list[PlannedAssociation]:
        """Return associations with what extra steps make of their members before stage 3.

        Parameters
        ----------
        associations : sequence of PlannedAssociation
        sources : mapping of str to Source
            Their headers, by the names of the associations.
        """
        if not any(place == CAL for place, _, _ in self._steps):
            return list(associations)
        found = {
            member.root: _Exposure(
                member.root, member.cal, sources[a.name].headers[member.root], member.size, a.family, member.geometry
            )
            for a in associations
            for member in a.members
        }
        clean = self._plan(CAL, list(found.values()))
        return [
            replace(a, members=tuple(replace(member, clean=clean.get(member.root, "")) for member in a.members))
            for a in associations
        ]

    def files(self) -> set[str]:
        """Return the files of the user that the steps read, beside exposures."""
        steps = [step for cleaning in self.cleanings for step in cleaning.steps]
        return {path for step in steps for path, _ in step.inputs.values()}

    def _backgrounds(self, exposures: Iterable[PlannedExposure], found: Iterable[_Exposure]) -> list[_Exposure]:
        """Return the background exposures, under names that no others have; their own path tells them apart."""
        taken = {exposure.root for exposure in found}
        members: dict[str, _Exposure] = {}
        for exposure in exposures:
            for path in exposure.background.members if exposure.background else ():
                header = self._read_header(path)
                if str(path) in members or header is None:
                    continue
                root = product_root(path.name)
                if root in taken:
                    root += "_" + hashlib.sha256(str(path).encode()).hexdigest()[:6]
                taken.add(root)
                of_exposure = exposure.family, "", exposure.references  # with which it is subtracted, too
                members[str(path)] = _Exposure(root, str(path), header, _pixels(header), *of_exposure)
        return list(members.values())

    def _plan(self, place: str, exposures: Sequence[_Exposure]) -> dict[str, str]:
        """Plan the steps of a place, and return what is made of which exposure, by its root and by its file."""
        steps: dict[str, list[StepOfExposure]] = {exposure.root: [] for exposure in exposures}
        for there, key, step in self._steps:
            if there == place:
                self._plan_step(place, key, step, exposures, steps)
        clean = {}
        for exposure in exposures:
            if steps[exposure.root]:
                cleaning = Cleaning(
                    exposure.root,
                    place,
                    exposure.source,
                    exposure.size,
                    tuple(steps[exposure.root]),
                    exposure.family.images,
                    dict(exposure.header.derived),
                    exposure.geometry,
                )
                self.cleanings.append(cleaning)
                clean[exposure.root] = f"{self._folder}/{cleaning.name}.fits"
        by_source = {exposure.source: clean[exposure.root] for exposure in exposures if exposure.root in clean}
        return by_source | clean

    def _plan_step(
        self,
        place: str,
        key: str,
        step: ExtraStep,
        exposures: Sequence[_Exposure],
        planned: dict[str, list[StepOfExposure]],
    ) -> None:
        selected = [exposure for exposure in exposures if step.selection.selects(exposure.root, exposure.values)]
        if not selected:
            if not step.optional and not self._problems:  # of what is refused the exposures are not known
                self._problems.add(Problem("config", f"{key}.for", *_why_none(step, place, exposures)))
            return
        if step.which_others:
            self._require_times(step, exposures)
        common = self._common(step)
        reach = common.parameters[step.shipped.reach] if step.shipped and step.shipped.reach else None
        collected = self._collect(place, step, common, selected)
        without: dict[str, str] = {}
        for exposure in selected:
            inputs = self._inputs(key, step, exposure, without)
            if inputs is not None and self._check_texts(key, step, place, inputs):
                inputs |= _of_references(step, common, exposure, inputs)
                others = _others(step, exposure, exposures, reach) if step.which_others else None
                planned[exposure.root].append(
                    replace(common, inputs=inputs, others=others, collected=collected.get(exposure.root, ""))
                )
        if len(without) == len(selected) and not step.optional:
            wrong = f"there is a file for none of {len(selected)} exposures, such as {next(iter(without.values()))!r}"
            self._problems.add(Problem("config", f"{key}.inputs", wrong, "give files for those that it is for"))
        elif without:
            names = some(list(without))
            self._notices.append(
                f"{step.name}: not applied to {names}: there is no file {next(iter(without.values()))}"
            )

    def _require_times(self, step: ExtraStep, exposures: Iterable[_Exposure]) -> None:
        """Refuse exposures of which it is not known when they began, since the order of all is asked for."""
        for exposure in exposures:
            if observation_time(exposure.header.values) is None:
                wrong = f"{exposure.values.get('DATE-OBS')!r} does not tell when the exposure began"
                right = f"the step {step.name} goes by the order of exposures in time"
                problem = Problem(str(exposure.header.path), "DATE-OBS", wrong, right)
                if problem not in self._problems:
                    self._problems.add(problem)

    def _common(self, step: ExtraStep) -> StepOfExposure:
        """Return what is the same for all exposures of a step."""
        shipped, keyword = step.shipped, self._keywords[step.name]
        if shipped is None:
            function = f"{step.file}:{step.function_name}"
            return StepOfExposure(
                step.name,
                keyword,
                function,
                step.parameters,
                mask_from=step.masked_by,
                takes_light=bool(step.light_from),
            )
        section: Any = parameter_section(step.step or step.name)
        parameters = parameters_of(section.model_validate(step.parameters))
        functions = in_full(shipped.function), parameters, in_full(shipped.parameters)
        return StepOfExposure(
            step.name,
            keyword,
            *functions,
            mask_from=step.masked_by,
            leaves_out=shipped.leaves_out,
            takes_light=bool(step.light_from),
            before_light=shipped.before_light if step.light_from else {},
            collects_light=shipped.collects_light and bool(step.light_from),
        )

    def _collect(
        self, place: str, step: ExtraStep, common: StepOfExposure, exposures: Sequence[_Exposure]
    ) -> dict[str, str]:
        """Plan what is made once of all exposures of a detector, and return the name of it for each exposure."""
        shipped = step.shipped
        function = shipped.collect if shipped else step.collect
        if not function or (shipped and shipped.instead in step.inputs):
            return {}
        function = in_full(function) if shipped else f"{step.file}:{function}"
        sets: dict[tuple[str, ...], list[_Exposure]] = {}
        for exposure in sorted(exposures, key=lambda each: (each.start, each.root)):
            band = tuple(str(exposure.values.get(keyword, "")) for keyword in ("FILTER", "PUPIL"))
            sets.setdefault((*exposure.detector, *(band if step.collects_by == FILTER else ())), []).append(exposure)
        found: dict[str, str] = {}
        for key, members in sets.items():
            sources = tuple(member.source for member in members)
            digest = hashlib.sha256("\n".join((place, *sources)).encode()).hexdigest()[:8]
            words = re.sub(r"[^A-Za-z0-9]+", "-", "_".join(word for word in key[1:] if word).lower())
            collection = Collection(
                f"{step.name}_{words}_{digest}",
                step.name,
                place,
                function,
                sources,
                max(member.size for member in members),
                members[0].family.images,
                common.parameters,
                common.parameter_class,
            )
            self.collections.append(collection)
            found |= dict.fromkeys((member.root for member in members), collection.name)
        return found

    def _inputs(
        self, key: str, step: ExtraStep, exposure: _Exposure, without: dict[str, str]
    ) -> dict[str, tuple[str, str]] | None:
        """Return the files of a step for an exposure; None if there are none for it."""
        found = {}
        for role, pattern in step.inputs.items():
            named_after = set(_PLACEHOLDER.findall(pattern))
            if unknown := sorted(named_after - {"exposure", *_KEYWORD_OF}):
                wrong = f"{{{unknown[0]}}} stands for nothing"
                right = "{exposure}, {instrument}, {detector}, {filter} and {pupil} stand for those of each exposure"
                self._problems.add(Problem("config", f"{key}.inputs.{role}", wrong, right))
                return None
            path = _PLACEHOLDER.sub(lambda match: _word(match[1], exposure), pattern)
            if not os.path.isfile(path):
                if named_after:
                    without[exposure.root] = path
                else:
                    self._problems.add(Problem("config", f"{key}.inputs.{role}", no_file(Path(path)), "give a file"))
                return None
            found[role] = (path, step.shipped.inputs[role] if step.shipped else "")
        return found

    def _check_texts(self, key: str, step: ExtraStep, place: str, inputs: Mapping[str, tuple[str, str]]) -> bool:
        """Tell whether a step can use the texts that it gets; each is looked at once."""
        texts = {role: path for role, (path, kind) in inputs.items() if kind == TEXT}
        if step.shipped is None or not step.shipped.check or not texts:
            return True
        seen = key, "\n".join(texts.values())
        if seen not in self._checked:
            self._checked[seen] = True
            try:
                contents = {role: Path(path).read_text("utf-8") for role, path in texts.items()}
                resolve_name(in_full(step.shipped.check))(place, **contents)
            except (OSError, ValueError) as error:
                self._checked[seen] = False
                self._problems.add(Problem(", ".join(texts.values()), "", str(error), f"{step.name} needs it ({key})"))
        return self._checked[seen]


def keywords(steps: Sequence[ExtraStep]) -> dict[str, str]:
    """Return the keywords of the status of steps, by their names: S_ and six letters, no two alike.

    Parameters
    ----------
    steps : sequence of ExtraStep
        In the order of the configuration.
    """
    found: dict[str, str] = {}
    for step in steps:
        own = step.shipped.keyword if step.shipped and step.name in (step.step or step.name) else ""
        keyword = own or "S_" + re.sub(r"[^A-Z0-9]", "_", step.name.upper())[:6]
        number = 2
        while keyword in TAKEN or keyword in found.values():
            keyword = f"{keyword[:7].rstrip('0123456789')[: 8 - len(str(number))]}{number}"
            number += 1
        found[step.name] = keyword
    return found


def _pixels(header: ExposureHeader) -> int:
    size = 1
    for length in header.shape:
        size *= length
    return size


def _word(name: str, exposure: _Exposure) -> str:
    """Return what a placeholder stands for; nothing of it can lead to another folder."""
    word = exposure.root if name == "exposure" else str(exposure.values.get(_KEYWORD_OF[name], ""))
    return word.strip().replace("/", "_")


def _of_references(
    step: ExtraStep, common: StepOfExposure, exposure: _Exposure, given: Container[str]
) -> dict[str, tuple[str, str]]:
    """Return the references of an exposure that a step of calflow takes, but where another file is given."""
    found = {}
    for role, parameter in step.shipped.references.items() if step.shipped else ():
        reference = exposure.references.get(role)
        if role not in given and common.parameters[parameter] and reference and reference.path:
            found[role] = (str(reference.path), RESPONSE)
    return found


def _others(
    step: ExtraStep, exposure: _Exposure, exposures: Sequence[_Exposure], reach: float | None
) -> tuple[str, ...]:
    """Return the files of other exposures of the detector of one: the earlier ones, or all, in order of time.

    Those that ended more than `reach` seconds before are left out.
    """
    others = {e.source: e for e in exposures if e.detector == exposure.detector and e.source != exposure.source}
    in_order = sorted(others.values(), key=lambda each: (each.start, each.root))
    if step.which_others != ALL:
        in_order = [each for each in in_order if each.start < exposure.start]
    if step.within is not None:
        limit = timedelta(hours=step.within)
        in_order = [each for each in in_order if abs(each.start - exposure.start) <= limit]
    if reach is not None:
        in_order = [each for each in in_order if exposure.start - each.end <= timedelta(seconds=reach)]
    return tuple(each.source for each in in_order)


def _why_none(step: ExtraStep, place: str, exposures: Sequence[_Exposure]) -> tuple[str, str]:
    """Say that a step is for no exposure, and what there is."""
    if not exposures:
        where = "no level-3 association combines exposures" if place == CAL else "no exposure goes through stage 2"
        return f"is for no exposure: {where}", "leave the step out, or set optional"
    selection = step.selection
    for name, keyword in (("instrument", "INSTRUME"), ("detector", "DETECTOR"), ("filter", "FILTER")):
        given = getattr(selection, name)
        alone = type(selection)(**{name: given})
        if given and not any(alone.selects(each.root, each.values) for each in exposures):
            there = sorted({str(each.values.get(keyword)) for each in exposures})
            return f"no exposure has {name} {', '.join(given)}", f"there are {some(there)}; or set optional"
    wrong = f"selects none of {len(exposures)} exposures"
    return wrong, f"there are {some(sorted(each.root for each in exposures))}; or set optional"
