"""How far combined images and catalogues of any program are from the truth of the scene, for `c_programs.py`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from photutils.aperture import CircularAperture
from scipy.ndimage import map_coordinates
from truth import CELL, EXPOSURES, MAS, compare_catalog, match, star_limit

from calflow.science.dq_flags import FLAGS
from calflow.simulation import Scene
from calflow.simulation.exposure import Exposure
from calflow.simulation.observation import plan_exposures, sky_noise
from calflow.simulation.rendering import FWHM_PER_SIGMA, peak_fraction, render_sources

RADII = {"star": 7.0, "galaxy": 12.0}  # of the apertures in which fluxes are compared, pixels
GALAXY_LIMIT = 20.0  # flux of a galaxy that is compared, in sigma of the sky in its aperture in one exposure
FAR = 14  # pixels from a source from which the sky is empty, and ...
HALF_LIGHT = 4.0  # ... of a galaxy, more by so many half-light radii
BOX = 16  # pixels; noise is summed over such squares
STAMP = 6  # pixels to each side of a star, for its centroid
ROUNDS = 8  # of the centroid
SEEN = 3.0  # sigma of a pixel, from which a cosmic ray is seen in a combined image
LOST = 0.05  # part of the weight
NORMAL = 1.4826  # standard deviation over median absolute deviation, of a normal distribution


@dataclass(frozen=True)
class Image:
    """
    A combined image.

    Attributes
    ----------
    sci, noise, weight : float32 array, shape (ny, nx)
        MJy/sr; its 1-sigma error; weight. NaN in the first two: no value.
    """

    sci: np.ndarray
    noise: np.ndarray
    weight: np.ndarray


def of_calflow(i2d: Path) -> Image:
    """Return an image of ours."""
    with fits.open(i2d) as hdus:
        return Image(*(np.asarray(hdus[name].data, np.float32) for name in ("SCI", "ERR", "WHT")))


def of_swarp(path: Path) -> Image:
    """Return an image of SWarp, whose weight is the inverse variance."""
    weight = fits.getdata(path.with_suffix(".weight.fits")).astype(np.float32)
    seen = weight > 0
    noise = np.full(weight.shape, np.nan, np.float32)
    noise[seen] = weight[seen] ** -0.5
    return Image(np.where(seen, fits.getdata(path), np.nan), noise, weight)


class Sky:
    """The true sources on the pixel grid of the images.

    Parameters
    ----------
    scene : Scene
    sources : Table
        As the simulator gives them.
    grid : astropy.wcs.WCS
    shape : (ny, nx)
        Of the grid.
    """

    def __init__(self, scene: Scene, sources: Table, grid: WCS, shape: tuple[int, int]):
        self.scene, self.grid, self._all = scene, grid, sources
        x, y = grid.all_world2pix(sources["ra"], sources["dec"], 0)
        edge = FAR
        inside = (x > edge) & (x < shape[1] - 1 - edge) & (y > edge) & (y < shape[0] - 1 - edge)
        self.sources, self.x, self.y = sources[inside], x[inside], y[inside]
        self.is_star = np.asarray(self.sources["type"]) == "star"
        self.flux = self.sources["flux"].data
        self.half_light = self.sources["radius"].data / scene.preset.x_scale
        full = scene.preset.full_well / scene.preset.integration_time * scene.preset.photmjsr
        peak = self.flux * peak_fraction(scene.preset) / (1e6 * scene.preset.pixel_area_sr)
        self.bright_star = self.is_star & (self.flux > star_limit(scene)) & (peak < 0.9 * full)
        area = np.pi * RADII["galaxy"] ** 2
        unit = sky_noise(scene) * 1e6 * scene.preset.pixel_area_sr
        self.bright_galaxy = ~self.is_star & (self.flux > GALAXY_LIMIT * np.sqrt(area) * unit)
        self.aperture_flux = self._aperture_fluxes()
        self.empty = self._empty(shape)
        self.is_deep = self._is_deep(shape)
        self.cores = self._squares(shape, self.bright_star, np.ones(len(self.x), int))

    def _aperture_fluxes(self) -> dict[str, np.ndarray]:
        """Return the true fluxes within apertures about the sources, with what neighbours add, Jy; NaN: not known."""
        found = {kind: np.full(len(self.x), np.nan) for kind in RADII}
        for exposure in plan_exposures(self.scene):
            if exposure.number > 1:
                continue
            geometry = exposure.geometry
            x, y = geometry.to_pixel(self.sources["ra"].data, self.sources["dec"].data)
            margin = max(RADII.values())
            inside = (x > margin) & (x < geometry.window.nx - 1 - margin)
            inside &= (y > margin) & (y < geometry.window.ny - 1 - margin)
            light = render_sources(self._all, geometry) * geometry.optics.relative_area(geometry.window)
            for kind, radius in RADII.items():
                sums = CircularAperture(np.stack([x, y], axis=-1)[inside], radius).do_photometry(light)[0]
                found[kind][inside] = sums * 1e6 * self.scene.preset.pixel_area_sr
        return found

    def _is_deep(self, shape: tuple[int, int]) -> np.ndarray:
        """Return where `EXPOSURES` or more look, to within `CELL` pixels."""
        y, x = np.mgrid[CELL // 2 : shape[0] + CELL : CELL, CELL // 2 : shape[1] + CELL : CELL]
        ra, dec = self.grid.all_pix2world(x.ravel(), y.ravel(), 0)
        depth = np.zeros(x.size, int)
        for exposure in plan_exposures(self.scene):
            column, row = exposure.geometry.to_pixel(ra, dec)
            window = exposure.geometry.window
            depth += (column > -0.5) & (column < window.nx - 0.5) & (row > -0.5) & (row < window.ny - 0.5)
        cells = (depth >= EXPOSURES).reshape(x.shape)
        return cells.repeat(CELL, axis=0).repeat(CELL, axis=1)[: shape[0], : shape[1]]

    def _empty(self, shape: tuple[int, int]) -> np.ndarray:
        reach = FAR + np.ceil(HALF_LIGHT * self.half_light).astype(int)
        return ~self._squares(shape, np.ones(len(self.x), bool), reach)

    def _squares(self, shape: tuple[int, int], which: np.ndarray, reach: np.ndarray) -> np.ndarray:
        mask = np.zeros(shape, bool)
        centres = np.rint(self.x[which]).astype(int), np.rint(self.y[which]).astype(int), reach[which]
        for x, y, r in zip(*centres, strict=True):
            mask[max(y - r, 0) : y + r + 1, max(x - r, 0) : x + r + 1] = True
        return mask


def flux_errors(image: Image, sky: Sky) -> dict[str, tuple[float, float]]:
    """Return bias and scatter (percent) of the fluxes of stars and galaxies within apertures."""
    level = np.nanmedian(image.sci[sky.empty])
    pixel = float(sky.grid.proj_plane_pixel_area().to_value("sr")) * 1e6
    found = {}
    for kind, which in (("star", sky.bright_star), ("galaxy", sky.bright_galaxy)):
        which = which & np.isfinite(sky.aperture_flux[kind])
        aperture = CircularAperture(np.stack([sky.x, sky.y], axis=-1)[which], RADII[kind])
        sums = aperture.do_photometry(image.sci - level)[0] * pixel
        found[kind] = bias_and_scatter(sums / sky.aperture_flux[kind][which])
    return found


def bias_and_scatter(ratios: np.ndarray) -> tuple[float, float]:
    """Return by how much the median of ratios is off 1, and their robust scatter, percent."""
    ratios = ratios[np.isfinite(ratios)]
    middle = float(np.median(ratios))
    return 100 * (middle - 1), 100 * NORMAL * float(np.median(np.abs(ratios - middle)))


def position_error(image: Image, sky: Sky) -> float:
    """Return the median distance of the stars' windowed centroids from their true places, mas."""
    level = np.nanmedian(image.sci[sky.empty])
    which = sky.bright_star
    x, y = sky.x[which].copy(), sky.y[which].copy()
    column, row = np.rint(x).astype(int)[:, None, None], np.rint(y).astype(int)[:, None, None]
    v, u = np.mgrid[-STAMP : STAMP + 1, -STAMP : STAMP + 1]
    stamps = image.sci[row + v, column + u] - level
    sigma = sky.scene.preset.fwhm / FWHM_PER_SIGMA
    for _ in range(ROUNDS):  # the factor 2: Bertin and Arnouts, XWIN_IMAGE
        dx, dy = column + u - x[:, None, None], row + v - y[:, None, None]
        weighed = stamps * np.exp(-(dx**2 + dy**2) / (2 * sigma**2))
        total = weighed.sum(axis=(1, 2))
        x += 2 * (weighed * dx).sum(axis=(1, 2)) / total
        y += 2 * (weighed * dy).sum(axis=(1, 2)) / total
    distance = np.hypot(x - sky.x[which], y - sky.y[which])
    return float(np.nanmedian(distance)) * sky.grid.proj_plane_pixel_scales()[0].to_value("deg") * MAS


def noise_ratios(image: Image, sky: Sky) -> tuple[float, float]:
    """Return the scatter of the empty sky over the noise that the map tells, of pixels and of sums over boxes."""
    ny, nx = (n // BOX * BOX for n in image.sci.shape)
    part = slice(0, ny), slice(0, nx)
    usable = (sky.empty & np.isfinite(image.sci) & (image.noise > 0))[part]
    difference = (image.sci[part] - np.median(image.sci[part][usable])).astype(float)
    pixels = difference[usable] / image.noise[part][usable]
    boxes = (ny // BOX, BOX, nx // BOX, BOX)
    whole = usable.reshape(boxes).all(axis=(1, 3))
    sums = difference.reshape(boxes).sum(axis=(1, 3))[whole]
    variance = np.square(image.noise[part], dtype=float).reshape(boxes).sum(axis=(1, 3))[whole]
    return _scatter(pixels), _scatter(sums / np.sqrt(variance))


def _scatter(values: np.ndarray) -> float:
    return NORMAL * float(np.median(np.abs(values - np.median(values))))


@dataclass(frozen=True)
class Rejection:
    """
    What became of cosmic rays, and of pixels that none has hit, percent.

    Attributes
    ----------
    rays, edge : float
        Pixels with a ray of more than `SEEN` sigma in the plain mean, that still have one: where `EXPOSURES` or more
        look, and where fewer do.
    flux : float
        What is left of the light of the rays in the first.
    cores, empty : float
        Pixels in star cores, and of the empty sky, without a ray but with less weight than in the plain mean.
    """

    rays: float
    edge: float
    flux: float
    cores: float
    empty: float


def rejection(image: Image, plain: Image, clean: Image, sky: Sky) -> Rejection:
    """
    Compare an image with outliers rejected with means of all pixels, and of all that no cosmic ray has hit.

    Parameters
    ----------
    image, plain, clean : Image
        Of the same program.
    sky : Sky
    """
    was, still = ((one.sci - clean.sci) / clean.noise for one in (plain, image))
    hit = was > SEEN
    unhit = (np.abs(plain.weight - clean.weight) <= 1e-4 * plain.weight) & (plain.weight > 0)
    lost = image.weight < (1 - LOST) * clean.weight
    left = np.where(np.isfinite(still), still, 0)
    deep, edge = hit & sky.is_deep, hit & ~sky.is_deep
    return Rejection(
        100 * float((left[deep] > SEEN).mean()),
        100 * float((left[edge] > SEEN).mean()),
        100 * float(left[deep].sum() / was[deep].sum()),
        *(100 * float(lost[unhit & part].mean()) for part in (sky.cores, sky.empty)),
    )


def rays(scene: Scene, exposure: Exposure, folder: Path) -> np.ndarray:
    """Return which pixels of an exposure are hit by cosmic rays, bool, shape (ny, nx)."""
    return fits.getdata(folder / "truth" / f"{exposure.name}_signal.fits", "COSMIC_RAYS") > 0


def mask_rays(cal: Path, hit: np.ndarray) -> None:
    """Flag pixels of a calibrated exposure as not to be used."""
    with fits.open(cal, mode="update") as hdus:
        hdus["DQ"].data[hit] |= FLAGS["DO_NOT_USE"]


@dataclass(frozen=True)
class Found:
    """
    How far a catalogue is from the truth.

    Attributes
    ----------
    stars, galaxies : float
        Percent of the bright ones that are found.
    false : float
        Percent of rows without a true source.
    rows : int
    star_flux, galaxy_flux, isophotal : (bias, scatter)
        Percent; the last of galaxies, too.
    position : float
        Median distance of stars from their true places, mas.
    """

    stars: float
    galaxies: float
    false: float
    rows: int
    star_flux: tuple[float, float]
    galaxy_flux: tuple[float, float]
    isophotal: tuple[float, float]
    position: float


def compare_rows(
    x: np.ndarray,
    y: np.ndarray,
    star_flux: np.ndarray,
    galaxy_flux: np.ndarray,
    isophotal: np.ndarray,
    weight: np.ndarray,
    sky: Sky,
) -> Found:
    """
    Compare the rows of a catalogue with the true sources.

    Parameters
    ----------
    x, y : float array, shape (n,)
        Pixels from 0.
    star_flux, galaxy_flux, isophotal : float array, shape (n,)
        Jy; those that the program has for either, and that of the source's pixels.
    weight : float array, shape (ny, nx)
        Of the image; sources that have none, or less than half the median, are not counted.
    sky : Sky
    """
    depth = map_coordinates(weight, [sky.y, sky.x], order=0)
    seen = depth > 0.5 * np.median(weight[weight > 0])
    position = sky.grid.pixel_to_world(x, y).icrs
    catalog = Table({"sky_centroid": position, "aper_total_flux": star_flux})
    figures = compare_catalog(sky.scene, sky.sources[seen], catalog)
    radius = sky.scene.preset.fwhm * sky.scene.preset.x_scale * 1e3
    source, row, _ = match(sky.sources, catalog, radius)
    galaxies = sky.bright_galaxy & seen
    chosen = galaxies[source]
    return Found(
        stars=100 * figures["stars_found"] / figures["stars"],
        galaxies=100 * chosen.sum() / galaxies.sum(),
        false=100 * (1 - len(row) / len(x)),
        rows=len(x),
        star_flux=bias_and_scatter(figures["flux_ratios"]),
        galaxy_flux=bias_and_scatter(galaxy_flux[row][chosen] / sky.flux[source][chosen]),
        isophotal=bias_and_scatter(isophotal[row][chosen] / sky.flux[source][chosen]),
        position=float(np.median(figures["distances"])),
    )
