"""What parameter files of ``strun`` and ``lirun`` say, in calflow's configuration.

Steps and parameters have the names of the sections in `configuration.stage2` and `configuration.stage3`; the tables
below say only what is called otherwise, or means nothing here.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from calflow.configuration.problems import Problem, Problems, nearest
from calflow.configuration.section import Section
from calflow.configuration.stage2 import Stage2
from calflow.configuration.stage3 import Stage3
from calflow.configuration.strun_files import StrunParameters, read_strun_file
from calflow.configuration.strun_history import releases_of, renamed

STAGES: Mapping[str, type[Section]] = {"stage2": Stage2, "stage3": Stage3}
PIPELINES = {"Image2Pipeline": "stage2", "ProcessImagerL2Pipeline": "stage2", "Image3Pipeline": "stage3"}
STEP_ALIASES = {"background": "bkg_subtract"}
# How strun runs a step and names its files: here Snakemake and the configuration do.
OF_STRUN = frozenset(
    "save_results output_file output_dir output_ext output_use_model output_use_index search_output_file input_dir "
    "suffix pre_hooks post_hooks logcfg skip".split()
)
# What is said of parameters that are not taken as they are
ANOTHER_WAY = "not used, Snakemake and the configuration do this"
FOREIGN = "not used, calflow does not have this"
GONE = "not used, jwst does not have this any more"
RENAMED = "taken under its present name"
# A name that is as like as this to one of calflow's is a misspelling of it, not a parameter that calflow lacks.
MISSPELLED = 0.8


@dataclass(frozen=True)
class Layer:
    """What parameter files give, as a part of the configuration.

    Attributes
    ----------
    values : dict
        Nested as the configuration is; not checked.
    origins : dict of str to (str, str)
        By key, such as ``stage2.resample.pixfrac``, the file that gives it and the key there.
    notices : tuple of str
        What the files hold that is not used, or has another name now.
    """

    values: dict[str, Any]
    origins: dict[str, tuple[str, str]]
    notices: tuple[str, ...]


def read_parameter_files(
    paths: Iterable[str], problems: Problems, stages: Mapping[str, type[Section]] = STAGES
) -> Layer:
    """Read parameter files, of which the later win.

    Parameters
    ----------
    paths : iterable of str
        Files as `configuration.strun_files` reads them.
    problems : Problems
        Unreadable files, unknown classes and misspelled names are added here; nothing is raised.
    stages : mapping of str to Section
        The sections of the configuration that may be set.
    """
    translation = _Translation(stages, problems)
    for path in paths:
        if parameters := read_strun_file(path, problems):
            translation.add(parameters)
    notices = (
        f"{file}: {reason}: {', '.join(dict.fromkeys(names))}" for (file, reason), names in translation.notices.items()
    )
    return Layer(translation.values, translation.origins, tuple(notices))


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with the values of another one on top of it.

    An empty section (None) on top of values leaves them.

    Parameters
    ----------
    below, above : mapping
        Sections within sections, by their names.
    """
    merged = dict(below)
    for name, value in above.items():
        if isinstance(merged.get(name), Mapping) and (isinstance(value, Mapping) or value is None):
            merged[name] = overlay(merged[name], value or {})
        else:
            merged[name] = value
    return merged


class _Translation:
    """The files read so far, translated."""

    def __init__(self, stages: Mapping[str, type[Section]], problems: Problems):
        self.stages = stages
        self.problems = problems
        self.values: dict[str, Any] = {}
        self.origins: dict[str, tuple[str, str]] = {}
        self.notices: dict[tuple[str, str], list[str]] = {}  # names by file and reason
        self.bsub_by_step = False

    def add(self, found: StrunParameters) -> None:
        """Translate a file."""
        if found.class_name in PIPELINES:
            self._add_pipeline(found, PIPELINES[found.class_name])
        elif step := self._step_of(found.class_name):
            self._add_step(found, step, [stage for stage in self.stages if step in self._steps(stage)])
        else:
            wrong = f"{found.class_name!r} is no pipeline or step of calflow" if found.class_name else "is missing"
            self.problems.add(
                Problem(found.file, "class", wrong, nearest(found.class_name, self._classes(), MISSPELLED))
            )

    def _add_pipeline(self, found: StrunParameters, stage: str) -> None:
        self.bsub_by_step = False
        known = self._steps(stage)
        for name, layers in found.steps.items():
            step = STEP_ALIASES.get(name, name)
            if step not in known:
                self._unknown(found.file, f"steps.{name}", name, {*known, *STEP_ALIASES})
                continue
            for layer in layers:
                if layer.file == found.file or self._is_of(layer, step, name, found.file):
                    self._add_step(layer, step, [stage])
        fields = self._parameters(self.stages[stage])
        for name, value in found.values.items():
            if name == "save_bsub" and self.bsub_by_step:
                continue  # either of the two suffices
            if name == "output_dir" and value:
                self._set(("output",), str(value), found, name)
            elif name in fields:
                self._set((stage, name), value, found, name)
            else:
                self._other(found, name, value, fields)

    def _is_of(self, layer: StrunParameters, step: str, name: str, main: str) -> bool:
        """Check that a file that another one names is of the step for which it is named."""
        if not layer.class_name or self._step_of(layer.class_name) == step:
            return True
        wrong = f"{layer.class_name!r} is not the class of {name}, for which {main} names this file"
        self.problems.add(Problem(layer.file, "class", wrong, "name another file"))
        return False

    def _add_step(self, found: StrunParameters, step: str, stages: list[str]) -> None:
        sections = {stage: self._steps(stage)[step] for stage in stages}
        fields = {name for section in sections.values() for name in self._parameters(section)}
        later = renamed(step, found.values)
        for name, (value, given) in later.items():
            for stage in stages:
                self._set((stage, step, name), value, found, given)
            self._notice(found.file, RENAMED, f"{found.place}{given} ({name}: {value!r})")
        told = {given for _, given in later.values()} | ({"align_to_gaia"} if later else set())
        for name, value in found.values.items():
            if step == "bkg_subtract" and name == "save_results" and value is not None:
                self._set(("stage2", "save_bsub"), value, found, name)
                self.bsub_by_step = value is True
            elif name in fields:
                for stage in [stage for stage, section in sections.items() if name in section.model_fields]:
                    self._set((stage, step, name), value, found, name)
            elif releases := releases_of(step, name):
                if name not in told:
                    self._notice(found.file, GONE, f"{found.place}{name} ({releases})")
            else:
                self._other(found, name, value, fields)

    def _other(self, found: StrunParameters, name: str, value: Any, fields: set[str]) -> None:
        """Take what is not a parameter of the section."""
        kind = name.removeprefix("override_")
        nothing = value in (None, "", [])
        if kind != name:
            if not nothing:
                self._set(("references", "override", kind), value, found, name)
        elif name not in OF_STRUN:
            self._unknown(found.file, f"{found.place}{name}", name, fields | OF_STRUN)
        elif not nothing:
            self._notice(found.file, ANOTHER_WAY, name)

    def _unknown(self, file: str, key: str, name: str, known: Iterable[str]) -> None:
        known = list(known)
        if difflib.get_close_matches(name, known, n=1, cutoff=MISSPELLED):
            self.problems.add(Problem(file, key, "unknown", nearest(name, known)))
        else:
            self._notice(file, FOREIGN, key)

    def _notice(self, file: str, reason: str, name: str) -> None:
        self.notices.setdefault((file, reason), []).append(name)

    def _set(self, path: tuple[str, ...], value: Any, found: StrunParameters, name: str) -> None:
        section = self.values
        for part in path[:-1]:
            section = section.setdefault(part, {})
        section[path[-1]] = value
        self.origins[".".join(path)] = found.file, f"{found.place}{name}"

    def _steps(self, stage: str) -> dict[str, type[Section]]:
        return dict(_sections(self.stages[stage]))

    @staticmethod
    def _parameters(section: type[Section]) -> set[str]:
        return set(section.model_fields) - {name for name, _ in _sections(section)}

    def _step_of(self, class_name: str) -> str | None:
        """Return the step that a class is of: ``TweakRegStep`` is of tweakreg, ``AssignWcsStep`` of assign_wcs."""
        plain = class_name.removesuffix("Step").lower()
        names = {name.replace("_", ""): name for stage in self.stages for name in self._steps(stage)}
        return names.get(plain) or STEP_ALIASES.get(plain)

    def _classes(self) -> set[str]:
        steps = {name for stage in self.stages for name in self._steps(stage)} - {*STEP_ALIASES.values()}
        return {*PIPELINES} | {
            "".join(map(str.capitalize, f"{name}_step".split("_"))) for name in steps | {*STEP_ALIASES}
        }


def _sections(section: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield name, field.annotation
