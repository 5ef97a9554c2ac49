"""The plan: every exposure with its inputs, references and the steps it gets, before any job starts.

Rules look things up here and decide nothing themselves. The plan is made in `plan.planner`.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from calflow.configuration.settings import Settings
from calflow.configuration.stage2 import Stage2
from calflow.files.names import product_name
from calflow.inputs.headers import ExposureHeader, window_of
from calflow.instruments.family import Family, Variant
from calflow.plan.combination import Combinations, PlannedAssociation
from calflow.references.crds_cache import CrdsCache
from calflow.references.made_reference import MadeReference
from calflow.references.parameter_references import Chosen
from calflow.references.references import Reference
from calflow.science.windows import Window

# Where what background exposures are combined to is, by the rule.
BACKGROUND_FOLDERS = {"average": "backgrounds", "sky_model": "skies"}
DETECTOR_KEYWORDS = "TELESCOP INSTRUME DETECTOR FILTER PUPIL SUBARRAY SUBSTRT1 SUBSTRT2 SUBSIZE1 SUBSIZE2".split()


def output_folder(settings: Settings) -> str:
    """Return what the paths of all products begin with."""
    # Snakemake warns of paths that begin with "./", and does not find them under another spelling.
    return "" if settings.output == "." else f"{settings.output}/"


def stage_folder(settings: Settings, stage: int) -> str:
    """Return the folder of the products of a stage."""
    return f"{output_folder(settings)}stage{stage}"


def reference_folder(settings: Settings) -> str:
    """Return the folder of the reference files that are made."""
    return f"{output_folder(settings)}references"


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
    """

    members: tuple[Path, ...]
    window: Window
    depth: int
    rule: str = "average"
    references: Mapping[str, Path] = field(default_factory=dict)
    undarkened: tuple[Path, ...] = ()
    parameters: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A name made of what the set is."""
        parts = [self.window, *self.members, *sorted(self.references.items()), *self.undarkened, *self.parameters]
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:12]

    def files(self) -> dict[str, Any]:
        """Return the files that it is made of, by role."""
        references = {name: str(path) for name, path in self.references.items()}
        return {"members": [str(path) for path in self.members], **references}


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
        """Return the file of a type of reference, or None if none is used."""
        reference = self.references.get(reftype)
        return reference.path if reference else None

    def product(self, suffix: str) -> str:
        """Return the file name of a product; ``bsub`` and ``cal`` of a cube end in ``ints``."""
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
        """Return the file name of a product; ``cal`` of a cube ends in ``ints``."""
        return product_name(self.root, f"{suffix}ints" if self.header.is_cube and suffix == "cal" else suffix)


Calibrated = PlannedExposure | PlannedMerge


class Plan:
    """The exposures of a configuration, and what each rule needs to know of them.

    Methods that rules use as input functions raise `UnknownExposure` for a target that cannot be made.
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
    ):
        self.settings = settings
        self.output = output_folder(settings)
        self.folder = stage_folder(settings, 2)
        self.stage3 = Combinations(settings, stage_folder(settings, 3), list(associations))
        self.exposures = {exposure.root: exposure for exposure in exposures}
        self.references = dict(references or {})
        self.crds = cache or CrdsCache()
        # What lies there is made by rules; or counts by its name, as references of CRDS.
        self.made = (self.folder, reference_folder(settings), *self.crds.folders())
        self.reference_changes = self.crds.changes
        self.merges = {merge.root: merge for merge in merges}
        self.notices = tuple(notices)
        self._background_users = {e.background.name: e for e in self.exposures.values() if e.background}

    def pixels(self) -> int:
        """Return how many pixels are drizzled, about: each frame of each stage once."""
        return sum(math.prod(exposure.header.shape) for exposure in self.exposures.values()) + self.stage3.all_pixels()

    def names(self) -> set[str]:
        """Return the names of all that jobs work on: exposures, merged ones, background sets, associations."""
        members = {member.root for association in self.stage3.associations.values() for member in association.members}
        return {*self.exposures, *self.merges, *self._background_users, *self.stage3.associations, *members}

    def products(self) -> list[str]:
        """Return the paths of all products that are kept."""
        return [*self.reference_products(), *self.stage2_products(), *self.stage3.products()]

    def stage2_products(self) -> list[str]:
        """Return the paths of all products of stage 2 that are kept."""
        planned: list[Calibrated] = [*self.exposures.values(), *self.merges.values()]
        return [path for calibrated in planned for path in self.products_of(calibrated)]

    def products_of(self, calibrated: Calibrated) -> list[str]:
        """Return the paths of the products of an exposure, or of a merged one, that are kept."""
        suffixes = ["cal", *(["i2d"] if calibrated.quick_look else [])]
        if isinstance(calibrated, PlannedExposure):
            suffixes += self._wanted_extras(calibrated)
        return [self._path(calibrated, suffix) for suffix in suffixes]

    def _wanted_extras(self, exposure: PlannedExposure) -> list[str]:
        """Return the suffixes of what is kept of an exposure on demand."""
        stage2 = self.settings.stage2
        wanted = {
            "bsub": self._saves_bsub(exposure),
            "combinedbackground": exposure.background and stage2.bkg_subtract.save_combined_background,
            "interpolatedflat": exposure.reference("flat") and stage2.flat_field.save_interpolated_flat,
            "applieddark": exposure.reference("dark") and stage2.dark_current.dark_output,
        }
        return [suffix for suffix, keep in wanted.items() if keep]

    def reference_products(self) -> list[str]:
        """Return the paths of the reference files that are made."""
        return [made.path for made in self.references.values()]

    def is_reference(self, path: str) -> bool:
        """Tell whether a file is a reference file: one that is used, or another one in their folders."""
        return path in self._reference_files or path.startswith(self._reference_folders)

    @cached_property
    def _reference_files(self) -> frozenset[str]:
        exposures = [reference.path for e in self.exposures.values() for reference in e.references.values()]
        combined = [ref.path for a in self.stage3.associations.values() for ref in a.references.values()]
        return frozenset(map(str, filter(None, [*exposures, *combined])))

    def crds_references(self) -> dict[str, list[str]]:
        """Return the reference files of the CRDS cache that are in use, parameter references too, by observatory."""
        found: dict[str, set[str]] = {observatory: set() for observatory, _ in self.crds.contexts}
        recorded = [name for entry in self.parameter_record() for name in entry["references"]]
        for observatory, paths in found.items():
            folder = f"{self.crds.references}/{observatory}/"
            # What is missing is fetched, and compared then.
            paths |= {path for path in self._reference_files if path.startswith(folder) and Path(path).is_file()}
            names = (name.removeprefix("crds://") for name in recorded)
            paths |= set(filter(None, (self.crds.find(name, observatory) for name in names)))
        return {observatory: sorted(paths) for observatory, paths in found.items()}

    @cached_property
    def _reference_folders(self) -> tuple[str, ...]:
        given = self.settings.references
        folders = [given.directory if given.source == "directory" else given.crds_path, reference_folder(self.settings)]
        return tuple(f"{folder.rstrip('/')}/" for folder in folders if folder)

    def made_reference(self, name: str) -> MadeReference:
        """Return a reference file that is made."""
        if name not in self.references:
            raise UnknownExposure(f"no reference maker {name!r} in this configuration")
        return self.references[name]

    def stage2(self, root: str) -> Stage2:
        """Return the parameters of stage 2 of an exposure."""
        return self._parameters(self._calibrated(root)).settings.stage2

    def background_parameters(self, name: str) -> dict[str, Any]:
        """Return the parameters of the average of a background set."""
        self.background_set(name)
        section = self.stage2(self._background_users[name].root).bkg_subtract
        return section.model_dump(include={"sigma", "maxiters", "clip"})

    def sky_parameters(self, name: str) -> dict[str, Any] | None:
        """Return the parameters of the smooth sky of a background set."""
        self.background_set(name)
        return self.stage2(self._background_users[name].root).bkg_subtract.sky_parameters()

    def quick_look_record(self, root: str) -> dict[str, tuple[str, str]]:
        """Return the keywords, with comments, of the parameter references of a quick look."""
        return self._parameters(self._calibrated(root)).record(2)

    def parameter_record(self) -> list[dict[str, Any]]:
        """Return what parameter references change: each set of them, the values that count, and for whom."""
        users = [(2, e.root, self._parameters(e)) for e in self.exposures.values()]
        users += [(3, a.name, a.parameters) for a in self.stage3.associations.values() if a.parameters]
        found: dict[tuple, dict[str, Any]] = {}
        for stage, name, chosen in users:
            if chosen.references:
                entry = {"stage": stage, "references": list(chosen.references), "values": dict(chosen.values), "of": []}
                found.setdefault((stage, chosen.references), entry)["of"].append(name)
        return list(found.values())

    def _calibrated(self, root: str) -> Calibrated:
        return self.merges[root] if root in self.merges else self._exposure(root)

    def _parameters(self, exposure: Calibrated) -> Chosen:
        return exposure.parameters or Chosen(self.settings)

    def background_set(self, name: str) -> BackgroundSet:
        """Return a background set by its name."""
        user = self._background_users.get(name)
        if user is None or user.background is None:
            raise UnknownExposure(f"no background set {name!r} in this configuration")
        return user.background

    def subtraction_input(self, root: str, suffix: str = "") -> dict[str, str]:
        """Return the exposure and the average background that is subtracted from it."""
        exposure = self._exposure(root, suffix)
        if exposure.background is None:
            raise UnknownExposure(f"{root!r} has no background exposures to subtract")
        if suffix and not self._saves_bsub(exposure):
            raise UnknownExposure(f"{root!r} has no _bsub of its own: its sky is subtracted after the flat field")
        combined = f"{self.folder}/{BACKGROUND_FOLDERS[exposure.background.rule]}/{exposure.background.name}.fits"
        return {"exposure": str(exposure.science), "background": combined}

    def calibration_input(self, root: str, suffix: str) -> dict[str, str]:
        """Return the files that an exposure is calibrated with, by role."""
        exposure = self._exposure(root, suffix)
        files = {"exposure": str(exposure.science)}
        if self._saves_bsub(exposure):
            files["exposure"] = self._path(exposure, "bsub")
        elif exposure.background:
            files = self.subtraction_input(root)
        return files | {name: str(ref.path) for name, ref in exposure.references.items() if ref.path}

    def applied_reference(self, root: str, reftype: str) -> dict[str, str]:
        """Return the flat or the dark of an exposure, and the exposure."""
        exposure = self._exposure(root)
        path = exposure.reference(reftype)
        if path is None:
            raise UnknownExposure(f"{root!r} is calibrated without a {reftype}")
        return {"exposure": str(exposure.science), "reference": str(path)}

    def images(self, root: str) -> list[str]:
        """Return the names that the extension with the pixels has in the files of an exposure's family."""
        return list(self._exposure(root).family.images)

    def background_images(self, name: str) -> list[str]:
        """Return the same for the members of a background set."""
        self.background_set(name)
        return list(self._background_users[name].family.images)

    def optional_planes(self, root: str, reftype: str) -> list[str]:
        """Return those of ERR and DQ that a reference of this type need not have."""
        required = self._exposure(root).family.references[reftype].planes or ()
        return [name for name in ("ERR", "DQ") if name not in required]

    def background_stamps(self, name: str) -> dict[str, str]:
        """Return the `stamps` of what a background set is made of."""
        background = self.background_set(name)
        return stamps([*background.members, *background.references.values()], *self.made)

    def steps(self, root: str) -> list[list[str]]:
        """Return the steps that `calibrate` runs, in their order, each with its rule."""
        exposure = self._exposure(root)
        done = {"bkg_subtract"} if self._saves_bsub(exposure) else set()
        return [[name, rule] for name, rule in exposure.steps if name not in done]

    def facts(self, root: str) -> dict[str, Any]:
        """Return the keywords of an exposure that were made of others."""
        return dict(self._exposure(root).header.derived)

    def count_rate_unit(self, root: str) -> str:
        """Return the unit of an exposure before photom."""
        exposure = self._exposure(root)
        return str(exposure.header.values.get("BUNIT") or exposure.family.count_rate_units[0])

    def quick_look_input(self, root: str) -> dict[str, str]:
        """Return the files that the quick look of an exposure is made of."""
        exposure: Calibrated = self.merges[root] if root in self.merges else self._exposure(root)
        if not exposure.quick_look:
            raise UnknownExposure(f"{root!r} gets no quick look: not of its type of exposure, or resample is skipped")
        output_wcs = self.settings.stage2.resample.output_wcs
        files = {"cal": self._path(exposure, "cal"), "geometry": self.geometry(exposure)}
        return files | ({"output_wcs": output_wcs} if output_wcs else {})

    def size(self, root: str) -> int:
        """Return the number of pixels of an exposure, or of one that is merged."""
        header = self.merges[root].header if root in self.merges else self._exposure(root).header
        return math.prod(header.shape)

    def image_size(self, root: str) -> int:
        """Return the number of pixels of a quick look."""
        shape = self._calibrated(root).image_shape
        return math.prod(shape) if shape else self.size(root)

    def merge_pattern(self) -> str:
        """Return a regular expression for the roots of merged exposures."""
        return "|".join(map(re.escape, self.merges)) or "(?!)"

    def merge(self, root: str) -> PlannedMerge:
        """Return what is merged to an exposure."""
        if root not in self.merges:
            raise UnknownExposure(f"no association of this configuration merges subarrays to {root!r}")
        return self.merges[root]

    def merge_input(self, root: str, suffix: str) -> dict[str, Any]:
        """Return a full frame and its subarrays in the order of their ids."""
        merge = self.merge(root)
        self._check_suffix(root, suffix, merge.header.is_cube)
        return {"full": merge.full, "subarrays": [merge.subarrays[number] for number in sorted(merge.subarrays)]}

    def merge_record(self, root: str) -> dict[str, tuple[str, str]]:
        """Return the keywords, with comments, that name the association of a merge."""
        return _association_record(self.merge(root))

    def geometry(self, exposure: Calibrated) -> str:
        """Return the path of the file that says where the pixels of an exposure lie on the sky."""
        return f"{self.folder}/geometry/{Path(exposure.product('cal')).stem}.json"

    def lasting(self, files: Mapping[str, Any]) -> dict[str, Any]:
        """Mark the files that count by their names alone: a later time of such a file means nothing."""
        from snakemake.io import ancient

        folders = tuple(f"{folder}/" for folder in self.crds.folders())
        return {
            role: ancient(file) if isinstance(file, str) and folders and file.startswith(folders) else file
            for role, file in files.items()
        }

    def stamps(self, files: Mapping[str, Any]) -> dict[str, str]:
        """Return the `stamps` of the files that a rule reads and no rule makes."""
        flat = [item for value in files.values() for item in ([value] if isinstance(value, str) else value)]
        return stamps(flat, *self.made, self.stage3.folder)

    def picture_input(self) -> dict[str, str]:
        """Return one exposure before and after: ``rate``, ``cal`` and ``i2d``."""
        for exposure in self.exposures.values():
            if exposure.quick_look:
                return {"rate": str(exposure.science)} | {x: self._path(exposure, x) for x in ("cal", "i2d")}
        raise UnknownExposure("no exposure of this configuration gets a quick look to make a picture of")

    def combined_picture_input(self) -> dict[str, str]:
        """Return an exposure before and after stage 3, and the products of its association, by role."""
        for name, association in self.stage3.associations.items():
            for member in association.members:
                exposure = self.exposures.get(member.root)
                if exposure and exposure.quick_look and association.runs("source_catalog") and not association.single:
                    folder = self.stage3.folder
                    products = {"i2d": "i2d.fits", "segm": "segm.fits", "catalog": "cat.ecsv"}
                    return {
                        "exposure": self._path(exposure, "i2d"),
                        "crf": f"{folder}/{association.crf(member)}",
                        "alignment": self.stage3.table(name, "alignment"),
                    } | {role: f"{folder}/{name}_{suffix}" for role, suffix in products.items()}
        raise UnknownExposure("no association of this configuration gets a catalogue to make a picture of")

    def association_record(self, root: str) -> dict[str, tuple[str, str]]:
        """Return the keywords, with comments, that name the association of an exposure."""
        return _association_record(self._exposure(root))

    def origin(self, root: str) -> dict[str, tuple[str, str]]:
        """Return the keywords, with comments, that name an exposure's association and references."""
        exposure = self._exposure(root)
        parameters = self._parameters(exposure).record(2, "resample")
        return self.association_record(root) | dict(exposure.reference_record) | parameters

    def context(self, root: str) -> dict[str, tuple[str, str]]:
        """Return the keywords, with comments, of the CRDS context in which an exposure's references were chosen."""
        return dict(self._exposure(root).context_record)

    def status(self, root: str) -> dict[str, str]:
        """Return the steps that do not run for an exposure, with their status."""
        return dict(self._exposure(root).status)

    def full_frame(self, root: str) -> list[int]:
        """Return the columns and rows that the detector of an exposure has."""
        exposure = self._exposure(root)
        ny, nx = exposure.family.instruments[exposure.instrument]
        return [nx, ny]

    def window(self, root: str) -> tuple[int, int, int, int]:
        """Return the detector window of an exposure: xstart, ystart, nx, ny."""
        return window_of(self._exposure(root).header).numbers

    def detector_keywords(self, root: str) -> dict[str, Any]:
        """Return the keywords that name an exposure's detector, optical elements and window."""
        values = self._exposure(root).header.values
        return {keyword: values[keyword] for keyword in DETECTOR_KEYWORDS if keyword in values}

    def photom_row(self, root: str) -> dict[str, Any]:
        """Return by what the row of the PHOTOM table is chosen for an exposure."""
        exposure = self._exposure(root)
        rows = exposure.family.photom_rows[exposure.instrument]
        return {"selectors": rows.wanted(exposure.header.values), "optional": sorted(rows.optional)}

    def filter_offset(self, root: str) -> dict[str, Any]:
        """Return by what the filter offset is chosen for an exposure, and whether there must be one."""
        exposure = self._exposure(root)
        rows = exposure.family.filter_offsets.get(exposure.instrument)
        kind = exposure.family.references.get("filteroffset")
        required = kind is not None and exposure.instrument in kind.required
        return {"selectors": rows.wanted(exposure.header.values) if rows else [], "required": required}

    def _saves_bsub(self, exposure: PlannedExposure) -> bool:
        """Tell whether the background is subtracted by a job of its own, whose product is kept."""
        background = exposure.background
        return background is not None and background.rule == "average" and self.settings.stage2.save_bsub

    def _path(self, exposure: Calibrated, suffix: str) -> str:
        return f"{self.folder}/{exposure.product(suffix)}"

    def _exposure(self, root: str, suffix: str = "") -> PlannedExposure:
        if root not in self.exposures:
            raise UnknownExposure(f"no exposure {root!r} in this configuration")
        exposure = self.exposures[root]
        if suffix:
            self._check_suffix(root, suffix, exposure.cube)
        return exposure

    def _check_suffix(self, root: str, suffix: str, cube: bool) -> None:
        if suffix.endswith("ints") != cube:
            shape = "integrations (3-D)" if cube else "no integrations (2-D)"
            raise UnknownExposure(f"{root!r} has {shape}, so there is no {root}_{suffix}")


def _association_record(planned: Calibrated) -> dict[str, tuple[str, str]]:
    return {
        "ASNPOOL": (planned.pool, "Name of the ASN pool"),
        "ASNTABLE": (planned.table, "Name of the ASN table"),
    }


def stamps(files: Iterable[str | Path], *made: str) -> dict[str, str]:
    """Return size and time of the files that are not in the folders `made`, to go with a rule's parameters.

    Snakemake compares times only: an input replaced by another file that is older than the products, as a
    download or a copy with its time kept, would go unnoticed.
    """
    found = {}
    for file in map(str, files):
        if not file.startswith(tuple(f"{folder}/" for folder in made)):
            status = Path(file).stat()
            found[file] = f"{status.st_size} bytes, {status.st_mtime_ns} ns"
    return found


def uncompared(value: Any) -> Callable[[Any, Any], Any]:
    """Return a rule's parameter of which another value makes no product stale.

    Snakemake compares no parameters between runs that are functions of `input`.
    """
    return lambda wildcards, input: value
