"""Planning stage 3: the exposures of level-3 associations found, checked against each other, and named."""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from calflow.configuration.paths import misread, no_file, what_is_at
from calflow.configuration.problems import Problem, Problems, nearest, some
from calflow.configuration.settings import Settings
from calflow.configuration.stage3 import OF_ASSOCIATION, Stage3
from calflow.files.listings import ListingError, read_listing
from calflow.files.names import product_root
from calflow.inputs.associations import Association, Member, Product
from calflow.inputs.exposure_checks import alike, check_calibrated, different_errors
from calflow.inputs.headers import ExposureHeader
from calflow.instruments import family_of
from calflow.instruments.family import Family
from calflow.plan.combination import (
    ONLINE_CATALOGS,
    STAGE3_STEPS,
    PlannedAssociation,
    PlannedMember,
    catalog_candidates,
)
from calflow.plan.combination_checks import Source
from calflow.plan.plan import Calibrated, stage_folder
from calflow.references.parameter_references import Chosen, ParameterReferences, settings_for
from calflow.references.reference_choice import ReferenceChooser

SKIPPED, FAILED = "SKIPPED", "FAILED"
# The ending of a group's name in the outlier search.
OF_A_GROUP = "_outlier"
ABS_REFCAT = "stage3.tweakreg.abs_refcat"


class CombinationPlanner:
    """Plans level-3 associations, and gathers all that is wrong with them.

    Parameters
    ----------
    settings : Settings
    exposures : iterable of PlannedExposure and PlannedMerge
        What stage 2 makes in the same run.
    refused : set of str
        Exposures that stage 2 would make, if nothing were wrong with them.
    folder : str
        Where stage 2 writes.
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
        exposures: Iterable[Calibrated],
        refused: set[str],
        folder: str,
        read_header: Callable[[Path], ExposureHeader | None],
        chooser: ReferenceChooser,
        problems: Problems,
        notices: list[str],
        parameters: ParameterReferences | None = None,
    ):
        self.settings = settings
        self.exposures = {exposure.root: exposure for exposure in exposures}
        self.refused = refused
        self.folder = folder
        self.read_header = read_header
        self.chooser = chooser
        self.problems = problems
        self.notices = notices
        self.parameters = parameters
        self.sources: dict[str, Source] = {}  # by the names of what is planned
        self.star_lists = self._read_catfile()
        self.names: list[str] = []  # of all products of the associations

    def plan(self, associations: Iterable[Association]) -> list[PlannedAssociation]:
        """Return the plans of all products with which nothing is wrong.

        Parameters
        ----------
        associations : iterable of Association
            Of level 3.
        """
        planned: dict[str, PlannedAssociation] = {}
        associations = list(associations)
        self.names = [product.root for association in associations for product in association.products]
        for association in associations:
            for product in association.products:
                if product.root.endswith(OF_A_GROUP):
                    wrong = f"{product.root!r} ends as intermediate products do"
                    self._refuse(association, f"{product.key}.name", wrong, "give it another name")
                elif product.root in planned:
                    wrong = f"{product.root!r} is made from another association too"
                    self._refuse(association, f"{product.key}.name", wrong, "give every product a name of its own")
                elif found := self._association(association, product):
                    planned[product.root] = found
        self._check_names(planned.values())
        if not self.problems:
            self._check_catalogs(planned)
        if planned and not self.problems:  # of what is refused, the members are not known
            self._check_catfile(planned.values())
        return self._with_grids(planned)

    def _association(self, association: Association, product: Product) -> PlannedAssociation | None:
        new = self.problems.from_here()
        headers: dict[str, ExposureHeader] = {}
        errors: dict[str, tuple[str, ...]] = {}
        members = []
        if self._lacks_all(association, product):
            return None
        single = len(product.sciences) == 1
        chosen = self._first_parameters(product)
        stage3 = chosen.settings.stage3
        subtract = None if single or stage3.skymatch.skip else stage3.skymatch.subtract
        for number, member in enumerate(product.sciences, start=1):
            found = self._member(association, member, number, subtract)
            if found:
                planned, headers[member.key], errors[member.key] = found
                members.append(planned)
        if len(members) < len(product.sciences) or not members:
            return None
        self._check_different(association, dict(zip(headers, members, strict=True)))
        values = {key: header.values for key, header in headers.items()}
        first = next(iter(values.values()))
        family = family_of(first)
        if family is None:
            return None  # told already
        self._check_alike(association, values, family)
        self._check_errors(association, product, errors)
        moving = self._check_targets(association, values, family)
        if new.any():
            return None
        catalog_of = "" if moving else self._catalog_of(product.root, stage3)
        to_catalog = bool(stage3.tweakreg.abs_refcat) and catalog_of != product.root
        status = self._status(members, moving, single, stage3, to_catalog)
        if "apcorr" not in family.references and "source_catalog" not in status:
            status["source_catalog"] = SKIPPED
            why = f"no aperture corrections are known for {first.get('INSTRUME')}"
            self.notices.append(f"{association.path}: no source catalogue: {why}")
        by_root = {member.root: header for member, header in zip(members, headers.values(), strict=True)}
        self.sources[product.root] = Source(association.path, by_root)
        return PlannedAssociation(
            name=product.root,
            asn_id=association.asn_id,
            pool=association.pool,
            table=association.table,
            members=tuple(members),
            family=family,
            header=first,
            moving=moving,
            single=single,
            status=status,
            references=self._references(association, first, family, status),
            parameters=chosen,
            catalog_of=catalog_of,
        )

    def _chosen(self, path: Path, header: ExposureHeader) -> Chosen:
        """Return the parameters of stage 3 that a header selects."""
        if self.parameters is None:
            return Chosen(self.settings)
        return self.parameters.choose("stage3", path, header, family_of(header.values))

    def _first_parameters(self, product: Product) -> Chosen:
        """Return the parameters of an association: as with jwst, its first member decides."""
        if self.parameters is None or not product.sciences:
            return Chosen(self.settings)
        member = product.sciences[0]
        calibrated = self.exposures.get(product_root(member.expname))
        header = (
            calibrated.header if calibrated else self.read_header(member.path) if os.path.isfile(member.path) else None
        )
        chosen = self._chosen(member.path, header) if header else Chosen(self.settings)
        if "tweakreg.abs_refcat" in chosen.values:
            check_astrometric_catalog(chosen.settings, self.problems)
        return chosen

    # Members --------------------------------------------------------------------------------------------

    def _member(
        self, association: Association, member: Member, number: int, subtract: bool | None
    ) -> tuple[PlannedMember, ExposureHeader, tuple[str, ...]] | None:
        """Return the plan, the header and the planes of errors of a member; None if it cannot be combined."""
        root = product_root(member.expname)
        makes = member.suffix in ("cal", "calints", None)
        if makes and root in self.refused:
            return None  # told already
        calibrated = self.exposures.get(root) if makes else None
        header = calibrated.header if calibrated else self._existing(association, member)
        if header is None:
            return None
        where = f"{member.key}.expname"
        if header.is_cube or member.suffix == "calints":
            wrong = f"{member.expname!r} has integrations (3-D)"
            self._refuse(association, where, wrong, "stage 3 combines 2-D exposures, _cal")
            return None
        values = dict(header.values)
        if calibrated:
            if not self._check_calibrated(association, where, calibrated):
                return None
            cal = f"{self.folder}/{calibrated.product('cal')}"
            geometry = f"{self.folder}/geometry/{Path(cal).stem}.json"
        else:
            new = self.problems.from_here()
            check_calibrated(member.path, header, subtract, self.problems)
            if new.any():
                return None
            cal, geometry = str(member.path), f"{stage_folder(self.settings, 3)}/geometry/{root}.json"
        family = family_of(values)
        group = member.group_id or (family.group_of(values) if family else None) or f"exposure{number:04d}"
        target = [values.get(keyword) for keyword in family.target_position] if family else []
        numbers = [float(value) for value in target if isinstance(value, int | float)]
        planned = PlannedMember(
            root=root,
            cal=cal,
            geometry=geometry,
            group=group,
            star_list=self._star_list(association, member, values),
            target=(numbers[0], numbers[1]) if len(numbers) == 2 else None,
            size=math.prod(header.shape),
            parameters=self._chosen(member.path, header),
        )
        return planned, header, calibrated.errors if calibrated else header.errors()

    def _lacks_all(self, association: Association, product: Product) -> bool:
        """Tell whether no member is there or made; of several, that is one problem, which is added."""
        known = self.exposures.keys() | self.refused
        lost = [
            member
            for member in product.sciences
            if product_root(member.expname) not in known and not os.path.lexists(member.path)
        ]
        if not 1 < len(lost) == len(product.sciences):
            return False
        wrong = (
            f"none of its {len(lost)} exposures is there, such as {str(lost[0].path)!r}, or made by this configuration"
        )
        right = "add the level-2 associations or the _rate files (exposures) that they are made of"
        self._refuse(association, f"{product.key}.members", wrong, right)
        return True

    def _existing(self, association: Association, member: Member) -> ExposureHeader | None:
        if not os.path.isfile(member.path):
            wrong = f"{no_file(member.path)}, and no exposure of this configuration makes it"
            right = "give the level-2 association or the _rate file that it is made of, or the file itself"
            self._refuse(association, f"{member.key}.expname", wrong, right)
            return None
        own = [os.path.realpath(stage_folder(self.settings, stage)) for stage in (2, 3)]
        if os.path.dirname(os.path.realpath(member.path)) in own:
            wrong = f"{str(member.path)!r} lies where this run writes, but no exposure of the configuration makes it"
            right = "add the level-2 association that it is made of, or choose another 'output'"
            self._refuse(association, f"{member.key}.expname", wrong, right)
            return None
        return self.read_header(member.path)

    def _check_calibrated(self, association: Association, where: str, calibrated: Calibrated) -> bool:
        """Refuse a member that stage 2 leaves without what stage 3 needs."""
        for step, lost in (("assign_wcs", "world coordinates"), ("photom", "unit of surface brightness, MJy/sr")):
            if step in calibrated.status:
                wrong = f"{calibrated.root!r} gets no {lost}: {step} is skipped, or has no reference"
                self._refuse(association, where, wrong, f"let {step} run")
                return False
        if settings_for(calibrated.parameters, self.settings).stage2.photom.inverse:
            self._refuse(
                association, where, f"{calibrated.root!r} gets DN/s: photom.inverse is set", "stage 3 needs MJy/sr"
            )
            return False
        return True

    def _star_list(self, association: Association, member: Member, values: Mapping[str, Any]) -> Path | None:
        """Return the user's star list of a member: from catfile, from the association, from the header."""
        if not self.settings.stage3.tweakreg.use_custom_catalogs:
            return None
        name = product_root(member.expname)
        if name in self.star_lists:
            path = self.star_lists[name]
        elif member.tweakreg_catalog is not None:
            path = member.tweakreg_catalog
        elif values.get("TCATFILE"):
            path = member.path.parent / str(values["TCATFILE"])
        else:
            path = None
        if path is not None and not os.path.isfile(path):
            self._refuse(association, member.key, f"its star list {str(path)!r} is not there", "give the file")
        return path

    def _read_catfile(self) -> dict[str, Path | None]:
        """Return the star lists that `catfile` names, by exposure; None: to be made."""
        tweakreg = self.settings.stage3.tweakreg
        if not tweakreg.use_custom_catalogs or not tweakreg.catfile:
            return {}
        path = Path(tweakreg.catfile)
        try:
            lists = read_listing(path, optional=True)
        except ListingError as error:
            wrong = f"{str(path)!r}{f', {error.place}:' if error.place else ''} {error.wrong}"
            right = "give two columns of text, an exposure and its star list (without blanks in their names)"
            self.problems.add(Problem("config", "stage3.tweakreg.catfile", wrong, right))
            return {}
        if not lists:
            right = "give two columns of text, an exposure and its star list, or leave catfile out"
            self.problems.add(Problem("config", "stage3.tweakreg.catfile", f"{str(path)!r} has no lines", right))
        return {root: path.parent / name if name else None for root, name in lists.items()}

    def _check_catfile(self, associations: Iterable[PlannedAssociation]) -> None:
        """Tell lines of `catfile` that are for no exposure, and one that is not used."""
        tweakreg, key = self.settings.stage3.tweakreg, "stage3.tweakreg.catfile"
        members = {member.root for association in associations for member in association.members}
        unknown = [root for root in self.star_lists if root not in members]
        if tweakreg.catfile and not tweakreg.use_custom_catalogs:
            self.notices.append(f"{key}: {tweakreg.catfile} is not used; set use_custom_catalogs: true")
        elif unknown and len(unknown) == len(self.star_lists):
            wrong = f"{tweakreg.catfile!r} names no member of a level-3 association, but {some(unknown)}"
            self.problems.add(Problem("config", key, wrong, f"members are {some(sorted(members))}"))
        elif unknown:
            self.notices.append(f"{key}: {tweakreg.catfile} names what is no member of an association: {some(unknown)}")

    # What members must have in common -------------------------------------------------------------------

    def _check_different(self, association: Association, members: Mapping[str, PlannedMember]) -> None:
        """Refuse an exposure that is listed twice, under whatever name: it would count double."""
        places: dict[str, str] = {}
        for place, member in members.items():
            first = places.setdefault(member.root, place)
            if first != place:
                wrong = f"{member.root!r} is already {first}.expname"
                self._refuse(association, f"{place}.expname", wrong, "list every exposure once")

    def _check_alike(self, association: Association, headers: Mapping[str, Mapping[str, Any]], family: Family) -> None:
        first_place, first = next(iter(headers.items()))
        for place, header in headers.items():
            for keyword in family.light_path:
                own, wanted = header.get(keyword), first.get(keyword)
                if not alike(own, wanted):
                    wrong = f"{keyword} is {own!r}, that of {first_place} {wanted!r}"
                    self._refuse(association, place, wrong, "combine exposures of one filter and wavelength channel")
                    break

    def _check_errors(self, association: Association, product: Product, errors: Mapping[str, tuple[str, ...]]) -> None:
        """Refuse members with other error planes than the first: weights would differ, and variances not add up."""
        first = product.sciences[0]
        for member in product.sciences:
            if errors[member.key] != errors[first.key]:
                wrong = different_errors(member.expname, errors[member.key], first.expname, errors[first.key])
                right = "calibrate all exposures of a combination alike, or combine them apart"
                self._refuse(association, f"{member.key}.expname", wrong, right)

    def _check_targets(
        self, association: Association, headers: Mapping[str, Mapping[str, Any]], family: Family
    ) -> bool:
        """Return whether the members follow a moving target, which all must then do."""
        moving = {place: family.is_moving(header) for place, header in headers.items()}
        first = next(iter(moving.values()))
        for place, value in moving.items():
            if value != first:
                keyword, kind = family.moving_target
                wrong = f"{keyword} {'is' if value else 'is not'} {kind}, unlike the first member"
                self._refuse(association, place, wrong, "combine moving and fixed targets apart")
        return first

    def _check_names(self, associations: Iterable[PlannedAssociation]) -> None:
        """Refuse members and ``_crf`` files that would be two files of one name."""
        sources: dict[str, str] = {}
        owners: dict[str, str] = {}
        for association in associations:
            for member in association.members:
                cal = sources.setdefault(member.root, member.cal)
                if cal != member.cal:
                    wrong = f"{member.root!r} is both {cal!r} and {member.cal!r}"
                    self.problems.add(Problem(association.table, "", wrong, "give one file for one exposure"))
                if association.single:
                    continue
                crf = association.crf(member)
                owner = owners.setdefault(crf, association.name)
                if owner != association.name:
                    wrong = f"{crf!r} is made for {owner!r} and for {association.name!r}"
                    right = "combine an exposure once with one asn_id"
                    self.problems.add(Problem(association.table, "asn_id", wrong, right))

    # Catalogues of other associations -------------------------------------------------------------------

    def _catalog_of(self, name: str, stage3: Stage3) -> str:
        """Return the association to whose catalogue one is aligned; empty for none, its own name if it is that."""
        wanted = stage3.tweakreg.abs_refcat
        if stage3.tweakreg.skip or not wanted.startswith(OF_ASSOCIATION):
            return ""
        pattern = wanted.removeprefix(OF_ASSOCIATION)
        found = catalog_candidates(name, pattern, self.names)
        if len(found) == 1:
            return found[0]
        if found:
            wrong = f"of {pattern!r}, to which {name} is to be aligned, there are {some(found)}"
            right = "give the name of one, or choose by overrides"
        else:
            wrong = f"{pattern!r}, to which {name} is to be aligned, is no product of a level-3 association"
            right = nearest(pattern, self.names)
        self.problems.add(Problem("config", ABS_REFCAT, wrong, right))
        return ""

    def _check_catalogs(self, planned: Mapping[str, PlannedAssociation]) -> None:
        """Refuse catalogues that are not made, and those of associations that wait for each other."""
        for name, association in planned.items():
            of, chain = association.catalog_of, [name]
            if of == name:
                self.notices.append(f"{name}: others are aligned to it, and it to no catalogue")
            elif of and not planned[of].runs("source_catalog"):
                wrong = f"{of}, to which {name} is to be aligned, gets no source catalogue"
                self.problems.add(Problem("config", ABS_REFCAT, wrong, "let its resample and source_catalog run"))
            while of and of != chain[-1] and of not in chain:
                chain.append(of)
                of = planned[of].catalog_of
            if of in chain[:-1]:
                wrong = f"{' is aligned to '.join([*chain[chain.index(of) :], of])}: each waits for the next"
                self.problems.add(Problem("config", ABS_REFCAT, wrong, "align one of them to no other, by overrides"))
                return

    # What runs ------------------------------------------------------------------------------------------

    def _status(
        self, members: list[PlannedMember], moving: bool, single: bool, stage3: Stage3, to_catalog: bool
    ) -> dict[str, str]:
        """Return the steps that do not run: SKIPPED on purpose, or FAILED because they cannot."""
        status = {step: SKIPPED for step in STAGE3_STEPS if getattr(stage3, step).skip}
        status.pop("tweakreg" if moving else "assign_mtwcs", None)
        if single:
            status |= dict.fromkeys(("skymatch", "outlier_detection"), SKIPPED)
            if not moving and not to_catalog:
                status["tweakreg"] = SKIPPED
        elif len({member.group for member in members}) < 2:
            status.setdefault("outlier_detection", FAILED)
        if "resample" in status or stage3.resample.single:
            status["source_catalog"] = SKIPPED
        return status

    def _references(
        self, association: Association, header: Mapping[str, Any], family: Family, status: Mapping[str, str]
    ) -> dict:
        if "source_catalog" in status:
            return {}
        others = dict.fromkeys((*family.step_names, *(s for s in STAGE3_STEPS if s != "source_catalog")), SKIPPED)
        chosen = self.chooser.choose(
            association.path, ExposureHeader(association.path, dict(header), ()), family, others
        )
        for reference in (chosen or {}).values():
            if reference.path is None and reference.reason:
                self.notices.append(f"{association.path}: no source catalogue: {reference.reason}")
        return chosen or {}

    # Grids ----------------------------------------------------------------------------------------------

    def _with_grids(self, planned: dict[str, PlannedAssociation]) -> list[PlannedAssociation]:
        """Give associations the common grid that the configuration says they use."""
        users: dict[str, str] = {}
        for grid, section in self.settings.grids.items():
            for index, pattern in enumerate(section.associations):
                key = f"grids.{grid}.associations[{index}]"
                names = [name for name in planned if fnmatchcase(name, pattern)]
                if not names and not self.problems:
                    wrong = f"{pattern!r} is no product of a level-3 association"
                    right = nearest(pattern, planned) if planned else "this configuration has none"
                    self.problems.add(Problem("config", key, wrong, right))
                for name in names:
                    if users.setdefault(name, grid) != grid:
                        wrong = f"{name!r} already uses the grid {users[name]!r}"
                        self.problems.add(Problem("config", key, wrong, "one product has one grid"))
        return [replace(found, common_grid=users.get(name, "")) for name, found in planned.items()]

    def _refuse(self, association: Association, key: str, wrong: str, right: str) -> None:
        self.problems.add(Problem(str(association.path), key, wrong, right))


def check_astrometric_catalog(settings: Settings, problems: Problems) -> None:
    """Check that the catalogue to align to is a file, or one that can be fetched.

    Parameters
    ----------
    settings : Settings
        The configuration.
    problems : Problems
        What is wrong is added here.
    """
    wanted = "" if settings.stage3.tweakreg.skip else settings.stage3.tweakreg.abs_refcat
    if wanted.startswith(OF_ASSOCIATION):
        return  # the planner of combinations knows them
    if wanted and wanted.upper() not in ONLINE_CATALOGS and not os.path.isfile(wanted):
        is_what = f"is {what_is_at(Path(wanted))}," if os.path.lexists(wanted) else "is"
        wrong = f"{wanted!r} {is_what} neither a file nor a catalogue that is known"
        right = f"give a file with RA and DEC, {{association: name}}, or one of {', '.join(ONLINE_CATALOGS)}"
        problems.add(Problem("config", ABS_REFCAT, wrong, misread(wanted) or right))
