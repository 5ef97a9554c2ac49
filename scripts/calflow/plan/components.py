"""Parts of a plan that have no file in common: what is stale in one tells nothing of another."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from calflow.plan.plan import Calibrated, Plan, PlannedExposure

# What the target rules of the same names stand for.
TARGETS = ("references", "stage2", "stage3")


@dataclass
class Component:
    """Exposures and associations that depend on each other, with their products.

    Attributes
    ----------
    exposures : int
        How many there are.
    products : dict of target to list of str
        The paths of what is kept.
    """

    exposures: int = 0
    products: dict[str, list[str]] = field(default_factory=lambda: {target: [] for target in TARGETS})


def components(plan: Plan) -> list[Component]:
    """Return the parts of a plan: in one part is what shares a product, a background, a grid or a reference.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    list of Component
        In the order in which the plan names what is in them. All products of the plan are in one of them.
    """
    sets = DisjointSets()
    for node, shared in _links(plan):
        sets.join(node, shared)
    by_root: dict[str, Component] = {}
    for node, target, paths, exposures in _products(plan):
        component = by_root.setdefault(sets.root(node), Component())
        component.products[target] += paths
        component.exposures += exposures
    return list(by_root.values())


def _links(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield pairs of files, sets and names that hang together."""
    made = {reference.path for reference in plan.references.values()}
    for reference in plan.references.values():
        if reference.dark in made:
            yield reference.path, str(reference.dark)
    for exposure in [*plan.exposures.values(), *plan.first_pass.exposures]:
        cal = plan.path(exposure, "cal")
        yield f"exposure {exposure.root}", cal
        if exposure.background:
            yield cal, f"background {exposure.background.name}"
            yield from ((cal, path) for path in exposure.background.cleaned.values())
        yield from ((cal, name) for name in _collected(plan, exposure))
        yield from ((cal, path) for path in _made_references(exposure, made))
    for cleaning in plan.cleanings.values():
        # A file of the user may be read by any number of parts; what is made has to be made in one.
        others = {path for step in cleaning.steps for path in step.others or ()}
        yield from ((cleaning.source, path) for path in others if path.startswith(f"{plan.folder}/"))
        yield from ((cleaning.source, f"collection {step.collected}") for step in cleaning.steps if step.collected)
    for root, merge in plan.merges.items():
        yield from ((f"exposure {root}", path) for path in [merge.full, *merge.subarrays.values()])
        yield f"exposure {root}", plan.products_of(merge)[0]
    # A mask is made of images, for steps before stage 2 or before stage 3.
    for mask in plan.first_pass.masks:
        node = f"exposure {mask.exposure}" if mask.exposure in plan.exposures else mask.geometry
        yield from ((node, f"association {name}") for name in chain.from_iterable(mask.images) if name)
    for association in [*plan.stage3.associations.values(), *plan.first_pass.associations]:
        name = association.name
        # A file of the user, too: it has one star list, whichever association asks for it.
        for member in association.members:
            yield f"association {name}", member.cal
            yield f"association {name}", member.geometry
        if association.common_grid:
            yield f"association {name}", f"grid {association.common_grid}"
        if association.catalog_of:
            yield f"association {name}", f"association {association.catalog_of}"
        yield from ((f"association {name}", str(ref.path)) for ref in association.references.values() if ref.missing)


def _collected(plan: Plan, exposure: PlannedExposure) -> Iterator[str]:
    """Yield what is collected of several exposures for one and its backgrounds before stage 2."""
    cleaned = [exposure.clean, *(exposure.background.cleaned.values() if exposure.background else ())]
    names = (path.removeprefix(f"{plan.folder}/").removesuffix(".fits") for path in cleaned if path)
    for cleaning in (plan.cleanings[name] for name in names):
        yield from (f"collection {step.collected}" for step in cleaning.steps if step.collected)


def _made_references(exposure: PlannedExposure, made: set[str]) -> Iterator[str]:
    """Yield the references of an exposure that rules make or fetch."""
    for reference in exposure.references.values():
        if reference.missing or str(reference.path) in made:
            yield str(reference.path)
    if exposure.background:
        yield from (path for path in map(str, exposure.background.references.values()) if path in made)


def _products(plan: Plan) -> Iterator[tuple[str, str, list[str], int]]:
    """Yield what belongs to a target: a name in it, the target, the paths, and how many exposures that is."""
    for reference in plan.references.values():
        yield reference.path, "references", [reference.path], 0
    planned: list[Calibrated] = [*plan.exposures.values(), *plan.merges.values()]
    for calibrated in planned:
        exposures = int(isinstance(calibrated, PlannedExposure))
        yield f"exposure {calibrated.root}", "stage2", plan.products_of(calibrated), exposures
    for name, association in plan.stage3.associations.items():
        yield f"association {name}", "stage3", plan.stage3.products_of(association), 0


class DisjointSets:
    """Sets of names that are joined (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def root(self, name: str) -> str:
        """Return the name that stands for the set of a name.

        Parameters
        ----------
        name : str
        """
        parents = self._parents
        parents.setdefault(name, name)
        while parents[name] != name:
            parents[name] = parents[parents[name]]
            name = parents[name]
        return name

    def join(self, one: str, other: str) -> None:
        """Make one set of the sets of two names.

        Parameters
        ----------
        one, other : str
        """
        self._parents[self.root(one)] = self.root(other)
