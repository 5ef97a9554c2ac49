"""The associations of a configuration as what can be cut: which exposures they have, and what they share."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from calflow.configuration.problems import InputError, Problem
from calflow.configuration.settings import Settings
from calflow.configuration.stage3 import OF_ASSOCIATION
from calflow.files.names import product_root
from calflow.inputs.associations import SINGLETON, Association, Product
from calflow.shards.cut import Part


def parts_of(
    associations: Sequence[Association], settings: Settings, made: Mapping[str, Mapping[str, Any]]
) -> list[Part]:
    """Return the parts of a survey.

    Parameters
    ----------
    associations : sequence of Association
    settings : Settings
        Whose `grids` are shared by associations.
    made : mapping of str to mapping
        Of associations that were made, by the name of their file, what it holds.

    Raises
    ------
    InputError
        If the configuration has what cannot be cut.
    """
    if settings.reference_makers:
        wrong = "every shard would make these references for itself"
        right = "make them once by `snakemake references`, give the files in references.override, and leave this out"
        raise InputError([Problem("config", "reference_makers", wrong, right)])
    stages = [settings.stage3, *(override.stage3 for override in settings.overrides)]
    if any(stage3.tweakreg.abs_refcat.startswith(OF_ASSOCIATION) for stage3 in stages):
        wrong = "an association and the one that it is aligned to may come into different shards"
        right = "make that one first, and give its _cat.ecsv as a file"
        raise InputError([Problem("config", "stage3.tweakreg.abs_refcat", wrong, right)])
    for _, key, step in settings.extra_steps.steps():
        if (step.mask_from or "").startswith(OF_ASSOCIATION):
            wrong = "an exposure and the association that tells where its sources are may come into different shards"
            raise InputError([Problem("config", f"{key}.mask_from", wrong, "give association, that of the exposure")])
    merged = {product.root for one in associations if one.merges for product in one.products}
    return [_part(one, settings, merged, made.get(one.path.name)) for one in associations if one.products]


def grids_of(parts: Iterable[Part], settings: Settings) -> dict[str, list[str]]:
    """Return the grids that some parts use, and which of the patterns of each stand for one of their products.

    Parameters
    ----------
    parts : iterable of Part
    settings : Settings
    """
    names = {name.removeprefix(_PRODUCT) for part in parts for name in part.shares if name.startswith(_PRODUCT)}
    used = {
        grid: [pattern for pattern in section.associations if any(fnmatchcase(name, pattern) for name in names)]
        for grid, section in settings.grids.items()
    }
    return {grid: patterns for grid, patterns in used.items() if patterns}


# How what is shared begins, in words
_PRODUCT = "the product "


def _part(association: Association, settings: Settings, merged: set[str], tree: Mapping[str, Any] | None) -> Part:
    exposures = {root for product in association.products for root in _exposures(association, product)}
    shares = {name for product in association.products for name in _shares(association, product, settings)}
    is_single = association.table == SINGLETON
    return Part(association.path, frozenset(exposures - merged), frozenset(shares), is_single, tree)


def _exposures(association: Association, product: Product) -> Iterator[str]:
    if association.level == 2:
        yield product.root
    else:
        yield from (product_root(member.expname) for member in product.sciences)


def _shares(association: Association, product: Product, settings: Settings) -> Iterator[str]:
    yield from (f"the exposure {root}" for root in _exposures(association, product))
    if association.level == 2:
        yield f"the file {product.science.path}"  # which two products may be made of
        if product.backgrounds:
            yield _background(product)
    elif association.merges:
        yield f"the exposure {product.root}"
    else:
        yield f"{_PRODUCT}{product.root}"
        for grid, section in settings.grids.items():
            # Tiles lie where they lie, whatever is combined on them.
            if section.tile_shape is None and any(fnmatchcase(product.root, one) for one in section.associations):
                yield f"the grid {grid}"


def _background(product: Product) -> str:
    """Name a set of backgrounds, whose average is made once for all exposures that have it."""
    paths = sorted(str(member.path) for member in product.backgrounds)
    others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    digest = hashlib.sha256("\n".join(paths).encode()).hexdigest()[:8]
    return f"the background {product_root(paths[0])}{others} ({digest})"
