"""Compare stage 3 of calflow and of the jwst package with the truth of simulated exposures.

Run by ``make accuracy``; as a plain command ``.venv/bin/python benchmarks/accuracy.py``. The tables are written into
benchmarks/accuracy.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from run import HERE, ROOT, machine, versions

sys.path.insert(0, str(ROOT / "scripts"))
if TYPE_CHECKING:
    from truth import Figures

    from calflow.simulation import Scene, Truth

COMMON = {
    "exposures": 4,
    "galaxies": 15,
    "pointing_error": 0.1,
    "roll_error": 0.002,
    "cosmic_rays": 5e-3,
    "drizzled_apcorr": True,
    "save_signal": True,
}
SHORT = {
    "instrument": "nircam_f200w",
    "detector_shape": (512, 512),
    "dither_step": 0.8,
    "stars": 90,
    "sky_scatter": 0.1,
}
LONG = {**SHORT, "instrument": "nircam_long", "detector_shape": (320, 320), "dither_step": 1.6}
SCENES = {
    "MIRI F1130W": {**LONG, "instrument": "miri_f1130w", "dither_step": 3.0, "sky_scatter": 0.01},
    "NIRCam F200W": SHORT,
    "NIRCam F444W": LONG,
    "NIRISS F200W": {**LONG, "instrument": "niriss_f200w"},
    "subarray": {**SHORT, "detector_shape": (640, 640), "window": (129, 193, 400, 400), "stars": 60},
    "mosaic of 4 detectors": {**SHORT, "detector_shape": (256, 256), "detectors": 4, "exposures": 3, "stars": 120},
    "crowded: 900 stars": {**SHORT, "stars": 900},
    "exposure 2 off by 3 arcsec": {**SHORT, "mispointings": {2: (2.2, -2.05)}},
    "exposure 3 shows nothing": {**SHORT, "blank": (3,)},
    "exposure 4 turned by 60 deg": {**SHORT, "turns": {4: 60.0}},
    "RA 0, Dec 89.5": {**SHORT, "ra": 0.0, "dec": 89.5},
    "undersampled: FWHM of 1 pixel": {**SHORT, "fwhm": 1.0},
    "rays raise their errors, sky of 4.3": {
        **LONG,
        "instrument": "miri_f1130w",
        "dither_step": 3.0,
        "sky": 4.3,
        "sky_scatter": 0.01,
        "cosmic_ray_error": 1.1,
    },
}
# What else calflow could do by itself: values of stage 3 that are not the defaults.
CHOICES: dict[str, dict[str, Any]] = {
    "error: median": {"outlier_detection": {"error": "median"}},
    "search: lowest": {"outlier_detection": {"search": "lowest"}},
    "skystat: median": {"skymatch": {"skystat": "median"}},
}
Column = tuple[str, Callable[[Any], str]]
COLUMNS: tuple[Column, ...] = (
    ("offsets before: rms, max (mas)", lambda f: f"{_rms(f.before):.1f}, {np.max(f.before):.1f}"),
    ("after: rms, max (mas)", lambda f: f"{_rms(f.after):.2f}, {np.max(f.after):.2f}"),
    ("worst sky error (sigma)", lambda f: f"{np.max(np.abs(f.sky), initial=0):.3f}" if f.sky.size else "no levels"),
    (
        "cosmic rays found: all, bright (%)",
        lambda f: _percents((f.rays_found, f.rays), (f.bright_rays_found, f.bright_rays)),
    ),
    (
        "cosmic rays found where 1 or 2 exposures look: all, bright (%)",
        lambda f: _percents((f.edge_rays_found, f.edge_rays), (f.edge_bright_rays_found, f.edge_bright_rays)),
    ),
    (
        "good pixels flagged: all, in cores of stars (%)",
        lambda f: f"{100 * f.good_flagged / f.good:.3f}, {_percents((f.cores_flagged, f.cores))}",
    ),
    ("good pixels flagged where 1 or 2 exposures look (%)", lambda f: _part(f.edge_good_flagged, f.edge_good)),
    ("catalogue complete, pure (%)", lambda f: _percents((f.stars_found, f.stars), (f.entries_real, f.entries))),
    ("measured / true flux", lambda f: f"{_median(f.flux_ratios, '.3f')} +- {_scatter(f.flux_ratios):.3f}"),
    ("position error (mas)", lambda f: _median(f.distances, ".2f")),
)
COLUMNS_OF_CHOICES = COLUMNS[2:]
TEXT = """# Stage 3: calflow and jwst against the truth

Made by `make accuracy`. The simulator makes exposures whose truth is known; both programs go with their defaults from
the same `_rate` files and reference files to the catalogue. Each scene is made with {seeds} seeds, whose figures are
put together. The exposures are small, 256 to 512 pixels on a side, 3 or 4 to a scene. Their pointing is off by 0.1
arcsec per axis and 0.002 deg (that of the first is right), their sky levels differ by 10 % (MIRI 1 %), and cosmic rays
hit 0.5 % of the pixels.

- Offsets: 7 x 7 pixels of each exposure, through the gwcs of `_cal` (before) and `_crf` (after), against the true
  attitude. What is common to all exposures is taken off; exposures that show nothing are left out.
- Worst sky error: the differences of BKGLEVEL against the true ones, in sigma of a sky pixel of one exposure.
- Cosmic rays found: pixels that are hit and flagged, of all and of those with a signal above 8 sigma. Good pixels
  flagged: of those that are not hit. Both where at least three exposures look; where fewer do, the median is hit
  itself, and what is found and flagged there has columns of its own.
- Complete: stars with a peak above 50 sigma of that noise that are in the catalogue. Pure: rows of the catalogue that
  belong to a true star or galaxy. A row and a source belong together if each is the other's nearest, within one FWHM
  (1.6 to 3.4 pixels).
- Measured / true flux (median of `aper_total_flux`, and the scatter of single stars) and position error (median
  distance): stars above that limit, not saturated, without another source of 1 % of their flux within 4 FWHM. The
  aperture corrections are those of a combined image.
- Could not be aligned: exposures that a program says it left where their headers put them, status FAILED; calflow's
  in the table of the alignment, jwst's in S_TWKREG.
- Cores of stars: the 3 x 3 pixels about each star above that limit.
- Rays raise their errors: a cosmic ray adds 1.1 times its signal to the error of its pixel, as when stage 1 finds it
  only in part.
"""
TEXT_OF_CHOICES = """## Choices

The same scenes with one value of the configuration that is not the default, beside the default.
"""


@dataclass(frozen=True)
class Outcome:
    """
    What a program made of one observation.

    Attributes
    ----------
    figures : Figures or None
        None if it failed.
    failed : tuple of str
        Exposures that it says it could not align; or the error it ended with.
    """

    figures: Figures | None
    failed: tuple[str, ...]


def compare(
    names: Sequence[str], seeds: int, cores: int, python: str, keep: Path | None
) -> dict[str, dict[str, list[Outcome]]]:
    """
    Run both programs on scenes; as many observations at a time as there are cores, each with one core.

    Returns
    -------
    dict
        By scene, by program, the outcome of each seed.
    """
    (HERE / "data").mkdir(exist_ok=True)
    tasks = [(name, seed) for name in names for seed in range(1, seeds + 1)]
    with tempfile.TemporaryDirectory(dir=HERE / "data") as scratch, ThreadPoolExecutor(cores) as pool:
        folder = keep or Path(scratch)
        outcomes = list(pool.map(lambda task: _observe(task[0], task[1], folder, python, bool(keep)), tasks))
    results: dict[str, dict[str, list[Outcome]]] = {name: {key: [] for key in outcomes[0]} for name in names}
    for (name, _), outcome in zip(tasks, outcomes, strict=True):
        for program, result in outcome.items():
            results[name][program].append(result)
    return results


def scene_of(name: str, seed: int) -> Scene:
    """Return a scene of `SCENES`."""
    from calflow.science.windows import Window
    from calflow.simulation import INSTRUMENTS, Scene

    options: dict[str, Any] = {**COMMON, **SCENES[name]}
    if "window" in options:
        options["window"] = Window(*options["window"])
    if "fwhm" in options:
        options["instrument"] = replace(INSTRUMENTS[options["instrument"]], fwhm=options.pop("fwhm"))
    return Scene(**options, seed=seed)


def _observe(name: str, seed: int, folder: Path, python: str, keep: bool) -> dict[str, Outcome]:
    """Simulate one observation, run both programs on it and compare with the truth."""
    from calflow.simulation import simulate

    here = folder / f"{''.join(c if c.isalnum() else '_' for c in name)}_{seed}"
    truth = simulate(here / "data", scene_of(name, seed))
    outcomes = {"calflow": run_calflow(truth, here / "calflow")}
    outcomes["jwst"] = run_jwst(truth, here / "jwst", python)
    # In the same folder: only what is stale is made again.
    outcomes |= {choice: run_calflow(truth, here / "calflow", CHOICES[choice]) for choice in CHOICES}
    for program, outcome in outcomes.items():
        print(f"{name}, seed {seed}, {program}: {_brief(outcome)}", flush=True)
    if not keep:
        shutil.rmtree(here)
    return outcomes


def run_calflow(truth: Truth, folder: Path, stage3: Mapping[str, Any] | None = None) -> Outcome:
    """Run the workflow from `_rate` to the catalogue, with values of stage 3 if there are any."""
    from astropy.table import Table
    from truth import compare_with_truth

    config = {
        "associations": [str(truth.association), str(truth.stage3_association)],
        "references": {"source": "directory", "directory": str(truth.directory / "references")},
        "stage2": {"resample": {"skip": True}},
        "stage3": dict(stage3 or {}),
    }
    folder.mkdir(exist_ok=True)
    (folder / "accuracy.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--snakefile", str(ROOT / "Snakefile")]
    if error := _run([*command, "--configfile", "accuracy.yaml"], folder):
        return Outcome(None, (error,))
    products = folder / "results" / "stage3"
    (alignment,) = products.glob("*_alignment.ecsv")
    table = Table.read(alignment)
    failed = _numbers(truth, table["exposure"][table["status"] == "FAILED"])
    return Outcome(compare_with_truth(truth, folder / "results" / "stage2", products), failed)


def run_jwst(truth: Truth, folder: Path, python: str) -> Outcome:
    """Run both pipelines of jwst, with the same inputs and references."""
    from astropy.io import fits
    from truth import compare_with_truth

    folder.mkdir(exist_ok=True)
    command = [python, str(HERE / "run_jwst.py"), str(truth.association), str(truth.directory / "references")]
    command += [str(folder), "--skip", "resample", "--stage3", str(truth.stage3_association)]
    if error := _run(command, folder):
        return Outcome(None, (error,))
    status = {path.name.partition("_o001")[0]: fits.getval(path, "S_TWKREG") for path in folder.glob("*_crf.fits")}
    failed = _numbers(truth, [name for name in status if status[name] == "FAILED"])
    return Outcome(compare_with_truth(truth, folder, folder), failed)


def _run(command: list[str], folder: Path) -> str:
    """Run a command in a folder, and return the last line of its output if it fails."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with (folder / "output.txt").open("w") as file:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=file, stderr=file, check=False)
    lines = (folder / "output.txt").read_text().strip().splitlines()
    return lines[-1] if done.returncode else ""


def _numbers(truth: Truth, names: Sequence[str]) -> tuple[str, ...]:
    """Return the exposures, without their detectors, as text."""
    return tuple(sorted({str(e.number) for e in truth.exposures if e.name in set(names)}))


def _brief(outcome: Outcome) -> str:
    if outcome.figures is None:
        return f"no products: {outcome.failed[0]}"
    return "; ".join(f"{title} {show(outcome.figures)}" for title, show in COLUMNS) + f"; failed {outcome.failed}"


def report(results: dict[str, dict[str, list[Outcome]]], seeds: int, python: str, date: str | None) -> str:
    """Return the results as Markdown."""
    lines = [TEXT.format(seeds=seeds), *_table(results, ("calflow", "jwst"), COLUMNS), ""]
    lines += [TEXT_OF_CHOICES, *_table(results, ("calflow", *CHOICES), COLUMNS_OF_CHOICES)]
    lines += ["", f"{versions(python)}; {machine()}; {seeds} seeds{f'; {date}' if date else ''}.", ""]
    return "\n".join(lines)


def _table(
    results: dict[str, dict[str, list[Outcome]]], programs: Sequence[str], columns: Sequence[Column]
) -> list[str]:
    """Return the lines of a table with a row for each scene and program."""
    titles = [title for title, _ in columns] + ["could not be aligned"]
    lines = ["| scene | | " + " | ".join(titles) + " |", "|---|---|" + "---:|" * len(titles)]
    for name, outcomes in results.items():
        for i, program in enumerate(programs):
            cells = " | ".join(_row(outcomes[program], columns))
            lines.append(f"| {'' if i else name} | {program} | {cells} |")
    return lines


def _row(outcomes: Sequence[Outcome], columns: Sequence[Column]) -> list[str]:
    """Return the cells of one program for one scene."""
    from truth import pool

    done = [outcome.figures for outcome in outcomes if outcome.figures is not None]
    cells = [show(pool(done)) if done else "-" for _, show in columns]
    counts = Counter(number for outcome in outcomes if outcome.figures is not None for number in outcome.failed)
    told = [f"{number} ({count} of {len(outcomes)})" for number, count in sorted(counts.items())]
    if len(done) < len(outcomes):
        told.append(f"no products in {len(outcomes) - len(done)} of {len(outcomes)}")
    return [*cells, ", ".join(told) or "-"]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _percents(*parts: tuple[int, int]) -> str:
    return ", ".join(f"{100 * part / whole:.1f}" if whole else "-" for part, whole in parts)


def _part(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3f}" if whole else "-"


def _median(values: np.ndarray, form: str) -> str:
    return format(float(np.nanmedian(values)), form) if np.isfinite(values).any() else "-"


def _scatter(values: np.ndarray) -> float:
    """Return half the width that holds 68 % of the values, a normal distribution's sigma; NaN without values."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [16, 84]) if finite.size else (np.nan, np.nan)
    return float(high - low) / 2


def main() -> None:
    """Read the command line, compare, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", type=int, default=2, help="observations at a time (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=2, help="realisations of each scene (default %(default)s)")
    parser.add_argument("--scene", action="append", choices=[*SCENES], help="only this one; may be repeated")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep exposures and products there")
    parser.add_argument("--date", help="to be written below the table")
    parser.add_argument("--output", type=Path, default=HERE / "accuracy.md", help="the table (default %(default)s)")
    given = parser.parse_args()
    python = os.environ.get("CALFLOW_JWST_PYTHON", str(ROOT / ".venv-jwst" / "bin" / "python"))
    if not Path(python).exists():
        sys.exit(f"no Python with jwst at {python}: `make accuracy` makes one, or set CALFLOW_JWST_PYTHON")
    keep = given.keep.resolve() if given.keep else None
    results = compare(given.scene or list(SCENES), given.seeds, given.cores, python, keep)
    table = report(results, given.seeds, python, given.date)
    given.output.write_text(table)
    print(table)


if __name__ == "__main__":
    main()
