"""Exposures in files, combined band by band into a file that grows with them; large images by pieces of their rows."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from calflow.files.alignment_tables import AlignmentRow, find_row, read_alignment, read_corrected_geometry
from calflow.files.combined_image import GrowingImage
from calflow.files.exposure import Exposure
from calflow.files.geometry_files import read_json, write_json
from calflow.files.grid_files import read_grid
from calflow.files.keywords import STATUS, exposure_time, record_status
from calflow.files.placed_exposure import PlacedExposure
from calflow.science.combination.combination_parameters import bands_at_once, rows_of_piece
from calflow.science.combination.resample import Resampler
from calflow.science.geometry.output_grid import OutputGrid
from calflow.science.threads import in_threads

log = logging.getLogger(__name__)


def begin_combining(
    input: Any,
    params: Any,
    exposures: Mapping[int, Path],
    resampling: Mapping[str, Any],
    threads: int,
    begin: Callable[..., None],
) -> tuple["Combining", OutputGrid, list[AlignmentRow]]:
    """Return the combination of the exposures that are used, the grid, and the rows of these in the alignment table.

    Parameters
    ----------
    input : Snakemake's input
        ``geometries``, ``alignment``, ``grid`` and perhaps ``output_wcs``.
    params : Snakemake's params
        Of `calflow.jobs.combination.Combination`, or of `Piece`.
    exposures : mapping of int to Path
        By their numbers among the members. Of others it is known where they lie, and no pixels are read.
    resampling : mapping of str to object
        Parameters of `science.combination.resample.Resampler`.
    threads : int
    begin : callable
        As of `Combining`.
    """
    grid, table = read_grid(input.grid, input.get("output_wcs")), read_alignment(input.alignment)
    mapping = params.resample["pixmap_stepsize"], params.resample["pixmap_order"]
    rows, members = [], []
    for number, (geometry, (root, _)) in enumerate(zip(input.geometries, params.members, strict=True)):
        row = find_row(table, root)
        if row.used:
            rows.append(row)
            geometry = read_corrected_geometry(geometry, row)
            prepare = partial(_complete_status, statuses={params.alignment_step: row.status, **params.status})
            members.append(PlacedExposure(exposures.get(number), geometry, grid, *mapping, prepare))
    if params.common_grid:
        # Associations that share a grid have pixels of their own.
        grid = replace(grid, pixel_scale_ratio=grid.pixel_scale / members[0].geometry.input_pixels().area ** 0.5)
    at_once = bands_at_once(grid.shape, threads)
    resampler = Resampler(
        grid.shape,
        pixel_scale_ratio=grid.pixel_scale_ratio,
        n_images=len(members),
        threads=threads // at_once,
        **resampling,
    )
    return Combining(resampler, members, grid.shape[0], at_once, begin), grid, rows


@dataclass
class Combining:
    """A combination of exposures, or of pieces that were made of them.

    Attributes
    ----------
    resampler : Resampler
    members : sequence of PlacedExposure
    n_rows : int
        Of the image.
    at_once : int
        How many bands are worked on at the same time.
    begin : callable
        Is called with each exposure that is read, and its `path`, the first time.
    adds : dict of str to bool
        Whether any pixel of the exposures that reach the image has weight, by their paths.
    empty : list of slice
        The bands that no exposure reaches: the image lacks them until `fill`.
    """

    resampler: Resampler
    members: Sequence[PlacedExposure]
    n_rows: int
    at_once: int
    begin: Callable[..., None]
    adds: dict[str, bool] = field(default_factory=dict)
    empty: list[slice] = field(default_factory=list)

    def drizzle(self, image: GrowingImage, piece: slice | None = None) -> None:
        """Combine exposures one after the other on bands, some at once, and write these.

        Parameters
        ----------
        image : GrowingImage
        piece : slice or None
            Rows that it has of the whole image. None: all.

        Raises
        ------
        ValueError
            If an exposure cannot be added, with its path.
        """
        bands = self._bands(piece)
        in_bands, rows = len(bands) > 1 or piece is not None, piece or slice(0, self.n_rows)
        if in_bands and self.at_once > 1:
            in_threads(PlacedExposure.prepare, [m for m in self.members if m.reaches(rows)], self.at_once)
        combine_band = partial(self._combine_band, image, {}, in_bands=in_bands, before=rows.start)
        added = in_threads(combine_band, bands, self.at_once, meanwhile=image.prepare)
        self._note(added)
        self.empty = [band for band, adds in zip(bands, added, strict=True) if not adds]

    def put_together(self, image: GrowingImage, pieces: Sequence[Path], facts: Sequence[Path]) -> None:
        """Copy pieces into an image.

        Parameters
        ----------
        image : GrowingImage
        pieces : sequence of Path
            Of all rows, from the first on.
        facts : sequence of Path
            What `write_facts` wrote of each.

        Raises
        ------
        ValueError
            If they have different planes.
        """
        told = [read_json(path) for path in facts]
        rows = [rows_of_piece(self.n_rows, number, len(told)) for number in range(len(told))]
        for each in told:
            if each["kinds"] is not None:
                self.resampler.expect(each["kinds"])
        with_data = [item for item, each in zip(zip(pieces, rows, strict=True), told, strict=True) if each["data"]]
        in_threads(lambda item: image.copy(*item), with_data, self.at_once)
        self._note([each["adds"] for each in told])
        without = [piece for piece, each in zip(rows, told, strict=True) if not each["data"]]
        self.empty = [band for piece in without for band in self._bands(piece)]

    def fill(self, image: GrowingImage, before: int = 0) -> None:
        """Write the bands that no exposure reaches, when it is known which planes there are.

        Parameters
        ----------
        image : GrowingImage
        before : int
            Number of rows of the whole image before those of this one.
        """
        in_threads(lambda band: self._write(image, self.resampler.band(band), band, before), self.empty, self.at_once)

    def write_facts(self, path: Path, data: bool) -> None:
        """Write what has to be known of a piece to put it together with others.

        Parameters
        ----------
        path : Path
        data : bool
            Whether any pixel of it has weight.
        """
        write_json(path, {"data": data, "kinds": self.resampler.kinds, "adds": self.adds})

    def _bands(self, piece: slice | None) -> list[slice]:
        return self.resampler.bands(prod(self.members[0].geometry.shape), piece)

    def _note(self, added: Sequence[Mapping[str, bool]]) -> None:
        paths = dict.fromkeys(path for adds in added for path in adds)
        self.adds = {path: any(adds.get(path) for adds in added) for path in paths}

    def _combine_band(self, image, seen, band, *, in_bands, before) -> dict[str, bool]:
        """Combine and write a band, if any exposure reaches it; return whether any pixel of each has weight."""
        sums, adds = self.resampler.band(band), dict[str, bool]()
        for number, member in enumerate(self.members):
            if not in_bands or member.reaches(band):
                self._add(sums, number, member, band if in_bands else None, adds, seen)
        if adds:
            self._write(image, sums, band, before)
        return adds

    def _write(self, image, sums, band, before) -> None:
        image.write(sums.finish(), slice(band.start - before, band.stop - before))

    def _add(self, sums, number, member, band, adds, seen) -> None:
        """Add an exposure, or those of its rows that reach a band; note whether any pixel of it has weight."""
        placed = member.whole() if band is None else member.reaching(band)
        if placed is None:
            return
        exposure, path = placed.exposure, str(member.path)
        if seen.setdefault(path, band) == band:  # of all bands the first
            self.begin(exposure, path=path)
            log.info("add %s", path)
        options = {"sky": _remaining_sky(exposure), "bounds": placed.bounds, "number": number, "limits": placed.limits}
        try:
            has = sums.add(exposure.image, placed.pixmap, exposure_time=exposure_time(exposure), **options)
        except ValueError as error:  # which of them it is, nobody could tell from the reason alone
            raise ValueError(f"{path}: {error}") from error
        adds[path] = has or adds.get(path, False)


def _complete_status(exposure: Exposure, statuses: Mapping[str, str]) -> None:
    """Record what became of the steps before, for a single exposure that comes without a ``_crf``."""
    for step, status in statuses.items():
        if STATUS[step][0] not in exposure.primary:
            record_status(exposure, step, status)


def _remaining_sky(exposure: Exposure) -> float:
    """Return the sky level that was found but not subtracted."""
    level = exposure.keyword("BKGLEVEL")
    return 0.0 if level is None or exposure.keyword("BKGSUB") else level
