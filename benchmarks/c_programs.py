"""Compare combination and catalogue with SWarp, source-extractor and sep: cost, and errors against the truth.

Run by ``make benchmark-c``; as a plain command ``.venv/bin/python benchmarks/c_programs.py``. Wants SWarp and
source-extractor (Debian: ``apt-get install swarp source-extractor``) and a Python with sep. The simulated exposures are
kept in benchmarks/data; the table is written into benchmarks/c_programs.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from run import HERE, ROOT, machine, measure, versions_of_calflow

sys.path.insert(0, str(ROOT / "scripts"))

import c_inputs
import c_truth

from calflow.simulation import Scene, simulate
from calflow.simulation.associations import product_name
from calflow.simulation.observation import plan_exposures

COMMON: dict[str, Any] = {
    "instrument": "nircam_f200w",
    "dither_step": 1.0,
    "sky_scatter": 0.0,
    "cosmic_rays": 5e-3,
    "drizzled_apcorr": True,
    "save_signal": True,
}
# The exposures of the second are those of four detectors.
SCENES: dict[int, dict[str, Any]] = {
    4: {**COMMON, "exposures": 4, "stars": 1500, "galaxies": 500},
    16: {**COMMON, "exposures": 4, "detectors": 4, "stars": 6000, "galaxies": 2000},
}
THREADS = (1, 2)
# Neither alignment nor sky levels: the exposures are simulated where their headers say, with one level.
ALONE = {"tweakreg": {"skip": True}, "skymatch": {"skip": True}}
FEWEST = {"enable_ctx": False, "enable_err": False, "report_var": False}
SWARP = {
    "COMBINE_TYPE": "WEIGHTED",
    "RESAMPLING_TYPE": "LANCZOS3",
    "WEIGHT_TYPE": "MAP_WEIGHT",
    "RESCALE_WEIGHTS": "N",
    "SUBTRACT_BACK": "N",
    "FSCALASTRO_TYPE": "NONE",  # surface brightness, as ours
    "MEM_MAX": "1024",
    "COMBINE_BUFSIZE": "1024",
    "WRITE_XML": "N",
    "VERBOSE_TYPE": "QUIET",
}
# What each catalogue is made with: values of calflow's defaults, and a smoothing of the same width.
FINDING: dict[str, Any] = {
    "threshold": 3.0,
    "area": 25,
    "levels": 32,
    "contrast": 0.001,
    "box": 1000,
    "diameters": [2.5, 4.0, 6.0],
}
SMOOTHING = 2.0  # FWHM, pixels
COLUMNS = (
    "NUMBER X_IMAGE Y_IMAGE XWIN_IMAGE YWIN_IMAGE ALPHA_J2000 DELTA_J2000 FLUX_AUTO FLUXERR_AUTO FLUX_ISO FLUXERR_ISO "
    "FLUX_APER(3) FLUXERR_APER(3) ISOAREA_IMAGE A_IMAGE B_IMAGE THETA_IMAGE XMIN_IMAGE XMAX_IMAGE YMIN_IMAGE "
    "YMAX_IMAGE FLAGS"
)
# Runs a command and says what the kernel knows of it. A small process: the peak of one that is forked begins with that
# of the one that forks it.
METER = """
import json, os, sys, time
start = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
numbers = [usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024]
json.dump(numbers + [usage.ru_oublock * 512 / 1e6], open(sys.argv[1], "w"))
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


HEAD = """\
# Combination and catalogue: calflow, SWarp, source-extractor and sep

Made by `make benchmark-c`: simulated NIRCam F200W exposures of 2048 x 2048 pixels, 0.5 % of them hit by cosmic rays;
four of one detector with 2,000 sources, and four of each of four detectors with 8,000. All programs get the same
calibrated exposures, placed where they are, and with one sky level, which is taken off for SWarp; so alignment and sky
levels cost nothing, and no program has an error of them. SWarp gets each with a TPV header that is fitted to its WCS,
and 1 / ERR^2 as weight, 0 where DQ has DO_NOT_USE. All images have calflow's grid, all catalogues are of one image.

Rows of calflow are all jobs that a run makes of the calibrated exposures: where pixels lie, `_crf`, the image; they are
forked from a process that has the libraries loaded. "Whole command" adds Snakemake and that process, with all imports.
CPU is user and system time; memory the largest of one process, of a whole command the largest sum; written what is
written to disk, also what is deleted afterwards. CPU, memory and bytes are with one thread. The ratios are of CPU
time, calflow / the other: below 1, calflow needs less. source-extractor and sep have one thread. Catalogues are made
with calflow's thresholds: 3 sigma, 25 pixels, a smoothing of 2 pixels, 32 levels and a contrast of 0.001.

Errors: fluxes within 7 pixels of stars above 50 sigma and within 12 of galaxies, against the same apertures on the
noiseless scene; positions are those of windowed centroids of stars. Noise is the scatter of the empty sky over what the
map of the noise tells, of pixels (below 1 where neighbours are correlated) and of sums over boxes of 16 x 16 pixels.
"Clean" is the plain mean without the pixels that a cosmic ray has hit. Rays left are the pixels of an image with a ray
above 3 sigma in the plain mean, that still have one: where three or more exposures look, with what is left of their
light, and at edges, where fewer do. Rejected are the pixels of star cores, and of empty sky, that no ray has hit and
that have lost 5 % or more of their weight. In catalogues, fluxes are against those of the whole source: for stars
`aper_total_flux` and FLUX_AUTO, for galaxies `isophotal_flux` and FLUX_AUTO.
"""


@dataclass(frozen=True)
class Taken:
    """
    What a program took.

    Attributes
    ----------
    cpu, wall : float
        Seconds.
    memory, written : float
        Largest resident memory of one process, and what was written, MB.
    """

    cpu: float
    wall: float
    memory: float
    written: float


Runs = dict[str, dict[int, list[Taken]]]  # by program and number of threads


def run_program(command: Sequence[str], folder: Path) -> Taken:
    """Run a program of others in a folder."""
    meter = folder / "taken.json"
    full = [sys.executable, "-I", "-S", "-c", METER, str(meter), *command]
    done = subprocess.run(full, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Taken(*json.loads(meter.read_text()))


class Calflow:
    """Runs of calflow of the same exposures, each from an empty folder.

    Parameters
    ----------
    data : Path
        Folder of the simulated exposures.
    scene : Scene
    """

    def __init__(self, data: Path, scene: Scene):
        self._data, self._name = data, product_name(scene)

    def calibrate(self, folder: Path) -> list[Path]:
        """Make the calibrated exposures."""
        self._run(folder, [], max(THREADS), "rate", {"stage2": {"resample": {"skip": True}}})
        return sorted((folder / "results" / "stage2").glob("*_cal.fits"))

    def combine(self, folder: Path, cal: Path, threads: int, steps: dict, last: str = "i2d.fits") -> tuple[Path, Taken]:
        """Combine calibrated exposures, up to a product; return its path, and what the whole command took."""
        product = folder / "results" / "stage3" / f"{self._name}_{last}"
        return product, self._run(folder, [product], threads, "stage3", {"input": str(cal), "stage3": ALONE | steps})

    def _run(self, folder: Path, targets: list[Path], threads: int, associations: str, config: dict) -> Taken:
        file = folder / "benchmark.json"
        folder.mkdir(parents=True)
        (asn,) = (self._data / associations).glob("*_asn.json")
        references = {"source": "directory", "directory": str(self._data / "references")}
        file.write_text(json.dumps({"associations": [str(asn)], "references": references} | config))
        command = [sys.executable, "-m", "snakemake", "--cores", str(threads), "--snakefile", str(ROOT / "Snakefile")]
        command += [str(target.relative_to(folder)) for target in targets]
        cost = measure([*command, "--configfile", file.name], folder)
        return Taken(cost.cpu, cost.wall, cost.memory, float("nan"))


def taken_by_jobs(folder: Path, is_wanted: Callable[[str], bool]) -> tuple[Taken, dict[str, float]]:
    """Return what jobs of a run took in all, as they say, and the CPU time of each rule."""
    jobs, rules = [], dict[str, float]()
    for path in (folder / "results" / "benchmarks").rglob("*.tsv"):
        rule = path.relative_to(folder / "results" / "benchmarks").parts[0]
        if is_wanted(rule):
            (row,) = csv.DictReader(path.read_text().splitlines(), delimiter="\t")
            values = {name: float(row[name]) for name in ("s", "cpu_time", "max_rss", "io_out")}
            jobs.append((path.stat().st_mtime, values))
            rules[rule] = rules.get(rule, 0.0) + values["cpu_time"]
    start, end = min(t - v["s"] for t, v in jobs), max(t for t, _ in jobs)
    memory, written = max(v["max_rss"] for _, v in jobs), sum(v["io_out"] for _, v in jobs) * 2**20 / 1e6
    return Taken(sum(rules.values()), end - start, memory, written), rules


class Field:
    """One scene with all that programs make of it, in a folder.

    Parameters
    ----------
    number : int
        Of exposures.
    folder : Path
    """

    def __init__(self, number: int, folder: Path):
        self.number, self.folder, self.scene = number, folder, Scene(**SCENES[number])
        self.data = HERE / "data" / f"c_programs_{number}"
        if not (self.data / "truth.json").exists():
            print(f"simulate {self.data.relative_to(ROOT)}", flush=True)
            simulate(self.data, self.scene)
        self.calflow = Calflow(self.data, self.scene)
        self.combined: Runs = {}
        self.rejected: Runs = {}
        self.catalogued: Runs = {}
        self.images: dict[str, Path] = {}
        self.catalogues: dict[str, Path] = {}
        self.rules: dict[str, dict[str, float]] = {}  # CPU time of calflow's jobs
        self._prepare()

    def _prepare(self) -> None:
        """Calibrate, lay the grid, and write what the other programs read, with and without cosmic rays."""
        cals = self.calflow.calibrate(self.folder / "calibrated")
        self.cal, self.cal_clean = cals[0].parent, self.folder / "clean"
        shutil.copytree(self.cal, self.cal_clean, copy_function=os.link)
        self.swarp, self.swarp_clean = self.folder / "swarp", self.folder / "swarp_clean"
        self.swarp.mkdir()
        self.swarp_clean.mkdir()
        self.wcs_error = 0.0
        by_name = {exposure.name: exposure for exposure in plan_exposures(self.scene)}
        for cal in cals:
            name = cal.name.removesuffix("_cal.fits")
            hit = c_truth.rays(self.scene, by_name[name], self.data)
            # SWarp allows values to differ by a part of themselves, so that the sky must be none.
            sky = by_name[name].sky
            error = c_inputs.write_exposure(cal, self.swarp / f"{name}.fits", sky)
            c_inputs.write_exposure(cal, self.swarp_clean / f"{name}.fits", sky, hit)
            self.wcs_error = max(self.wcs_error, error)
            copy = self.cal_clean / cal.name
            copy.unlink()
            shutil.copy(cal, copy)
            c_truth.mask_rays(copy, hit)
        steps = {"outlier_detection": {"skip": True}}
        clean, _ = self.calflow.combine(self.folder / "ours_clean", self.cal_clean, max(THREADS), steps)
        self.images["calflow clean"] = clean
        with fits.open(clean) as hdus:
            grid, shape = WCS(hdus["SCI"].header), hdus["SCI"].shape
        self.sky = c_truth.Sky(self.scene, Table.read(self.data / "truth.ecsv"), grid, shape)
        for method in ("BILINEAR", "LANCZOS3"):
            self._swarp(self.swarp_clean, f"SWarp {method} clean", 2, {"RESAMPLING_TYPE": method})

    def _swarp(self, inputs: Path, name: str, threads: int, options: dict[str, str]) -> Taken:
        """Run SWarp on exposures."""
        image = inputs / "out" / f"{name.replace(' ', '_')}.fits"
        image.parent.mkdir(exist_ok=True)
        c_inputs.write_grid(self.images["calflow clean"], image.with_suffix(".head"))
        exposures = [path.name for path in sorted(inputs.glob("jw*.fits")) if ".weight" not in path.name]
        given = SWARP | options | {"NTHREADS": str(threads), "IMAGEOUT_NAME": f"out/{image.name}"}
        given["WEIGHTOUT_NAME"] = f"out/{image.with_suffix('.weight.fits').name}"
        words = [word for key, value in given.items() for word in (f"-{key}", value)]
        self.images[name] = image
        return run_program(["SWarp", *exposures, *words], inputs)

    def measure(self, threads: int) -> None:
        """Run every program once, one after the other."""
        skip = {"outlier_detection": {"skip": True}}
        for name, options in (("SWarp BILINEAR", {"RESAMPLING_TYPE": "BILINEAR"}), ("SWarp LANCZOS3", {})):
            self._note(self.combined, name, threads, self._swarp(self.swarp, name, threads, options))
        for name, steps in (("science and weight", skip | {"resample": FEWEST}), ("all planes", skip)):
            self._combine(self.combined, f"calflow, {name}", threads, steps)
        # With no gain CLIPPED takes the noise of the sources for infinite, and clips nothing; the weights have it all.
        name, options = "SWarp CLIPPED LANCZOS3", {"COMBINE_TYPE": "CLIPPED", "GAIN_DEFAULT": "1e9"}
        self._note(self.rejected, name, threads, self._swarp(self.swarp, name, threads, options))
        self._combine(self.rejected, "calflow, outliers rejected", threads, {}, catalogued=True)
        if threads == 1:
            self._source_extractor(self.images["calflow, outliers rejected"])
            self._sep()

    def _combine(self, runs: Runs, name: str, threads: int, steps: dict, *, catalogued: bool = False) -> None:
        folder = self.folder / name.replace(" ", "_").replace(",", "")
        shutil.rmtree(folder, ignore_errors=True)
        last = "cat.ecsv" if catalogued else "i2d.fits"
        product, whole = self.calflow.combine(folder, self.cal, threads, steps, last)
        self.images[name] = product.with_name(product.name.replace(last, "i2d.fits"))
        jobs, self.rules[name] = taken_by_jobs(folder, lambda rule: rule != "catalog_sources")
        self._note(runs, name, threads, jobs)
        if catalogued:
            self.catalogues["calflow"] = product
            jobs, _ = taken_by_jobs(folder, lambda rule: rule == "catalog_sources")
            self._note(self.catalogued, "calflow", threads, jobs)
        self._note(runs, f"{name}, {'with catalogue, ' if catalogued else ''}whole command", threads, whole)

    def _note(self, runs: Runs, name: str, threads: int, taken: Taken) -> None:
        runs.setdefault(name, {}).setdefault(threads, []).append(taken)
        numbers = ", ".join(f"{field.name} {getattr(taken, field.name):.2f}" for field in fields(Taken))
        print(f"{self.number} exposures, {threads} threads: {name}: {numbers}", flush=True)

    def _source_extractor(self, i2d: Path) -> None:
        folder = self.folder / "catalogues"
        if not folder.exists():
            folder.mkdir()
            c_inputs.write_image(i2d, folder / "sci.fits", folder / "noise.fits")
            (folder / "columns.param").write_text(COLUMNS.replace(" ", "\n") + "\n")
            rows = "\n".join(" ".join(map(str, row)) for row in smoothing().tolist())
            (folder / "smoothing.conv").write_text(f"CONV NORM\n{rows}\n")
        options = {
            "CATALOG_NAME": "source_extractor.fits",
            "CATALOG_TYPE": "FITS_1.0",
            "PARAMETERS_NAME": "columns.param",
            "FILTER_NAME": "smoothing.conv",
            "DETECT_THRESH": FINDING["threshold"],
            "ANALYSIS_THRESH": FINDING["threshold"],
            "DETECT_MINAREA": FINDING["area"],
            "DEBLEND_NTHRESH": FINDING["levels"],
            "DEBLEND_MINCONT": FINDING["contrast"],
            "BACK_SIZE": FINDING["box"],
            "PHOT_APERTURES": ",".join(map(str, FINDING["diameters"])),
            "WEIGHT_TYPE": "MAP_RMS",
            "WEIGHT_IMAGE": "noise.fits",
            "RESCALE_WEIGHTS": "N",
            "SATUR_LEVEL": 1e9,
            "MEMORY_OBJSTACK": 60_000,
            "MEMORY_PIXSTACK": 10_000_000,
            "CHECKIMAGE_TYPE": "SEGMENTATION",
            "CHECKIMAGE_NAME": "segmentation.fits",
            "VERBOSE_TYPE": "QUIET",
        }
        words = [word for key, value in options.items() for word in (f"-{key}", str(value))]
        self.catalogues["source-extractor"] = folder / "source_extractor.fits"
        taken = run_program(["source-extractor", "sci.fits", *words], folder)
        self._note(self.catalogued, "source-extractor", 1, taken)

    def _sep(self) -> None:
        folder = self.folder / "catalogues"
        options = json.dumps(FINDING | {"kernel": smoothing().tolist(), "no_value": c_inputs.NO_NOISE / 10})
        files = ["sci.fits", "noise.fits", "sep.fits", "sep_segmentation.fits"]
        self.catalogues["sep"] = folder / "sep.fits"
        taken = run_program([python_with_sep(), str(HERE / "run_sep.py"), *files, options], folder)
        self._note(self.catalogued, "sep", 1, taken)


def smoothing() -> np.ndarray:
    """Return a Gaussian of `SMOOTHING`, shape (5, 5), whose sum is 1."""
    offsets = np.arange(-2, 3)
    squared = offsets[:, None] ** 2 + offsets**2
    kernel = np.exp(-squared / (2 * (SMOOTHING / c_truth.FWHM_PER_SIGMA) ** 2))
    return (kernel / kernel.sum()).round(6)


def python_with_sep() -> str:
    """Return the Python of the environment with sep."""
    return os.environ.get("CALFLOW_SEP_PYTHON", str(ROOT / ".venv-c" / "bin" / "python"))


# Positions, the flux for stars, that for galaxies, the isophotal one. calflow has none for galaxies but that.
CATALOGUE_COLUMNS = {
    "calflow": ("xcentroid", "ycentroid", "aper_total_flux", "isophotal_flux", "isophotal_flux"),
    "source-extractor": ("XWIN_IMAGE", "YWIN_IMAGE", "FLUX_AUTO", "FLUX_AUTO", "FLUX_ISO"),
    "sep": ("x", "y", "auto", "auto", "iso"),
}
LEVELS = (
    ("Combined on a fixed grid", "combined", ("SWarp BILINEAR", "SWarp LANCZOS3")),
    ("Combined with outliers rejected", "rejected", ("SWarp CLIPPED LANCZOS3",)),
    ("Catalogue of one image", "catalogued", ("source-extractor", "sep")),
)


def cost_table(runs: Runs, others: Sequence[str]) -> list[str]:
    """Return the costs of a level, with the ratios of CPU time to that of each of the other programs, as Markdown."""
    heads = ["", "CPU s", *(f"/ {name}" for name in others), *(f"wall s, {n} thread{'s' * (n > 1)}" for n in THREADS)]
    heads += ["peak MB", "written MB"]
    lines = [_row(heads), "|---" + "|---:" * (len(heads) - 1) + "|"]
    cpu = {name: _median(by_threads[1], "cpu") for name, by_threads in runs.items()}
    for name, by_threads in runs.items():
        ratios = ["" if name in others else f"{cpu[name] / cpu[other]:.2f}" for other in others]
        walls = [f"{_median(by_threads[n], 'wall'):.1f}" if n in by_threads else "" for n in THREADS]
        written = _median(by_threads[1], "written")
        cells = [name, f"{cpu[name]:.2f}", *ratios, *walls, f"{_median(by_threads[1], 'memory'):.0f}"]
        lines.append(_row([*cells, "" if np.isnan(written) else f"{written:.0f}"]))
    return [*lines, ""]


def _median(runs: Sequence[Taken], name: str) -> float:
    return median(getattr(taken, name) for taken in runs)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def image_tables(field: Field) -> list[str]:
    """Return the errors of the images, and what became of cosmic rays in them, as Markdown."""

    def image(name: str) -> c_truth.Image:
        read = c_truth.of_calflow if name.startswith("calflow") else c_truth.of_swarp
        return read(field.images[name])

    heads = ["", "stars: bias, scatter %", "galaxies: bias, scatter %", "positions mas", "noise: pixels", "boxes"]
    lines = [_row(heads), "|---" + "|---:" * (len(heads) - 1) + "|"]
    cases = [
        ("calflow clean", "calflow, all planes", "calflow, outliers rejected"),
        ("SWarp LANCZOS3 clean", "SWarp LANCZOS3", "SWarp CLIPPED LANCZOS3"),
    ]
    lines.append(_errors("SWarp BILINEAR clean", image("SWarp BILINEAR clean"), field.sky))
    rejections = []
    for names in cases:
        clean, plain, rejected = map(image, names)
        lines += [_errors(name, of, field.sky) for name, of in ((names[0], clean), (names[2], rejected))]
        found = c_truth.rejection(rejected, plain, clean, field.sky)
        numbers = (f"{value:.2f}" for value in (found.rays, found.flux, found.edge, found.cores, found.empty))
        rejections.append(_row([names[2], *numbers]))
    heads = [
        "",
        "rays left %",
        "of their light %",
        "at edges: rays left %",
        "star cores rejected %",
        "empty sky rejected %",
    ]
    return [*lines, "", _row(heads), "|---" + "|---:" * (len(heads) - 1) + "|", *rejections, ""]


def _errors(name: str, image: c_truth.Image, sky: c_truth.Sky) -> str:
    fluxes = c_truth.flux_errors(image, sky)
    cells = [f"{bias:+.2f}, {scatter:.2f}" for bias, scatter in (fluxes["star"], fluxes["galaxy"])]
    ratios = [f"{ratio:.2f}" for ratio in c_truth.noise_ratios(image, sky)]
    return _row([name, *cells, f"{c_truth.position_error(image, sky):.2f}", *ratios])


def catalogue_table(field: Field) -> list[str]:
    """Return the errors of the catalogues as Markdown."""
    heads = ["", "stars found %", "galaxies found %", "rows", "false %", "stars: bias, scatter %"]
    heads += ["galaxies: bias, scatter %", "isophotal", "positions mas"]
    lines = [_row(heads), "|---" + "|---:" * (len(heads) - 1) + "|"]
    weight = c_truth.of_calflow(field.images["calflow, outliers rejected"]).weight
    jansky = 1e6 * float(field.sky.grid.proj_plane_pixel_area().to_value("sr"))
    for name, path in field.catalogues.items():
        rows = Table.read(path)
        x, y, *fluxes = (np.asarray(rows[key], float) for key in CATALOGUE_COLUMNS[name])
        if name != "calflow":
            fluxes = [flux * jansky for flux in fluxes]
        if name == "source-extractor":  # counts pixels from 1
            x, y = x - 1, y - 1
        found = c_truth.compare_rows(x, y, *fluxes, weight, field.sky)
        cells = [name, f"{found.stars:.1f}", f"{found.galaxies:.1f}", str(found.rows), f"{found.false:.1f}"]
        cells += [
            f"{bias:+.2f}, {scatter:.2f}" for bias, scatter in (found.star_flux, found.galaxy_flux, found.isophotal)
        ]
        lines.append(_row([*cells, f"{found.position:.2f}"]))
    return [*lines, ""]


def report(field: Field) -> list[str]:
    """Return what was found of a scene as Markdown."""
    number = field.number
    lines = [f"## {number} exposures of 2048 x 2048", ""]
    lines += [f"The TPV headers are off by {field.wcs_error:.1g} mas at most.", ""]
    for title, attribute, others in LEVELS:
        runs = getattr(field, attribute)
        lines += [f"### {title}, {number} exposures", "", *cost_table(runs, others)]
        for name in set(runs) & set(field.rules):
            jobs = ", ".join(
                f"`{rule}` {seconds:.2f}"
                for rule, seconds in sorted(field.rules[name].items(), key=lambda rule: -rule[1])
            )
            lines += [f"CPU s of the jobs of {name}: {jobs}.", ""]
        if attribute == "rejected":
            lines += image_tables(field)
    return lines + catalogue_table(field)


def versions() -> str:
    """Return what was compared, in one line."""
    swarp, extractor = (
        subprocess.run([name, "-v"], capture_output=True, text=True, check=True).stdout.split(" (")[0].strip()
        for name in ("SWarp", "source-extractor")
    )
    code = "from importlib.metadata import version; print(version('sep'))"
    sep = subprocess.run([python_with_sep(), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return f"{versions_of_calflow()}, {swarp}, {extractor}, sep {sep}"


def main() -> None:
    """Read the command line, measure, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=3, help="runs of each (default %(default)s)")
    parser.add_argument("--exposures", type=int, nargs="+", choices=SCENES, default=list(SCENES), help="which scenes")
    parser.add_argument("--date", help="to be written below the tables")
    given = parser.parse_args()
    missing = [name for name in ("SWarp", "source-extractor", python_with_sep()) if not shutil.which(name)]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; `apt-get install swarp source-extractor`, `make benchmark-c`")
    (HERE / "data").mkdir(exist_ok=True)
    lines = [*HEAD.splitlines(), ""]
    for number in given.exposures:
        with tempfile.TemporaryDirectory(dir=HERE / "data") as folder:
            field = Field(number, Path(folder))
            for _ in range(given.repeat):
                for threads in THREADS:
                    field.measure(threads)
            lines += report(field)
    times = "one run each" if given.repeat == 1 else f"medians of {given.repeat} runs that take turns"
    lines += [f"{versions()}; {machine()}; {times}{f'; {given.date}' if given.date else ''}.", ""]
    (HERE / "c_programs.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
