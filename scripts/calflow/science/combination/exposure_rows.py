"""Which rows of an exposure reach a band of the output, so that the others need not be read for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calflow.science.combination.resample import Bounds, reach_of_pixels, seen_columns


@dataclass(frozen=True)
class ExposureRows:
    """Where the rows of an exposure lie in the output.

    Attributes
    ----------
    limits : int64 array, shape (ny, 2)
        The first and last column of each that count (`resample.seen_columns`).
    lowest, highest : float64 array, shape (ny,)
        Between which rows of the output each reaches; NaN if it has no position.
    """

    limits: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray

    def reaching(self, band: slice) -> slice:
        """Return the rows that reach a band of the output, with one more on each side, where there is one.

        Parameters
        ----------
        band : slice
            Rows of the output.
        """
        near = np.flatnonzero((self.highest >= band.start) & (self.lowest <= band.stop))
        if not len(near):
            return slice(0, 0)
        return slice(max(int(near[0]) - 1, 0), min(int(near[-1]) + 2, len(self.limits)))

    def limits_of(self, rows: slice) -> np.ndarray:
        """Return the limits of some rows; the outermost, which are there for the corners of others, are left out.

        Parameters
        ----------
        rows : slice
            What `reaching` returned.
        """
        limits = self.limits[rows].copy()
        if rows.start > 0:
            limits[0] = 0, -1
        if rows.stop < len(self.limits):
            limits[-1] = 0, -1
        return limits


def exposure_rows(pixmap: np.ndarray, shape: tuple[int, int], bounds: Bounds) -> ExposureRows:
    """Return where the rows of an exposure lie in the output.

    Parameters
    ----------
    pixmap : float64 array, shape (ny, nx, 2)
        Of all of the exposure.
    shape : (ny, nx)
        Of the output.
    bounds : ((xmin, xmax), (ymin, ymax))
        As of `Resampler.add`.
    """
    lowest, highest = (f.reduce(pixmap[..., 1], axis=1) for f in (np.fmin, np.fmax))
    reach = reach_of_pixels(pixmap)[1]
    return ExposureRows(seen_columns(pixmap, shape, bounds), lowest - reach, highest + reach)
