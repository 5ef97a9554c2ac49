"""Exposures on an output grid, of which no more is read than reaches the rows that are worked on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from astropy.io import fits

from calflow.files.exposure import Exposure, read_exposure
from calflow.science.combination.exposure_rows import ExposureRows, exposure_rows
from calflow.science.combination.resample import Bounds
from calflow.science.geometry.geometry import Geometry, outline
from calflow.science.geometry.output_grid import OutputGrid
from calflow.science.geometry.pixel_map import covered_window, map_to_grid, pixel_range

# Pixels between points of the outline of an exposure, which is curved.
OUTLINE_STEP = 64
# Of the process: what astropy warns of is caught while a file is read, for all threads.
_READING = Lock()


@dataclass(frozen=True)
class PlacedRows:
    """Rows of an exposure, and where they lie; what `science.combination.resample.Resampler.add` takes.

    Attributes
    ----------
    exposure : Exposure
    pixmap : float64 array, shape (ny, nx, 2)
    bounds : ((xmin, xmax), (ymin, ymax))
    limits : int64 array, shape (ny, 2), or None
        None: they are all rows.
    """

    exposure: Exposure
    pixmap: np.ndarray
    bounds: Bounds
    limits: np.ndarray | None = None


class PlacedExposure:
    """An exposure in a file, on a grid. Several threads may read it at the same time.

    Parameters
    ----------
    path : Path or None
        None: it is only asked where it lies.
    geometry : Geometry
    grid : OutputGrid
    stepsize, order : float, int
        Of `science.geometry.pixel_map.pixel_map`.
    prepare : callable
        Is called with what was read; for its headers.
    """

    def __init__(
        self,
        path: Path | None,
        geometry: Geometry,
        grid: OutputGrid,
        stepsize: float,
        order: int,
        prepare: Callable[[Exposure], None],
    ):
        self.path = path
        self.geometry = geometry
        self._grid = grid
        self._mapping = stepsize, order
        self._prepare = prepare
        self._bounds = pixel_range(geometry.bounds, geometry.shape)
        (self._first, self._stop), _ = covered_window([grid.to_pixel(outline(geometry, OUTLINE_STEP))], grid.shape)
        self._headers: tuple[fits.Header, fits.Header] | None = None
        self._by_rows: bool | None = None
        self._rows: ExposureRows | None = None
        self._preparing = Lock()

    def reaches(self, band: slice) -> bool:
        """Tell whether the exposure may reach some rows of the grid.

        Parameters
        ----------
        band : slice
        """
        return self._first < band.stop and self._stop > band.start

    def headers(self) -> tuple[fits.Header, fits.Header]:
        """Return the primary and the SCI header."""
        return self._headers or _headers_of(self._read(slice(0, 1)))

    def whole(self) -> PlacedRows:
        """Read all of the exposure."""
        return PlacedRows(self._read(), self._map(), self._bounds)

    def reaching(self, band: slice) -> PlacedRows | None:
        """Read what of the exposure reaches some rows of the grid; None: nothing does.

        Parameters
        ----------
        band : slice
        """
        pixmap = self._prepared()
        if self._rows is None:
            return self.whole()
        rows = self._rows.reaching(band)
        if rows.stop - rows.start < 2:
            return None
        return PlacedRows(
            self._read(rows),
            self._map(rows) if pixmap is None else pixmap[rows],
            (self._bounds[0], (0, rows.stop - rows.start - 1)),
            self._rows.limits_of(rows),
        )

    def prepare(self) -> None:
        """Find out where its rows lie, which the first one who reads some of them would do."""
        self._prepared()

    def _prepared(self) -> np.ndarray | None:
        """Find out where its rows lie, if that is not known yet; return the pixel map if it was made for that."""
        with self._preparing:
            if self._by_rows is not None:
                return None
            image = self._read(slice(0, 1)).image
            # Else a median over all of it may be its weight.
            self._by_rows = image.var_rnoise is not None and image.var_poisson is not None
            if not self._by_rows:
                return None
            pixmap = self._map()
            self._rows = exposure_rows(pixmap, self._grid.shape, self._bounds)
            return pixmap

    def _map(self, rows: slice | None = None) -> np.ndarray:
        return map_to_grid(self.geometry, self._grid, *self._mapping, rows)

    def _read(self, rows: slice | None = None) -> Exposure:
        if self.path is None:
            raise ValueError("of this exposure no pixels can be read")
        with _READING:
            exposure = read_exposure(self.path, part=rows)
        self._prepare(exposure)
        self._headers = _headers_of(exposure)
        return exposure


def _headers_of(exposure: Exposure) -> tuple[fits.Header, fits.Header]:
    return exposure.primary, exposure.science
