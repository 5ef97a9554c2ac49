"""Run the configurations of docs/recipes on simulated exposures, and compare what they make with the truth.

Run by ``make recipes``; as a plain command ``.venv/bin/python benchmarks/recipes.py``. The tables are written into
docs/recipes.md. tests/workflow/test_recipes.py holds the recipes to limits, on the same exposures.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from astropy.io import fits
from run import ROOT, machine, versions_of_calflow
from scipy.ndimage import binary_dilation

sys.path.insert(0, str(ROOT / "scripts"))

from cleaning_truth import means_of_squares
from truth import compare_with_truth, read_wcs

from calflow.science.dq_flags import FLAGS
from calflow.simulation import INSTRUMENTS, Artefacts, Scene, Truth, simulate
from calflow.simulation.associations import product_name
from calflow.simulation.detector import make_detector
from calflow.simulation.exposure import Exposure
from calflow.simulation.exposures import wisp_of
from calflow.simulation.observation import sky_noise
from calflow.simulation.photometry import conversion_at
from calflow.simulation.rendering import render_sources

PAGE = ROOT / "docs" / "recipes.md"
FOLDER = ROOT / "docs" / "recipes"
SEED = 11
# What a recipe changes besides its extra steps, and is compared without.
DEFAULTS = {"stage3": ("outlier_detection", "skymatch", "source_catalog")}
# What a user changes in a recipe: where exposures and reference files are.
PATHS = ("input=data/rate", "references={source: directory, directory: data/references}")
SHARED: dict[str, Any] = {
    "pointing_error": 0.05,
    "cosmic_rays": 2e-3,
    "drizzled_apcorr": True,
    "save_signal": True,
    "seed": SEED,
}
SCENES: dict[str, Scene] = {
    "deep_field": Scene(
        replace(INSTRUMENTS["nircam_f200w"], detector="NRCB4", aperture="NRCB4_FULL", others=()),
        detector_shape=(640, 640),
        exposures=5,
        dither_step=0.8,
        stars=60,
        galaxies=20,
        star_snr=(15.0, 6000.0),
        artefacts=Artefacts(flicker=0.3, pedestal=0.05, gradient=0.02, wisp=1.0, persistence=0.01),
        **SHARED,
    ),
    "miri_sky_flat": Scene(
        replace(INSTRUMENTS["miri_f1130w"], filter="F770W", fwhm=2.4, sky_gradient=0.0),
        detector_shape=(320, 320),
        exposures=7,
        dither_step=1.6,
        stars=50,
        galaxies=10,
        artefacts=Artefacts(gradient=0.05, flat_error=0.01, warm=0.002),
        **SHARED,
    ),
    "nebula": Scene(
        "nircam_f200w",
        detector_shape=(512, 512),
        exposures=4,
        dither_step=0.8,
        stars=60,
        galaxies=0,
        sky_scatter=0.1,
        artefacts=Artefacts(flicker=0.3, nebula=3.0),
        **SHARED,
    ),
}
# What persistence leaves is looked for where it is more than this, over the noise of a sky pixel.
VISIBLE = 3.0
SQUARE, DEPTH_SQUARE = 1.0, 0.3  # arcsec
APERTURE = 1.5  # half-light radii
BINS = (0.5, 1.5, 3.0, np.inf)  # of the nebula's brightness, over the noise of a sky pixel


def _number(value: float) -> str:
    return f"{value:.2f}"


def _part_in_percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _excess(value: float) -> str:
    return f"{100 * (value - 1):+.1f} %"


# The rows of the tables: figures by their keys, with their titles and how they are written.
ROWS: dict[str, tuple[str, Callable[[float], str]]] = {
    "lines": ("means of lines: scatter over that of white noise", _number),
    "neighbours": ("the same from one line to the next", _number),
    "pixels": ("pixels between sources: the same", _number),
    "background": ("means of squares of 1 arcsec between sources: the same", _number),
    "depth": ("5 sigma in squares of 0.3 arcsec of the image (AB mag)", _number),
    "stars": ("stars of the catalogue: measured over true flux, median", _excess),
    "scatter": ("its scatter", _part_in_percent),
    "complete": ("stars above 50 sigma that are found", _part_in_percent),
    "galaxies": ("galaxies: measured over true light, all together", _excess),
    **{
        f"nebula {k}": (
            f"nebula, {low:g} to {high:g} sigma: light kept".replace("to inf", "and more"),
            _part_in_percent,
        )
        for k, (low, high) in enumerate(pairwise(BINS))
    },
    "sky": ("largest error of a sky level (sigma of a pixel)", _number),
    "aligned": ("exposures against each other (mas, rms)", _number),
    "rays": ("cosmic rays above 8 sigma found where three and more exposures look", _part_in_percent),
    "edge rays": ("the same where one or two look", _part_in_percent),
    "persistence": ("pixels with more than 3 sigma of persistence that are flagged", _part_in_percent),
    "false persistence": ("pixels flagged for persistence that have none", _part_in_percent),
    "warm": ("warm pixels flagged", _part_in_percent),
    "false warm": ("other pixels flagged as bad", _part_in_percent),
}


def simulate_data(recipe: str, folder: Path, seed: int = SEED) -> Truth:
    """Write the exposures of a recipe, their reference files and what else it names, into an empty folder.

    Parameters
    ----------
    recipe : str
        Its name, that of the file.
    folder : Path
        The working folder of the run.
    seed : int
        Of the random numbers.
    """
    truth = simulate(folder / "data", replace(SCENES[recipe], seed=seed))
    truth.association.unlink()  # a user has exposures alone
    if recipe == "deep_field":
        scene = truth.scene
        sources = truth.sources
        sources[sources["type"] == "star"]["ra", "dec"].write(folder / "astrometry.ecsv")
        (folder / "wisps").mkdir()
        template = fits.ImageHDU(wisp_of(scene, make_detector(scene)), name="CAL")
        fits.HDUList([fits.PrimaryHDU(), template]).writeto(folder / "wisps" / "WISP_NRCB4_F200W_CLEAR.fits")
    return truth


@dataclass(frozen=True)
class Rest:
    """What an exposure has besides the light of true sources, all of shape (ny, nx).

    Attributes
    ----------
    rest : float array
        Its median taken off, in units of the noise of a sky pixel of that exposure.
    light : float array
        That of the sources, in that unit.
    noise : float array
        What white noise alone leaves in a pixel, in that unit.
    good : bool array
        Pixels that can be used.
    flags : uint32 array
        DQ.
    exposure : Exposure
    unit : float
        That noise, MJy/sr.
    """

    rest: np.ndarray
    light: np.ndarray
    noise: np.ndarray
    good: np.ndarray
    flags: np.ndarray
    exposure: Exposure
    unit: float


def rest_of(truth: Truth, exposure: Exposure, product: Path, response: np.ndarray) -> Rest:
    """Take the true sources off a product of an exposure.

    Parameters
    ----------
    truth : Truth
    exposure : Exposure
    product : Path
        Its `_crf`, or another calibrated product.
    response : array, shape (ny, nx)
        Of the detector, the true one.
    """
    with fits.open(product) as hdus:
        sci, flags = hdus["SCI"].data.astype(float), hdus["DQ"].data
    error = fits.getdata(truth.directory / "rate" / exposure.filename, "ERR")
    conversion = conversion_at(truth.scene.preset, exposure.times.middle_mjd)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = error * conversion / response
    light = render_sources(truth.sources, exposure.geometry)
    good = ((flags & FLAGS["DO_NOT_USE"]) == 0) & np.isfinite(sci) & np.isfinite(noise)
    empty = good & (light < 0.01 * sky_noise(truth.scene))
    unit = float(np.median(noise[empty]))
    rest = sci - light
    rest -= np.median(rest[empty])
    return Rest(np.where(good, rest / unit, 0), light / unit, noise / unit, good, flags, exposure, unit)


def lines_left(rest: Rest) -> float:
    """Return the scatter of the means of lines between sources over that of white noise."""
    good = rest.good & (rest.light < 0.1)
    number = good.sum(axis=1)
    used = number > number.max() / 2
    means = np.where(good, rest.rest, 0).sum(axis=1)[used] / number[used]
    floor = np.sqrt(np.where(good, rest.noise**2, 0).sum(axis=1)[used]) / number[used]
    return float(np.std(means) / np.sqrt(np.mean(floor**2)))


def neighbours_left(rest: Rest) -> float:
    """Return the scatter of the means of lines from one to the next over that of white noise."""
    good = rest.good & (rest.light < 0.1)
    number = good.sum(axis=1)
    used = np.minimum(number[1:], number[:-1]) > number.max() / 4
    means = np.where(good, rest.rest, 0).sum(axis=1) / np.maximum(number, 1)
    floor = np.where(good, rest.noise**2, 0).sum(axis=1) / np.maximum(number, 1) ** 2
    return float(np.std(np.diff(means)[used]) / np.sqrt(np.mean((floor[1:] + floor[:-1])[used])))


def background_left(rest: Rest, arcsec: float = SQUARE) -> float:
    """Return the scatter of the means of squares between sources over that of white noise."""
    good = rest.good & (rest.light < 0.1)
    size = max(1, round(arcsec / rest.exposure.instrument.x_scale))
    means, numbers = means_of_squares(np.where(good, rest.rest, 0), good, size)
    variance, _ = means_of_squares(np.where(good, rest.noise**2, 0), good, size)
    used = numbers > size * size / 2
    return float(np.std(means[used]) / np.sqrt(np.mean(variance[used] / numbers[used])))


def pixels_left(rest: Rest) -> float:
    """Return the scatter of pixels between sources, of the inner 68 %, over that of white noise."""
    good = rest.good & (rest.light < 0.1)
    low, high = np.quantile(rest.rest[good], (0.15865, 0.84135))
    return float((high - low) / 2 / np.median(rest.noise[good]))


def light_kept(truth: Truth, rests: Sequence[Rest], kind: str) -> float:
    """Return measured over true light of the galaxies, within 1.5 half-light radii, in all exposures together."""
    excess = light = 0.0
    sources = truth.sources[truth.sources["type"] == kind]
    for rest in rests:
        instrument, (ny, nx) = rest.exposure.instrument, rest.rest.shape
        inside = np.zeros((ny, nx), bool)
        places = rest.exposure.geometry.to_pixel(sources["ra"].data, sources["dec"].data)
        for x, y, radius in zip(*places, sources["radius"], strict=True):
            rows, columns = np.ogrid[:ny, :nx]
            inside |= (rows - y) ** 2 + (columns - x) ** 2 < (APERTURE * radius / instrument.x_scale) ** 2
        inside &= rest.good
        excess += rest.rest[inside].sum()
        light += rest.light[inside].sum()
    return 1 + excess / light


def nebula_kept(truth: Truth, rests: Sequence[Rest]) -> list[float]:
    """Return which part of the light of the nebula is not taken off, by its brightness, in all exposures together.

    What a step takes off is compared with what it takes off where there is no light, so that the 1/f noise itself does
    not count.
    """
    taken, light = np.zeros(len(BINS) - 1), np.zeros(len(BINS) - 1)
    clumps = truth.sources[truth.sources["type"] == "nebula"]
    flat = fits.getdata(truth.references["flat"], "SCI")
    for rest in rests:
        rate = fits.getdata(truth.directory / "rate" / rest.exposure.filename, "SCI")
        conversion = conversion_at(truth.scene.preset, rest.exposure.times.middle_mjd)
        change = rate / np.where(flat > 0, flat, np.nan) * conversion / rest.unit - rest.rest - rest.light
        nebula = render_sources(clumps, rest.exposure.geometry) / rest.unit
        clean = rest.good & (rest.light - nebula < 0.05) & np.isfinite(change)
        change -= np.mean(change[clean & (nebula < 0.1)])
        for k, (low, high) in enumerate(pairwise(BINS)):
            chosen = clean & (nebula >= low) & (nebula < high)
            taken[k] += change[chosen].sum()
            light[k] += nebula[chosen].sum()
    return list(1 - taken / light)


def depth(truth: Truth, image: Path) -> float:
    """Return the AB magnitude of 5 sigma in squares of 0.3 arcsec between sources of a combined image."""
    with fits.open(image) as hdus:
        sci, header = hdus["SCI"].data.astype(float), hdus["SCI"].header
    size = max(1, round(DEPTH_SQUARE / np.sqrt(header["PIXAR_A2"])))
    good = np.isfinite(sci) & ~near_sources(truth, image, sci.shape)
    means, numbers = means_of_squares(np.where(good, sci, 0), good, size)
    low, high = np.quantile(means[numbers == size * size], (0.15865, 0.84135))
    return float(8.9 - 2.5 * np.log10(5 * (high - low) / 2 * size**2 * header["PIXAR_SR"] * 1e6))


def near_sources(truth: Truth, image: Path, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels of a combined image that are near a true source."""
    preset, sources = truth.scene.preset, truth.sources
    with fits.open(image) as hdus:
        scale = np.sqrt(hdus["SCI"].header["PIXAR_A2"])
    near = np.zeros(shape, bool)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    places = read_wcs(image).invert(sources["ra"].data, sources["dec"].data, with_bounding_box=False)
    for x, y, radius in zip(*places, sources["radius"], strict=True):
        reach = (5 * preset.fwhm * preset.x_scale + 4 * radius) / scale
        near |= (rows - y) ** 2 + (columns - x) ** 2 < reach**2
    return near


def measure(truth: Truth, results: Path) -> dict[str, float]:
    """Compare the products of a run with the truth; figures by the keys of `ROWS`.

    Parameters
    ----------
    truth : Truth
    results : Path
        The folder of the products.
    """
    found = compare_with_truth(truth, results / "stage2", results / "stage3")
    response = make_detector(truth.scene).response
    crfs = [next((results / "stage3").glob(f"{exposure.name}*_crf.fits")) for exposure in truth.exposures]
    rests = [rest_of(truth, *pair, response) for pair in zip(truth.exposures, crfs, strict=True)]
    image = results / "stage3" / f"{product_name(truth.scene)}_i2d.fits"
    figures = {
        "lines": float(np.mean([lines_left(rest) for rest in rests])),
        "neighbours": float(np.mean([neighbours_left(rest) for rest in rests])),
        "background": float(np.mean([background_left(rest) for rest in rests])),
        "pixels": float(np.mean([pixels_left(rest) for rest in rests])),
        "stars": float(np.median(found.flux_ratios)),
        "scatter": float(np.std(found.flux_ratios)),
        "complete": found.stars_found / found.stars,
        "pure": found.entries_real / found.entries,
        "positions": float(np.median(found.distances)),
        "aligned": float(np.sqrt(np.mean(found.after**2))),
        "rays": found.bright_rays_found / found.bright_rays,
        "edge rays": found.edge_bright_rays_found / max(found.edge_bright_rays, 1),
        "false rays": (found.good_flagged + found.edge_good_flagged) / (found.good + found.edge_good),
    }
    if truth.scene.artefacts.nebula:
        figures |= {f"nebula {k}": value for k, value in enumerate(nebula_kept(truth, rests))}
        figures["sky"] = float(np.max(np.abs(found.sky)))
    else:
        figures |= {"galaxies": light_kept(truth, rests, "galaxy"), "depth": depth(truth, image)}
    return figures | flag_figures(truth, rests)


def flag_figures(truth: Truth, rests: Sequence[Rest]) -> dict[str, float]:
    """Return which part of what was added was not flagged, and which part of what was not was."""
    scene, figures = truth.scene, {}
    detector = make_detector(scene)
    lit = detector.dq == 0
    if scene.artefacts.persistence:
        flagged = [((rest.flags & FLAGS["PERSISTENCE"]) != 0) & lit for rest in rests]
        left = [_part_of_signal(truth, rest.exposure, "PERSISTENCE") for rest in rests]
        limit = VISIBLE * sky_noise(scene) / scene.preset.photmjsr
        beside = [binary_dilation(signal > 0, iterations=2) for signal in left]
        figures["persistence"] = _part(flagged, [(signal > limit) & lit for signal in left])
        figures["false persistence"] = _part(flagged, [~pixels for pixels in beside])
    if scene.artefacts.warm:
        kinds = np.uint32(sum(FLAGS[name] for name in ("HOT", "WARM", "OPEN", "ADJ_OPEN", "LOW_QE")))
        flagged = [((rest.flags & kinds) != 0) & ((rest.flags & FLAGS["DO_NOT_USE"]) != 0) & lit for rest in rests]
        warm = (detector.unflagged & FLAGS["WARM"]) != 0
        figures["warm"] = _part(flagged, [warm & lit] * len(rests))
        figures["false warm"] = _part(flagged, [lit & ~warm] * len(rests))
    return figures


def _part_of_signal(truth: Truth, exposure: Exposure, name: str) -> np.ndarray:
    """Return what an artefact has added to an exposure, DN/s; 0 if nothing."""
    with fits.open(truth.directory / "truth" / f"{exposure.name}_signal.fits") as hdus:
        return np.array(hdus[name].data) if name in hdus else np.zeros_like(hdus["RATE"].data)


def _part(chosen: Sequence[np.ndarray], those: Sequence[np.ndarray]) -> float:
    """Return which part of pixels is chosen, in all exposures together."""
    return sum((a & b).sum() for a, b in zip(chosen, those, strict=True)) / max(sum(b.sum() for b in those), 1)


def command(recipe: str, configuration: Path | None = None, options: Sequence[str] = ()) -> list[str]:
    """Return the arguments of Snakemake that run a recipe, with the paths of the simulated exposures.

    Parameters
    ----------
    recipe : str
    configuration : Path, optional
        In place of the recipe's own file.
    options : sequence of str
        Of Snakemake.
    """
    file = configuration or FOLDER / f"{recipe}.yaml"
    start = ["--snakefile", str(ROOT / "Snakefile"), "--cores", "2", *options]
    return [*start, "--configfile", str(file), "--config", *PATHS]


def without(recipe: str, folder: Path) -> Path:
    """Write what a recipe is compared with: the same with the defaults of what it cleans, matches and searches.

    Parameters
    ----------
    recipe : str
    folder : Path
        The working folder of the run, which gets the products in `without`.
    """
    configuration = yaml.safe_load((FOLDER / f"{recipe}.yaml").read_text())
    for section, keys in DEFAULTS.items():
        for key in keys:
            configuration.get(section, {}).pop(key, None)
    configuration |= {"extra_steps": {}, "output": "without", "page": False}
    path = folder / "without.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return path


def run(recipe: str, seed: int) -> dict[str, dict[str, float]]:
    """Simulate the exposures of a recipe with a seed, reduce them without and with it; the figures of both."""
    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        truth = simulate_data(recipe, folder, seed)
        for name, configuration in (("without", without(recipe, folder)), ("results", None)):
            done = subprocess.run(
                [sys.executable, "-m", "snakemake", *command(recipe, configuration)],
                cwd=folder,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                sys.exit(f"{recipe}, {name}: failed\n{done.stdout}{done.stderr}")
            figures[name] = measure(truth, folder / name)
            print(recipe, seed, name, figures[name], flush=True)
    return figures


def table(runs: Sequence[Mapping[str, Mapping[str, float]]]) -> str:
    """Return the figures of a recipe, of all seeds together, in Markdown."""
    lines = ["| | without | with the recipe |", "|---|---:|---:|"]
    for key, (title, form) in ROWS.items():
        if key in runs[0]["results"]:
            cells = [form(float(np.mean([figures[name][key] for figures in runs]))) for name in ("without", "results")]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_page(tables: Mapping[str, str], footer: str) -> None:
    """Put tables, and what they were made with, between the marks of the page."""
    text = PAGE.read_text()
    for name, content in {**tables, "made": footer}.items():
        marks = f"<!-- {name}: benchmarks/recipes.py -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(marks[0])}.*?{re.escape(marks[1])}", re.DOTALL)
        if not pattern.search(text):
            sys.exit(f"{PAGE}: no lines {marks[0]} and {marks[1]}")
        whole = f"{marks[0]}\n{content}\n{marks[1]}"
        text = pattern.sub(whole.replace("\\", r"\\"), text)
    PAGE.write_text(text)


def main() -> None:
    """Read the command line, run the recipes, write their tables into the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipe", action="append", choices=list(SCENES), help="only this one; may be repeated")
    parser.add_argument("--seeds", type=int, default=2, help="realisations of each (default %(default)s)")
    parser.add_argument("--date", help="to be written below the tables")
    given = parser.parse_args()
    seeds = range(SEED, SEED + given.seeds)
    tables = {name: table([run(name, seed) for seed in seeds]) for name in given.recipe or SCENES}
    date = f"; {given.date}" if given.date else ""
    footer = f"*{versions_of_calflow()}; {machine()}; seeds {seeds[0]} to {seeds[-1]}{date}.*"
    write_page(tables, footer)
    for text in tables.values():
        print(text)


if __name__ == "__main__":
    main()
