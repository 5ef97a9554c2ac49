"""Images that are worked on in bands of rows, so that no more of them is in memory than a step needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

BAND_ROWS = 256


class Plane(Protocol):
    """A 2-D image of which rows can be read: an array, or what gives arrays for slices of rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        ...

    def __getitem__(self, rows: Any, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Scaled:
    """A plane times a number.

    Attributes
    ----------
    plane : Plane
    factor : float
    """

    plane: Plane
    factor: float

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the plane, (ny, nx)."""
        return self.plane.shape

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.plane[rows] * self.factor


def bands(n_rows: int) -> Iterator[slice]:
    """Yield the bands of an image, from its first row on.

    Parameters
    ----------
    n_rows : int
    """
    for start in range(0, n_rows, BAND_ROWS):
        yield slice(start, min(start + BAND_ROWS, n_rows))


def whole(plane: Plane) -> np.ndarray:
    """Return a plane as a new array, which may be changed.

    Parameters
    ----------
    plane : Plane
    """
    image = np.empty(plane.shape, plane[:1].dtype)
    for rows in bands(plane.shape[0]):
        image[rows] = plane[rows]
    return image
