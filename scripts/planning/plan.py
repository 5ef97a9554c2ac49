"""The plan: every exposure with its inputs, references and the steps it gets, before any job starts.

Rules look things up here and decide nothing themselves. The plan is made in `planning.planner`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instruments.family import Family, Variant
from planning.headers import ExposureHeader
from planning.references import Reference
from products.names import product_name
from settings import Settings
from steps.windows import Window

STAGE2_STEPS = ("bkg_subtract", "assign_wcs", "flat_field", "photom", "resample")


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
    reference_record : mapping of keyword to (value, comment)
        What the header says of the references, and of the CRDS context.
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
    reference_record: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    status: Mapping[str, str] = field(default_factory=dict)
    quick_look: bool = False

    @property
    def cube(self) -> bool:
        """Whether the exposure has integrations."""
        return self.header.is_cube

    def product(self, suffix: str) -> str:
        """Return the file name of a product; ``bsub`` and ``cal`` of a cube end in ``ints``."""
        return product_name(self.root, f"{suffix}ints" if self.cube and suffix in ("bsub", "cal") else suffix)


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
            "origin": self.association_record(root) | exposure.reference_record,
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
            raise UnknownExposure(f"{root!r} gets no quick look: {exposure.variant.name}, or resample is skipped")
        files = {"cal": f"{output}/stage2/{exposure.product('cal')}"}
        output_wcs = self.settings.stage2.resample.output_wcs
        return files | ({"output_wcs": output_wcs} if output_wcs else {})

    def picture_input(self, output: str) -> dict[str, str]:
        """Return one exposure before and after: ``rate``, ``cal`` and ``i2d``."""
        for exposure in self.exposures.values():
            if exposure.quick_look:
                products = {suffix: f"{output}/stage2/{exposure.product(suffix)}" for suffix in ("cal", "i2d")}
                return {"rate": str(exposure.science)} | products
        raise UnknownExposure("no exposure of this configuration gets a quick look to make a picture of")

    def _exposure(self, root: str, suffix: str = "") -> PlannedExposure:
        if root not in self.exposures:
            raise UnknownExposure(f"no exposure {root!r} in this configuration")
        exposure = self.exposures[root]
        if suffix and suffix.endswith("ints") != exposure.cube:
            shape = "integrations (3-D)" if exposure.cube else "no integrations (2-D)"
            raise UnknownExposure(f"{root!r} has {shape}, so there is no {root}_{suffix}")
        return exposure
