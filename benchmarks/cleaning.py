"""Compare the cleaning steps of calflow, and that of jwst, with the truth of simulated exposures.

Run by ``make cleaning``; as a plain command ``.venv/bin/python benchmarks/cleaning.py``. The tables are written into
benchmarks/cleaning.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from run import HERE, ROOT, machine, versions

sys.path.insert(0, str(ROOT / "scripts"))
if TYPE_CHECKING:
    from astropy.table import Table

    from calflow.science.image import Image
    from calflow.simulation import Scene
    from calflow.simulation.exposure import Exposure

SHORT = {"instrument": "nircam_f200w", "stars": 60, "galaxies": 0, "exposures": 1}
SCENES: dict[str, dict[str, Any]] = {
    "NIRCam F200W": {**SHORT, "artefacts": {"flicker": 0.3}},
    "the same, amplifiers differ": {**SHORT, "artefacts": {"flicker": 0.2, "channel_flicker": 0.2}},
    "the same, a nebula of 3 sigma": {**SHORT, "artefacts": {"flicker": 0.3, "nebula": 3.0}},
    "the same, no stripes": {**SHORT, "artefacts": {"flicker": 0.0}},
    "NIRISS F200W": {**SHORT, "instrument": "niriss_f200w", "artefacts": {"flicker": 0.3}},
    "MIRI F1130W, with glow": {**SHORT, "instrument": "miri_f1130w", "artefacts": {"flicker": 0.3}},
}
BACKGROUNDS: dict[str, dict[str, Any]] = {
    "NIRCam F200W, gradient of 30 %": {**SHORT, "artefacts": {"gradient": 0.3}},
    "the same, a nebula of 3 sigma": {**SHORT, "artefacts": {"gradient": 0.3, "nebula": 3.0}},
    "MIRI F1130W, with glow": {**SHORT, "instrument": "miri_f1130w"},
}
# What calflow does besides its defaults.
CHOICES: dict[str, dict[str, Any]] = {
    "calflow": {},
    "calflow, without the flat": {"flat": False},
    "calflow, fit_by_channel": {"fit_by_channel": True},
    "calflow, fit_method: median": {"fit_method": "median", "flat": False},
}
# Half-light diameters of galaxies, arcsec; and their mean brightness within, in sigma of a sky pixel.
DIAMETERS = (1.0, 3.0, 10.0)
BRIGHTNESSES = {"faint": 0.5, "bright": 5.0}
# Scales of the background, arcsec
SCALES = (1.0, 5.0, 20.0)
DEPTH_SCALE = 0.3
# Fluxes are those within so many half-light radii; of stars, within so many FWHM.
APERTURE, STAR_APERTURE = 1.5, 2.0
TEXT = """# Cleaning against the truth

Made by `make cleaning`. Exposures of full size whose truth is known, {seeds} realisations of each scene: 60 stars, and
galaxies (Sersic index 1) with half-light diameters of 1, 3 and 10 arcsec, faint (within, a mean of 0.5 sigma of a sky
pixel) and bright (5 sigma). jwst's step goes with its defaults.

## clean_flicker_noise

The stripes are 1/f noise of 0.3 sigma in the order of reading.

- Lines: standard deviation of what is left in the means of lines over what white noise leaves in them, sigma /
  sqrt(pixels): all, and from one line to the next. 1 is the least that can be.
- Light lost: what is taken off within 1.5 half-light radii (stars: 2 FWHM) with the sources in the image less what is
  taken off without them, noise being the same, over the flux there; in per cent, with the standard error of {seeds}
  realisations. Levels come from other pixels with the sources than without, and their noise is counted, too; so is all
  of what the step takes off only one of the two. Flux error: the rms of what is left in the apertures of the galaxies,
  over their fluxes.
- Depth: magnitudes that are lost to what white noise alone would leave in squares of 0.3 arcsec, between sources.
- CPU: of the step alone.

"""
TEXT_OF_BACKGROUNDS = """
## subtract_background_2d

- Background: rms of the means of squares of 1, 5 and 20 arcsec, the true sources taken off, over the noise of a pixel.
- Depth, light lost: as above. jwst has no such step.

"""


@dataclass(frozen=True)
class Figures:
    """What a program left of the stripes, or of the background, of one exposure, and of the light of sources.

    Attributes
    ----------
    left : tuple of float
        Lines, all and from one to the next, over white noise; or the background by scale.
    lost : dict of str to float
        Part of the light of each class of sources that is taken off.
    depth : float
        Magnitudes lost to white noise in squares of 0.3 arcsec.
    error : float
        Rms of what is left in apertures of galaxies, over their fluxes.
    seconds : float
        CPU time.
    """

    left: tuple[float, ...]
    lost: dict[str, float]
    depth: float
    error: float
    seconds: float


@dataclass(frozen=True)
class Case:
    """An exposure with and without its sources, the noise being the same."""

    scene: Scene
    exposure: Exposure
    full: Image
    empty: Image
    light: np.ndarray
    readout: np.ndarray
    response: np.ndarray
    apertures: dict[str, list[tuple[np.ndarray, ...]]]

    @property
    def noise(self) -> float:
        """That of a sky pixel."""
        return float(np.nanmedian(self.empty.err[self.good]))

    @property
    def good(self) -> np.ndarray:
        """Pixels that can be used."""
        return np.isfinite(self.full.sci) & np.isfinite(self.empty.sci) & ((self.full.dq & 1) == 0)


def scene_of(options: Mapping[str, Any], seed: int) -> Scene:
    """Return a scene of `SCENES` or `BACKGROUNDS`."""
    from calflow.simulation import Artefacts, Scene

    return Scene(**{**options, "artefacts": Artefacts(**options.get("artefacts", {}))}, seed=seed, cosmic_rays=0.0)


def simulate_case(scene: Scene) -> Case:
    """Simulate an exposure with its sources and without."""
    from calflow.simulation.detector import make_detector
    from calflow.simulation.exposures import expose
    from calflow.simulation.observation import plan_exposures, sky_noise
    from calflow.simulation.rendering import peak_fraction
    from calflow.simulation.scene import make_sources

    (exposure,) = plan_exposures(scene)
    sources = with_galaxies(make_sources(scene, sky_noise(scene), peak_fraction(scene.preset)), scene, exposure)
    detector = make_detector(scene)
    full, signal = expose(exposure, scene, detector, sources)
    empty, nothing = expose(exposure, scene, detector, sources[:0])
    light = signal.rate - nothing.rate
    readout = np.zeros_like(light) if signal.readout is None else signal.readout
    found = dict(apertures(sources, exposure, light))
    return Case(scene, exposure, full, empty, light, readout, detector.response, found)


def flat_fielded(case: Case) -> Case:
    """Divide an exposure by the response, as stage 2 does."""
    response = np.where(case.response > 0, case.response, np.float32(np.nan))
    full, empty = (
        replace(image, sci=image.sci / response, err=image.err / response) for image in (case.full, case.empty)
    )
    return replace(case, full=full, empty=empty, light=np.nan_to_num(case.light / response))


def with_galaxies(sources: Table, scene: Scene, exposure: Exposure) -> Table:
    """Return the sources with galaxies of each size and brightness, on a grid."""
    from astropy.table import Table, vstack

    from calflow.simulation.observation import sky_noise

    preset, window = scene.preset, exposure.geometry.window
    random = np.random.default_rng([scene.seed, 77])
    kinds = [(name, size) for name in BRIGHTNESSES for size in DIAMETERS]
    x = (np.tile([0.18, 0.5, 0.82], 2) + random.uniform(-0.04, 0.04, 6)) * window.nx
    y = (np.repeat([0.25, 0.75], 3) + random.uniform(-0.04, 0.04, 6)) * window.ny
    ra, dec = exposure.geometry.to_sky(x, y)
    radius = np.array([size / 2 for _, size in kinds])
    # Half of the light is within the radius.
    mean = np.array([BRIGHTNESSES[name] for name, _ in kinds]) * sky_noise(scene) * 1e6
    flux = 2 * np.pi * radius**2 * mean * preset.pixel_area_sr / preset.pixel_area_arcsec2
    galaxies = {"type": [f"{size:g} arcsec, {name}" for name, size in kinds], "ra": ra, "dec": dec, "flux": flux}
    shape = {"radius": radius, "axis_ratio": np.ones(6), "position_angle": np.zeros(6), "sersic_index": np.ones(6)}
    return vstack([sources, Table(galaxies | shape)])


def apertures(
    sources: Table, exposure: Exposure, light: np.ndarray
) -> Iterator[tuple[str, list[tuple[np.ndarray, ...]]]]:
    """Yield the kinds of sources with the pixels of each, as rows and columns."""
    preset = exposure.geometry.optics.instrument
    for kind in dict.fromkeys(sources["type"]):
        chosen = sources[sources["type"] == kind]
        if kind == "nebula":
            ny = light.shape[0] // 2
            rows, columns = np.nonzero(light[:ny] > np.median(light[:ny]) / 2)
            yield str(kind), [(rows, columns)]
            continue
        pixels = []
        for x, y, radius in zip(
            *exposure.geometry.to_pixel(chosen["ra"].data, chosen["dec"].data), chosen["radius"], strict=True
        ):
            reach = STAR_APERTURE * preset.fwhm if kind == "star" else APERTURE * radius / preset.x_scale
            rows, columns = np.ogrid[: light.shape[0], : light.shape[1]]
            pixels.append(np.nonzero((rows - y) ** 2 + (columns - x) ** 2 < reach**2))
        yield str(kind), pixels


def lost_light(case: Case, full: np.ndarray, empty: np.ndarray) -> dict[str, float]:
    """Return which part of the light of each kind of sources is taken off, from the cleaned planes."""
    change = np.where(case.good, (full - case.full.sci) - (empty - case.empty.sci), 0)
    change -= np.median(change[case.good & (case.light < 1e-3 * case.noise)]) * case.good
    lost = {}
    for kind, pixels in case.apertures.items():
        taken = [-change[part].sum() for part in pixels]
        light = [np.where(case.good, case.light, 0)[part].sum() for part in pixels]
        lost[kind] = float(sum(taken) / max(sum(light), 1e-30))
    return lost


def flux_error(case: Case, rest: np.ndarray) -> float:
    """Return the rms of what is left in the apertures of galaxies, over their fluxes."""
    rest = np.where(case.good, rest - np.median(rest[case.good]), 0)
    parts = [part for kind, pixels in case.apertures.items() if "arcsec" in kind for part in pixels]
    return float(np.sqrt(np.mean([(rest[part].sum() / case.light[part].sum()) ** 2 for part in parts])))


def lines_left(case: Case, rest: np.ndarray) -> tuple[float, float]:
    """Return the scatter of the means of lines over that of white noise: of all, and from one to the next."""
    good = case.good & ((case.full.dq & 1) == 0)
    number = good.sum(axis=1)
    used = number > number.max() / 2
    means = (np.where(good, rest, 0).sum(axis=1) / np.maximum(number, 1))[used]
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
    good = case.good & np.isfinite(rest) & (case.light < 1e-2 * case.noise)
    level = np.median(rest[good])
    good &= np.abs(rest - level) < 5 * case.noise
    size = max(1, round(DEPTH_SCALE / case.scene.preset.x_scale))
    means, numbers = means_of_squares(np.where(good, rest - level, 0), good, size)
    used = numbers == size * size
    low, high = np.quantile(means[used], (0.15865, 0.84135))
    return float(2.5 * np.log10((high - low) / 2 * size / case.noise))


def means_of_squares(plane: np.ndarray, good: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of squares of an image, and of how many pixels they are."""
    edges = [np.arange(0, max(n - size + 1, 1), size) for n in plane.shape]
    sums, numbers = (
        np.add.reduceat(np.add.reduceat(values, edges[0], axis=0), edges[1], axis=1)
        for values in (plane.astype(float), good.astype(float))
    )
    return sums / np.maximum(numbers, 1), numbers


def background_left(case: Case, cleaned: np.ndarray) -> tuple[float, ...]:
    """Return the rms of means of squares, by their size, over the noise of a pixel."""
    preset = case.scene.preset
    rest = np.where(case.good, cleaned - case.light, 0)
    results = []
    for scale in SCALES:
        size = max(1, round(scale / preset.x_scale))
        means, numbers = means_of_squares(rest, case.good, size)
        means = means[numbers > numbers.max() / 2]
        results.append(float(np.std(means) / case.noise))
    return tuple(results)


def clean(
    image: Image,
    exposure: Exposure,
    parameters: Mapping[str, Any],
    flat: np.ndarray | None,
    sources: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Take the stripes off with calflow; the new science plane, and the CPU time."""
    from calflow.science.cleaning.clean_flicker_noise import clean_flicker_noise
    from calflow.science.cleaning.clean_flicker_noise_parameters import FlickerCleaning
    from calflow.science.cleaning.step import Facts

    facts = Facts(exposure.name, "rate", slow_axis=2, subarray="FULL")
    start = time.process_time()
    done = clean_flicker_noise(image, FlickerCleaning(**parameters), facts, flat=flat, sources=sources)
    seconds = time.process_time() - start
    return np.asarray(done.sci), seconds


def subtract(image: Image, exposure: Exposure) -> tuple[np.ndarray, float]:
    """Subtract the background with calflow; the new science plane, and the CPU time."""
    from calflow.science.cleaning.step import Facts
    from calflow.science.cleaning.subtract_background_2d import subtract_background_2d
    from calflow.science.cleaning.subtract_background_2d_parameters import BackgroundRemoval

    def sky(x, y):
        return np.stack(exposure.geometry.to_sky(x, y), axis=-1)

    start = time.process_time()
    done = subtract_background_2d(image, BackgroundRemoval(), Facts(exposure.name, "cal", slow_axis=2, sky=sky))
    seconds = time.process_time() - start
    return np.asarray(done.sci), seconds


def clean_with_jwst(case: Case, python: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the planes that jwst makes of an exposure, with its sources and without, and the CPU time of one."""
    from astropy.io import fits

    from calflow.simulation.exposures import write_exposure

    (HERE / "data").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HERE / "data") as scratch:
        folder = Path(scratch)
        rates = {part: folder / f"{part}_rate.fits" for part in ("full", "empty")}
        for part, path in rates.items():
            write_exposure(path, case.exposure, case.scene, getattr(case, part))
        command = [python, str(HERE / "run_jwst_cleaning.py"), str(folder), *map(str, rates.values())]
        subprocess.run(command, check=True, capture_output=True)
        full, empty = (fits.getdata(folder / f"{path.stem}_cleaned.fits", "SCI") for path in rates.values())
        return full, empty, json.loads((folder / "seconds.json").read_text())["full_rate.fits"]


def compare(seeds: Sequence[int], python: str, only: Sequence[str]) -> tuple[dict[str, dict[str, list[Figures]]], ...]:
    """Return the figures of each program, by scene, of stripes and of backgrounds."""
    stripes: dict[str, dict[str, list[Figures]]] = {}
    backgrounds: dict[str, dict[str, list[Figures]]] = {}
    for seed in seeds:
        for name, options in SCENES.items():
            if not only or name in only:
                case = simulate_case(scene_of(options, seed))
                planes = {choice: cleaned(case, parameters) for choice, parameters in CHOICES.items()}
                planes = {
                    "before": (case.full.sci, case.empty.sci, 0.0),
                    **planes,
                    "jwst": clean_with_jwst(case, python),
                }
                for program, (full, empty, seconds) in planes.items():
                    rest = case.readout + full - case.full.sci
                    figures = Figures(
                        lines_left(case, rest),
                        lost_light(case, full, empty),
                        depth_lost(case, empty, case.response),
                        flux_error(case, rest),
                        seconds,
                    )
                    stripes.setdefault(name, {}).setdefault(program, []).append(figures)
                    print(name, seed, program, figures, flush=True)
        for name, options in BACKGROUNDS.items():
            if not only or name in only:
                case = flat_fielded(simulate_case(scene_of(options, seed)))
                full, seconds = subtract(case.full, case.exposure)
                empty, _ = subtract(case.empty, case.exposure)
                none, depth = dict.fromkeys(case.apertures, 0.0), depth_lost(case, case.empty.sci)
                before = Figures(background_left(case, case.full.sci), none, depth, 0.0, 0.0)
                # What is subtracted with the sources and without: the rest is the sky, which is to go.
                after = Figures(
                    background_left(case, full), lost_light(case, full, empty), depth_lost(case, empty), 0.0, seconds
                )
                for program, figures in (("before", before), ("calflow", after)):
                    backgrounds.setdefault(name, {}).setdefault(program, []).append(figures)
                    print(name, seed, program, figures, flush=True)
    return stripes, backgrounds


def cleaned(
    case: Case, choice: Mapping[str, Any], sources: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return an exposure with its sources and without, cleaned, and the CPU time of the first."""
    parameters = dict(choice)
    flat = case.response if parameters.pop("flat", True) else None
    full, seconds = clean(case.full, case.exposure, parameters, flat, sources)
    return full, clean(case.empty, case.exposure, parameters, flat, sources)[0], seconds


def table(results: Mapping[str, Mapping[str, list[Figures]]], titles: tuple[str, ...], errors: bool) -> list[str]:
    """Return the lines of a table."""
    kinds = list(dict.fromkeys(kind for by in results.values() for all_ in by.values() for kind in all_[0].lost))
    kinds.sort(key=lambda kind: (kind != "star", kind == "nebula"))
    heads = [*titles, "depth", *(f"lost: {kind}" for kind in kinds), *(["flux error"] if errors else []), "CPU (s)"]
    lines = [f"| scene | | {' | '.join(heads)} |", "|---|---|" + "---:|" * len(heads)]
    for name, programs in results.items():
        for i, (program, figures) in enumerate(programs.items()):
            cells = [f"{np.mean([each.left[k] for each in figures]):.2g}" for k in range(len(titles))]
            cells.append(f"{np.mean([each.depth for each in figures]):.2f}")
            cells += [_percent([each.lost[kind] for each in figures if kind in each.lost], i) for kind in kinds]
            cells += [f"{100 * np.sqrt(np.mean([each.error**2 for each in figures])):.2g} %"] if errors else []
            cells.append(f"{np.mean([each.seconds for each in figures]):.1f}" if i else "-")
            lines.append(f"| {'' if i else name} | {program} | {' | '.join(cells)} |")
    return lines


def _percent(values: list[float], cleaned: int) -> str:
    if not values or not cleaned:
        return "-"
    error = f" +- {100 * np.std(values, ddof=1) / np.sqrt(len(values)):.2f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.2f}{error}"


def report(results: tuple[dict, ...], seeds: Sequence[int], python: str, date: str | None) -> str:
    """Return the results as Markdown."""
    stripes, backgrounds = results
    lines = [TEXT.format(seeds=len(seeds)) + "\n".join(table(stripes, ("lines", "neighbours"), True))]
    heads = tuple(f"{scale:g} arcsec" for scale in SCALES)
    lines += [TEXT_OF_BACKGROUNDS + "\n".join(table(backgrounds, heads, False))]
    lines += ["", f"{versions(python)}; {machine()}; seeds {seeds[0]} to {seeds[-1]}{f'; {date}' if date else ''}.", ""]
    return "\n".join(lines)


def main() -> None:
    """Read the command line, compare, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=4, help="realisations of each scene (default %(default)s)")
    parser.add_argument(
        "--first", type=int, default=101, help="seed of the first, none that was looked at before (default %(default)s)"
    )
    parser.add_argument(
        "--scene", action="append", choices=sorted({*SCENES, *BACKGROUNDS}), help="only this one; may be repeated"
    )
    parser.add_argument("--date", help="to be written below the table")
    parser.add_argument("--output", type=Path, default=HERE / "cleaning.md", help="the table (default %(default)s)")
    given = parser.parse_args()
    python = os.environ.get("CALFLOW_JWST_PYTHON", str(ROOT / ".venv-jwst" / "bin" / "python"))
    if not Path(python).exists():
        sys.exit(f"no Python with jwst at {python}: `make cleaning` makes one, or set CALFLOW_JWST_PYTHON")
    seeds = range(given.first, given.first + given.seeds)
    text = report(compare(seeds, python, given.scene or ()), seeds, python, given.date)
    given.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
