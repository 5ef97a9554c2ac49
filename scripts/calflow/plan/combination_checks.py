"""What headers tell of combinations before any job: grids, fields apart, catalogues, star lists and sky levels."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from calflow.configuration.problems import Problem, Problems, some
from calflow.configuration.settings import Settings
from calflow.files.listings import ListingError, read_levels
from calflow.inputs.exposure_footprints import Footprint, footprint_of, with_targets_together
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.headers import ExposureHeader
from calflow.plan.catalog_checks import CatalogChecker
from calflow.plan.combination import PlannedAssociation
from calflow.plan.grid_checks import GridChecker, Laid
from calflow.plan.pieces import pieces_of
from calflow.references.parameter_references import settings_for
from calflow.science.geometry.input_pixels import fiducial, separation
from calflow.science.geometry.sky_fields import connected_fields


@dataclass(frozen=True)
class Source:
    """Where an association was read, and the headers of its members.

    Attributes
    ----------
    file : Path
        Of the association.
    headers : mapping of str to ExposureHeader
        By the names of the members.
    """

    file: Path
    headers: Mapping[str, ExposureHeader]


class CombinationChecker:
    """Checks planned associations, and gathers what is wrong with them.

    Parameters
    ----------
    settings : Settings
    cache : HeaderCache
    problems : Problems
    notices : list of str
    """

    def __init__(self, settings: Settings, cache: HeaderCache, problems: Problems, notices: list[str]):
        self.settings = settings
        self.problems = problems
        self.notices = notices
        self.grids = GridChecker(settings, cache, problems, notices)
        self.catalogs = CatalogChecker(settings, cache, problems, notices)

    def check(
        self, associations: Sequence[PlannedAssociation], sources: Mapping[str, Source]
    ) -> list[PlannedAssociation]:
        """Check associations; return them with the sizes that their images are going to have.

        Parameters
        ----------
        associations : sequence of PlannedAssociation
            Those that nothing was wrong with so far.
        sources : mapping of str to Source
            Where each member comes from, by its root.
        """
        footprints = {a.name: _footprints(a, sources[a.name].headers) for a in associations}
        laid: dict[str, Laid | None] = {}
        for association in associations:
            name, source = association.name, sources[association.name]
            lying = footprints[name]
            if lying is not None:
                self._tell_fields(source.file, association, lying)
                laid[name] = self.grids.check_association(source.file, association, lying)
            if association.runs("tweakreg") and not association.moving:
                self._check_minobj(association)
                self.catalogs.check_catalog(association, lying)
                headers = source.headers
                self.catalogs.check_star_lists(association, {root: headers[root].shape for root in headers})
        for grid in self.settings.grids:
            users = [a.name for a in associations if a.common_grid == grid and a.runs("resample")]
            fields = {name: lying for name in users if (lying := footprints[name]) is not None}
            if fields and len(fields) == len(users):
                laid |= dict.fromkeys(users, self.grids.check_common(grid, fields))
        self._check_skylist(associations)
        self._check_parquet(associations)
        return [self._with_image(a, laid.get(a.name), footprints[a.name]) for a in associations]

    def _with_image(
        self, association: PlannedAssociation, laid: Laid | None, footprints: Mapping[str, Footprint] | None
    ) -> PlannedAssociation:
        """Return an association with the shape of its image, and the pieces that this is made of."""
        if laid is None or footprints is None:
            return association
        resample = settings_for(association.parameters, self.settings).stage3.resample
        pieces = pieces_of(resample, laid.shape, laid.grid, [footprints[member.root] for member in association.members])
        return replace(association, image_shape=laid.shape, pieces=() if association.single else pieces)

    def _tell_fields(self, file: Path, association: PlannedAssociation, footprints: Mapping[str, Footprint]) -> None:
        """Say that exposures make several fields that do not overlap: nothing ties these together."""
        names, polygons = list(footprints), [footprint.vertices for footprint in footprints.values()]
        fields = connected_fields(polygons, [member.group for member in association.members])
        if len(fields) < 2:
            return
        stage3 = settings_for(association.parameters, self.settings).stage3
        steps = {"tweakreg": not association.moving and not stage3.tweakreg.abs_refcat, "skymatch": True}
        untied = [step for step, concerned in steps.items() if concerned and association.runs(step)]
        middles = [fiducial(np.concatenate([polygons[i] for i in field])) for field in fields]
        nearest = min(separation(*middles[0], *middle) for middle in middles[1:])
        told = "; ".join(some([names[i] for i in field]) for field in fields[:3])
        self.notices.append(
            f"{file}: the exposures of {association.name} make {len(fields)} fields that do not overlap, "
            f"{nearest:.3g} degrees apart: {told}{'; ...' if len(fields) > 3 else ''}"
            + (f"; {' and '.join(untied)} cannot tie them to each other" if untied else "")
            + ("; stage3.tweakreg.abs_refcat can" if "tweakreg" in untied else "")
        )

    def _check_parquet(self, associations: Sequence[PlannedAssociation]) -> None:
        """Refuse catalogues as parquet without the library that writes them: it is none that a run else needs."""
        catalogued = (a.parameters for a in associations if a.runs("source_catalog"))
        wanted = any(settings_for(own, self.settings).stage3.source_catalog.parquet for own in catalogued)
        if wanted and find_spec("pyarrow") is None:
            wrong = "is true, and pyarrow, which writes parquet, is not installed"
            right = "install envs/parquet.txt, as docs/products.md says, or give false"
            self.problems.add(Problem("config", "stage3.source_catalog.parquet", wrong, right))

    def _check_minobj(self, association: PlannedAssociation) -> None:
        """Refuse to want more matches than stars are kept."""
        tweakreg = settings_for(association.parameters, self.settings).stage3.tweakreg
        own_lists = any(member.star_list for member in association.members)
        if association.single or own_lists or tweakreg.brightest is None or tweakreg.starfinder == "segmentation":
            return
        stars = tweakreg.brightest * max(map(len, association.groups().values()))
        if tweakreg.minobj > stars:
            wrong = f"{tweakreg.minobj} stars are to match, but of {association.name} at most {stars} are kept at once"
            right = f"give fewer, or a larger stage3.tweakreg.brightest (now {tweakreg.brightest}), or null for all"
            self.problems.add(Problem("config", "stage3.tweakreg.minobj", wrong, right))

    def _check_skylist(self, associations: Iterable[PlannedAssociation]) -> None:
        """Check that the user's sky levels are for the exposures that there are."""
        chosen = {a.name: settings_for(a.parameters, self.settings).stage3.skymatch for a in associations}
        users = [a for a in associations if a.runs("skymatch") and chosen[a.name].skymethod == "user"]
        path = Path(self.settings.stage3.skymatch.skylist or "")
        if not users or not os.path.isfile(path):
            return
        try:
            levels = read_levels(path)
        except ListingError as error:
            self._refuse(path, error.place, error.wrong, "give two columns, an exposure and its level in MJy/sr")
            return
        members = {member.root for association in users for member in association.members}
        if missing := sorted(members - levels.keys()):
            self._refuse(path, "", f"has no level of {some(missing)}", "give one for each exposure")
        if unknown := [root for root in levels if root not in members]:
            self._refuse(path, "", f"{some(unknown)} is no exposure of this configuration", "see the names")

    def _refuse(self, path: Path, key: str, wrong: str, right: str) -> None:
        self.problems.add(Problem(str(path), key, wrong, right))


def _footprints(association: PlannedAssociation, headers: Mapping[str, ExposureHeader]) -> dict[str, Footprint] | None:
    """Return where the members of an association lie, a moving target in one place; None if not all are known."""
    found = {member.root: footprint_of(headers[member.root]) for member in association.members}
    known = {root: footprint for root, footprint in found.items() if footprint}
    if len(known) < len(found):
        return None
    if not association.moving or not association.runs("assign_mtwcs"):
        return known
    return with_targets_together(known, {member.root: member.target for member in association.members})
