"""Images that are worked on in bands of rows, so that no more of them is in memory than a step needs."""

from collections.abc import Callable, Iterator
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


class Computed:
    """A plane that is computed band by band, when rows of it are asked for.

    Parameters
    ----------
    shape : (ny, nx)
    compute : callable
        Returns the rows of one of the `bands`.

    Notes
    -----
    Bands are kept until rows beyond them are asked for, so that whoever goes through the image and looks some rows back
    and ahead has each of them computed once.
    """

    def __init__(self, shape: tuple[int, ...], compute: Callable[[slice], np.ndarray]):
        self.shape = shape
        self._compute = compute
        self._kept: dict[int, np.ndarray] = {}

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        wanted = [band for band in bands(self.shape[0]) if band.start < stop and band.stop > start]
        before, self._kept = self._kept, {}
        for band in wanted:
            self._kept[band.start] = before[band.start] if band.start in before else self._compute(band)
        self._kept |= {first: kept for first, kept in before.items() if first >= start}
        parts = [self._kept[band.start][max(start - band.start, 0) : stop - band.start] for band in wanted]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


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
