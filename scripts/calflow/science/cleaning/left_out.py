"""What is kept of each exposure that something is made of, so that it can be left out where that is applied to it.

What an exposure shows that no mask knows, as faint sources, is in the mean of all exposures, and would be taken off it.
The mean of the others follows from that of all and the exposure itself; of that has to be known how it counted.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from calflow.science.cleaning.step import Facts
from calflow.science.image import Image

# Returns an exposure as it was collected, its planes and facts: as it was before any step.
Own = Callable[[], tuple[Image, Facts]]
# The names of what is kept of each begin with it.
EACH = "each_"
# Of more exposures nothing is kept: each is less than half a per cent of what is made of them.
MOST = 200


class Kept(NamedTuple):
    """How an exposure counted.

    Attributes
    ----------
    mask : bool array, shape (ny, nx)
        True: the pixel counted.
    values : mapping of str to array
        Other values by name.
    """

    mask: np.ndarray
    values: Mapping[str, np.ndarray]


class Members:
    """How exposures counted, each with a mask and values; a mask takes about one bit for each pixel, or less."""

    def __init__(self) -> None:
        self._number = 0
        self._names: list[str] = []
        self._masks: list[bytes] = []
        self._values: dict[str, list[Any]] = {}

    def __bool__(self) -> bool:
        return self._number > 0

    def add(self, facts: Facts, mask: np.ndarray, **values: Any) -> None:
        """Keep how an exposure counted.

        Parameters
        ----------
        facts : Facts
            Its name and its beginning tell it from others.
        mask : bool array, shape (ny, nx)
        **values : float or array
            Of the same shape for all exposures.
        """
        self._number += 1
        if self._number > MOST:
            self._names, self._masks, self._values = [], [], {}
            return
        self._names.append(_identity(facts))
        self._masks.append(zlib.compress(np.packbits(mask).tobytes(), 1))
        for name, value in values.items():
            self._values.setdefault(name, []).append(value)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays by name; none if there are too many exposures."""
        if not self._names:
            return {}
        masks = np.frombuffer(b"".join(self._masks), np.uint8)
        names = np.array([name.encode() for name in self._names])
        return {
            "members": names.view(np.uint8).reshape(len(names), -1),
            "masks": masks,
            "ends": np.cumsum([len(mask) for mask in self._masks]),
            **{EACH + name: np.array(values) for name, values in self._values.items()},
        }

    @staticmethod
    def of(found: Mapping[str, np.ndarray], facts: Facts, shape: tuple[int, ...]) -> Kept | None:
        """Return how an exposure counted; None: it did not, or nothing is kept of it.

        Parameters
        ----------
        found : mapping of str to array
            Of `arrays`, among others.
        facts : Facts
            Of the exposure as it was collected.
        shape : (int, int)
            Of the mask.
        """
        if "members" not in found:
            return None
        own = _identity(facts).encode()
        names = [bytes(row).rstrip(b"\0") for row in found["members"]]
        if own not in names:
            return None
        place = names.index(own)
        start, end = (int(found["ends"][n]) if n >= 0 else 0 for n in (place - 1, place))
        bits = np.frombuffer(zlib.decompress(found["masks"][start:end].tobytes()), np.uint8)
        mask = np.unpackbits(bits, count=shape[0] * shape[1]).view(bool).reshape(shape)
        each = {name.removeprefix(EACH): found[name][place] for name in found if name.startswith(EACH)}
        return Kept(mask, each)


def _identity(facts: Facts) -> str:
    return f"{facts.name} {facts.start}"
