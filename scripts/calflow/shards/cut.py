"""What of a survey goes into which shard: what hangs together into one, and what is in one already stays there."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from calflow.plan.components import DisjointSets


@dataclass(frozen=True)
class Part:
    """What a run is given as one: an association, or a single exposure.

    Attributes
    ----------
    path : Path
        Its file.
    exposures : frozenset of str
        The roots of the exposures that it makes or combines.
    shares : frozenset of str
        What no other shard may have, in words: exposures, products, sets of backgrounds, grids.
    is_single : bool
        Whether it is an exposure without an association.
    tree : mapping, optional
        Of an association that was made: what it holds.
    """

    path: Path
    exposures: frozenset[str]
    shares: frozenset[str]
    is_single: bool = False
    tree: Mapping[str, Any] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Piece:
    """Parts that hang together."""

    parts: tuple[Part, ...]

    @cached_property
    def exposures(self) -> frozenset[str]:
        """The roots of the exposures in it."""
        return frozenset().union(*(part.exposures for part in self.parts))

    @cached_property
    def first(self) -> list[str | int]:
        """Its first exposure, as people sort names."""
        return min(map(_by_number, self.exposures), default=[])

    @property
    def tie(self) -> str:
        """What holds it together, in words: a part with most of its exposures, or what most of its parts share."""
        largest = max(self.parts, key=lambda part: len(part.exposures))
        if 2 * len(largest.exposures) > len(self.exposures):
            return f"the association {largest.path}"
        counts = Counter(name for part in self.parts for name in part.shares)
        return min(counts, key=lambda name: (-counts[name], name))


@dataclass(frozen=True)
class Shard:
    """A part of a survey that is a run of its own.

    Attributes
    ----------
    number : int
        From 1.
    pieces : tuple of Piece
    """

    number: int
    pieces: tuple[Piece, ...]

    @cached_property
    def exposures(self) -> list[str]:
        """The roots of its exposures, sorted."""
        return sorted((root for piece in self.pieces for root in piece.exposures), key=_by_number)

    @cached_property
    def parts(self) -> list[Part]:
        """All that its run is given, in an order of their own."""
        return sorted((part for piece in self.pieces for part in piece.parts), key=lambda part: str(part.path))


def cut(parts: Iterable[Part], size: int, before: Mapping[int, Collection[str]] | None = None) -> list[Shard]:
    """Return the shards of a survey.

    Parameters
    ----------
    parts : iterable of Part
        In any order.
    size : int
        How many exposures a shard gets: new pieces go to the last one until the next would be too many. A piece that
        has more is a shard by itself.
    before : mapping of int to collection of str, optional
        The exposures of the shards that are there. Each piece stays where most of it is, so that what is made there
        is not made again elsewhere.

    Returns
    -------
    list of Shard
        By their numbers. A shard of which nothing is left is not among them; its number is not used again.
    """
    before = before or {}
    number_of = {root: number for number, roots in before.items() for root in roots}
    shards: dict[int, list[Piece]] = {}
    new = []
    for piece in pieces(parts):
        homes = Counter(number_of[root] for root in piece.exposures if root in number_of)
        if homes:
            shards.setdefault(min(homes, key=lambda number: (-homes[number], number)), []).append(piece)
        else:
            new.append(piece)
    last = max(before, default=1)
    if last in before and last not in shards:
        last += 1
    room = size - sum(len(piece.exposures) for piece in shards.get(last, []))
    for piece in new:
        if len(piece.exposures) > room and last in shards:
            last, room = last + 1, size
        shards.setdefault(last, []).append(piece)
        room -= len(piece.exposures)
    return [Shard(number, tuple(shards[number])) for number in sorted(shards)]


def pieces(parts: Iterable[Part]) -> list[Piece]:
    """Return what hangs together, ordered by the first exposure.

    Parameters
    ----------
    parts : iterable of Part
        In any order; two of one path count once.
    """
    sets = DisjointSets()
    known = {str(part.path): part for part in parts}
    for path in sorted(known):
        for name in known[path].shares:
            sets.join(f"file {path}", name)
    joined: dict[str, list[Part]] = {}
    for path in sorted(known):
        joined.setdefault(sets.root(f"file {path}"), []).append(known[path])
    return sorted((Piece(tuple(found)) for found in joined.values()), key=lambda piece: (piece.first, _paths(piece)))


def _paths(piece: Piece) -> Sequence[str]:
    return [str(part.path) for part in piece.parts]


def _by_number(name: str) -> list[str | int]:
    """Return a key by which ``o2`` is before ``o10``: texts and numbers in turn."""
    return [int(part) if number % 2 else part for number, part in enumerate(re.split(r"([0-9]+)", name))]
