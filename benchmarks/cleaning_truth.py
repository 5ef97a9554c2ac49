"""Exposures with and without their sources, the noise being the same, and what a cleaning step does to them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from run import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
if TYPE_CHECKING:
    from astropy.table import Table

    from calflow.science.image import Image
    from calflow.simulation import Scene
    from calflow.simulation.detector import Detector
    from calflow.simulation.exposure import Exposure

# Half-light diameters of galaxies, arcsec, with how many there are of each brightness; and their mean brightness, sigma
# of a sky pixel, within.
GALAXIES = {10.0: 1, 3.0: 3, 1.0: 8}
BRIGHTNESSES = {"faint": 0.5, "bright": 5.0}
CELLS = 4  # on each axis
# Bins of the surface brightness of a nebula, sigma of a sky pixel; pixels count of which it has most of the light.
NEBULA_BINS = ((0.3, 1.0), (1.0, 3.0), (3.0, 10.0), (10.0, 100.0))
NEBULA_SHARE = 0.9
# Scales of the background, arcsec
SCALES = (1.0, 5.0, 20.0)
DEPTH_SCALE = 0.3
# So many squares tell how they scatter; where the wings of bright stars leave fewer the darkest pixels do.
FEWEST_SQUARES = 100
# Fluxes are those within so many half-light radii; of stars, within so many FWHM.
APERTURE, STAR_APERTURE = 1.5, 2.0
Apertures = dict[str, list[tuple[np.ndarray, ...]]]


@dataclass(frozen=True)
class Case:
    """An exposure with its sources and without.

    Attributes
    ----------
    scene : Scene
    exposure : Exposure
    detector : Detector
    full, empty : Image
        The exposure with its sources, and without.
    unwanted : (array, array)
        What a step is to take off `full` and `empty`.
    light : array
        That of the sources.
    apertures : dict of str to list of (rows, columns)
        The pixels of each source, by its kind; of a nebula those of a brightness.
    """

    scene: Scene
    exposure: Exposure
    detector: Detector
    full: Image
    empty: Image
    unwanted: tuple[np.ndarray, np.ndarray]
    light: np.ndarray
    apertures: Apertures

    @property
    def noise(self) -> float:
        """That of a sky pixel."""
        return float(np.nanmedian(self.empty.err[self.good]))

    @property
    def good(self) -> np.ndarray:
        """Pixels that can be used."""
        return np.isfinite(self.full.sci) & np.isfinite(self.empty.sci) & ((self.full.dq & 1) == 0)


def scene_of(options: Mapping[str, Any], seed: int) -> Scene:
    """Return a scene, of options with those of the artefacts among them."""
    from calflow.simulation import Artefacts, Scene

    return Scene(**{**options, "artefacts": Artefacts(**options.get("artefacts", {}))}, seed=seed, cosmic_rays=0.0)


def simulate_cases(scene: Scene, unwanted: str = "", largest: float = 10.0) -> Iterator[Case]:
    """Yield the exposures of a scene with their sources and without.

    Parameters
    ----------
    scene : Scene
    unwanted : str
        What is to be taken off: ``readout`` or a part of the signal; empty: nothing.
    largest : float
        Galaxies of each size up to this one and of each brightness are in the scene, arcsec; 0: none.
    """
    from calflow.simulation.detector import make_detector
    from calflow.simulation.exposures import expose
    from calflow.simulation.observation import plan_exposures
    from calflow.simulation.photometry import sky_noise
    from calflow.simulation.rendering import peak_fraction
    from calflow.simulation.scene import make_sources

    exposures = plan_exposures(scene)
    sources = make_sources(scene, sky_noise(scene), peak_fraction(scene.preset))
    if largest:
        sources = with_galaxies(sources, scene, exposures[0], largest)
    detector = make_detector(scene)
    for number, exposure in enumerate(exposures):
        full, signal = expose(exposure, scene, detector, sources, exposures[:number])
        empty, nothing = expose(exposure, scene, detector, sources[:0])
        light = signal.rate - nothing.rate - signal.parts.get("persistence", 0)
        taken = signal.readout if unwanted == "readout" else signal.parts.get(unwanted)
        taken = np.zeros_like(light) if taken is None else taken
        found = apertures(
            sources, exposure, light, signal.parts.get("nebula"), sky_noise(scene) / scene.preset.photmjsr
        )
        yield Case(scene, exposure, detector, full, empty, (taken, taken), light, found)


def known_response(case: Case) -> np.ndarray:
    """Return what the flat knows of the response, NaN where that is nothing."""
    known, unlit = case.detector.known_response, case.detector.unlit
    return np.where((known > 0) & ~unlit, known, np.float32(np.nan))


def flat_fielded(case: Case) -> Case:
    """Divide an exposure by the response that the flat knows, as stage 2 does."""
    response = known_response(case)
    full, empty = (
        replace(image, sci=image.sci / response, err=image.err / response, dq=image.dq | np.isnan(response))
        for image in (case.full, case.empty)
    )
    unwanted = np.nan_to_num(case.unwanted[0] / response), np.nan_to_num(case.unwanted[1] / response)
    return replace(case, full=full, empty=empty, unwanted=unwanted, light=np.nan_to_num(case.light / response))


def with_galaxies(sources: Table, scene: Scene, exposure: Exposure, largest: float) -> Table:
    """Return the sources with galaxies of each size and brightness, in the cells of a grid."""
    from astropy.table import Table, vstack

    from calflow.simulation.photometry import sky_noise

    preset, window = scene.preset, exposure.geometry.window
    random = np.random.default_rng([scene.seed, 77])
    kinds = [
        (name, size)
        for size, number in GALAXIES.items()
        if size <= largest
        for _ in range(number)
        for name in BRIGHTNESSES
    ]
    # The largest are not at the edge, and where no other is there are two of the smallest.
    inner, outer = random.permutation([5, 6, 9, 10]), random.permutation([0, 1, 2, 3, 4, 7, 8, 11, 12, 13, 14, 15])
    cells = np.concatenate([inner, outer])
    alone = sum(size > 1 for _, size in kinds)
    cells = np.concatenate([cells[:alone], np.repeat(cells[alone:], 2)])[: len(kinds)]
    shifts = random.uniform(-0.05, 0.05, (len(kinds), 2))
    shifts[alone::2, 0] -= 0.2
    shifts[alone + 1 :: 2, 0] += 0.2
    x = ((cells % CELLS) + 0.5 + shifts[:, 0]) / CELLS * window.nx
    y = ((cells // CELLS) + 0.5 + shifts[:, 1]) / CELLS * window.ny
    ra, dec = exposure.geometry.to_sky(x, y)
    radius = np.array([size / 2 for _, size in kinds])
    # Half of the light is within the radius.
    mean = np.array([BRIGHTNESSES[name] for name, _ in kinds]) * sky_noise(scene) * 1e6
    flux = 2 * np.pi * radius**2 * mean * preset.pixel_area_sr / preset.pixel_area_arcsec2
    ones = np.ones(len(kinds))
    galaxies = {"type": [f"{size:g} arcsec, {name}" for name, size in kinds], "ra": ra, "dec": dec, "flux": flux}
    shape = {"radius": radius, "axis_ratio": ones, "position_angle": 0 * ones, "sersic_index": ones}
    return vstack([sources, Table(galaxies | shape)])


def apertures(
    sources: Table, exposure: Exposure, light: np.ndarray, nebula: np.ndarray | None, noise: float
) -> Apertures:
    """Return the kinds of sources with the pixels of each, as rows and columns."""
    preset = exposure.geometry.optics.instrument
    found: Apertures = {}
    for kind in dict.fromkeys(sources["type"]):
        chosen = sources[sources["type"] == kind]
        if kind == "nebula":
            continue
        for x, y, radius in zip(
            *exposure.geometry.to_pixel(chosen["ra"].data, chosen["dec"].data), chosen["radius"], strict=True
        ):
            reach = STAR_APERTURE * preset.fwhm if kind == "star" else APERTURE * radius / preset.x_scale
            if not (reach <= x < light.shape[1] - reach and reach <= y < light.shape[0] - reach):
                continue
            top, left = int(y - reach), int(x - reach)
            rows, columns = np.ogrid[: int(2 * reach) + 3, : int(2 * reach) + 3]
            inside = np.nonzero((rows + top - y) ** 2 + (columns + left - x) ** 2 < reach**2)
            found.setdefault(str(kind), []).append((inside[0] + top, inside[1] + left))
    if nebula is not None:
        brightness = np.where(nebula > NEBULA_SHARE * light, nebula, 0) / noise
        for low, high in NEBULA_BINS:
            part = np.nonzero((brightness >= low) & (brightness < high))
            if len(part[0]) > light.size / 1000:
                found[f"nebula, {low:g} to {high:g} sigma"] = [part]
    return found


def rests(case: Case, full: np.ndarray, empty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is wrong with cleaned planes, with the sources and without; 0 where pixels are bad."""
    good = case.good
    planes = (full - case.full.sci + case.unwanted[0], empty - case.empty.sci + case.unwanted[1])
    return np.where(good, planes[0], 0), np.where(good, planes[1], 0)


def lost_light(case: Case, full: np.ndarray, empty: np.ndarray) -> dict[str, float]:
    """Return which part of the light of each kind of sources is taken off, from the cleaned planes."""
    with_sources, without = rests(case, full, empty)
    change = with_sources - without
    change -= np.median(change[_dark(case)]) * case.good
    light = np.where(case.good, case.light, 0)
    return {
        kind: float(-sum(change[part].sum() for part in pixels) / max(sum(light[part].sum() for part in pixels), 1e-30))
        for kind, pixels in case.apertures.items()
    }


def _dark(case: Case) -> np.ndarray:
    """Return the pixels in which there is the least light, a tenth of all at the least."""
    light = case.light[case.good]
    return case.good & (case.light <= max(1e-3 * case.noise, np.quantile(light[::97], 0.1)))


def flux_errors(case: Case, full: np.ndarray) -> dict[str, float]:
    """Return the rms of what is wrong within the apertures of each kind of sources, over their light."""
    rest, _ = rests(case, full, case.empty.sci)
    rest -= np.median(rest[_dark(case)]) * case.good
    # Some are behind a bar that lets no light through.
    seen = {kind: [part for part in pixels if case.light[part].sum() > 0] for kind, pixels in case.apertures.items()}
    return {
        kind: float(np.sqrt(np.mean([(rest[part].sum() / case.light[part].sum()) ** 2 for part in pixels])))
        for kind, pixels in seen.items()
        if pixels
    }


def lines_left(case: Case, rest: np.ndarray) -> tuple[float, float]:
    """Return the scatter of the means of lines over that of white noise: of all, and from one to the next."""
    number = case.good.sum(axis=1)
    used = number > number.max() / 2
    means = (np.where(case.good, rest, 0).sum(axis=1) / np.maximum(number, 1))[used]
    floor = case.noise / np.sqrt(number[used].mean())
    return float(np.std(means) / floor), float(np.std(np.diff(means)) / np.sqrt(2) / floor)


def depth_lost(case: Case, rest: np.ndarray, response: np.ndarray | None = None) -> float:
    """Return the magnitudes by which small squares between sources scatter more than white noise makes them.

    Parameters
    ----------
    case : Case
    rest : array
        An exposure without its sources, as it was cleaned.
    response : array, optional
        What it is to be divided by; None: it has been.
    """
    if response is not None:
        rest = rest / np.where(response > 0, response, np.nan)
    size = max(1, round(DEPTH_SCALE / case.scene.preset.x_scale))
    for dark in (case.light < 1e-2 * case.noise, _dark(case)):
        good = case.good & np.isfinite(rest) & dark
        if not good.any():
            continue
        level = np.median(rest[good])
        good &= np.abs(rest - level) < 5 * case.noise
        means, numbers = means_of_squares(np.where(good, rest - level, 0), good, size)
        used = numbers == size * size
        if np.count_nonzero(used) >= FEWEST_SQUARES:
            low, high = np.quantile(means[used], (0.15865, 0.84135))
            return float(2.5 * np.log10((high - low) / 2 * size / case.noise))
    return float("nan")


def means_of_squares(plane: np.ndarray, good: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of squares of an image, and of how many pixels they are."""
    edges = [np.arange(0, max(n - size + 1, 1), size) for n in plane.shape]
    sums, numbers = (
        np.add.reduceat(np.add.reduceat(values, edges[0], axis=0), edges[1], axis=1)
        for values in (plane.astype(float), good.astype(float))
    )
    return sums / np.maximum(numbers, 1), numbers


def background_left(case: Case, cleaned: np.ndarray) -> list[float]:
    """Return the rms of means of squares, by their size, over the noise of a pixel."""
    rest = np.where(case.good, cleaned - case.light, 0)
    results = []
    for scale in SCALES:
        size = max(1, round(scale / case.scene.preset.x_scale))
        means, numbers = means_of_squares(rest, case.good, size)
        results.append(float(np.std(means[numbers > numbers.max() / 2]) / case.noise))
    return results


def mean_of(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the means of figures by name, of exposures that belong together."""
    return {name: float(np.mean([each[name] for each in values if name in each])) for each in values for name in each}
