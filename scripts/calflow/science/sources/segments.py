"""Sources of an image that is worked on band by band: each is found once and whole, also where bands meet.

Of the rows before a band those are kept that a source reaches which goes on into the band. Such a source is found again
with all of its rows, until it ends.
"""

from __future__ import annotations

import numpy as np

from calflow.science.bands import bands


class Rows:
    """Consecutive rows of an image, with the sources that may go on in the rows that follow.

    Parameters
    ----------
    start : int
        The first of them.
    planes : dict of name to array, shape (n, nx)
        What is known of them. One is ``above``, bool: whether a pixel belongs to a source that is not found yet.
    """

    def __init__(self, start: int, planes: dict[str, np.ndarray]):
        self.start = start
        self.planes = planes
        self._numbers = np.zeros(planes["above"].shape, np.int32)

    def __getitem__(self, name: str) -> np.ndarray | None:
        """Return a plane; None if there is none of the name."""
        return self.planes.get(name)

    def followed_by(self, planes: dict[str, np.ndarray]) -> Rows:
        """Return these rows and those behind them."""
        # One plane after the other, so that not all of them are there twice.
        joined = {name: np.concatenate([self.planes.pop(name), planes.pop(name)]) for name in list(planes)}
        rows = Rows(self.start, joined)
        rows._numbers[: len(self._numbers)] = self._numbers
        return rows

    def take_whole(self, npixels: int, connectivity: int, end: bool) -> np.ndarray:
        """Take out the sources that are whole.

        Parameters
        ----------
        npixels : int
            Smallest number of pixels of a source.
        connectivity : {4, 8}
            Whether pixels connect along edges only, or at corners too.
        end : bool
            Whether these are the last rows of the image. If not, a source in the last of them may go on.

        Returns
        -------
        int32 array, shape (n, nx)
            Their labels 1, 2, ... in the order of their first pixels, 0 for none.
        """
        from scipy.ndimage import generate_binary_structure, label

        labels, n = label(self.planes["above"], generate_binary_structure(2, 2 if connectivity == 8 else 1))
        goes_on = np.zeros(n + 1, bool)
        if not end:
            goes_on[labels[-1]] = True
            goes_on[0] = False
        whole = (np.bincount(labels.ravel(), minlength=n + 1) >= npixels) & ~goes_on
        whole[0] = False
        self.planes["above"] = goes_on[labels]
        return np.where(whole, np.cumsum(whole), 0).astype(np.int32)[labels]

    def number(self, labels: np.ndarray, before: int) -> None:
        """Note which sources pixels belong to.

        Parameters
        ----------
        labels : int array, shape (n, nx)
            1, 2, ... of sources that are found now, 0 elsewhere.
        before : int
            Number of sources that were found in earlier rows.
        """
        np.add(labels, before, out=self._numbers, where=labels > 0, casting="same_kind")

    def drop_finished(self) -> np.ndarray:
        """Leave out the first rows, as far as no source goes on from them; return the numbers of sources there."""
        open_rows = np.flatnonzero(self.planes["above"].any(axis=1))
        n = open_rows[0] if len(open_rows) else len(self._numbers)
        finished, self._numbers = self._numbers[:n], self._numbers[n:].copy()
        for name, plane in self.planes.items():
            self.planes[name] = plane[n:].copy()
        self.start += int(n)
        return finished


class Segments:
    """The label of the source of each pixel, 0 for none; rows can be read. They are kept as runs of equal labels.

    Parameters
    ----------
    shape : (ny, nx)
        Of the image.
    """

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        self._labels = np.zeros(1, np.uint32)
        self._runs: list[tuple[int, int, np.ndarray, np.ndarray]] = []

    def append(self, numbers: np.ndarray) -> None:
        """Take in the rows that follow.

        Parameters
        ----------
        numbers : int32 array, shape (n, nx)
            Of sources, not yet their labels.
        """
        first = self._runs[-1][1] if self._runs else 0
        for rows in bands(len(numbers)):
            flat = numbers[rows].ravel()
            starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1]).astype(np.int32)
            self._runs.append((first + rows.start, first + rows.stop, starts, flat[starts]))

    def name(self, labels: np.ndarray) -> None:
        """Say what the labels are.

        Parameters
        ----------
        labels : uint32 array, shape (n + 1,)
            Of the sources with the numbers 0 (none), 1 ... n.
        """
        self._labels = labels

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        labels = np.zeros((max(stop - start, 0), self.shape[1]), np.uint32)
        for first, last, starts, numbers in self._runs:
            low, high = max(first, start), min(last, stop)
            if low < high:
                lengths = np.diff(starts, append=(last - first) * self.shape[1])
                part = np.repeat(self._labels[numbers], lengths).reshape(last - first, -1)
                labels[low - start : high - start] = part[low - first : high - first]
        return labels


def origin(labels: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell where sources come from that were taken apart.

    Parameters
    ----------
    labels : int array, shape (n, nx)
        Before that, 0 for none.
    parts : int array, shape (n, nx)
        After that: 1, 2, ... of the same pixels.

    Returns
    -------
    first : int64 array, shape (number of parts,)
        The first pixel, in the order of rows, of what each was part of.
    apart : bool array, shape (number of parts,)
        Whether that has other parts, too.
    """
    pixels = np.flatnonzero(labels)
    whole, part = labels.ravel()[pixels], parts.ravel()[pixels]
    first = np.zeros(int(whole.max()) + 1, np.int64)
    first[whole[::-1]] = pixels[::-1]
    parent = np.zeros(int(part.max()) + 1, np.int64)
    parent[part] = whole
    return first[parent[1:]], np.bincount(parent[1:])[parent[1:]] > 1
