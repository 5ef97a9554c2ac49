"""The parameters of each exposure and association: those of the run, over what parameter references (pars-*) say."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from calflow.configuration.problems import InputError, Problem, Problems
from calflow.configuration.settings import Settings
from calflow.configuration.strun_translation import ANOTHER_WAY, FOREIGN, STAGES, Layer, read_parameter_files
from calflow.files.names import product_root
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.headers import ExposureHeader
from calflow.inputs.times import observation_time
from calflow.instruments import parameter_types
from calflow.instruments.family import Family
from calflow.references.crds_contexts import UPDATE
from calflow.references.crds_texts import read_selector
from calflow.references.reference_choice import ReferenceChooser
from calflow.references.references import DirectoryIndex, Reference, select_from_directory

# What decides which files there are holds for the whole run.
OF_THE_RUN = frozenset(
    "stage2.save_bsub stage2.assign_wcs.skip stage2.bkg_subtract.method stage2.bkg_subtract.subtract_dark "
    "stage2.bkg_subtract.save_combined_background stage2.flat_field.save_interpolated_flat "
    "stage2.flat_field.user_supplied_flat stage2.dark_current.dark_output stage2.resample.output_wcs "
    "stage3.tweakreg.catalog_format stage3.tweakreg.use_custom_catalogs stage3.tweakreg.catfile "
    "stage3.skymatch.skylist stage3.outlier_detection.save_intermediate_results "
    "stage3.outlier_detection.resample_data stage3.outlier_detection.error stage3.outlier_detection.search "
    "stage3.resample.output_wcs stage3.resample.single".split()
)


@dataclass(frozen=True)
class Chosen:
    """The parameters of a stage for one set of parameter references.

    Attributes
    ----------
    settings : Settings
        Of which the section of the stage counts.
    references : tuple of str
        The references, as headers name them; the later win.
    values : mapping of str to value
        By key, such as ``resample.pixfrac``, what the references, and `overrides` of the configuration, change.
    own : tuple of str
        The keys of these overrides, which headers do not name, as they name no configuration.
    """

    settings: Settings
    references: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    own: tuple[str, ...] = ()

    def record(self, stage: int, *without: str) -> dict[str, tuple[str, str]]:
        """Return the keywords, with comments, that say what was used; nothing without references.

        Parameters
        ----------
        stage : int
        *without : str
            Steps whose values are not said.
        """
        record = {
            f"R_PAR{stage}{number:02d}": (name, f"parameter reference, stage {stage}")
            for number, name in enumerate(self.references, start=1)
        }
        keys = [key for key in self.values if key.partition(".")[0] not in without and key not in self.own]
        values = [f"{key}={self.values[key]}" for key in keys]
        return record | {
            f"PAR{stage}_{number:03d}": (text, "parameter by that reference")
            for number, text in enumerate(values, start=1)
        }


def settings_for(parameters: Chosen | None, run: Settings) -> Settings:
    """Return the settings of an exposure or an association: those chosen for it, or else those of the run.

    Parameters
    ----------
    parameters : Chosen or None
        What was chosen for it.
    run : Settings
        The configuration.
    """
    return parameters.settings if parameters else run


class ParameterReferences:
    """Chooses the parameter references of exposures, and reads each set of them once.

    Parameters
    ----------
    settings : Settings
    chooser : ReferenceChooser
    cache : HeaderCache
    problems : Problems
        What is wrong with the references is added here.
    notices : list of str
        What of them is not used is added here.
    """

    def __init__(
        self,
        settings: Settings,
        chooser: ReferenceChooser,
        cache: HeaderCache,
        problems: Problems,
        notices: list[str],
    ):
        self.settings = settings
        self.chooser = chooser
        self.header_cache = cache
        self.problems = problems
        self.notices = notices
        self._sets: dict[tuple, Chosen] = {}
        self._overridden: dict[tuple, Chosen] = {}
        self._used: set[int] = set()  # numbers of overrides
        self._index: DirectoryIndex | None = None
        self._told: set[Problem] = set()

    def choose(self, stage: str, path: Path, header: ExposureHeader, family: Family | None) -> Chosen:
        """Return the parameters of a stage for an exposure, or for an association that begins with it.

        Parameters
        ----------
        stage : str
            ``stage2`` or ``stage3``.
        path : Path
            What a problem is told of.
        header : ExposureHeader
        family : Family or None
        """
        by_references = self._by_references(stage, path, header, family)
        if not self.settings.overrides:
            return by_references
        root = product_root(header.path.name)
        overrides = enumerate(self.settings.overrides)
        numbers = tuple(number for number, each in overrides if each.selection.selects(root, header.values))
        self._used.update(numbers)
        if not any(self.settings.overrides[number].values(stage) for number in numbers):
            return by_references
        key = (stage, numbers, by_references.references)
        if key not in self._overridden:
            self._overridden[key] = self._override(stage, by_references, numbers)
        return self._overridden[key]

    def check_overrides(self) -> None:
        """Add a problem for each override of the configuration that no exposure has had, unless that may be."""
        for number, override in enumerate(self.settings.overrides):
            if number not in self._used and not override.optional:
                right = "give what stands in headers (INSTRUME, DETECTOR, FILTER, PUPIL), or set optional"
                self._tell(Problem("config", f"overrides[{number}].for", "selects no exposure", right))

    def _override(self, stage: str, chosen: Chosen, numbers: tuple[int, ...]) -> Chosen:
        """Return parameters with overrides over them, of which the later win."""
        settings, own = chosen.settings, []
        for number in numbers:
            values = self.settings.overrides[number].values(stage)
            place = f"overrides[{number}]"
            for key, _ in _flat(values):
                own.append(key)
                if f"{stage}.{key}" in OF_THE_RUN:
                    wrong, right = "holds for all exposures", f"set {stage}.{key}"
                    self._tell(Problem("config", f"{place}.{stage}.{key}", wrong, right))
            try:
                settings = settings.overridden({stage: values})
            except ValueError as error:
                self._tell(Problem("config", f"{place}.{stage}", "does not go with the other parameters", str(error)))
        mine, before = (dict(_flat(getattr(of, stage).model_dump())) for of in (settings, self.settings))
        changed = {key: value for key, value in mine.items() if value != before[key]}
        return Chosen(settings, chosen.references, changed, tuple(dict.fromkeys(own)))

    def _by_references(self, stage: str, path: Path, header: ExposureHeader, family: Family | None) -> Chosen:
        if not self.settings.references.parameters or family is None:
            return Chosen(self.settings)
        if header.values.get("INSTRUME") not in family.instruments:
            return Chosen(self.settings)  # a problem of the exposure, told where its header is checked
        # As jwst does: those of the steps, and over them those of the pipeline.
        types = tuple(family.parameter_types[stage])
        from_crds = self.settings.references.source == "crds"
        by_type = (self._from_crds if from_crds else self._from_directory)(types, path, header, family)
        references = tuple(by_type[reftype] for reftype in types if reftype in by_type)
        key = (stage, *(reference.path for reference in references))
        if key not in self._sets:
            self._sets[key] = self._read(stage, references)
        return self._sets[key]

    # Which ----------------------------------------------------------------------------------------------

    def _from_crds(
        self, types: tuple[str, ...], _: Path, header: ExposureHeader, family: Family
    ) -> dict[str, Reference]:
        known = self._types_of(family, str(header.values["INSTRUME"]))
        wanted = [reftype for reftype in types if reftype in known]
        chosen = self.chooser.by_rules(wanted, header, family) if wanted else {}
        # To jwst, too, rules that do not cover an exposure are no parameters.
        by_type = {reftype: item for reftype, item in chosen.items() if isinstance(item, Reference) and item.path}
        for reftype in [reftype for reftype, item in by_type.items() if item.missing]:
            # What is in it is part of the plan: no job of the plan can fetch it.
            name = Path(str(by_type.pop(reftype).path)).name
            self._tell(Problem(str(self.chooser.crds_path), reftype, f"needs {name!r}; not in the cache", UPDATE))
        return by_type

    def _types_of(self, family: Family, instrument: str) -> tuple[str, ...]:
        """Return the types that the context has rules of: most have few, and to ask crds for the others is slow."""
        context = self.chooser.crds_context(family)
        if context is None or self.chooser.crds_path is None:
            return ()
        return known_types(Path(self.chooser.crds_path) / "mappings" / context.observatory, context.name, instrument)

    def _from_directory(
        self, types: tuple[str, ...], path: Path, header: ExposureHeader, family: Family
    ) -> dict[str, Reference]:
        folder = Path(self.settings.references.directory)
        observed = observation_time(header.values)
        if observed is None or not os.path.isdir(folder):
            return {}
        if self._index is None:
            self._index = DirectoryIndex(folder, self.header_cache, Problems())
        by_type = {}
        selectors = tuple(family.parameter_selectors)
        for reftype in types:
            if not self._index.references(reftype, str(header.values["INSTRUME"])):
                continue
            item = select_from_directory(self._index, reftype, selectors, header.values, observed)
            if isinstance(item, Reference):
                by_type[reftype] = item
            elif not item.wrong.startswith(f"no {reftype} reference"):
                self._tell(item)
        return by_type

    # What they say --------------------------------------------------------------------------------------

    def _read(self, stage: str, references: tuple[Reference, ...]) -> Chosen:
        if not references:
            return Chosen(self.settings)
        problems = Problems()
        layer = read_parameter_files([str(r.path) for r in references], problems, {stage: STAGES[stage]})
        for problem in problems:
            if problem.wrong == "unknown":  # of another version of jwst: nobody can mend it here
                self._notice(f"{problem.file}: {FOREIGN}: {problem.key}")
            else:
                self._tell(problem)
        for notice in layer.notices:
            if ANOTHER_WAY not in notice:
                self._notice(notice)
        layer = self._without_those_of_the_run(stage, layer)
        try:
            settings = self.settings.above(layer)
        except InputError as error:
            for problem in error.problems:
                self._tell(problem)
            return Chosen(self.settings)
        names = tuple(reference.recorded for reference in references)
        mine, before = (dict(_flat(getattr(of, stage).model_dump())) for of in (settings, self.settings))
        return Chosen(settings, names, {key: value for key, value in mine.items() if value != before[key]})

    def _without_those_of_the_run(self, stage: str, layer: Layer) -> Layer:
        """Leave out what would change which files there are, and say so."""
        values: dict[str, Any] = {}
        ignored: dict[str, list[str]] = {}
        present = dict(_flat(self.settings.model_dump()))
        for key, value in _flat(layer.values):
            if key.startswith(f"{stage}.") and key not in OF_THE_RUN:
                *sections, name = key.split(".")
                node = values
                for section in sections:
                    node = node.setdefault(section, {})
                node[name] = value
            elif value not in (None, "", present.get(key)):
                file = layer.origins.get(key, ("parameter reference", ""))[0]
                ignored.setdefault(file, []).append(f"{key}: {value}")
        for file, names in ignored.items():
            self._notice(f"{file}: not used, holds for all exposures: {', '.join(names)}; set it in the configuration")
        return replace(layer, values=values)

    def _notice(self, notice: str) -> None:
        if notice not in self.notices:
            self.notices.append(notice)

    def _tell(self, problem: Problem) -> None:
        if problem not in self._told:
            self._told.add(problem)
            self.problems.add(problem)


@cache
def known_types(mappings: Path, context: str, instrument: str) -> tuple[str, ...]:
    """Return the types of parameter references for which a context has rules, for an instrument.

    Parameters
    ----------
    mappings : Path
        The folder of the mappings.
    context : str
        Its name.
    instrument : str
        Value of INSTRUME.
    """
    instruments = {name.upper(): file for name, file in _selector(mappings / context).items()}
    types = _selector(mappings / str(instruments.get(instrument.upper(), "")))
    known = {name.lower() for name, file in types.items() if str(file).endswith(".rmap")}
    return tuple(reftype for reftype in parameter_types() if reftype in known)


def _selector(path: Path) -> dict[str, Any]:
    """Return the selector of a CRDS context (by instrument) or of an instrument's mapping (by type)."""
    try:
        return read_selector(path)
    except (OSError, ValueError):
        return {}  # told by the choice of the other references


def _flat(values: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value
