"""Planning stage 2: what becomes of one exposure, as its family, its header and the configuration say."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from calflow.configuration.problems import Problem, Problems
from calflow.configuration.settings import Settings
from calflow.files.linear_wcs import NoProjection, read_projection
from calflow.inputs.associations import Association, Product
from calflow.inputs.exposure_checks import check_background, check_science
from calflow.inputs.headers import ExposureHeader, window_of
from calflow.instruments import family_of
from calflow.instruments.family import Family, Use, Variant
from calflow.plan.combination import STAGE3_STEPS
from calflow.plan.plan import BackgroundSet, PlannedExposure
from calflow.references.parameter_references import Chosen, ParameterReferences
from calflow.references.reference_choice import ReferenceChooser
from calflow.references.references import Reference

SKIPPED, COMPLETE = "SKIPPED", "COMPLETE"
# Steps that cannot run without the reference of this type.
DECISIVE_REFERENCES = {"dark_current": "dark", "flat_field": "flat", "photom": "photom"}
# What background exposures are calibrated with before they are combined, by the rule.
BACKGROUND_REFERENCES = {"average": ("dark",), "sky_model": ("dark", "flat")}
# Extensions that a step is about.
NEEDED_EXTENSIONS = {"parse_subarray_map": "SUBARR_MAP"}


class ExposurePlanner:
    """Plans exposures, and gathers all that is wrong with them.

    Parameters
    ----------
    settings : Settings
    read_header : callable
        From a path to its `ExposureHeader`, or None after adding a problem.
    chooser : ReferenceChooser
    problems : Problems
    notices : list of str
    parameters : ParameterReferences, optional
    """

    def __init__(
        self,
        settings: Settings,
        read_header: Callable[[Path], ExposureHeader | None],
        chooser: ReferenceChooser,
        problems: Problems,
        notices: list[str],
        parameters: ParameterReferences | None = None,
    ):
        self.settings = settings
        self.parameters = parameters
        self.read_header = read_header
        self.chooser = chooser
        self.problems = problems
        self.notices = notices
        self._not_applicable: Counter[tuple[str, str]] = Counter()

    def tell_not_applicable(self) -> None:
        """Add a notice of the steps for which the user, or the rules, say that they are left out of exposures."""
        for (step, name), number in self._not_applicable.items():
            exposures = "1 exposure" if number == 1 else f"{number} exposures"
            self.notices.append(f"{step} is SKIPPED for {exposures}: the {name} reference is N/A")

    def plan(self, association: Association, product: Product) -> PlannedExposure | None:
        """Return the plan of a product of a level-2 association, or None after adding problems.

        Parameters
        ----------
        association : Association
            Of level 2.
        product : Product
            Of this association.
        """
        path = product.science.path
        header = self.read_header(path)
        if header is None:
            return None
        family = family_of(header.values)
        variant = check_science(path, header, family, self.problems)
        if family is None or variant is None or not self._check_method(association, product, family):
            return None
        idle = self._idle(header, family, variant, bool(product.backgrounds))
        chosen = self.parameters.choose("stage2", path, header, family) if self.parameters else Chosen(self.settings)
        status = self._status(header, family, variant, idle, chosen)
        self._check_wcs(path, header, family, status)
        references = self.chooser.choose(path, header, family, status | dict.fromkeys(STAGE3_STEPS, SKIPPED))
        if references is None:
            return None
        self._skip_without_references(path, references, status)
        self._check_dark(path, header, family, status)
        used = {name: ref for name, ref in references.items() if family.references[name].step not in status}
        if header.is_cube and str(header.values["INSTRUME"]) in family.no_photom_cubes:
            status["photom"] = SKIPPED
            used.pop("photom", None)  # the pixel area is attached all the same
        background = None
        if product.backgrounds and "bkg_subtract" not in status:
            background = self._background(product, header, family, used)
        if background:
            changed = tuple(f"{key}={value}" for key, value in chosen.values.items() if key.startswith("bkg_subtract."))
            background = replace(background, parameters=changed)
        return PlannedExposure(
            root=product.root,
            science=path,
            header=header,
            family=family,
            variant=variant,
            pool=association.pool,
            table=association.table,
            background=background,
            steps=self._steps(family, idle | set(status)),
            references=used,
            reference_record=_record(references, family),
            context_record=self.chooser.context(family),
            status=status,
            quick_look="resample" not in idle | set(status),
            parameters=chosen,
        )

    # Which steps run ------------------------------------------------------------------------------------

    def _check_method(self, association: Association, product: Product, family: Family) -> bool:
        """Refuse a way of finding the background that the family has not got, and backgrounds if it has no way."""
        section, ways = self.settings.stage2.bkg_subtract, family.rules_of("bkg_subtract")
        if section.skip or section.method in ways or not (ways or product.backgrounds):
            return True
        if not ways:
            wrong = f"{product.backgrounds[0].expname!r} is a background of {product.science.expname!r}"
            right = f"no background is subtracted from exposures of {family.telescopes[0]}: leave it out"
            self.problems.add(Problem(str(association.path), product.backgrounds[0].key, wrong, right))
            return False
        wrong = f"{section.method!r} is not there for {product.science.expname!r} in {association.path}"
        right = f"exposures of {family.telescopes[0]} have {', '.join(family.rules_of('bkg_subtract'))}"
        self.problems.add(Problem("config", "stage2.bkg_subtract.method", wrong, right))
        return False

    def _idle(self, header: ExposureHeader, family: Family, variant: Variant, has_background: bool) -> set[str]:
        """Return the steps that have nothing to do in an exposure."""
        idle = {step for step, extension in NEEDED_EXTENSIONS.items() if not header.has(extension)}
        if not has_background and self.settings.stage2.bkg_subtract.method == "average":
            idle.add("bkg_subtract")
        if variant.resample is Use.ABSENT or header.is_cube:
            idle.add("resample")
        return idle & set(family.step_names)

    def _status(
        self, header: ExposureHeader, family: Family, variant: Variant, idle: set[str], chosen: Chosen
    ) -> dict[str, str]:
        """Return the steps that are skipped on purpose: by the user, by the variant, or for want of work."""
        names = family.step_names
        by_user = {step for step in names if chosen.settings.stage2.skips(step)}
        uses = {"bkg_subtract": variant.background, "resample": variant.resample}
        skipped = by_user | {step for step, use in uses.items() if use is Use.SKIP}
        skipped = skipped | idle if family.records_idle_steps else skipped - idle
        return {step: SKIPPED for step in names if step in skipped}

    def _check_wcs(self, path: Path, header: ExposureHeader, family: Family, status: dict[str, str]) -> None:
        """Skip the world coordinates of a header that has none, and what cannot be done without them."""
        if "header" not in family.rules_of("assign_wcs") or "assign_wcs" in status:
            return
        try:
            read_projection(header.values)
        except NoProjection as error:
            self.notices.append(f"{path}: assign_wcs is SKIPPED, there will be no _i2d: {error}")
            status |= {"assign_wcs": SKIPPED, "resample": SKIPPED}

    def _skip_without_references(self, path: Path, references: Mapping[str, Reference], status: dict[str, str]) -> None:
        for step, name in DECISIVE_REFERENCES.items():
            if name in references and references[name].path is None:
                status[step] = SKIPPED
                if references[name].reason:
                    self.notices.append(f"{path}: {step} is SKIPPED: {references[name].reason}")
                else:
                    self._not_applicable[step, name] += 1

    def _check_dark(self, path: Path, header: ExposureHeader, family: Family, status: Mapping[str, str]) -> None:
        """Refuse to subtract the dark a second time."""
        runs = "dark_current" in family.step_names and "dark_current" not in status
        if runs and header.values.get("S_DARK") == COMPLETE:
            right = "set stage2.dark_current.skip, or give the exposure before that"
            self.problems.add(Problem(str(path), "S_DARK", "is COMPLETE: the dark is already subtracted", right))

    def _steps(self, family: Family, without: set[str]) -> tuple[tuple[str, str], ...]:
        """Return the steps of the calibration that run; of the ways of finding the background the chosen one."""
        chosen = self.settings.stage2.bkg_subtract.method
        return tuple(
            (step.name, step.rule)
            for step in family.steps
            if step.name not in without | {"resample"} and (step.name != "bkg_subtract" or step.rule == chosen)
        )

    # Backgrounds ----------------------------------------------------------------------------------------

    def _background(
        self, product: Product, science: ExposureHeader, family: Family, references: Mapping[str, Reference]
    ) -> BackgroundSet | None:
        headers = {member.path: self.read_header(member.path) for member in product.backgrounds}
        found = {path: header for path, header in headers.items() if header}
        if len(found) < len(headers):
            return None
        new = self.problems.from_here()
        for path, header in found.items():
            check_background(path, header, science, family, self.problems)
        if new.any():
            return None
        depth = max(header.shape[0] if header.is_cube else 1 for header in found.values())
        rule = self.settings.stage2.bkg_subtract.method
        plain = BackgroundSet(tuple(sorted(found)), window_of(science), depth, rule)
        return self._with_references(plain, product, found, references)

    def _with_references(
        self,
        plain: BackgroundSet,
        product: Product,
        headers: Mapping[Path, ExposureHeader],
        references: Mapping[str, Reference],
    ) -> BackgroundSet:
        """Add what the background exposures are calibrated with, and tell if a dark would go twice."""
        names = BACKGROUND_REFERENCES[plain.rule]
        paths = {name: references[name].path for name in names if name in references}
        files = {name: path for name, path in paths.items() if path is not None}
        raw = tuple(path for path in plain.members if headers[path].values.get("S_DARK") != COMPLETE)
        if plain.rule == "average" and not self.settings.stage2.bkg_subtract.subtract_dark:
            if "dark" in files and raw:
                self.notices.append(
                    f"{product.science.path}: {len(raw)} of its background exposures still have their dark (no "
                    "S_DARK = COMPLETE), which goes twice; set stage2.bkg_subtract.subtract_dark"
                )
            return plain
        if plain.rule == "average" and not raw:
            return plain
        return replace(plain, references=files, undarkened=raw if "dark" in files else ())


def _record(references: Mapping[str, Reference], family: Family) -> dict[str, tuple[str, str]]:
    """Return the keywords that record which references are used."""
    record = {
        family.references[name].keyword: (reference.recorded, f"{name} reference")
        for name, reference in references.items()
    }
    return record | dict.fromkeys(family.unused_references, ("N/A", "not used in imaging"))
