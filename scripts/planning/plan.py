"""The plan: every exposure with its inputs, references and the steps it gets, before any job starts.

Rules look things up here and decide nothing themselves. Everything that is wrong with the input is found
here, and told together.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instruments import family_of, header_keywords
from instruments.family import Family, Use, Variant
from products.names import product_name
from settings import Settings
from steps.windows import Window

from planning.associations import Association, Product, expand, read_association, single_exposure
from planning.exposure_checks import check_background, check_science, window_of
from planning.headers import ExposureHeader, HeaderCache, read_exposure_header
from planning.problems import InputError, Problem
from planning.reference_choice import Reference, ReferenceChooser

STAGE2_STEPS = ("bkg_subtract", "assign_wcs", "flat_field", "photom", "resample")
SKIPPED = "SKIPPED"


class UnknownExposure(Exception):
    """A target that is no product of this configuration."""


@dataclass(frozen=True)
class BackgroundSet:
    """Background exposures that are averaged together, for exposures with one window.

    Attributes
    ----------
    members : tuple of Path
        In a fixed order, so that the same set gives the same bytes.
    window : Window
        Detector pixels of the average.
    depth : int
        Largest number of integrations of a member.
    """

    members: tuple[Path, ...]
    window: Window
    depth: int

    @property
    def name(self) -> str:
        """A name made of what the set is."""
        text = "\n".join([str(self.window), *map(str, self.members)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class PlannedExposure:
    """What is going to happen with one exposure.

    Attributes
    ----------
    root : str
        Beginning of the names of its products.
    science : Path
        The count-rate file.
    header : ExposureHeader
    family, variant
        Its instrument family, and the variant of the pipeline it goes through.
    pool, table : str
        Values of ASNPOOL and ASNTABLE.
    background : BackgroundSet or None
        What is subtracted.
    references : mapping of type to Reference
        Of the steps that run.
    status : mapping of step to str
        Steps that do not run though they might, such as ``{"photom": "SKIPPED"}``.
    quick_look : bool
        Whether it gets an ``_i2d``.
    """

    root: str
    science: Path
    header: ExposureHeader
    family: Family
    variant: Variant
    pool: str
    table: str
    background: BackgroundSet | None = None
    references: Mapping[str, Reference] = field(default_factory=dict)
    status: Mapping[str, str] = field(default_factory=dict)
    quick_look: bool = False

    @property
    def cube(self) -> bool:
        """Whether the exposure has integrations."""
        return self.header.is_cube

    def product(self, suffix: str) -> str:
        """Return the file name of a product; ``bsub`` and ``cal`` of a cube end in ``ints``."""
        return product_name(self.root, f"{suffix}ints" if self.cube and suffix in ("bsub", "cal") else suffix)


def make_plan(settings: Settings, cache: Path) -> "Plan":
    """Read all associations and headers, choose references, and check everything.

    Parameters
    ----------
    settings : Settings
        Relative paths in it are taken from the working directory.
    cache : Path
        Where headers are remembered between runs.

    Raises
    ------
    InputError
        With everything that is wrong.
    """
    return _Planner(settings, cache).plan()


class Plan:
    """The exposures of a configuration, and what each rule needs to know of them."""

    def __init__(self, settings: Settings, exposures: Iterable[PlannedExposure], notices: Iterable[str] = ()):
        self.settings = settings
        self.exposures = {exposure.root: exposure for exposure in exposures}
        self.notices = tuple(notices)
        self.backgrounds = {e.background.name: e.background for e in self.exposures.values() if e.background}

    def stage2_products(self, output: str) -> list[str]:
        """Return the paths of all products of stage 2 that are kept."""
        stage2 = self.settings.stage2
        names = []
        for exposure in self.exposures.values():
            names.append(exposure.product("cal"))
            if exposure.quick_look:
                names.append(exposure.product("i2d"))
            if exposure.background and stage2.save_bsub:
                names.append(exposure.product("bsub"))
            if exposure.background and stage2.bkg_subtract.save_combined_background:
                names.append(exposure.product("combinedbackground"))
            if "flat" in exposure.references and stage2.flat_field.save_interpolated_flat:
                names.append(exposure.product("interpolatedflat"))
        return [f"{output}/stage2/{name}" for name in names]

    def science(self, root: str, suffix: str) -> str:
        """Return the count-rate file behind a product with this suffix."""
        return str(self._exposure(root, suffix).science)

    def background_members(self, name: str) -> list[str]:
        """Return the files of a background set."""
        return [str(path) for path in self.backgrounds[name].members]

    def background_window(self, name: str) -> list[int]:
        """Return the window of a background set: xstart, ystart, nx, ny."""
        window = self.backgrounds[name].window
        return [window.xstart, window.ystart, window.nx, window.ny]

    def background_depth(self, name: str) -> int:
        """Return the largest number of integrations of the members of a background set."""
        return self.backgrounds[name].depth

    def background_of(self, output: str, root: str) -> str:
        """Return the average background of an exposure."""
        exposure = self._exposure(root)
        if exposure.background is None:
            raise UnknownExposure(f"{root!r} has no background exposures to subtract")
        return f"{output}/stage2/backgrounds/{exposure.background.name}.fits"

    def association_record(self, root: str) -> dict[str, tuple[str, str]]:
        """Return the keywords that name the association of an exposure."""
        exposure = self._exposure(root)
        return {
            "ASNPOOL": (exposure.pool, "Name of the ASN pool"),
            "ASNTABLE": (exposure.table, "Name of the ASN table"),
        }

    def calibration_input(self, output: str, root: str, suffix: str) -> dict[str, str]:
        """Return the files that an exposure is calibrated with, by role."""
        exposure = self._exposure(root, suffix)
        bsub = f"{output}/stage2/{exposure.product('bsub')}"
        files = {"exposure": bsub if exposure.background else str(exposure.science)}
        return files | {name: str(ref.path) for name, ref in exposure.references.items() if ref.path}

    def calibration_facts(self, root: str) -> dict[str, Any]:
        """Return what the headers and the instrument's description say about calibrating an exposure."""
        exposure = self._exposure(root)
        family, header = exposure.family, exposure.header.values
        instrument = header["INSTRUME"]
        ny, nx = family.instruments[instrument]
        photom, offsets = family.photom_rows[instrument], family.filter_offsets.get(instrument)
        return {
            "origin": self.association_record(root) | _reference_record(exposure),
            "status": dict(exposure.status),
            "full_frame": [nx, ny],
            "photom_row": {"selectors": photom.wanted(header), "optional": sorted(photom.optional)},
            "filter_offset": offsets.wanted(header) if offsets else [],
        }

    def flat_input(self, root: str) -> dict[str, str]:
        """Return the flat of an exposure, and the exposure."""
        exposure = self._exposure(root)
        if "flat" not in exposure.references:
            raise UnknownExposure(f"{root!r} is not flat-fielded")
        return {"exposure": str(exposure.science), "flat": str(exposure.references["flat"].path)}

    def quick_look_input(self, output: str, root: str) -> dict[str, str]:
        """Return the files that the quick look of an exposure is made of."""
        exposure = self._exposure(root)
        if not exposure.quick_look:
            raise UnknownExposure(
                f"{root!r} gets no quick look: {exposure.variant.name}, or resample is skipped"
            )
        files = {"cal": f"{output}/stage2/{exposure.product('cal')}"}
        output_wcs = self.settings.stage2.resample.output_wcs
        return files | ({"output_wcs": output_wcs} if output_wcs else {})

    def _exposure(self, root: str, suffix: str = "") -> PlannedExposure:
        if root not in self.exposures:
            raise UnknownExposure(f"no exposure {root!r} in this configuration")
        exposure = self.exposures[root]
        if suffix and suffix.endswith("ints") != exposure.cube:
            shape = "integrations (3-D)" if exposure.cube else "no integrations (2-D)"
            raise UnknownExposure(f"{root!r} has {shape}, so there is no {root}_{suffix}")
        return exposure


class _Planner:
    """Gathers the exposures of a configuration, and all that is wrong with them."""

    def __init__(self, settings: Settings, cache: Path):
        self.settings = settings
        self.cache = HeaderCache(cache)
        self.problems: list[Problem] = []
        self.notices: list[str] = []
        self.headers: dict[Path, ExposureHeader | None] = {}

    def plan(self) -> Plan:
        """Return the plan, or raise InputError."""
        exposures = self.exposures(self.associations())
        self.cache.save()
        if self.problems:
            raise InputError(self.problems)
        if not exposures:
            self.notices.append(
                "nothing to do: the configuration names no exposures; see README.md, 'Own data'"
            )
        return Plan(self.settings, exposures, self.notices)

    def associations(self) -> list[Association]:
        """Read the level-2 associations and the single exposures."""
        settings, problems = self.settings, self.problems
        read = [
            read_association(path, Path(settings.input), problems)
            for path in expand(settings.associations, "associations", problems)
        ]
        read += [
            single_exposure(path, problems) for path in expand(settings.exposures, "exposures", problems)
        ]
        found = [association for association in read if association]
        for association in found:
            if association.level == 3:
                self.notices.append(f"{association.path}: level 3 is read and checked, but not processed yet")
            for member in association.ignored:
                self.notices.append(f"{association.path}: {member.key} is of type {member.exptype}: not used")
        return [association for association in found if association.level == 2]

    def exposures(self, associations: list[Association]) -> list[PlannedExposure]:
        """Plan every product of the associations; the same product in two of them is planned once."""
        planned: dict[str, tuple[Product, PlannedExposure]] = {}
        chooser = ReferenceChooser(self.settings, self.cache, self.problems)
        for association in associations:
            for product in association.products:
                if product.root in planned:
                    self._check_same(association, product, planned[product.root][0])
                elif exposure := self._exposure(association, product, chooser):
                    planned[product.root] = (product, exposure)
        return [exposure for _, exposure in planned.values()]

    def _check_same(self, association: Association, product: Product, first: Product) -> None:
        def files(of: Product) -> tuple:
            return of.science.path.resolve(), {member.path.resolve() for member in of.backgrounds}

        if files(product) != files(first):
            wrong = f"{product.root!r} is already made, from other members"
            self.problems.append(Problem(str(association.path), product.key, wrong, "give it another name"))

    def _exposure(
        self, association: Association, product: Product, chooser: ReferenceChooser
    ) -> PlannedExposure | None:
        header = self._header(product.science.path)
        if header is None:
            return None
        family = family_of(header.values)
        variant = check_science(product.science.path, header, family, self.problems)
        if family is None or variant is None:
            return None
        status = self._status(variant, bool(product.backgrounds))
        background = None
        if product.backgrounds and "bkg_subtract" not in status:
            background = self._background(product, header)
        references = chooser.choose(product.science.path, header, family, status)
        for step in ("flat_field", "photom"):
            wanted = {
                name for name, kind in family.references.items() if kind.step == step and name != "area"
            }
            if step not in status and not any(
                references.get(name) and references[name].path for name in wanted
            ):
                status[step] = SKIPPED
        if header.is_cube and header.values["INSTRUME"] in family.no_photom_cubes:
            status["photom"] = SKIPPED
        return PlannedExposure(
            product.root,
            product.science.path,
            header,
            family,
            variant,
            association.pool,
            association.table,
            background,
            {name: ref for name, ref in references.items() if family.references[name].step not in status},
            status,
            quick_look=variant.resample is Use.RUN and not header.is_cube and "resample" not in status,
        )

    def _status(self, variant: Variant, has_background: bool) -> dict[str, str]:
        """Return the steps that are skipped on purpose: by the user or by the variant."""
        skipped = {step for step in STAGE2_STEPS if getattr(self.settings.stage2, step).skip}
        skipped |= {
            step
            for step, use in (("bkg_subtract", variant.background), ("resample", variant.resample))
            if use is Use.SKIP
        }
        if not has_background:
            skipped.discard("bkg_subtract")
        if variant.resample is Use.ABSENT and not self.settings.stage2.resample.skip:
            skipped.discard("resample")
        return {step: SKIPPED for step in STAGE2_STEPS if step in skipped}

    def _background(self, product: Product, science: ExposureHeader) -> BackgroundSet | None:
        members = {member.path: self._header(member.path) for member in product.backgrounds}
        if None in members.values():
            return None
        for path, header in members.items():
            check_background(path, header, science, self.problems)
        depth = max(header.shape[0] if header.is_cube else 1 for header in members.values())
        return BackgroundSet(tuple(sorted(members)), window_of(science), depth)

    def _header(self, path: Path) -> ExposureHeader | None:
        if path not in self.headers:
            self.headers[path] = read_exposure_header(path, header_keywords(), self.problems, self.cache)
        return self.headers[path]


def _reference_record(exposure: PlannedExposure) -> dict[str, tuple[str, str]]:
    """Return the keywords that record the references, and the CRDS context if there is one."""
    kinds = exposure.family.references
    record = {
        kinds[name].keyword: (ref.record, f"{name} reference file")
        for name, ref in exposure.references.items()
    }
    record |= dict.fromkeys(exposure.family.unused_references, ("N/A", "not used in imaging"))
    contexts = {ref.context for ref in exposure.references.values() if ref.context}
    for version, context in contexts:
        record["CRDS_VER"] = (version, "Version of CRDS file selection software used")
        record["CRDS_CTX"] = (context, "CRDS context (.pmap) used to select ref files")
    return record
