"""Making the plan: all associations and headers read, references chosen, everything checked."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from calflow.associations.making import MadeAssociations, make_associations
from calflow.configuration.extra_steps import ExtraSteps, check_extra_steps
from calflow.configuration.paths import no_file
from calflow.configuration.problems import InputError, Problem, Problems
from calflow.configuration.settings import Settings
from calflow.files.linear_wcs import KEYWORDS as WCS_KEYWORDS
from calflow.files.names import product_root
from calflow.inputs.associations import (
    Association,
    Member,
    Product,
    expand,
    made_association,
    read_association,
    single_exposure,
)
from calflow.inputs.folder_checks import check_input, check_output
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.headers import ExposureHeader, read_exposure_header
from calflow.inputs.input_folder import InputFolder
from calflow.inputs.scope import LEVEL_OF_TYPE, is_spectroscopic
from calflow.instruments import header_keywords
from calflow.plan.combination import PlannedAssociation
from calflow.plan.combination_checks import CombinationChecker
from calflow.plan.combination_planner import CombinationPlanner, check_astrometric_catalog
from calflow.plan.context_comparison import compare_contexts
from calflow.plan.exposure_planner import ExposurePlanner
from calflow.plan.extra_step_planner import ExtraStepPlanner
from calflow.plan.first_pass_planner import Planned, WithFirstPass, plan_first_pass
from calflow.plan.given_pointings import GivenPointings
from calflow.plan.merge_planner import MergePlanner
from calflow.plan.plan import (
    Calibrated,
    Plan,
    PlannedExposure,
    PlannedMerge,
    association_folder,
    reference_folder,
    stage_folder,
)
from calflow.plan.reference_checks import ReferenceChecker, is_asdf
from calflow.plan.reference_maker_planner import plan_references
from calflow.plan.tiles import check_tiles, expanded
from calflow.printable import has_controls
from calflow.references.crds_cache import CrdsCache, pinned_contexts
from calflow.references.parameter_references import ParameterReferences, settings_for
from calflow.references.reference_choice import ReferenceChooser

GRID_NAME = re.compile(r"[A-Za-z0-9_-]+")
CONTROLS = "they would act upon every terminal that shows it; rename the file or folder"
BRACES = "Snakemake takes braces for wildcards; rename the file or folder"


def make_plan(
    settings: Settings, files: Sequence[Path], cache: Path, stages: Collection[int] = (2, 3), is_job: bool = False
) -> Plan:
    """Read all associations and headers, choose references, and check everything.

    Parameters
    ----------
    settings : Settings
        Relative paths in it are taken from the working directory.
    files : sequence of Path
        The config files, strongest first, to name the one that holds a wrong key.
    cache : Path
        Where headers are remembered between runs.
    stages : collection of int
        Those that are asked for.
    is_job : bool
        Whether this is a job of a cluster, for which the run that submitted it has fetched what it needs.

    Raises
    ------
    InputError
        With everything that is wrong; also if all that is asked for is something that calflow does not do.
    """
    with settings.locating(files):
        return _Planner(settings, HeaderCache(cache), is_job).plan(stages)


class Read(NamedTuple):
    """What `read_associations` found.

    Attributes
    ----------
    associations : list of Association
        Those of which something is made.
    made : MadeAssociations or None
        If the configuration names none.
    notices : list of str
        What was found on the way.
    """

    associations: list[Association]
    made: MadeAssociations | None
    notices: list[str]


def read_associations(settings: Settings, files: Sequence[Path], cache: Path) -> Read:
    """Read the associations, or make them, and plan nothing.

    Parameters
    ----------
    settings, files, cache
        As of `make_plan`.

    Raises
    ------
    InputError
        With everything that is wrong with the configuration and the associations.
    """
    with settings.locating(files):
        return _Planner(settings, HeaderCache(cache), is_job=False).read()


def only_associations(settings: Settings, files: Sequence[Path], cache: Path) -> MadeAssociations:
    """Make the associations of the exposures in `input`, or of a pool, and plan nothing more.

    Parameters
    ----------
    settings, files, cache
        As of `make_plan`.

    Raises
    ------
    InputError
        With everything that is wrong; also if there are no exposures.
    """
    with settings.locating(files):
        return _Planner(settings, HeaderCache(cache), is_job=False).only_associations()


class _Planner:
    """Gathers the exposures of a configuration, and all that is wrong with them."""

    def __init__(self, settings: Settings, cache: HeaderCache, is_job: bool):
        self.settings = settings
        self.is_job = is_job
        self.cache = cache
        self.inputs = InputFolder.of(settings)
        self.problems = Problems()
        self.notices = list(settings.notices)
        self.headers: dict[Path, ExposureHeader | None] = {}
        self.refused: set[str] = set()  # exposures that something is wrong with
        self.left_out: list[Association] = []
        self.made_associations: MadeAssociations | None = None
        folder = reference_folder(settings)
        self.made_references = plan_references(settings.reference_makers, folder, self._header, self.problems)
        self.chooser = ReferenceChooser(settings, cache, self.problems, self.made_references)
        self.parameters = ParameterReferences(settings, self.chooser, cache, self.problems, self.notices)
        self.combination_checker = CombinationChecker(settings, cache, self.problems, self.notices)
        self.checker = ReferenceChecker(cache, self.problems, self.made_references, self.notices)

    def plan(self, stages: Collection[int]) -> Plan:
        """Return the plan, or raise InputError."""
        self._check_settings()
        if not check_input(self.settings, self.problems):
            raise InputError(self.problems)  # each exposure that is not found would be one more, and none the cause
        associations = self._associations()
        extra_steps = self._extra_step_planner()
        exposures = extra_steps.before_stage2(self._exposures([a for a in associations if a.level == 2]))
        for exposure in exposures:
            self._check_paths(exposure)
            self.checker.check(exposure)
        if self.settings.stage2.assign_wcs.skip and any(exposure.quick_look for exposure in exposures):
            wrong = "cannot run without the world coordinates of assign_wcs, which is skipped"
            self.problems.add(Problem("config", "stage2.resample", wrong, "set stage2.resample.skip too"))
        folder = stage_folder(self.settings, 2)
        merger = MergePlanner(exposures, self.refused, folder, self._header, self.problems, self.notices)
        self._check_characters(str(path) for made in self.made_references.values() for path in made.exposures)
        merges = merger.plan([a for a in associations if a.merges])
        self._check_characters(path for merge in merges for path in (merge.full, *merge.subarrays.values()))
        grids = self.combination_checker.grids
        exposures, merges = grids.check_quick_looks(exposures), grids.check_quick_looks(merges)
        combined = self._in_tiles([a for a in associations if a.level == 3 and not a.merges], [*exposures, *merges])
        combinations = self._combinations(combined, [*exposures, *merges], extra_steps)
        self._check_characters(extra_steps.files())
        first = self._first_pass(exposures, merges, combinations, extra_steps)
        crds = self._crds_cache(exposures, combinations, merges)
        self.cache.save()
        if not self.problems:
            self.parameters.check_overrides()
        if not self.problems:
            self._tell_left_out({2: bool(exposures or merges or self.made_references), 3: bool(combinations)}, stages)
        self.problems.raise_any()
        self.notices += self.chooser.notices
        notices = _one_for_same(self.notices)
        made = self.made_references
        of_steps = first.cleanings, first.collections, first.first_pass
        plan = Plan(self.settings, exposures, combinations, notices, merges, made, crds, *of_steps)
        plan.made_associations = self.made_associations
        return plan

    def read(self) -> Read:
        """Return the associations, or raise InputError."""
        self._check_settings()
        associations = self._associations() if check_input(self.settings, self.problems) else []
        self.cache.save()
        if not self.problems:
            self._tell_left_out({level: bool(associations) for level in (2, 3)}, (2, 3))
        self.problems.raise_any()
        if not associations and not self.settings.associations and not self.settings.exposures:
            raise InputError([Problem("config", "input", *self.inputs.lack())])
        return Read(associations, self.made_associations, self.notices)

    def only_associations(self) -> MadeAssociations:
        """Return the associations that are made, or raise InputError."""
        check_output(self.settings, self.problems)
        made = self._made_associations() if check_input(self.settings, self.problems) else None
        self.cache.save()
        self.problems.raise_any()
        if made is None:
            raise InputError([Problem("config", "input", *self.inputs.lack())])
        return made

    def _made_associations(self) -> MadeAssociations | None:
        folder = Path(association_folder(self.settings))
        calibrators = [path for made in self.made_references.values() for path in made.exposures]
        return make_associations(self.settings, self._header, self.problems, folder, self.inputs, calibrators)

    def _use_made_associations(self) -> list[Association | None]:
        """Make associations where the configuration names none, tell of them, and return those that are used."""
        settings = self.settings
        if settings.associations or settings.exposures:
            for key in ("targets", "filters", "observations"):
                if getattr(settings, key):
                    wrong = "selects from associations that are made, and here 'associations' or 'exposures' are given"
                    self.problems.add(Problem("config", key, wrong, f"leave {key} out, or the others"))
            return []
        self.made_associations = made = self._made_associations()
        if made is None:
            return []
        self.notices += [*made.notes, *made.left_out_lines()]
        return [
            made_association(made.files.folder / name, tree, self.inputs, self.problems)
            for name, tree in made.used.items()
        ]

    def _crds_cache(
        self,
        exposures: Sequence[PlannedExposure],
        combinations: Sequence[PlannedAssociation],
        merges: Sequence[PlannedMerge],
    ) -> CrdsCache | None:
        """Return what the CRDS cache lacks, and what another context would change; None without a cache."""
        if self.settings.references.source != "crds":
            return None
        fetches = self.chooser.missing.fetches(self.is_job)
        changes = compare_contexts(self.settings, self.chooser, exposures, combinations, merges)
        contexts = dict.fromkeys([*self.chooser.contexts(), *pinned_contexts(self.settings.references)])
        return CrdsCache(self.chooser.crds_path, fetches, changes, contexts)

    def _in_tiles(self, associations: list[Association], exposures: Sequence[Calibrated]) -> list[Association]:
        """Expand the level-3 associations that are combined on tiles; the settings get the grids of these."""
        if self.problems or not any(grid.tile_shape for grid in self.settings.grids.values()):
            return associations
        headers = {exposure.root: exposure.header for exposure in exposures}

        def header_of(member: Member) -> ExposureHeader | None:
            header = headers.get(product_root(member.expname))
            return self._header(member.path) if header is None and os.path.isfile(member.path) else header

        self.settings, found = expanded(self.settings, associations, header_of, self.problems, self.notices)
        self.combination_checker = CombinationChecker(self.settings, self.cache, self.problems, self.notices)
        return found

    def _combinations(
        self, associations: list[Association], exposures: Sequence[Calibrated], extra_steps: ExtraStepPlanner
    ) -> list[PlannedAssociation]:
        """Plan the level-3 associations."""
        folder = stage_folder(self.settings, 2)
        planner = CombinationPlanner(
            self.settings,
            exposures,
            self.refused,
            folder,
            self._header,
            self.chooser,
            self.problems,
            self.notices,
            self.parameters,
        )
        combinations = planner.plan(associations)
        if self.settings.colour.filters or self.settings.colour.balance:
            from calflow.plan.colour_files import check_colour  # which others need not load

            check_colour(self.settings, combinations, self.problems)
        headers = {name: source.headers for name, source in planner.sources.items()}
        given = GivenPointings(self.settings, self.cache, self.problems, self.notices)
        combinations = given.find(combinations, headers)
        combinations = self.combination_checker.check(combinations, planner.sources)
        combinations = extra_steps.before_stage3(combinations, planner.sources)
        for found in combinations:
            self.checker.check_catalog(found, settings_for(found.parameters, self.settings).stage3.source_catalog)
        files = {member.cal for found in combinations for member in found.members}
        files |= {str(member.star_list) for found in combinations for member in found.members if member.star_list}
        files |= {member.pointing["file"] for found in combinations for member in found.members if member.pointing}
        files |= {str(ref.path) for found in combinations for ref in found.references.values() if ref.path}
        stage3 = self.settings.stage3
        files |= {stage3.tweakreg.abs_refcat, stage3.skymatch.skylist or "", stage3.resample.output_wcs}
        self._check_characters(files | {grid.output_wcs for grid in self.settings.grids.values()})
        return combinations

    def _first_pass(
        self,
        exposures: Sequence[PlannedExposure],
        merges: Sequence[PlannedMerge],
        combinations: Sequence[PlannedAssociation],
        extra_steps: ExtraStepPlanner,
    ) -> WithFirstPass:
        """Return the extra steps with the masks that they take, and what these are made of."""
        if self.problems:  # of what is refused, the associations are not known
            return WithFirstPass(extra_steps.cleanings, extra_steps.collections)
        planned = Planned(
            exposures,
            merges,
            combinations,
            extra_steps.cleanings,
            extra_steps.collections,
            keys={step.name: key for _, key, step in self.settings.extra_steps.steps()},
            folders=(stage_folder(self.settings, 2), stage_folder(self.settings, 3)),
        )
        return plan_first_pass(planned, self.problems, self.notices)

    def _check_settings(self) -> None:
        """Check what concerns several settings, or the outside world."""
        stage2 = self.settings.stage2
        check_output(self.settings, self.problems)
        grids = {f"grids.{name}": grid.output_wcs for name, grid in self.settings.grids.items()}
        grids |= {"stage2.resample": stage2.resample.output_wcs}
        grids |= {"stage3.resample": self.settings.stage3.resample.output_wcs}
        for key, output_wcs in grids.items():
            if output_wcs and not is_asdf(Path(output_wcs)):
                wrong = f"{output_wcs!r} is no ASDF file" if os.path.isfile(output_wcs) else no_file(Path(output_wcs))
                self.problems.add(Problem("config", f"{key}.output_wcs", wrong, "give an ASDF file"))
        skymatch = self.settings.stage3.skymatch
        if skymatch.skymethod == "user" and not skymatch.skip and not os.path.isfile(skymatch.skylist or ""):
            wrong = f"no such file {skymatch.skylist!r}"
            self.problems.add(Problem("config", "stage3.skymatch.skylist", wrong, "give two columns of text"))
        for name in self.settings.grids:
            if not GRID_NAME.fullmatch(name):
                wrong = f"{name!r} cannot be part of a file name"
                self.problems.add(Problem("config", "grids", wrong, "use letters, digits, _ and -"))
        check_tiles(self.settings, self.problems)
        check_astrometric_catalog(self.settings, self.problems)

    def _extra_step_planner(self) -> ExtraStepPlanner:
        """Return the planner of the extra steps; of none if something is wrong with them."""
        new = self.problems.from_here()
        check_extra_steps(self.settings.extra_steps, self.problems)
        section = ExtraSteps() if new.any() else self.settings.extra_steps
        return ExtraStepPlanner(section, stage_folder(self.settings, 2), self._header, self.problems, self.notices)

    def _associations(self) -> list[Association]:
        """Read the associations and the single exposures."""
        settings, problems = self.settings, self.problems
        new = problems.from_here()
        files = expand(settings.associations, "associations", problems)
        singles = expand(settings.exposures, "exposures", problems)
        lost = new.any()  # exposures that are told already
        read = []
        found_wrong: list[Problem] = []
        for path in files:
            own = Problems()
            read.append(read_association(path, self.inputs, own))
            lost |= bool(own) and (read[-1] is None or read[-1].level == 2)
            found_wrong += own
        problems.add(*_one_for_all(read, found_wrong))
        read += [single_exposure(path, problems) for path in singles]
        read += self._use_made_associations()
        found = self._without_others([association for association in read if association])
        if lost:
            sciences = [member for a in found if a.level == 3 for product in a.products for member in product.sciences]
            self.refused |= {product_root(member.expname) for member in sciences if not os.path.isfile(member.path)}
        for association in found:
            for member in association.ignored:
                self.notices.append(f"{association.path}: {member.key} is of type {member.exptype}: not used")
        return found

    def _without_others(self, associations: list[Association]) -> list[Association]:
        """Keep aside the associations of what calflow does not do, and return the others."""
        done: list[Association] = []
        roots: set[str] = set()  # products of level-2 associations that are kept aside
        for association in sorted(associations, key=lambda association: association.level):
            why = association.left_out or self._spectroscopic(association, roots)
            if not why:
                done.append(association)
                continue
            self.left_out.append(replace(association, left_out=why))
            roots |= {product.root for product in association.products if association.level == 2}
        return done

    def _spectroscopic(self, association: Association, roots: Collection[str]) -> str:
        """Return why an association whose type says nothing is left out: its exposures are spectroscopic."""
        if association.asn_type or association.merges:
            return ""
        found = ""
        for member in (member for product in association.products for member in product.sciences):
            header = self._header(member.path) if os.path.isfile(member.path) else None
            if header is not None and is_spectroscopic(header.values):
                found = f"its exposures are spectroscopic (EXP_TYPE {header.values['EXP_TYPE']!r})"
            elif header is not None or product_root(member.expname) not in roots:
                return ""
        return found or "its exposures are left out" if association.products else ""

    def _tell_left_out(self, planned: Mapping[int, bool], stages: Collection[int]) -> None:
        """Tell what is left out: in notices, or as problems if there is nothing else in the wanted stages."""
        done = f"it does imaging: {', '.join(LEVEL_OF_TYPE)}"
        told = [
            (one.level, Problem(str(one.path), "", f"{one.left_out}, which calflow does not do", done))
            for one in self.left_out
        ]
        if not any(planned[stage] for stage in stages):
            self.problems.add(*(problem for level, problem in told if level in stages))
        self.notices += [f"{problem.file}: left out: {problem.wrong}" for _, problem in told]

    def _exposures(self, associations: list[Association]) -> list[PlannedExposure]:
        """Plan every product of the associations; the same product in two of them is planned once."""
        planner = ExposurePlanner(
            self.settings, self._header, self.chooser, self.problems, self.notices, self.parameters
        )
        first: dict[str, Product] = {}
        planned = []
        for association in associations:
            for product in association.products:
                if product.root in first:
                    self._check_same(association, product, first[product.root])
                    continue
                first[product.root] = product
                if exposure := planner.plan(association, product):
                    planned.append(exposure)
                else:
                    self.refused.add(product.root)
        planner.tell_not_applicable()
        return planned

    def _check_same(self, association: Association, product: Product, first: Product) -> None:
        def files(of: Product) -> tuple:
            return of.science.path.resolve(), {member.path.resolve() for member in of.backgrounds}

        if files(product) != files(first):
            wrong = f"{product.root!r} is already made, from other members"
            self.problems.add(Problem(str(association.path), product.key, wrong, "give it another name"))

    def _header(self, path: Path) -> ExposureHeader | None:
        if path not in self.headers:
            keywords = (*header_keywords(), *WCS_KEYWORDS)
            self.headers[path] = read_exposure_header(path, keywords, self.problems, self.cache)
        return self.headers[path]

    def _check_paths(self, exposure: PlannedExposure) -> None:
        """Refuse inputs whose paths Snakemake would take for patterns, or hand on to the terminal as they are."""
        paths = [exposure.science, *(exposure.background.members if exposure.background else ())]
        paths += [reference.path for reference in exposure.references.values() if reference.path]
        self._check_characters(map(str, paths))

    def _check_characters(self, paths: Iterable[str]) -> None:
        for path in sorted(paths):
            if "{" in path or "}" in path:
                self.problems.add(Problem(path, "", "has braces in its path", BRACES))
            elif has_controls(path):
                self.problems.add(Problem(path, "", "has control characters in its path", CONTROLS))


def _one_for_all(associations: Sequence[Association | None], problems: Sequence[Problem]) -> Sequence[Problem]:
    """Return one problem in place of those of several associations of which no member is where it is looked for."""
    level2 = [association for association in associations if association and association.level == 2]
    if len(level2) < 2 or not all(association.lost for association in level2):
        return problems
    paths = {str(association.path) for association in level2}
    wrong = (
        f"none of the exposures of {len(level2)} associations, such as {str(level2[0].path)!r}, is in {level2[0].lost}"
    )
    return [
        Problem("config", "input", wrong, "give the folder that they are in"),
        *(problem for problem in problems if problem.file not in paths),
    ]


def _one_for_same(notices: Iterable[str]) -> list[str]:
    """Return one notice in place of those that say the same of several files."""
    files: dict[str, list[str]] = {}
    for notice in notices:
        file, colon, text = notice.partition(": ")
        files.setdefault(f"{colon}{text}", []).append(file)
    return [
        f"{each[0]} and {len(each) - 1} more{text}" if len(each) > 1 else f"{each[0]}{text}"
        for text, each in ((text, list(dict.fromkeys(each))) for text, each in files.items())
    ]
