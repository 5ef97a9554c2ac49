"""How far products of stage 3 are from the truth of the simulated exposures they were made of."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from calflow.science.dq_flags import FLAGS
from calflow.simulation import Scene, Truth
from calflow.simulation.associations import product_name
from calflow.simulation.exposure import Exposure
from calflow.simulation.geometry import Geometry
from calflow.simulation.observation import sky_noise
from calflow.simulation.rendering import peak_fraction

MAS = 3.6e6  # in a degree
GRID = 7  # pixels along each axis at which positions are compared
EXPOSURES = 3  # fewer have no median that a cosmic ray leaves alone
CELL = 4  # pixels; how finely it is known how many exposures look
BRIGHT_RAY = 8.0  # a cosmic ray's signal, in sigma of its pixel
STAR_LIMIT = 50.0  # peak signal of the faintest stars that a catalogue should have, in sigma of a sky pixel
ISOLATION = 4.0  # FWHM around an isolated star without others of more than ...
NEIGHBOUR = 0.01  # ... this part of its flux


@dataclass(frozen=True)
class Figures:
    """
    How far the products of one or more observations are from the truth.

    Attributes
    ----------
    before, after : 1-D array
        Distances, mas, of grid pixels of all exposures that show sources from where the exposures on the whole put
        them: by the pointing in the headers, and by the products.
    sky : 1-D array
        Errors of the exposures' sky levels against each other, in sigma of a sky pixel.
    rays, rays_found, bright_rays, bright_rays_found : int
        Pixels hit by cosmic rays, and how many of them are flagged; the same for those above `BRIGHT_RAY`.
    good, good_flagged : int
        Pixels not hit, and how many of them are flagged. All where at least `EXPOSURES` exposures look.
    cores, cores_flagged : int
        Those of the good pixels that are the 3 x 3 about a star above `STAR_LIMIT`, and how many of them are flagged.
    edge_rays, edge_rays_found, edge_bright_rays, edge_bright_rays_found, edge_good, edge_good_flagged : int
        The same where fewer look.
    stars, stars_found : int
        Stars above `STAR_LIMIT`, and how many of them are in the catalogue.
    entries, entries_real : int
        Rows of the catalogue, and for how many of them there is a true source.
    flux_ratios : 1-D array
        Measured over true flux of isolated stars.
    distances : 1-D array
        Distances of isolated stars from their true places, mas.
    """

    before: np.ndarray
    after: np.ndarray
    sky: np.ndarray
    rays: int
    rays_found: int
    bright_rays: int
    bright_rays_found: int
    good: int
    good_flagged: int
    cores: int
    cores_flagged: int
    edge_rays: int
    edge_rays_found: int
    edge_bright_rays: int
    edge_bright_rays_found: int
    edge_good: int
    edge_good_flagged: int
    stars: int
    stars_found: int
    entries: int
    entries_real: int
    flux_ratios: np.ndarray
    distances: np.ndarray


def pool(many: Sequence[Figures]) -> Figures:
    """Return the figures of several observations as those of one: values side by side, numbers added."""
    together: dict[str, Any] = {}
    for field in fields(Figures):
        values = [getattr(figures, field.name) for figures in many]
        together[field.name] = np.concatenate(values) if isinstance(values[0], np.ndarray) else sum(values)
    return Figures(**together)


def compare_with_truth(truth: Truth, cal: Path, products: Path) -> Figures:
    """
    Compare the products of an observation with its truth.

    Parameters
    ----------
    truth : Truth
        Of a scene with ``save_signal``.
    cal : Path
        Folder of the ``_cal`` files.
    products : Path
        Folder of ``_crf`` and ``_cat``.
    """
    exposures = [exposure for exposure in truth.exposures if not exposure.background]
    cals = [cal / f"{exposure.name}_cal.fits" for exposure in exposures]
    crfs = [_only(products, f"{exposure.name}_*crf.fits") for exposure in exposures]
    seen = [i for i, exposure in enumerate(exposures) if not exposure.blank]
    geometries = [exposures[i].geometry for i in seen]
    levels = np.array([_sky_level(crf) for crf in crfs])
    everywhere = [exposure.geometry for exposure in exposures]
    rays = [_count_rays(truth, everywhere, *files) for files in zip(exposures, cals, crfs, strict=True)]
    counts: dict[str, Any] = {name: sum(count[name] for count in rays) for name in rays[0]}
    catalog = Table.read(products / f"{product_name(truth.scene)}_cat.ecsv")
    return Figures(
        before=offsets(geometries, [read_wcs(cals[i]) for i in seen]),
        after=offsets(geometries, [read_wcs(crfs[i]) for i in seen]),
        sky=sky_errors(levels, np.array([exposure.sky for exposure in exposures]), sky_noise(truth.scene)),
        **counts,
        **compare_catalog(truth.scene, truth.sources[_in_sight(truth, exposures, cals)], catalog),
    )


def read_wcs(file: Path) -> Any:
    """Return the gwcs object of a product."""
    import asdf

    with fits.open(file) as hdus:
        blob = io.BytesIO(hdus["ASDF"].data["ASDF_METADATA"][0].tobytes())
    with asdf.open(blob, ignore_missing_extensions=True) as tree:
        return tree["meta"]["wcs"]


def offsets(geometries: Sequence[Geometry], transforms: Sequence[Any]) -> np.ndarray:
    """
    Return how far grid pixels are from where they should be if the exposures agreed.

    What is common to all exposures, the median of their mean errors, is no disagreement and is taken off.

    Parameters
    ----------
    geometries : sequence of Geometry
        The true ones.
    transforms : sequence
        From 0-based pixels (x, y) to RA and Dec in degrees; gwcs objects or other callables.

    Returns
    -------
    1-D array
        Distances of all grid pixels of all exposures, mas.
    """
    errors = np.array([_position_errors(*pair) for pair in zip(geometries, transforms, strict=True)])
    common = np.median(errors.mean(axis=1), axis=0)
    return np.hypot(*(errors - common).reshape(-1, 2).T)


def _position_errors(geometry: Geometry, transform: Any) -> np.ndarray:
    """Return the errors to the east and north of the grid pixels of one exposure, mas, shape (n, 2)."""
    window = geometry.window
    x, y = (
        axis.ravel() for axis in np.meshgrid(np.linspace(0, window.nx - 1, GRID), np.linspace(0, window.ny - 1, GRID))
    )
    unbound = {"with_bounding_box": False} if hasattr(transform, "bounding_box") else {}
    return np.stack(_east_north(*geometry.to_sky(x, y), *transform(x, y, **unbound)), axis=1)


def _east_north(ra, dec, other_ra, other_dec) -> tuple[np.ndarray, np.ndarray]:
    """Return the small distance to another position, mas to the east and north."""
    east = (np.asarray(other_ra) - ra + 180) % 360 - 180
    return east * np.cos(np.radians(dec)) * MAS, (np.asarray(other_dec) - dec) * MAS


def sky_errors(levels: np.ndarray, true: np.ndarray, sigma: float) -> np.ndarray:
    """
    Return the errors of sky levels, of which only the differences count.

    Parameters
    ----------
    levels, true : array, shape (n,)
        MJy/sr; NaN for no level, which is left out.
    sigma : float
        Noise of a sky pixel, MJy/sr.

    Returns
    -------
    array
        In sigma, their median taken off.
    """
    errors = (levels - true)[np.isfinite(levels)] / sigma
    return errors - np.median(errors) if errors.size else errors


def _sky_level(crf: Path) -> float:
    with fits.open(crf) as hdus:
        return next((float(hdu.header["BKGLEVEL"]) for hdu in hdus[:2] if "BKGLEVEL" in hdu.header), np.nan)


def _count_rays(
    truth: Truth, geometries: Sequence[Geometry], exposure: Exposure, cal: Path, crf: Path
) -> dict[str, int]:
    """Return the counts of pixels that are hit, and that are flagged, in one exposure."""
    signal = fits.getdata(truth.directory / "truth" / f"{exposure.name}_signal.fits", "COSMIC_RAYS")
    err = fits.getdata(truth.directory / "rate" / exposure.filename, "ERR")
    err = np.sqrt(err**2 - (truth.scene.cosmic_ray_error * signal) ** 2)  # without what the rays add to it
    usable = (fits.getdata(cal, "DQ") & FLAGS["DO_NOT_USE"]) == 0
    flagged = (fits.getdata(crf, "DQ") & FLAGS["OUTLIER"]) != 0
    many = coverage(exposure.geometry, geometries) >= EXPOSURES
    edge = usable & ~many
    counts = {f"edge_{name}": count for name, count in count_rays(signal[edge] / err[edge], flagged[edge]).items()}
    usable &= many
    cores = usable & (signal == 0) & star_cores(truth.scene, truth.sources, exposure.geometry)
    counts |= {"cores": int(cores.sum()), "cores_flagged": int((cores & flagged).sum())}
    return count_rays(signal[usable] / err[usable], flagged[usable]) | counts


def star_cores(scene: Scene, sources: Table, geometry: Geometry) -> np.ndarray:
    """Return which pixels of an exposure are the 3 x 3 about a star above `STAR_LIMIT`, bool, shape (ny, nx)."""
    ny, nx = geometry.window.ny, geometry.window.nx
    bright = (np.asarray(sources["type"]) == "star") & (sources["flux"].data > star_limit(scene))
    x, y = (np.rint(axis).astype(int) for axis in geometry.to_pixel(*(sources[n].data[bright] for n in ("ra", "dec"))))
    mask = np.zeros((ny, nx), bool)
    for column, row in zip(x, y, strict=True):
        mask[max(row - 1, 0) : max(row + 2, 0), max(column - 1, 0) : max(column + 2, 0)] = True
    return mask


def coverage(geometry: Geometry, geometries: Sequence[Geometry]) -> np.ndarray:
    """
    Return how many exposures look at each pixel of one of them, to within `CELL` pixels at their edges.

    Parameters
    ----------
    geometry : Geometry
        Of the exposure.
    geometries : sequence of Geometry
        Of all exposures, with it.

    Returns
    -------
    int array, shape (ny, nx)
    """
    window = geometry.window
    y, x = np.mgrid[CELL // 2 : window.ny + CELL : CELL, CELL // 2 : window.nx + CELL : CELL]
    ra, dec = geometry.to_sky(x, y)
    count = np.zeros(x.shape, int)
    for other in geometries:
        column, row = other.to_pixel(ra, dec)
        inside = (column > -0.5) & (column < other.window.nx - 0.5) & (row > -0.5) & (row < other.window.ny - 0.5)
        count += inside
    return count.repeat(CELL, axis=0).repeat(CELL, axis=1)[: window.ny, : window.nx]


def count_rays(strength: np.ndarray, flagged: np.ndarray) -> dict[str, int]:
    """
    Count the pixels that cosmic rays have hit, and those that are flagged.

    Parameters
    ----------
    strength : array
        Signal of cosmic rays in each usable pixel, in sigma; 0 where there is none.
    flagged : bool array
        Whether the pixel is flagged as an outlier.
    """
    hit, bright = strength > 0, strength > BRIGHT_RAY
    return {
        "rays": int(hit.sum()),
        "rays_found": int((hit & flagged).sum()),
        "bright_rays": int(bright.sum()),
        "bright_rays_found": int((bright & flagged).sum()),
        "good": int((~hit).sum()),
        "good_flagged": int((~hit & flagged).sum()),
    }


def _in_sight(truth: Truth, exposures: Sequence[Exposure], cals: Sequence[Path]) -> np.ndarray:
    """Return which sources lie, in some exposure, on usable pixels away from the edge."""
    ra, dec = truth.sources["ra"].data, truth.sources["dec"].data
    near = int(np.ceil(truth.scene.preset.fwhm))
    sight = np.zeros(len(ra), bool)
    for exposure, cal in zip(exposures, cals, strict=True):
        if exposure.blank:
            continue
        usable = (fits.getdata(cal, "DQ") & FLAGS["DO_NOT_USE"]) == 0
        ny, nx = usable.shape
        x, y = (np.round(axis).astype(int) for axis in exposure.geometry.to_pixel(ra, dec))
        for i in np.flatnonzero((x >= near) & (x < nx - near) & (y >= near) & (y < ny - near)):
            around = usable[y[i] - near : y[i] + near + 1, x[i] - near : x[i] + near + 1]
            sight[i] |= around.mean() > 0.8
    return sight


def star_limit(scene: Scene) -> float:
    """Return the flux, Jy, of a star whose peak is `STAR_LIMIT` times the noise of a sky pixel."""
    return STAR_LIMIT * sky_noise(scene) * 1e6 * scene.preset.pixel_area_sr / peak_fraction(scene.preset)


def compare_catalog(scene: Scene, sources: Table, catalog: Table) -> dict[str, Any]:
    """
    Compare a source catalogue with the true sources.

    A row and a source belong together if each is the other's nearest and they are no farther apart than the FWHM of
    the point spread function.

    Parameters
    ----------
    scene : Scene
    sources : Table
        As the simulator gives them.
    catalog : Table
        With `sky_centroid` and `aper_total_flux` in Jy.

    Returns
    -------
    dict
        The fields of `Figures` that tell of the catalogue.
    """
    instrument = scene.preset
    source, row, distance = match(sources, catalog, instrument.fwhm * instrument.x_scale * 1e3)
    flux, is_star = sources["flux"].data, np.asarray(sources["type"]) == "star"
    wanted = is_star & (flux > star_limit(scene))
    full = (instrument.full_well / instrument.integration_time) * instrument.photmjsr * 1e6 * instrument.pixel_area_sr
    clean = wanted & (flux * peak_fraction(instrument) < 0.9 * full) & _isolated(scene, sources)
    chosen = clean[source]
    return {
        "stars": int(wanted.sum()),
        "stars_found": int(wanted[source].sum()),
        "entries": len(catalog),
        "entries_real": len(row),
        "flux_ratios": np.asarray(catalog["aper_total_flux"], float)[row][chosen] / flux[source][chosen],
        "distances": distance[chosen],
    }


def match(sources: Table, catalog: Table, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Match sources and rows that are each other's nearest within `radius` mas.

    Returns
    -------
    source, row : int arrays
        Indices of those that belong together.
    distance : array
        Of each pair, mas.
    """
    from astropy.coordinates import SkyCoord

    true = SkyCoord(sources["ra"].data, sources["dec"].data, unit="deg")
    found = SkyCoord(catalog["sky_centroid"])
    row, distance, _ = true.match_to_catalog_sky(found)
    back, _, _ = found.match_to_catalog_sky(true)
    source = np.flatnonzero((back[row] == np.arange(len(true))) & (distance.mas < radius))
    return source, row[source], distance.mas[source]


def _isolated(scene: Scene, sources: Table) -> np.ndarray:
    """Return which sources have no other of more than `NEIGHBOUR` of their flux within `ISOLATION` FWHM."""
    from astropy.coordinates import SkyCoord
    from astropy.units import mas

    flux = sources["flux"].data
    position = SkyCoord(sources["ra"].data, sources["dec"].data, unit="deg")
    reach = ISOLATION * scene.preset.fwhm * scene.preset.x_scale * 1e3 * mas
    one, other, _, _ = position.search_around_sky(position, reach)
    disturbed = (one != other) & (flux[other] > NEIGHBOUR * flux[one])
    isolated = np.ones(len(sources), bool)
    isolated[one[disturbed]] = False
    return isolated


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise FileNotFoundError(f"{folder}: {len(found)} files {pattern}, expected one")
    return found[0]
