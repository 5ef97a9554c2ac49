"""The plan of stage 3: which exposures are combined, with what, under which names."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from calflow.configuration.settings import Settings
from calflow.configuration.shared import OutputGrid
from calflow.configuration.stage3 import Stage3
from calflow.files.names import product_name
from calflow.instruments.family import Family
from calflow.references.parameter_references import Chosen, settings_for
from calflow.references.references import Reference
from calflow.science.geometry.output_grid import BYTES_PER_PIXEL
from calflow.web.astrometric_catalogs import decimal_year

# In the order in which they run; assign_mtwcs takes the place of tweakreg for a moving target.
STAGE3_STEPS = ("assign_mtwcs", "tweakreg", "skymatch", "outlier_detection", "resample", "source_catalog")
ONLINE_CATALOGS = ("GAIAREFCAT", "GAIADR3", "GAIADR2", "GAIADR1", "GAIADR3_S3")
# So many exposures ask for as much at once as a common node of a cluster has: a core and 2 GB each.
SMALL_ASSOCIATION = 8


class Crf(NamedTuple):
    """What the root of a ``_crf`` stands for: an exposure may be in several associations.

    Attributes
    ----------
    association : str
    exposure : str
    """

    association: str
    exposure: str


@dataclass(frozen=True)
class PlannedMember:
    """One calibrated exposure of a combination.

    Attributes
    ----------
    root : str
        Beginning of the names of its products.
    cal : str
        The calibrated exposure, a product of stage 2 or a file of the user.
    geometry : str
        Where its pixels lie on the sky.
    group : str
        Exposures taken at once have the same.
    star_list : Path or None
        The user's star list.
    target : (ra, dec) or None
        Where its moving target was, degrees.
    size : int
        Number of its pixels.
    parameters : Chosen or None
        By which its stars are found; None: those of the run.
    """

    root: str
    cal: str
    geometry: str
    group: str
    star_list: Path | None
    target: tuple[float, float] | None
    size: int
    parameters: Chosen | None = None


@dataclass(frozen=True)
class PlannedAssociation:
    """What is going to happen with the exposures of one product of a level-3 association.

    Attributes
    ----------
    name : str
        Beginning of the names of its products.
    asn_id : str or None
        Part of the names of ``_crf``.
    pool, table : str
        Values of ASNPOOL and ASNTABLE.
    members : tuple of PlannedMember
    family : Family
    header : mapping
        Keywords of the first member.
    moving : bool
        Whether the exposures follow a moving target.
    single : bool
        One exposure alone: it is resampled and catalogued as it is.
    status : mapping of step to str
        Steps that do not run though they might.
    references : mapping of type to Reference
        Of the catalogue.
    common_grid : str
        Name of the grid shared with other associations, or empty.
    image_shape : (ny, nx) or None
        About that of its image, if the headers tell.
    parameters : Chosen or None
        Its parameters, by its first member; None: those of the run.
    """

    name: str
    asn_id: str | None
    pool: str
    table: str
    members: tuple[PlannedMember, ...]
    family: Family
    header: Mapping[str, Any]
    moving: bool
    single: bool
    status: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    common_grid: str = ""
    image_shape: tuple[int, int] | None = None
    parameters: Chosen | None = None

    @property
    def alignment_step(self) -> str:
        """The step that corrects the pointings."""
        return "assign_mtwcs" if self.moving else "tweakreg"

    def runs(self, step: str) -> bool:
        """Tell whether a step runs."""
        return step not in self.status

    def groups(self) -> dict[str, list[PlannedMember]]:
        """Return the members of each group, in the order of the association."""
        groups: dict[str, list[PlannedMember]] = {}
        for member in self.members:
            groups.setdefault(member.group, []).append(member)
        return groups

    def crf_root(self, member: PlannedMember) -> str:
        """Return the beginning of the names of what is made of a member in this association."""
        return "_".join([member.root, *([self.asn_id] if self.asn_id else [])])

    def crf(self, member: PlannedMember, suffix: str = "crf") -> str:
        """Return the file name of a product of one of its exposures."""
        return product_name(self.crf_root(member), suffix)


class UnknownAssociation(Exception):
    """A target that is no product of stage 3 of this configuration."""


class Combinations:
    """The associations of stage 3, and what each rule needs to know of them.

    Methods that rules use as input functions raise `UnknownAssociation` for a target that cannot be made.
    """

    def __init__(self, settings: Settings, folder: str, associations: list[PlannedAssociation]):
        self.settings = settings
        self.folder = folder
        self.associations = {association.name: association for association in associations}
        self._members = {member.root: member for a in associations for member in a.members}
        self._crfs = {a.crf_root(member): Crf(a.name, member.root) for a in associations for member in a.members}
        self._aligned_by_stars = {
            member.root
            for a in associations
            if a.runs("tweakreg") and not a.moving
            for member in a.members
            if member.star_list is None
        }

    def products(self) -> list[str]:
        """Return the paths of all products that are kept."""
        return [path for association in self.associations.values() for path in self.products_of(association)]

    def products_of(self, association: PlannedAssociation) -> list[str]:
        """Return the paths of the products of an association that are kept."""
        stage3 = self.settings.stage3
        paths = []
        if not association.single:
            paths += [self._path(association.crf(member)) for member in association.members]
            paths.append(self.table(association.name, "alignment"))
            paths += [self.table(association.name, "sky")] if association.runs("skymatch") else []
            if association.status.get("outlier_detection") != "SKIPPED":
                paths.append(self.table(association.name, "outliers"))
            if association.runs("outlier_detection") and stage3.outlier_detection.saves_images():
                paths += self._intermediate(association)
        if association.runs("resample") and stage3.resample.single:
            numbers = range(len(association.groups()))
            paths += [self._path(f"{association.name}_{number}_i2d.fits") for number in numbers]
        elif association.runs("resample"):
            paths.append(self._path(f"{association.name}_i2d.fits"))
        if association.runs("source_catalog"):
            paths += [self._path(f"{association.name}_{suffix}") for suffix in ("cat.ecsv", "segm.fits", "cat.reg")]
        return paths

    def association(self, name: str) -> PlannedAssociation:
        """Return an association by the name of its product."""
        if name not in self.associations:
            raise UnknownAssociation(f"no association {name!r} in this configuration")
        return self.associations[name]

    def parameters(self, name: str) -> Stage3:
        """Return the parameters of stage 3 of an association."""
        return settings_for(self.association(name).parameters, self.settings).stage3

    def finder_parameters(self, root: str) -> dict[str, Any] | None:
        """Return by which stars of an exposure are found, whatever association it is in; None if they are not."""
        if not self.finds_stars(root):
            return None
        chosen = self._members[root].parameters or Chosen(self.settings)
        return chosen.settings.stage3.tweakreg.finder_parameters()

    def member(self, name: str, root: str) -> PlannedMember:
        """Return a member of an association."""
        for member in self.association(name).members:
            if member.root == root:
                return member
        raise UnknownAssociation(f"{name!r} has no exposure {root!r}")

    def table(self, name: str, kind: str) -> str:
        """Return the path of a table of an association."""
        return self._path(f"{name}_{kind}.ecsv")

    # What each rule reads ------------------------------------------------------------------------------

    def exposure_input(self, root: str) -> dict[str, str]:
        """Return the calibrated exposure that is a member of any association, and its geometry."""
        if root not in self._members:
            raise UnknownAssociation(f"no calibrated exposure {root!r} in this configuration")
        return {"cal": self._members[root].cal, "geometry": self._members[root].geometry}

    def finds_stars(self, root: str) -> bool:
        """Tell whether stars of an exposure are looked for: some association is aligned by them."""
        return root in self._aligned_by_stars

    def geometries(self, name: str) -> list[str]:
        """Return the geometry files of the members of an association, in its order."""
        return [member.geometry for member in self.association(name).members]

    def alignment_input(self, name: str) -> dict[str, Any]:
        """Return what the alignment of an association is found from."""
        association = self.association(name)
        files: dict[str, Any] = {"geometries": self.geometries(name)}
        if association.runs("tweakreg") and not association.moving:
            files["stars"] = [str(member.star_list or self._stars(member)) for member in association.members]
            if self.parameters(name).tweakreg.abs_refcat:
                files["catalog"] = self.catalog(name)
        return files

    def catalog(self, name: str) -> str:
        """Return the astrometric catalogue that an association is aligned to."""
        wanted = self.parameters(name).tweakreg.abs_refcat
        if wanted.upper() in ONLINE_CATALOGS:
            return self._path(f"catalogs/{name}_fit_{wanted.lower()}_ref.ecsv")
        return wanted

    def grid_input(self, name: str) -> dict[str, Any]:
        """Return what the grid of an association is laid over."""
        association = self.association(name)
        return {
            "alignments": [self.table(name, "alignment")],
            "first": association.members[0].geometry,
        } | self._output_wcs(self.settings.stage3.resample.output_wcs, association.members[0])

    def outlier_grid_input(self, name: str) -> dict[str, Any]:
        """Return what the grid of the outlier search is laid over."""
        return {"alignments": [self.table(name, "alignment")], "first": self.association(name).members[0].geometry}

    def common_grid_input(self, grid: str) -> dict[str, Any]:
        """Return what a common grid is laid over."""
        names = [name for name, association in self.associations.items() if association.common_grid == grid]
        if not names:
            raise UnknownAssociation(f"no association of this configuration uses a grid {grid!r}")
        first = self.associations[names[0]].members[0]
        return {
            "alignments": [self.table(name, "alignment") for name in names],
            "first": first.geometry,
        } | self._output_wcs(self.settings.grids[grid].output_wcs, first)

    def grid(self, name: str) -> str:
        """Return the grid on which an association is combined."""
        association = self.association(name)
        if association.common_grid:
            return self._path(f"grids/{association.common_grid}.json")
        if self._outlier_grid(name) and association.runs("outlier_detection") and not self._own_grid(name):
            return self.outlier_grid(name)
        return self._path(f"{name}_grid.json")

    def outlier_grid(self, name: str) -> str:
        """Return the grid on which outliers are looked for: that of the input, whatever the output is."""
        return self._path(f"outliers/{name}_grid.json")

    def crf_of(self, crf: str) -> Crf:
        """Return the association and the member that the root of a ``_crf`` stands for."""
        if crf not in self._crfs:
            raise UnknownAssociation(f"no exposure {crf!r} in an association of this configuration")
        return self._crfs[crf]

    def sky_input(self, name: str, root: str) -> dict[str, str]:
        """Return what the sky of an exposure is measured in."""
        member = self.member(name, root)
        return self._aligned(name, member)

    def sky_measurements(self, name: str) -> list[str]:
        """Return the sky measurements of the members of an association."""
        return [self._path(f"sky/{name}/{member.root}.json") for member in self.association(name).members]

    def sky_match_input(self, name: str) -> dict[str, Any]:
        """Return what the sky levels of an association are found from."""
        skylist = self.settings.stage3.skymatch.skylist
        user = self.parameters(name).skymatch.skymethod == "user"
        return {"measurements": self.sky_measurements(name)} | ({"skylist": skylist} if user else {})

    def group(self, crf: str) -> list[PlannedMember]:
        """Return the members of the group whose first member a ``_crf`` root stands for."""
        name, root = self.crf_of(crf)
        for members in self.association(name).groups().values():
            if members[0].root == root:
                return members
        raise UnknownAssociation(f"{crf!r} is not the first of its group")

    def group_input(self, crf: str, errors: bool = False) -> dict[str, Any]:
        """Return what a group, or its errors, are resampled from."""
        association, members = self.association(self.crf_of(crf).association), self.group(crf)
        return {
            "cals": [member.cal for member in members],
            "geometries": [member.geometry for member in members],
            "alignment": self.table(association.name, "alignment"),
            **self._outlier_grid(association.name),
            **({} if errors else self._sky(association)),
        }

    def median_input(self, crf: str, errors: bool = False) -> dict[str, Any]:
        """Return what the median of an association, or of its errors, named after its first group, is taken of."""
        association = self.association(self.crf_of(crf).association)
        roots = [association.crf_root(members[0]) for members in association.groups().values()]
        layer = "layer_error" if errors else "layer"
        return {
            "layers": [self._path(f"outliers/{root}_{layer}.npy") for root in roots],
            "windows": [self._path(f"outliers/{root}_{layer}.json") for root in roots],
            **self._outlier_grid(association.name),
        }

    def crf_input(self, crf: str) -> dict[str, str]:
        """Return what a ``_crf`` is made of."""
        name, root = self.crf_of(crf)
        association, member = self.association(name), self.member(name, root)
        files = self._aligned(name, member) | self._sky(association)
        if association.runs("outlier_detection"):
            first = association.crf_root(association.members[0])
            files["median"] = self._path(f"outliers/{first}_median.npy")
            if self.settings.stage3.outlier_detection.error == "median":
                files["median_error"] = self._path(f"outliers/{first}_median_error.npy")
            files |= self._outlier_grid(name)
        return files

    def _outlier_grid(self, name: str) -> dict[str, str]:
        resampled = self.settings.stage3.outlier_detection.resample_data
        return {"grid": self.outlier_grid(name)} if resampled else {}

    def outlier_counts(self, name: str) -> list[str]:
        """Return the numbers of outliers of the members of an association."""
        association = self.association(name)
        return [self._path(f"outliers/{association.crf_root(member)}_count.json") for member in association.members]

    def combination_input(self, name: str, group: int | None = None) -> dict[str, Any]:
        """Return what the image of an association, or of one of its groups by number, is made of."""
        association, members = self.association(name), self._combined(name, group)
        return {
            "exposures": [
                member.cal if association.single else self._path(association.crf(member)) for member in members
            ],
            "geometries": [member.geometry for member in members],
            "alignment": self.table(name, "alignment"),
            "grid": self.grid(name),
        } | self._output_wcs(self._grid_settings(association).output_wcs)

    def catalog_input(self, name: str) -> dict[str, str]:
        """Return what a source catalogue is made of."""
        association = self.association(name)
        files = {"i2d": self._path(f"{name}_i2d.fits")}
        return files | {kind: str(ref.path) for kind, ref in association.references.items() if ref.path}

    def _combined(self, name: str, group: int | None) -> Sequence[PlannedMember]:
        association = self.association(name)
        if group is None:
            return association.members
        groups = list(association.groups().values())
        if not group < len(groups):
            raise UnknownAssociation(f"{name!r} has {len(groups)} groups, so there is no {name}_{group}_i2d")
        return groups[group]

    # Facts for parameters ------------------------------------------------------------------------------

    def identities(self, name: str, group: int | None = None) -> list[list[str]]:
        """Return the root and the group of each member of an association, or of one of its groups by number."""
        return [[member.root, member.group] for member in self._combined(name, group)]

    def targets(self, name: str) -> list[tuple[float, float] | None] | None:
        """Return where the moving target of each member of an association was; None if it is none."""
        association = self.association(name)
        return [member.target for member in association.members] if association.moving else None

    def epoch(self, name: str) -> float:
        """Return when an association was observed, as a decimal year."""
        return decimal_year(str(self.association(name).header["DATE-OBS"]))

    def missing_references(self, name: str) -> dict[str, str]:
        """Return why references of the catalogue of an association are missing, by type."""
        return {kind: ref.reason for kind, ref in self.association(name).references.items() if ref.path is None}

    def status(self, name: str, *steps: str) -> dict[str, str]:
        """Return which of some steps do not run for an association, with their status; without any, of all steps."""
        status = self.association(name).status
        return {step: status[step] for step in steps or STAGE3_STEPS if step in status}

    def association_record(self, name: str) -> dict[str, tuple[str, str]]:
        """Return the keywords, with comments, that name an association."""
        association = self.association(name)
        return {
            "ASNPOOL": (association.pool, "Name of the ASN pool"),
            "ASNTABLE": (association.table, "Name of the ASN table"),
        }

    def record(self, name: str, *without: str) -> dict[str, tuple[str, str]]:
        """Return the same, and those of the parameter references, without some steps."""
        chosen = self.association(name).parameters or Chosen(self.settings)
        return self.association_record(name) | chosen.record(3, *without)

    def grid_parameters(self, name: str) -> dict[str, Any]:
        """Return the parameters of the grid that an association does not share."""
        return self.parameters(name).resample.grid_parameters()

    def default_grid_parameters(self) -> dict[str, Any]:
        """Return the parameters of the grid of the input."""
        return type(self.settings.stage3.resample)().grid_parameters()

    def common_grid_parameters(self, grid: str) -> dict[str, Any]:
        """Return the parameters of a common grid."""
        return self.settings.grids[grid].grid_parameters()

    def pixels(self, name: str) -> int:
        """Return the number of pixels of the largest member of an association."""
        return max(member.size for member in self.association(name).members)

    def combination_mb(self, name: str, grid: str) -> int:
        """Return the memory that a combination needs, MB, once its grid file is there."""
        planes = 4 * (-(-len(self.association(name).members) // 32) - 1)  # more of the context
        exposure = 120 * self.pixels(name)
        return 700 + ((BYTES_PER_PIXEL + planes) * _pixels_of_grid(grid) + exposure) // 10**6

    def combination_minutes(self, grid: str, input_mb: float) -> int:
        """Return the time that a combination is allowed, once its grid file is there."""
        return 5 + int(input_mb / 50) + _pixels_of_grid(grid) // 10_000_000

    def size(self, root: str) -> int:
        """Return the number of pixels of a member of any association."""
        self.exposure_input(root)  # tells that there is no such exposure
        return self._members[root].size

    def all_pixels(self) -> int:
        """Return the number of pixels of all members together."""
        return sum(member.size for member in self._members.values())

    def job_group(self, name: str, otherwise: str | None = None) -> str | None:
        """
        Return which jobs of an association a cluster runs as one job.

        Those of a small one are short and wait for each other: all of them up to its ``_crf``. In a large one each
        job that touches pixels is one of its own, since a group asks for the memory of all that may run at once.

        Parameters
        ----------
        name : str
        otherwise : str, optional
            The group in a large association.
        """
        return "association" if len(self.association(name).members) <= SMALL_ASSOCIATION else otherwise

    def all_pixels_of(self, crf: str, group: bool = False) -> int:
        """Return the number of pixels of all members of the association of a ``_crf``, or of its group."""
        members = self.group(crf) if group else self.association(self.crf_of(crf).association).members
        return sum(member.size for member in members)

    def pixels_of(self, crf: str) -> int:
        """Return the number of pixels of the largest member of the association of a ``_crf``."""
        return self.pixels(self.crf_of(crf).association)

    def aperture_rows(self, name: str) -> dict[str, Any]:
        """Return by what the rows of the APCORR and ABVEGAOFFSET tables are chosen for an association."""
        association = self.association(name)
        instrument = str(association.header["INSTRUME"])
        return {
            "apcorr": association.family.aperture_corrections[instrument].wanted(association.header),
            "abvegaoffset": association.family.ab_vega_offsets[instrument].wanted(association.header),
        }

    # ----------------------------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def _stars(self, member: PlannedMember) -> str:
        return self._path(f"stars/{member.root}_cal_cat.{self.settings.stage3.tweakreg.catalog_format}")

    def _aligned(self, name: str, member: PlannedMember) -> dict[str, str]:
        return {
            "cal": member.cal,
            "geometry": member.geometry,
            "alignment": self.table(name, "alignment"),
        }

    def _sky(self, association: PlannedAssociation) -> dict[str, str]:
        return {"sky": self.table(association.name, "sky")} if association.runs("skymatch") else {}

    def _own_grid(self, name: str) -> bool:
        """Tell whether the grid of the output differs from that of the input."""
        resample, default = self.parameters(name).resample, type(self.settings.stage3.resample)()
        return resample.part(OutputGrid) != default.part(OutputGrid)

    def _grid_settings(self, association: PlannedAssociation) -> Any:
        name = association.common_grid
        return self.settings.grids[name] if name else self.settings.stage3.resample

    def _output_wcs(self, file: str, first: PlannedMember | None = None) -> dict[str, str]:
        """Return the user's WCS, if there is one, and the exposure whose pixel scale it is compared with."""
        return ({"output_wcs": file} | ({"cal": first.cal} if first else {})) if file else {}

    def _intermediate(self, association: PlannedAssociation) -> list[str]:
        groups = [members[0] for members in association.groups().values()]
        names = [association.crf(member, "blot") for member in association.members]
        names += [association.crf(member, "outlier_i2d") for member in groups]
        return [self._path(name) for name in [*names, association.crf(groups[0], "median")]]


def _pixels_of_grid(grid: str) -> int:
    return math.prod(json.loads(Path(grid).read_text())["shape"])
