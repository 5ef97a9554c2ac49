"""The plan: every exposure with its inputs, references and the steps it gets, before any job starts.

Rules look things up here and decide nothing themselves. The plan is made in `plan.planner`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from calflow.associations.making import MadeAssociations
from calflow.configuration.problems import Problem, nothing_to_make
from calflow.configuration.settings import Settings
from calflow.files.names import product_name
from calflow.inputs.headers import ExposureHeader
from calflow.inputs.input_folder import InputFolder
from calflow.instruments.family import Family, Variant
from calflow.plan.combination import Combinations, PlannedAssociation
from calflow.plan.extra_steps import Cleaning, Collection, cleaned_name
from calflow.plan.first_pass import SourceMask
from calflow.references.crds_cache import CrdsCache
from calflow.references.made_reference import MadeReference
from calflow.references.parameter_references import Chosen
from calflow.references.references import Reference
from calflow.science.windows import Window

# Where what background exposures are combined to is, by the rule.
BACKGROUND_FOLDERS = {"average": "backgrounds", "sky_model": "skies"}

# Where rules write what shows results, beside the folders of products.
BESIDE = ("quality", "previews", "colour", "map", "pages")


def output_folder(settings: Settings) -> str:
    """Return the beginning of the paths of all products: the output folder with a slash, or nothing.

    Parameters
    ----------
    settings : Settings
        The configuration.
    """
    # Snakemake warns of paths that begin with "./", and does not find them under another spelling.
    return "" if settings.output == "." else f"{settings.output}/"


def stage_folder(settings: Settings, stage: int) -> str:
    """Return the folder of the products of a stage.

    Parameters
    ----------
    settings : Settings
        The configuration.
    stage : int
        2 or 3.
    """
    return f"{output_folder(settings)}stage{stage}"


def reference_folder(settings: Settings) -> str:
    """Return the folder of the reference files that are made.

    Parameters
    ----------
    settings : Settings
        The configuration.
    """
    return f"{output_folder(settings)}references"


def association_folder(settings: Settings) -> str:
    """Return the folder of the associations that are made."""
    return settings.make_associations.folder or f"{output_folder(settings)}associations"


def nothing_planned(plan: "Plan", targets: str = "all") -> Problem:
    """Return the problem of a plan that has no products for some targets.

    Parameters
    ----------
    plan : Plan
    targets : str
        Their names.
    """
    settings = plan.settings
    if settings.associations or settings.exposures or plan.made_associations:
        return nothing_to_make(targets)
    return nothing_to_make(targets, *InputFolder.of(settings).lack())


class UnknownExposure(Exception):
    """A target that is no product of this configuration."""


@dataclass(frozen=True)
class BackgroundSet:
    """Background exposures that are combined, for exposures with one window.

    Attributes
    ----------
    members : tuple of Path
        In a fixed order, so that the same set gives the same bytes.
    window : Window
        Detector pixels of the result.
    depth : int
        Largest number of integrations of a member.
    rule : str
        How: ``average``, or ``sky_model``.
    references : mapping of type to Path
        What the members are calibrated with before.
    undarkened : tuple of Path
        The members whose dark is still to be subtracted.
    parameters : tuple of str
        What parameter references change of how.
    cleaned : mapping of str to str
        Members that go through extra steps before, each with what these make of it.
    """

    members: tuple[Path, ...]
    window: Window
    depth: int
    rule: str = "average"
    references: Mapping[str, Path] = field(default_factory=dict)
    undarkened: tuple[Path, ...] = ()
    parameters: tuple[str, ...] = ()
    cleaned: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A name made of what the set is."""
        parts = [self.window, *self.members, *sorted(self.references.items()), *self.undarkened, *self.parameters]
        parts += sorted(self.cleaned.values())
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:12]

    def files(self) -> dict[str, Any]:
        """Return the files that it is made of, by role."""
        references = {name: str(path) for name, path in self.references.items()}
        return {"members": self.read(self.members), **references}

    def read(self, members: Iterable[Path]) -> list[str]:
        """Return the files that are read of members: what extra steps make of them, or these themselves.

        Parameters
        ----------
        members : iterable of Path
        """
        return [self.cleaned.get(str(path), str(path)) for path in members]


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
    steps : tuple of (name, rule)
        The steps that run, in their order.
    references : mapping of type to Reference
        Of the steps that run.
    reference_record : mapping of keyword to (value, comment)
        What the header says of the references.
    context_record : mapping of keyword to (value, comment)
        What it says of the CRDS context in which they were chosen.
    status : mapping of step to str
        Steps that do not run though they might, such as ``{"photom": "SKIPPED"}``.
    quick_look : bool
        Whether it gets an ``_i2d``.
    image_shape : (ny, nx) or None
        About that of its quick look, if it differs from its own and the header tells.
    parameters : Chosen or None
        Its parameters; None: those of the run.
    clean : str
        What extra steps make of the count-rate file before stage 2; empty: there are none.
    """

    root: str
    science: Path
    header: ExposureHeader
    family: Family
    variant: Variant
    pool: str
    table: str
    background: BackgroundSet | None = None
    steps: tuple[tuple[str, str], ...] = ()
    references: Mapping[str, Reference] = field(default_factory=dict)
    reference_record: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    context_record: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    status: Mapping[str, str] = field(default_factory=dict)
    quick_look: bool = False
    image_shape: tuple[int, int] | None = None
    parameters: Chosen | None = None
    clean: str = ""

    @property
    def rate(self) -> str:
        """The count-rate file that stage 2 reads."""
        return self.clean or str(self.science)

    @property
    def instrument(self) -> str:
        """The value of INSTRUME."""
        return str(self.header.values["INSTRUME"])

    @property
    def cube(self) -> bool:
        """Whether the exposure has integrations."""
        return self.header.is_cube

    @property
    def errors(self) -> tuple[str, ...]:
        """The planes that tell of the error of the calibrated exposure."""
        return self.header.errors(flat=any(step == "flat_field" for step, _ in self.steps))

    def reference(self, reftype: str) -> Path | None:
        """Return the file of a type of reference, or None if none is used.

        Parameters
        ----------
        reftype : str
            Such as ``flat``.
        """
        reference = self.references.get(reftype)
        return reference.path if reference else None

    def product(self, suffix: str) -> str:
        """Return the file name of a product; ``bsub`` and ``cal`` of a cube end in ``ints``.

        Parameters
        ----------
        suffix : str
            Such as ``i2d``.
        """
        return product_name(self.root, f"{suffix}ints" if self.cube and suffix in ("bsub", "cal") else suffix)


@dataclass(frozen=True)
class PlannedMerge:
    """A calibrated full frame into which its concurrent subarrays are going to be put.

    Attributes
    ----------
    root : str
        Beginning of the names of its products.
    pool, table : str
        Values of ASNPOOL and ASNTABLE.
    header : ExposureHeader
        Of the full frame.
    full : str
        The full frame, a product of stage 2 or a file of the user.
    subarrays : mapping of id to str
        The subarrays alike.
    errors : tuple of str
        The planes that tell of its error.
    status : mapping of step to str
        Steps of stage 2 that the full frame does not go through, as far as this run makes it.
    quick_look : bool
        Whether it gets an ``_i2d``.
    image_shape : (ny, nx) or None
        About that of its quick look, if it differs from its own and the header tells.
    parameters : Chosen or None
        Those of the full frame; None: those of the run.
    """

    root: str
    pool: str
    table: str
    header: ExposureHeader
    full: str
    subarrays: Mapping[int, str]
    errors: tuple[str, ...] = ()
    status: Mapping[str, str] = field(default_factory=dict)
    quick_look: bool = False
    image_shape: tuple[int, int] | None = None
    parameters: Chosen | None = None

    def product(self, suffix: str) -> str:
        """Return the file name of a product; ``cal`` of a cube ends in ``ints``.

        Parameters
        ----------
        suffix : str
            Such as ``i2d``.
        """
        return product_name(self.root, f"{suffix}ints" if self.header.is_cube and suffix == "cal" else suffix)


Calibrated = PlannedExposure | PlannedMerge


@dataclass(frozen=True)
class FirstPass:
    """What is made before masks of sources are, by the same rules; empty if no extra step takes such a mask.

    Attributes
    ----------
    exposures : tuple of PlannedExposure
    associations : tuple of PlannedAssociation
    masks : tuple of SourceMask
    """

    exposures: tuple[PlannedExposure, ...] = ()
    associations: tuple[PlannedAssociation, ...] = ()
    masks: tuple[SourceMask, ...] = ()


class Plan:
    """The exposures of a configuration and what is made of them: an index, in which jobs look things up.

    Methods that take a name raise `UnknownExposure` for one that is not in this configuration.

    Parameters
    ----------
    settings : Settings
        The configuration.
    exposures : iterable of PlannedExposure
        Of stage 2.
    associations : iterable of PlannedAssociation, optional
        Of stage 3.
    notices : iterable of str, optional
        What the user is told, though nothing is wrong.
    merges : iterable of PlannedMerge, optional
        Full frames into which subarrays are put.
    references : mapping of str to MadeReference or None, optional
        Reference files that are made, by name.
    cache : CrdsCache or None, optional
        The CRDS cache, and what is fetched into it; if left out, none is used.
    cleanings : iterable of Cleaning, optional
        The extra steps of exposures.
    collections : iterable of Collection, optional
        What is made once of several exposures for these steps.
    first_pass : FirstPass, optional
        What tells these steps where sources are. No attribute of the plan but this one lists it.
    """

    def __init__(
        self,
        settings: Settings,
        exposures: Iterable[PlannedExposure],
        associations: Iterable[PlannedAssociation] = (),
        notices: Iterable[str] = (),
        merges: Iterable[PlannedMerge] = (),
        references: Mapping[str, MadeReference] | None = None,
        cache: CrdsCache | None = None,
        cleanings: Iterable[Cleaning] = (),
        collections: Iterable[Collection] = (),
        first_pass: FirstPass | None = None,
    ):
        self.settings = settings
        self.output = output_folder(settings)
        self.folder = stage_folder(settings, 2)
        self.first_pass = first_pass or FirstPass()
        first = self.first_pass.associations
        self.stage3 = Combinations(settings, stage_folder(settings, 3), list(associations), first)
        self.exposures = {exposure.root: exposure for exposure in exposures}
        self._all_exposures = self.exposures | {exposure.root: exposure for exposure in self.first_pass.exposures}
        self.references = dict(references or {})
        self.crds = cache or CrdsCache()
        self.cleanings = {cleaning.name: cleaning for cleaning in cleanings}
        self.collections = {collection.name: collection for collection in collections}
        self.masks = {(mask.source, mask.exposure): mask for mask in self.first_pass.masks}
        # What lies there is made by rules; or counts by its name, as references of CRDS.
        beside = (f"{self.output}{name}" for name in BESIDE)
        self.unstamped = (self.folder, reference_folder(settings), *beside, *self.crds.folders())
        self.reference_changes = self.crds.changes
        self.merges = {merge.root: merge for merge in merges}
        self.notices = tuple(notices)
        # Made while planning, and written when the run starts; jobs of a cluster have no need of them.
        self.made_associations: MadeAssociations | None = None
        self._background_users = {e.background.name: e for e in self.exposures.values() if e.background}

    def names(self) -> set[str]:
        """Return the names of all that jobs work on: references, exposures, merged ones, backgrounds, associations."""
        members = {member.root for association in self.stage3.associations.values() for member in association.members}
        cleaned = {cleaning.root for cleaning in self.cleanings.values()}
        stages = {*self.exposures, *self.merges, *self._background_users, *self.stage3.associations, *members}
        first = {planned.root for planned in self.first_pass.exposures}
        first |= {association.name for association in self.first_pass.associations}
        return stages | cleaned | self.collections.keys() | self.references.keys() | first

    def products(self) -> list[str]:
        """Return the paths of all products that are kept."""
        return [*self.reference_products(), *self.stage2_products(), *self.stage3.products()]

    def stage2_products(self) -> list[str]:
        """Return the paths of all products of stage 2 that are kept."""
        return [path for calibrated in self.all_calibrated() for path in self.products_of(calibrated)]

    def all_calibrated(self) -> list[Calibrated]:
        """Return all exposures and merged ones."""
        return [*self.exposures.values(), *self.merges.values()]

    def products_of(self, calibrated: Calibrated) -> list[str]:
        """Return the paths of the products of an exposure, or of a merged one, that are kept.

        Parameters
        ----------
        calibrated : Calibrated
            An exposure of this plan, or a merged one.
        """
        suffixes = ["cal", *(["i2d"] if calibrated.quick_look else [])]
        if isinstance(calibrated, PlannedExposure):
            suffixes += self._wanted_extras(calibrated)
        clean = calibrated.clean if isinstance(calibrated, PlannedExposure) else ""
        kept = [clean] if clean and self.settings.extra_steps.save_clean else []
        return [*(self.path(calibrated, suffix) for suffix in suffixes), *kept]

    def _wanted_extras(self, exposure: PlannedExposure) -> list[str]:
        """Return the suffixes of what is kept of an exposure on demand."""
        stage2 = self.settings.stage2
        wanted = {
            "bsub": self.saves_bsub(exposure),
            "combinedbackground": exposure.background and stage2.bkg_subtract.save_combined_background,
            "interpolatedflat": exposure.reference("flat") and stage2.flat_field.save_interpolated_flat,
            "applieddark": exposure.reference("dark") and stage2.dark_current.dark_output,
        }
        return [suffix for suffix, keep in wanted.items() if keep]

    def reference_products(self) -> list[str]:
        """Return the paths of the reference files that are made."""
        return [made.path for made in self.references.values()]

    def is_reference(self, path: str) -> bool:
        """Tell whether a file is a reference file: one that is used, or another in a folder of references.

        Parameters
        ----------
        path : str
            As rules have it.
        """
        return path in self.reference_files or path.startswith(self._reference_folders)

    @cached_property
    def reference_files(self) -> frozenset[str]:
        """The reference files that are used."""
        exposures = [reference.path for e in self.exposures.values() for reference in e.references.values()]
        combined = [ref.path for a in self.stage3.associations.values() for ref in a.references.values()]
        return frozenset(map(str, filter(None, [*exposures, *combined])))

    @cached_property
    def _reference_folders(self) -> tuple[str, ...]:
        given = self.settings.references
        folders = [given.directory if given.source == "directory" else given.crds_path, reference_folder(self.settings)]
        return tuple(f"{folder.rstrip('/')}/" for folder in folders if folder)

    def exposure(self, root: str, suffix: str = "") -> PlannedExposure:
        """Return an exposure.

        Parameters
        ----------
        root : str
            Root of the names of its products.
        suffix : str, optional
            Of one of its products: an error if the exposure has no such product.
        """
        if root not in self._all_exposures:
            raise UnknownExposure(f"no exposure {root!r} in this configuration")
        exposure = self._all_exposures[root]
        _check_suffix(root, suffix, exposure.cube)
        return exposure

    def merge(self, root: str, suffix: str = "") -> PlannedMerge:
        """Return a full frame into which subarrays are put.

        Parameters
        ----------
        root : str
            Root of the names of its products.
        suffix : str, optional
            Of one of its products: an error if the full frame has no such product.
        """
        if root not in self.merges:
            raise UnknownExposure(f"no association of this configuration merges subarrays to {root!r}")
        _check_suffix(root, suffix, self.merges[root].header.is_cube)
        return self.merges[root]

    def calibrated(self, root: str) -> Calibrated:
        """Return an exposure or a merged one.

        Parameters
        ----------
        root : str
            Root of the names of its products.
        """
        return self.merges[root] if root in self.merges else self.exposure(root)

    def chosen(self, calibrated: Calibrated) -> Chosen:
        """Return the parameters of an exposure or of a merged one.

        Parameters
        ----------
        calibrated : Calibrated
            An exposure of this plan, or a merged one.
        """
        return calibrated.parameters or Chosen(self.settings)

    def background(self, name: str) -> tuple[BackgroundSet, PlannedExposure]:
        """Return a background set, and one of the exposures from which it is subtracted.

        Parameters
        ----------
        name : str
            Of the set.
        """
        user = self._background_users.get(name)
        if user is None or user.background is None:
            raise UnknownExposure(f"no background set {name!r} in this configuration")
        return user.background, user

    def saves_bsub(self, exposure: PlannedExposure) -> bool:
        """Tell whether a job of its own subtracts the background, since the ``_bsub`` is kept.

        Parameters
        ----------
        exposure : PlannedExposure
            Of this plan.
        """
        background = exposure.background
        return background is not None and background.rule == "average" and self.settings.stage2.save_bsub

    def path(self, calibrated: Calibrated, suffix: str) -> str:
        """Return the path of a product of stage 2.

        Parameters
        ----------
        calibrated : Calibrated
            An exposure of this plan, or a merged one.
        suffix : str
            Such as ``i2d``.
        """
        return f"{self.folder}/{calibrated.product(suffix)}"

    def geometry(self, exposure: Calibrated) -> str:
        """Return the path of the file that says where the pixels of an exposure lie on the sky.

        Parameters
        ----------
        exposure : Calibrated
            Of this plan, or a merged one.
        """
        return f"{self.folder}/geometry/{exposure.product('cal').removesuffix('.fits')}.json"


def cleaning_of(plan: Plan, root: str, place: str) -> Cleaning:
    """Return the extra steps of an exposure at one place.

    Parameters
    ----------
    plan : Plan
        What this run does.
    root : str
        Root of the names of its products.
    place : str
        ``rate`` or ``cal``.

    Raises
    ------
    UnknownExposure
        If it has none there.
    """
    name = cleaned_name(root, place)
    if name not in plan.cleanings:
        raise UnknownExposure(f"{root!r} goes through no extra steps of extra_steps.{place}")
    return plan.cleanings[name]


def collection_of(plan: Plan, name: str) -> Collection:
    """Return what is made once of several exposures for an extra step.

    Parameters
    ----------
    plan : Plan
        What this run does.
    name : str
        Its name.

    Raises
    ------
    UnknownExposure
        If there is none of this name.
    """
    if name not in plan.collections:
        raise UnknownExposure(f"no extra step of this configuration collects {name!r}")
    return plan.collections[name]


def mask_of(plan: Plan, source: str, root: str) -> SourceMask:
    """Return the mask of the sources of an exposure.

    Parameters
    ----------
    plan : Plan
        What this run does.
    source : str
        Whose images tell, as of `SourceMask`.
    root : str
        Root of the names of its products.

    Raises
    ------
    UnknownExposure
        If no extra step takes it.
    """
    if (source, root) not in plan.masks:
        raise UnknownExposure(f"no extra step takes a mask of {source!r} for {root!r}")
    return plan.masks[source, root]


def _check_suffix(root: str, suffix: str, cube: bool) -> None:
    if suffix and suffix.endswith("ints") != cube:
        shape = "integrations (3-D)" if cube else "no integrations (2-D)"
        raise UnknownExposure(f"{root!r} has {shape}, so there is no {root}_{suffix}")


def association_record(planned: Calibrated) -> dict[str, tuple[str, str]]:
    """Return the keywords, with comments, that name the association of an exposure.

    Parameters
    ----------
    planned : Calibrated
        An exposure of this plan, or a merged one.
    """
    return {
        "ASNPOOL": (planned.pool, "Name of the ASN pool"),
        "ASNTABLE": (planned.table, "Name of the ASN table"),
    }
