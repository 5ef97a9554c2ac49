"""The plan of stage 3: which exposures are combined, with what, under which names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from calflow.configuration.problems import some
from calflow.configuration.settings import Settings
from calflow.configuration.shared import OutputGrid
from calflow.configuration.stage3 import Stage3
from calflow.files.names import product_name
from calflow.instruments.family import Family
from calflow.references.parameter_references import Chosen, settings_for
from calflow.references.references import Reference

# In the order in which they run; assign_mtwcs takes the place of tweakreg for a moving target.
STAGE3_STEPS = ("assign_mtwcs", "tweakreg", "skymatch", "outlier_detection", "resample", "source_catalog")
ONLINE_CATALOGS = ("GAIAREFCAT", "GAIADR3", "GAIADR2", "GAIADR1", "GAIADR3_S3")


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
    clean : str
        What extra steps make of it before stage 3; empty: there are none.
    pointing : mapping of str to object
        What is given of its pointing from outside: ``file``, its path, and of a table ``offset``, the arguments of
        `science.geometry.offsets.Offset`; empty: nothing.
    """

    root: str
    cal: str
    geometry: str
    group: str
    star_list: Path | None
    target: tuple[float, float] | None
    size: int
    parameters: Chosen | None = None
    clean: str = ""
    pointing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pixels(self) -> str:
        """The calibrated exposure that stage 3 reads."""
        return self.clean or self.cal


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
    pieces : tuple of tuple of int
        Of its image, if that is made in pieces: for each the numbers of the members that may reach it, from 0.
    parameters : Chosen or None
        Its parameters, by its first member; None: those of the run.
    catalog_of : str
        Name of the association to whose source catalogue it is aligned; its own name: it is that, and aligned to no
        catalogue; empty: `abs_refcat` names no association.
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
    pieces: tuple[tuple[int, ...], ...] = ()
    parameters: Chosen | None = None
    catalog_of: str = ""

    @property
    def alignment_step(self) -> str:
        """The step that corrects the pointings."""
        return "assign_mtwcs" if self.moving else "tweakreg"

    def runs(self, step: str) -> bool:
        """Tell whether a step runs.

        Parameters
        ----------
        step : str
            Its name, such as ``tweakreg``.
        """
        return step not in self.status

    def status_of(self, *steps: str) -> dict[str, str]:
        """Return the steps, of those that are named, that do not run, each with its status.

        Parameters
        ----------
        *steps : str
            Such as ``skymatch``.
        """
        return {step: self.status[step] for step in steps if step in self.status}

    def identities(self) -> list[list[str]]:
        """Return the root and the group of each member."""
        return [[member.root, member.group] for member in self.members]

    def grouped_by(self, what: str) -> dict[str, str]:
        """Return groups by the roots of members; empty for those of exposures that were taken at once.

        Parameters
        ----------
        what : str
            ``exposure``, ``detector``, or ``visit``, which the first part of their names tells.
        """
        if what == "exposure":
            return {}
        return {each.root: each.root if what == "detector" else each.root.split("_")[0] for each in self.members}

    def groups(self) -> dict[str, list[PlannedMember]]:
        """Return the members of each group, in the order of the association."""
        groups: dict[str, list[PlannedMember]] = {}
        for member in self.members:
            groups.setdefault(member.group, []).append(member)
        return groups

    def crf_root(self, member: PlannedMember) -> str:
        """Return the root of the ``_crf`` of a member: its own, and the id of the association.

        Parameters
        ----------
        member : PlannedMember
            Of this association.
        """
        return "_".join([member.root, *([self.asn_id] if self.asn_id else [])])

    def crf(self, member: PlannedMember, suffix: str = "crf") -> str:
        """Return the file name of what is made of a member in this association.

        Parameters
        ----------
        member : PlannedMember
            Of this association.
        suffix : str, optional
            Such as ``i2d``.
        """
        return product_name(self.crf_root(member), suffix)


def catalog_candidates(name: str, pattern: str, names: Iterable[str]) -> list[str]:
    """Return the associations whose source catalogue an association may be aligned to: one, if all is well.

    Parameters
    ----------
    name : str
        Of the association that is aligned.
    pattern : str
        As the configuration gives it.
    names : iterable of str
        Of all associations.

    Returns
    -------
    list of str
        Those that match. If there are several: those of them that are of the same observation and target, as the
        names say, in front of the instrument.
    """
    matching = [each for each in names if fnmatchcase(each, pattern)]
    if len(matching) < 2:
        return matching
    return [each for each in matching if each.split("_")[:2] == name.split("_")[:2]] or matching


class UnknownAssociation(Exception):
    """A target that is no product of stage 3 of this configuration."""


class Combinations:
    """The associations of stage 3, and where their files are.

    Methods that take a name raise `UnknownAssociation` for one that is not in this configuration.

    Parameters
    ----------
    settings : Settings
        The configuration.
    folder : str
        Of the products.
    associations : list of PlannedAssociation
        All of them.
    first : iterable of PlannedAssociation, optional
        Those of a first pass, which can be looked up as well; `associations` and `products` do not list them.
    """

    def __init__(
        self,
        settings: Settings,
        folder: str,
        associations: list[PlannedAssociation],
        first: Iterable[PlannedAssociation] = (),
    ):
        self.settings = settings
        self.folder = folder
        self.associations = {association.name: association for association in associations}
        self._first = {association.name: association for association in first}
        associations = [*associations, *self._first.values()]
        self.members = {member.root: member for a in associations for member in a.members}
        self._crfs = {a.crf_root(member): Crf(a.name, member.root) for a in associations for member in a.members}
        self._with_stars = {m.root for a in associations if not a.moving for m in a.members if m.star_list is None}

    @property
    def in_pieces(self) -> bool:
        """Whether any image is made in pieces."""
        return any(association.pieces for association in self.associations.values())

    def products(self) -> list[str]:
        """Return the paths of all products that are kept."""
        return [path for association in self.associations.values() for path in self.products_of(association)]

    def products_of(self, association: PlannedAssociation) -> list[str]:
        """Return the paths of the products of an association that are kept.

        Parameters
        ----------
        association : PlannedAssociation
            One of these.
        """
        stage3 = self.settings.stage3
        paths = []
        if not association.single:
            paths += [self.path(association.crf(member)) for member in association.members]
            paths.append(self.table(association.name, "alignment"))
            paths += [self.table(association.name, "sky")] if association.runs("skymatch") else []
            if association.status.get("outlier_detection") != "SKIPPED":
                paths.append(self.table(association.name, "outliers"))
            if association.runs("outlier_detection") and stage3.outlier_detection.saves_images():
                paths += self._intermediate(association)
        if association.runs("resample") and stage3.resample.single:
            numbers = range(len(association.groups()))
            paths += [self.path(f"{association.name}_{number}_i2d.fits") for number in numbers]
        elif association.runs("resample"):
            paths.append(self.path(f"{association.name}_i2d.fits"))
        if self.settings.extra_steps.save_clean:
            paths += [member.clean for member in association.members if member.clean]
        if association.runs("source_catalog"):
            paths += [self.path(f"{association.name}_{suffix}") for suffix in ("cat.ecsv", "segm.fits", "cat.reg")]
            if settings_for(association.parameters, self.settings).stage3.source_catalog.parquet:
                paths.append(self.path(f"{association.name}_cat.parquet"))
        return paths

    def association(self, name: str) -> PlannedAssociation:
        """Return an association by the name of its product.

        Parameters
        ----------
        name : str
            Of its product.
        """
        found = self.associations.get(name) or self._first.get(name)
        if found is None:
            raise UnknownAssociation(f"no association {name!r} in this configuration")
        return found

    def parameters(self, name: str) -> Stage3:
        """Return the parameters of stage 3 of an association.

        Parameters
        ----------
        name : str
            Of its product.
        """
        return settings_for(self.association(name).parameters, self.settings).stage3

    def exposure(self, root: str) -> PlannedMember:
        """Return a calibrated exposure that is a member of any association.

        Parameters
        ----------
        root : str
            Root of the names of its products.
        """
        if root not in self.members:
            raise UnknownAssociation(f"no calibrated exposure {root!r} in this configuration")
        return self.members[root]

    def finds_stars(self, root: str) -> bool:
        """Tell whether stars of an exposure are looked for: to align it by them, or to see how well it is aligned.

        Parameters
        ----------
        root : str
            Root of the names of its products.
        """
        return root in self._with_stars

    def path(self, name: str) -> str:
        """Return the path of a file of stage 3.

        Parameters
        ----------
        name : str
            Its name in the folder of stage 3.
        """
        return f"{self.folder}/{name}"

    def table(self, name: str, kind: str) -> str:
        """Return the path of a table of an association.

        Parameters
        ----------
        name : str
            Of its product.
        kind : str
            ``alignment``, ``sky`` or ``outliers``.
        """
        return self.path(f"{name}_{kind}.ecsv")

    def grid(self, name: str) -> str:
        """Return the path of the grid on which an association is combined.

        Parameters
        ----------
        name : str
            Of its product.
        """
        association = self.association(name)
        if association.common_grid:
            return self.path(f"grids/{association.common_grid}.json")
        if (
            self.settings.stage3.outlier_detection.resample_data
            and association.runs("outlier_detection")
            and not self._own_grid(name)
        ):
            return self.outlier_grid(name)
        return self.path(f"{name}_grid.json")

    def outlier_grid(self, name: str) -> str:
        """Return the path of the grid on which outliers are looked for, which does not depend on the output grid.

        Parameters
        ----------
        name : str
            Of its product.
        """
        return self.path(f"outliers/{name}_grid.json")

    def crf_of(self, crf: str) -> Crf:
        """Return the association and the member that the root of a ``_crf`` stands for.

        Parameters
        ----------
        crf : str
            The root.
        """
        if crf not in self._crfs:
            raise UnknownAssociation(f"no exposure {crf!r} in an association of this configuration")
        return self._crfs[crf]

    def group(self, crf: str) -> list[PlannedMember]:
        """Return the members of the group whose first member a ``_crf`` root stands for.

        Parameters
        ----------
        crf : str
            The root.
        """
        name, root = self.crf_of(crf)
        for members in self.association(name).groups().values():
            if members[0].root == root:
                return members
        raise UnknownAssociation(f"{crf!r} is not the first of its group")

    def aligned(self, name: str, root: str) -> dict[str, str]:
        """Return the files of a member of an association: pixels, geometry and alignment.

        Parameters
        ----------
        name : str
            Of its product.
        root : str
            Root of the names of its products.
        """
        for member in self.association(name).members:
            if member.root == root:
                return {
                    "cal": member.pixels,
                    "geometry": member.geometry,
                    "alignment": self.table(name, "alignment"),
                }
        raise UnknownAssociation(f"{name!r} has no exposure {root!r}")

    def sky(self, name: str) -> dict[str, str]:
        """Return the table of sky levels of an association as a role and its file; nothing if the sky is not matched.

        Parameters
        ----------
        name : str
            Of its product.
        """
        return {"sky": self.table(name, "sky")} if self.association(name).runs("skymatch") else {}

    def record(self, name: str, *without: str) -> dict[str, tuple[str, str]]:
        """Return the keywords, with comments, that name an association and its parameter references.

        Parameters
        ----------
        name : str
        *without : str
            Steps whose parameters are not named.
        """
        association = self.association(name)
        chosen = association.parameters or Chosen(self.settings)
        return {
            "ASNPOOL": (association.pool, "Name of the ASN pool"),
            "ASNTABLE": (association.table, "Name of the ASN table"),
        } | (_given_by(association) | chosen.record(3, *without))

    def _own_grid(self, name: str) -> bool:
        """Tell whether the grid of the output differs from that of the input."""
        resample, default = self.parameters(name).resample, type(self.settings.stage3.resample)()
        return resample.part(OutputGrid) != default.part(OutputGrid)

    def _intermediate(self, association: PlannedAssociation) -> list[str]:
        groups = [members[0] for members in association.groups().values()]
        names = [association.crf(member, "blot") for member in association.members]
        names += [association.crf(member, "outlier_i2d") for member in groups]
        return [self.path(name) for name in [*names, association.crf(groups[0], "median")]]


def _given_by(association: PlannedAssociation) -> dict[str, tuple[str, str]]:
    """Return the keyword that names the files whose pointings exposures are given; nothing without them."""
    files = dict.fromkeys(Path(member.pointing["file"]).name for member in association.members if member.pointing)
    return {"WCSFROM": (some([*files]), "Where pointings were taken from")} if files else {}
