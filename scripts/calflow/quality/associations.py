"""What is measured on an association of stage 3: its tables, the stars and levels of its exposures, its image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from calflow.files.alignment_tables import AlignmentRow, find_row, read_alignment, read_corrected_geometry
from calflow.files.combined_image import CombinedPlane, counts_of_exposures, read_combined
from calflow.files.exposure import read_planes
from calflow.files.exposure_stars import read_exposure_stars
from calflow.files.geometry_files import read_geometry, read_json
from calflow.files.tables import read_table
from calflow.quality.catalogs import NO_CATALOG, MeasuredCatalog, measure_catalog
from calflow.quality.unflagged import unflagged_fraction
from calflow.science.bands import bands
from calflow.science.dq_flags import FLAGS
from calflow.science.geometry.geometry import Geometry
from calflow.science.geometry.tangent_plane import to_plane
from calflow.science.quality.depth import Depth, empty_aperture_depth
from calflow.science.quality.exposure_levels import block_centres
from calflow.science.quality.flags_on_sources import rates_on_sources
from calflow.science.quality.seams import Step, sky_steps
from calflow.science.quality.star_residuals import star_residuals

# Of the empty apertures without a catalogue that says which are measured, pixels.
RADIUS, ANNULUS = 3.0, (8.0, 16.0)
ANNULUS_WIDTH = 8.0  # at least: the median of few pixels is noise itself
# Stars farther from each other than this are two, pixels of the detector: the alignment may be off by as much.
SAME_STAR = 1.5
AB_ZERO_POINT = 8.90  # of 1 Jy
SIGMAS = 5.0


@dataclass(frozen=True)
class Files:
    """What an association is measured on.

    Attributes
    ----------
    alignment : str
        Table of the alignment.
    exposures, geometries : sequence of str
        What was measured on each member, and where its pixels lie.
    stars : sequence of str
        Star lists of the members; none of a moving target.
    crfs : sequence of str
        The members with their outliers flagged; none of a single exposure.
    sky, outliers, i2d, segm, catalog : str or None
        The tables and products; None: not made.
    completeness : str or None
        How complete the catalogue is; None: not asked for.
    """

    alignment: str
    exposures: Sequence[str]
    geometries: Sequence[str]
    stars: Sequence[str] = ()
    crfs: Sequence[str] = ()
    sky: str | None = None
    outliers: str | None = None
    i2d: str | None = None
    segm: str | None = None
    catalog: str | None = None
    completeness: str | None = None


@dataclass(frozen=True)
class MeasuredExposure:
    """One exposure of an association.

    Attributes
    ----------
    row : AlignmentRow
    own : mapping
        What was measured on it alone.
    pixel : float
        Side of a pixel, arcsec.
    places, residuals : float array, shape (n, 2)
        Of its stars that others have, too: where they are, and by how much they are displaced, arcsec.
    step : Step or None
        In sky level; None: it was not compared.
    on_sources : float
        How often its pixels on sources are flagged as outliers, over how often all are; NaN: not known.
    rays_left : float
        Part of its pixels that are brighter than those of the others there, and not flagged; NaN: not known.
    sky, outliers : mapping
        Its rows of the tables; empty if there are none.
    """

    row: AlignmentRow
    own: Mapping[str, Any]
    pixel: float
    places: np.ndarray
    residuals: np.ndarray
    step: Step | None
    on_sources: float = float("nan")
    rays_left: float = float("nan")
    sky: Mapping[str, Any] = field(default_factory=dict)
    outliers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MeasuredImage:
    """The combined image.

    Attributes
    ----------
    shape : (ny, nx)
    unit : str
        Of its pixels.
    pixel : float
        Side of a pixel, arcsec.
    noise : float
        Median error of its pixels.
    exposures : tuple of int
        How many pixels have data of 0, 1, 2 ... exposures.
    header : mapping
        Keywords that a person wants to see beside.
    depth : Depth or None
        None: there are too few empty places.
    radius, correction : float
        Of the apertures, pixels; what the flux in them is multiplied with for all of a point source.
    limit : float
        AB magnitude of a point source of 5 sigma; NaN if the unit of the image tells none.
    """

    shape: tuple[int, ...]
    unit: str
    pixel: float
    noise: float
    exposures: tuple[int, ...]
    header: Mapping[str, Any]
    depth: Depth | None
    radius: float
    correction: float
    limit: float


@dataclass(frozen=True)
class Measured:
    """All that is measured on an association; what was not made is None, or has no rows.

    Attributes
    ----------
    exposures : list of MeasuredExposure
    image : MeasuredImage or None
    catalog : MeasuredCatalog or None
    completeness : mapping or None
        As of `quality.completeness.measure_completeness`.
    """

    exposures: list[MeasuredExposure]
    image: MeasuredImage | None
    catalog: MeasuredCatalog | None
    completeness: Mapping[str, Any] | None = None


def measure_association(files: Files, members: Sequence[tuple[str, str]], apertures: int) -> Measured:
    """Measure an association.

    Parameters
    ----------
    files : Files
    members : sequence of (root, group)
        In the order of the files.
    apertures : int
        How many empty apertures tell the depth, at the most.
    """
    rows = read_alignment(Path(files.alignment))
    rows = [find_row(rows, root) for root, _ in members]
    geometries = [read_corrected_geometry(Path(path), row) for path, row in zip(files.geometries, rows, strict=True)]
    own = [read_json(Path(path)) for path in files.exposures]
    sky = {row["exposure"]: row for row in read_table(Path(files.sky))} if files.sky else {}
    outliers = {row["exposure"]: row for row in read_table(Path(files.outliers))} if files.outliers else {}
    left = [sky.get(row.exposure, {}).get("level", each["sky_left"]) for row, each in zip(rows, own, strict=True)]
    steps = _steps(geometries, own, left) if len(rows) > 1 else [None for _ in rows]
    stars = _residuals(files, members, geometries, rows)
    exposures = [
        MeasuredExposure(
            row=row,
            own=each,
            pixel=geometry.pixels.area**0.5,
            places=places,
            residuals=residuals,
            step=step,
            on_sources=ratio,
            rays_left=left_over,
            sky=sky.get(row.exposure, {}),
            outliers=outliers.get(row.exposure, {}),
        )
        for row, each, geometry, (places, residuals), step, ratio, left_over in zip(
            rows,
            own,
            geometries,
            stars,
            steps,
            _flagged_on_sources(files, geometries),
            _not_flagged(files, geometries, rows, own),
            strict=True,
        )
    ]
    catalog = measure_catalog(Path(files.catalog)) if files.catalog else None
    image = _measure_image(files, catalog or NO_CATALOG, apertures) if files.i2d else None
    completeness = read_json(Path(files.completeness)) if files.completeness else None
    return Measured(exposures, image, catalog, completeness)


def _steps(geometries: Sequence[Geometry], own: Sequence[Mapping[str, Any]], left: Sequence[float]) -> list[Step]:
    """Return the steps in sky level between the exposures, with what is subtracted from each when they are combined."""
    centre, places, levels, side = geometries[0].centre, [], [], 0.0
    for geometry, each, subtracted in zip(geometries, own, left, strict=True):
        x, y = block_centres(tuple(each["shape"]), each["block"])
        places.append(to_plane(geometry.sky(x.ravel(), y.ravel()), centre))
        levels.append(np.array(each["levels"], float).ravel() - (subtracted if np.isfinite(subtracted) else 0.0))
        side = max(side, each["block"] * geometry.pixels.area**0.5)
    return sky_steps(places, levels, side)


def _residuals(
    files: Files, members: Sequence[tuple[str, str]], geometries: Sequence[Geometry], rows: Sequence[AlignmentRow]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return where the stars of each exposure are and by how much they are displaced; of none without star lists."""
    if not files.stars:
        return [(np.empty((0, 2)), np.empty((0, 2))) for _ in rows]
    uncorrected = {root: read_geometry(Path(path)) for (root, _), path in zip(members, files.geometries, strict=True)}
    found = read_exposure_stars([*map(Path, files.stars)], dict(members), uncorrected)
    moved = [each.moved(row.correction) for each, row in zip(found, rows, strict=True)]
    planes = [to_plane(each.sky[np.isfinite(each.sky).all(axis=1)], geometries[0].centre) for each in moved]
    return star_residuals(planes, SAME_STAR * geometries[0].pixels.area ** 0.5)


def _flagged_on_sources(files: Files, geometries: Sequence[Geometry]) -> list[float]:
    """Return how often pixels of sources are flagged as outliers, over how often all are; NaN where it is not known."""
    if not (files.crfs and files.segm and files.i2d):
        return [float("nan") for _ in geometries]
    image = read_combined(Path(files.i2d))
    wcs = WCS(image.wcs_header())
    places = []
    for path, geometry in zip(files.crfs, geometries, strict=True):
        (dq,) = read_planes(Path(path), "DQ")
        y, x = np.nonzero((dq & FLAGS["OUTLIER"]) != 0)
        ra, dec = geometry.sky(x, y).T
        places.append(np.stack(wcs.wcs_world2pix(ra, dec, 0), axis=-1))
    segments = CombinedPlane(Path(files.segm), "SCI", image.sci.shape)
    return rates_on_sources(places, segments, image.wht)


def _not_flagged(
    files: Files, geometries: Sequence[Geometry], rows: Sequence[AlignmentRow], own: Sequence[Mapping[str, Any]]
) -> list[float]:
    """Return what part of each exposure are rays that are not flagged; NaN where it is not known."""
    if not (files.crfs and files.i2d):
        return [float("nan") for _ in geometries]
    combined = sum(row.used for row in rows)
    return [
        unflagged_fraction(Path(path), geometry, each["noise_over_error"], Path(files.i2d), combined)
        if row.used
        else float("nan")
        for path, geometry, row, each in zip(files.crfs, geometries, rows, own, strict=True)
    ]


def _measure_image(files: Files, catalog: MeasuredCatalog, apertures: int) -> MeasuredImage:
    path = Path(str(files.i2d))
    image = read_combined(path)
    radius, correction = catalog.radius or RADIUS, catalog.correction or 1.0
    annulus = catalog.annulus or ANNULUS
    annulus = annulus[0], max(annulus[1], annulus[0] + ANNULUS_WIDTH)
    segments = CombinedPlane(Path(files.segm), "SCI", image.sci.shape) if files.segm else None
    depth = None
    if image.err is not None:
        depth = empty_aperture_depth(image.sci, image.err, image.wht, segments, radius, annulus, apertures)
    unit, steradian = str(image.keyword("BUNIT", "")), image.keyword("PIXAR_SR")
    limit = np.nan
    if depth and unit == "MJy/sr" and steradian:
        flux = SIGMAS * depth.sigma * correction * float(steradian) * 1e6
        limit = AB_ZERO_POINT - 2.5 * np.log10(flux) if flux > 0 else np.nan
    keywords = "INSTRUME", "FILTER", "PUPIL", "TARGNAME", "DATE-BEG", "EFFEXPTM", "NDRIZ", "CAL_VER", "CRDS_CTX"
    noise, exposures = _coverage(path, image.sci.shape, image.err is not None)
    return MeasuredImage(
        shape=image.sci.shape,
        unit=unit,
        pixel=float(image.keyword("PIXAR_A2", np.nan)) ** 0.5,
        noise=noise,
        exposures=exposures,
        header={name: value for name in keywords if (value := image.keyword(name)) is not None},
        depth=depth,
        radius=radius,
        correction=correction,
        limit=float(limit),
    )


def _coverage(path: Path, shape: tuple[int, ...], has_errors: bool) -> tuple[float, tuple[int, ...]]:
    """Return the median error, of every so many pixels, and how many pixels have data of 0, 1, 2 ... exposures."""
    counts, errors = np.zeros(1, np.int64), []
    every = max(1, int(np.sqrt(np.prod(shape) / 1e6)))
    with fits.open(path, memmap=False) as hdus:
        has_context = "CON" in hdus
        for rows in bands(shape[0]):
            if has_context:
                found = np.bincount(counts_of_exposures(hdus, rows).ravel(), minlength=len(counts))
                found[: len(counts)] += counts
                counts = found
            if has_errors:
                errors.append(hdus["ERR"].section[rows][::every, ::every].ravel())
    known = np.concatenate(errors) if errors else np.empty(0)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else float("nan"), tuple(counts.tolist()) if has_context else ()
