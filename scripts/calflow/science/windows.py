"""Detector windows: where a subarray lies on the detector, and how one window is cut out of another."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """A rectangle of detector pixels.

    Attributes
    ----------
    xstart, ystart : int
        First column and row on the detector, 1-based (FITS SUBSTRT1, SUBSTRT2).
    nx, ny : int
        Columns and rows (SUBSIZE1, SUBSIZE2).
    """

    xstart: int
    ystart: int
    nx: int
    ny: int

    def __post_init__(self):
        if self.xstart < 1 or self.ystart < 1 or self.nx < 1 or self.ny < 1:
            raise ValueError(f"a detector window starts at (1, 1) or later and has at least one pixel, not {self}")

    def __str__(self):
        xend, yend = self.xstart + self.nx - 1, self.ystart + self.ny - 1
        return f"columns {self.xstart}..{xend}, rows {self.ystart}..{yend}"

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """The window as (xstart, ystart, nx, ny)."""
        return self.xstart, self.ystart, self.nx, self.ny

    def contains(self, other: "Window") -> bool:
        """Tell whether all pixels of `other` are in this window.

        Parameters
        ----------
        other : Window
            On the same detector.
        """
        return self.overlap(other) == other

    def overlap(self, other: "Window") -> "Window | None":
        """Return the pixels that both windows have, or None.

        Parameters
        ----------
        other : Window
            On the same detector.
        """
        xstart, ystart = max(self.xstart, other.xstart), max(self.ystart, other.ystart)
        nx = min(self.xstart + self.nx, other.xstart + other.nx) - xstart
        ny = min(self.ystart + self.ny, other.ystart + other.ny) - ystart
        return Window(xstart, ystart, nx, ny) if nx > 0 and ny > 0 else None

    def slices(self, inner: "Window") -> tuple[slice, slice]:
        """Return the (row, column) slices of `inner` in an array that covers this window.

        Parameters
        ----------
        inner : Window
            On the same detector.

        Raises
        ------
        ValueError
            If `inner` is not inside this window.
        """
        if not self.contains(inner):
            raise ValueError(f"window {inner} is not inside {self}")
        y, x = inner.ystart - self.ystart, inner.xstart - self.xstart
        return slice(y, y + inner.ny), slice(x, x + inner.nx)
