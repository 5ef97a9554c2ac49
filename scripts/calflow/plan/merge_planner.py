"""Planning the merge of concurrent subarrays: the full frame and the subarrays of each product found and checked."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calflow.configuration.paths import no_file
from calflow.configuration.problems import Problem, Problems
from calflow.files.names import product_root
from calflow.inputs.associations import Association, Member, Product
from calflow.inputs.exposure_checks import alike, different_errors
from calflow.inputs.headers import ExposureHeader, window_of
from calflow.instruments import family_of, known_telescopes
from calflow.plan.plan import PlannedExposure, PlannedMerge

# The number of a subarray; that of the full frame is 0.
ID = "SUBARRID"
MAP = "SUBARR_MAP"


@dataclass(frozen=True)
class _Found:
    """A member with its header, and the plan of it if this run makes it."""

    member: Member
    header: ExposureHeader
    path: str
    planned: PlannedExposure | None

    @property
    def number(self) -> Any:
        return self.header.values.get(ID)

    @property
    def errors(self) -> tuple[str, ...]:
        return self.planned.errors if self.planned else self.header.errors()


class MergePlanner:
    """Plans the merges, and gathers all that is wrong with them.

    Parameters
    ----------
    exposures : iterable of PlannedExposure
        What stage 2 makes in the same run.
    refused : set of str
        Exposures that stage 2 would make, if nothing were wrong with them. Products that something is wrong with are
        added.
    folder : str
        Where stage 2 writes.
    read_header : callable
        From a path to its `ExposureHeader`, or None after adding a problem.
    problems : Problems
    notices : list of str
    """

    def __init__(
        self,
        exposures: Iterable[PlannedExposure],
        refused: set[str],
        folder: str,
        read_header: Callable[[Path], ExposureHeader | None],
        problems: Problems,
        notices: list[str],
    ):
        self.exposures = {exposure.root: exposure for exposure in exposures}
        self.refused = refused
        self.folder = folder
        self.read_header = read_header
        self.problems = problems
        self.notices = notices

    def plan(self, associations: Iterable[Association]) -> list[PlannedMerge]:
        """Return the plans of all products with which nothing is wrong.

        Parameters
        ----------
        associations : iterable of Association
            Those that merge subarrays.
        """
        planned: dict[str, PlannedMerge] = {}
        for association in associations:
            for product in association.products:
                if product.root in self.exposures or product.root in planned:
                    wrong = f"{product.root!r} is made from other members too"
                    self._refuse(association, f"{product.key}.name", wrong, "give every product a name of its own")
                elif merge := self._merge(association, product):
                    planned[product.root] = merge
                else:
                    self.refused.add(product.root)
        return list(planned.values())

    def _merge(self, association: Association, product: Product) -> PlannedMerge | None:
        new = self.problems.from_here()
        found = [item for member in product.sciences if (item := self._find(association, member))]
        if len(found) < len(product.sciences):
            return None
        by_id = self._by_id(association, found)
        full = by_id.pop(0, None)
        if full is None:
            if not new.any():
                right = f"the full frame of the subarrays has {ID} = 0"
                self._refuse(association, f"{product.key}.members", "no full frame", right)
            return None
        if not by_id:
            self._refuse(association, f"{product.key}.members", "no subarray", f"subarrays have {ID} of 1 or more")
        self._check(association, full, by_id)
        if new.any():
            return None
        return PlannedMerge(
            root=product.root,
            pool=association.pool,
            table=association.table,
            header=full.header,
            full=full.path,
            subarrays={number: item.path for number, item in by_id.items()},
            errors=full.errors,
            status=full.planned.status if full.planned else {},
            quick_look=full.planned.quick_look if full.planned else False,
            parameters=full.planned.parameters if full.planned else None,
        )

    def _find(self, association: Association, member: Member) -> _Found | None:
        root = product_root(member.expname)
        if root in self.refused:
            return None  # told already
        planned = self.exposures.get(root)
        if planned:
            return _Found(member, planned.header, f"{self.folder}/{planned.product('cal')}", planned)
        if not os.path.isfile(member.path):
            wrong = f"{no_file(member.path)}, and no exposure of this configuration makes it"
            right = "give the level-2 association or the _rate file that it is made of, or the file itself"
            self._refuse(association, f"{member.key}.expname", wrong, right)
            return None
        header = self.read_header(member.path)
        if header is None:
            return None
        if family_of(header.values) is None:
            wrong = f"{header.values.get('TELESCOP')!r} is not known"
            self.problems.add(Problem(str(member.path), "TELESCOP", wrong, f"calflow processes {known_telescopes()}"))
            return None
        return _Found(member, header, str(member.path), None)

    def _by_id(self, association: Association, found: Iterable[_Found]) -> dict[int, _Found]:
        """Return the members by their ids; of two with one id, and of one without, a problem."""
        by_id: dict[int, _Found] = {}
        for item in found:
            number, where = item.number, f"{item.member.key}.expname"
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                wrong = f"{ID} of {item.member.expname!r} is {number!r}"
                self._refuse(association, where, wrong, "it is 0 for the full frame, 1 or more for subarrays")
            elif number in by_id:
                wrong = f"{item.member.expname!r} has {ID} = {number}, as {by_id[number].member.expname!r}"
                self._refuse(association, where, wrong, "give the exposures of one full frame")
            else:
                by_id[number] = item
        return by_id

    def _check(self, association: Association, full: _Found, subarrays: Mapping[int, _Found]) -> None:
        """Check that subarrays belong to a full frame."""
        if not full.header.has(MAP):
            wrong = f"{full.member.expname!r} has no extension {MAP}"
            self._refuse(association, f"{full.member.key}.expname", wrong, "it says where the subarrays belong")
        family = family_of(full.header.values)
        keywords = family.background.same if family else ()
        for item in subarrays.values():
            where = f"{item.member.key}.expname"
            for keyword in keywords:
                own, wanted = item.header.values.get(keyword), full.header.values.get(keyword)
                if not alike(own, wanted):
                    wrong = f"{keyword} of {item.member.expname!r} is {own!r}, that of its full frame {wanted!r}"
                    self._refuse(association, where, wrong, "merge exposures taken at once")
            if len(item.header.shape) != len(full.header.shape):
                wrong = f"{item.member.expname!r} is {len(item.header.shape)}-D, its full frame not"
                self._refuse(association, where, wrong, "both must be the same")
            if item.errors != full.errors:
                wrong = different_errors(item.member.expname, item.errors, full.member.expname, full.errors)
                self._refuse(association, where, wrong, "merge exposures with the same errors and variances")
            self._compare_reference_pixels(full, item)

    def _compare_reference_pixels(self, full: _Found, item: _Found) -> None:
        """Tell of a subarray whose reference pixel was not moved with its window."""
        pixels = [[it.header.values.get(f"CRPIX{axis}") for axis in (1, 2)] for it in (full, item)]
        try:
            starts = [(window.xstart, window.ystart) for window in map(window_of, (full.header, item.header))]
        except ValueError:
            return  # told already, or told by the job
        if pixels[0] == pixels[1] != [None, None] and starts[0] != starts[1]:
            self.notices.append(
                f"{item.path}: CRPIX1, CRPIX2 are those of its full frame; in a subarray they should be less by where "
                "it starts, SUBSTRT1 - 1 and SUBSTRT2 - 1"
            )

    def _refuse(self, association: Association, key: str, wrong: str, right: str) -> None:
        self.problems.add(Problem(str(association.path), key, wrong, right))
