"""Associations on grids of tiles: each is expanded to one for each tile that its exposures reach."""

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np

from calflow.configuration.problems import Problem, Problems
from calflow.configuration.settings import Settings
from calflow.configuration.stage3 import Grid
from calflow.inputs.associations import Association, Member, Product
from calflow.inputs.exposure_footprints import UNCERTAINTY, Footprint, footprint_of
from calflow.inputs.headers import ExposureHeader
from calflow.science.geometry.output_grid import grid_from_footprints
from calflow.science.geometry.polygons import clip

# Of an exposure on one grid; more are a slip.
MOST_TILES = 1000
HeaderOf = Callable[[Member], ExposureHeader | None]


@dataclass(frozen=True, order=True)
class Tile:
    """A part of a plane of pixels.

    Attributes
    ----------
    column, row : int
        Counted from the one whose lowest corner is the tangent point.
    """

    column: int
    row: int

    @property
    def name(self) -> str:
        """Its name, such as ``x3y-1``."""
        return f"x{self.column}y{self.row}"


def check_tiles(settings: Settings, problems: Problems) -> None:
    """Check that grids of tiles say where their pixels are, and nothing against it.

    Parameters
    ----------
    settings : Settings
    problems : Problems
        What is wrong is added here.
    """
    for name, grid in settings.grids.items():
        key = f"grids.{name}"
        if grid.tile_shape is None:
            if grid.tile_overlap:
                problems.add(Problem("config", f"{key}.tile_overlap", "is given, and no tile_shape", "give both"))
            continue
        for needed in ("crval", "pixel_scale"):
            if getattr(grid, needed) is None:
                right = "tiles need crval, where all of them touch the sky, and pixel_scale"
                problems.add(Problem("config", f"{key}.{needed}", "is not given, and tile_shape is", right))
        for other in ("crpix", "output_shape", "output_wcs"):
            if getattr(grid, other):
                right = "leave it out: tiles have shapes and reference pixels of their own"
                problems.add(Problem("config", f"{key}.{other}", "is given, and tile_shape too", right))


def expanded(
    settings: Settings, associations: Sequence[Association], header_of: HeaderOf, problems: Problems, notices: list[str]
) -> tuple[Settings, list[Association]]:
    """Put an association for each tile in the place of those that are combined on tiles.

    Those of which an exposure is not there are left as they are: others tell of it.

    Parameters
    ----------
    settings : Settings
        Whose grids are right.
    associations : sequence of Association
        Of level 3.
    header_of : callable
        From a member to its header; None if there is none.
    problems : Problems
        What is wrong is added here.
    notices : list of str
        What was done is added here.

    Returns
    -------
    settings : Settings
        With a grid for each tile.
    associations : list of Association
    """
    tweakreg = settings.stage3.tweakreg
    untied = not tweakreg.skip and not tweakreg.abs_refcat
    apart = "; each is aligned by itself, and stage3.tweakreg.abs_refcat ties them to each other" if untied else ""
    found: list[Association] = []
    used: dict[str, dict[Tile, list[str]]] = {}
    for association in associations:
        kept = []
        for product in association.products:
            name = _grid_of(product.root, settings)
            headers = {member.key: header_of(member) for member in product.sciences} if name else {}
            if name is None or None in headers.values():
                kept.append(product)
                continue
            sharing = used.setdefault(name, {})
            footprints = {
                key: footprint for key, header in headers.items() if header and (footprint := footprint_of(header))
            }
            for key in headers.keys() - footprints.keys():
                wrong = "does not tell in its header where it lies, so that its tiles are not known"
                problems.add(Problem(str(association.path), key, wrong, f"take {product.root} out of grids.{name}"))
            tiles = _tiles(product, name, settings.grids[name], footprints, problems) if footprints else {}
            for tile, members in sorted(tiles.items()):
                part = _part(association, product, tile, members)
                sharing.setdefault(tile, []).append(part.products[0].root)
                found.append(part)
            notices.append(
                f"{association.path}: {product.root} is made in {len(tiles)} tiles of the grid {name}{apart}"
            )
        if kept:
            found.append(replace(association, products=tuple(kept)))
    grids = {name: grid for name, grid in settings.grids.items() if name not in used}
    for name, tiles_of in used.items():
        for tile, roots in sorted(tiles_of.items()):
            grids[f"{name}_{tile.name}"] = _grid(settings.grids[name], tile, roots)
    return (settings.model_copy(update={"grids": grids}) if used else settings), found


def _grid_of(root: str, settings: Settings) -> str | None:
    """Return the name of the grid of tiles that a product uses; None if there is none, or another one besides."""
    names = [name for name, grid in settings.grids.items() if any(fnmatchcase(root, p) for p in grid.associations)]
    return names[0] if len(names) == 1 and settings.grids[names[0]].tile_shape else None


def _tiles(
    product: Product, name: str, grid: Grid, footprints: Mapping[str, Footprint], problems: Problems
) -> dict[Tile, set[str]]:
    """Return the tiles that a product reaches, each with the keys of the members that reach into it."""
    try:
        # Of pixels that are counted from the tangent point.
        plane = grid_from_footprints(
            [footprint.vertices for footprint in footprints.values()],
            next(iter(footprints.values())).pixels,
            pixel_scale=grid.pixel_scale,
            rotation=grid.rotation or 0.0,
            crpix=(0.0, 0.0),
            crval=grid.crval,
            output_shape=(2, 2),
        )
    except ValueError as error:
        problems.add(Problem("config", f"grids.{name}", f"no tiles of {product.root}: {error}", "see crval"))
        return {}
    outlines = {key: plane.to_pixel(footprint.vertices) for key, footprint in footprints.items()}
    tiles: set[Tile] = set()
    for key, outline in outlines.items():
        columns, rows = (_span(values, size) for values, size in zip(outline.T, _shape(grid), strict=True))
        if len(columns) * len(rows) > MOST_TILES:
            expname = next(member.expname for member in product.sciences if member.key == key)
            wrong = f"{len(columns)} x {len(rows)} tiles for {expname!r} alone"
            problems.add(Problem("config", f"grids.{name}.tile_shape", wrong, "give larger tiles, or another crval"))
            return {}
        near = (Tile(column, row) for column in columns for row in rows)
        tiles.update(tile for tile in near if len(clip(outline, _frame(grid, tile, 0.0))))
    return {tile: set(_reaching(grid, tile, outlines)) for tile in tiles}


def _reaching(grid: Grid, tile: Tile, outlines: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Yield which exposures reach a tile with its overlap, as far as headers tell."""
    for key, outline in outlines.items():
        margin = grid.tile_overlap + UNCERTAINTY * float(np.ptp(outline, axis=0).max())
        if len(clip(outline, _frame(grid, tile, margin))):
            yield key


def _shape(grid: Grid) -> tuple[int, int]:
    nx, ny = grid.tile_shape or (1, 1)
    return nx, ny


def _span(values: np.ndarray, size: int) -> range:
    """Return the numbers of the tiles, along an axis, between the lowest and the highest pixel."""
    return range(math.floor((values.min() + 0.5) / size), math.floor((values.max() + 0.5) / size) + 1)


def _frame(grid: Grid, tile: Tile, margin: float) -> tuple[float, float, float, float]:
    """Return the outer edges of a tile and a margin, (xmin, xmax, ymin, ymax)."""
    nx, ny = _shape(grid)
    x, y = tile.column * nx - 0.5, tile.row * ny - 0.5
    return x - margin, x + nx + margin, y - margin, y + ny + margin


def _part(association: Association, product: Product, tile: Tile, members: Container[str]) -> Association:
    """Return the association of a tile, of the members with some keys."""
    used = tuple(member for member in product.members if member.exptype != "science" or member.key in members)
    name, root = f"{product.name}_{tile.name}", f"{product.root}_{tile.name}"
    asn_id = f"{association.asn_id}-{tile.name}" if association.asn_id else tile.name
    return replace(association, asn_id=asn_id, products=(replace(product, name=name, root=root, members=used),))


def _grid(grid: Grid, tile: Tile, roots: list[str]) -> Grid:
    """Return the grid of a tile: its shape with the overlap, and the tangent point in its pixels."""
    (nx, ny), overlap = _shape(grid), grid.tile_overlap
    return grid.model_copy(
        update={
            "associations": roots,
            "tile_shape": None,
            "tile_overlap": 0,
            "rotation": grid.rotation or 0.0,
            "output_shape": [nx + 2 * overlap, ny + 2 * overlap],
            "crpix": [float(overlap - tile.column * nx), float(overlap - tile.row * ny)],
        }
    )
