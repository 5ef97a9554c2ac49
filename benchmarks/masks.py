"""Compare what `clean_flicker_noise` does with the light of a first pass, and without.

Run by ``.venv/bin/python benchmarks/masks.py``. What each realisation gave is kept in benchmarks/masks.json, of which
the table in benchmarks/masks.md is made: with ``--scene`` some are measured anew and the others stay, with ``--tables``
all do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from cleaning_scenes import MIRI, NIRCAM, facts_of
from cleaning_truth import (
    Case,
    depth_lost,
    known_response,
    lines_left,
    lost_light,
    mean_of,
    rests,
    scene_of,
    simulate_cases,
)
from run import HERE, ROOT, machine, versions_of_calflow

# Options of a scene, with the number of exposures and of realisations.
SCENES = {
    "NIRCam F200W": ({**NIRCAM, "artefacts": {"flicker": 0.3}}, 4, 4),
    "NIRCam F200W, 10 exposures": ({**NIRCAM, "artefacts": {"flicker": 0.3}}, 10, 2),
    "NIRISS F200W": ({**NIRCAM, "instrument": "niriss_f200w", "artefacts": {"flicker": 0.3}}, 4, 2),
    "MIRI F1130W": ({**MIRI, "artefacts": {"flicker": 0.3}}, 4, 2),
    "MIRI F1130W, 10 exposures": ({**MIRI, "artefacts": {"flicker": 0.3}}, 10, 2),
    "a nebula": ({**NIRCAM, "artefacts": {"flicker": 0.3, "nebula": 3.0}}, 4, 2),
    "a nebula, 10 exposures": ({**NIRCAM, "artefacts": {"flicker": 0.3, "nebula": 3.0}}, 10, 1),
}
DITHER = 2.0  # arcsec
PARTS = ("full", "empty")
PROGRAMS = ("neither", "light_from", "differences known", "all known")
TEXT = """# The light of a first pass against the truth

Made by `benchmarks/masks.py`. The scenes are those of [cleaning.md](cleaning.md) with 1/f noise of 0.3 sigma,
{number}, dithered by 2 arcsec: 60 stars, and galaxies that are faint (0.5 sigma of a pixel of one exposure within half
of their light) and bright (5 sigma). Real runs of the workflow make the light, once of the exposures with their
sources and once of those without.

- Rows: cleaned without, or with `light_from: association`. Differences known: stripes less the mean of those of all
  exposures are known, as differences of exposures show them, and that mean is left: what can be reached where light
  fills all lines. All known: the exposure without its sources by the fit without light, where all is known to be sky.
- Light lost: as in cleaning.md, per cent, with the standard error of the realisations; of each the mean of its
  exposures. The exposure without sources is cleaned with the light of its own run. So it has the noise of levels that
  come from other pixels, and stripes that are left in one of both, as where there is a nebula.
- Lines, neighbours, depth: as there; 1 is white noise.
"""


def simulated(folder: Path, options: Mapping[str, Any], seed: int, exposures: int) -> Iterator[Case]:
    """Write a scene into folders, with its galaxies and without sources; yield its exposures."""
    from calflow.simulation import simulate
    from calflow.simulation.exposures import write_exposure

    scene = replace(scene_of(options, seed), exposures=exposures, dither_step=DITHER)
    for part in PARTS:
        simulate(folder / part / "data", scene)
    for case in simulate_cases(scene, "readout"):
        for part in PARTS:
            rate = folder / part / "data" / "rate" / case.exposure.filename
            write_exposure(rate, case.exposure, scene, getattr(case, part))
        yield case


def make_light(folder: Path, names: Sequence[str], cores: int, align: bool) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Run the workflow as far as masks and light, and return both."""
    from astropy.io import fits

    config = {
        "associations": ["data/rate/*_asn.json", "data/stage3/*_asn.json"],
        "references": {"directory": "data/references"},
        "extra_steps": {"rate": [{"name": "clean_flicker_noise", "light_from": "association"}]},
        "stage3": {"tweakreg": {"skip": not align}},  # pointings are right
    }
    (folder / "my.yaml").write_text(yaml.safe_dump(config))
    paths = {name: f"results/stage2/masks/association/{name}_sources.fits" for name in names}
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", str(cores)]
    command += [*paths.values(), "--configfile", "my.yaml"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return {
        name: (fits.getdata(folder / path, "SCI").astype(np.float32), fits.getdata(folder / path, "LIGHT"))
        for name, path in paths.items()
    }


def figures_of(
    case: Case, mask: np.ndarray, light: Mapping[str, np.ndarray], common: np.ndarray
) -> dict[str, dict[str, float]]:
    """Return the figures of an exposure for each of `PROGRAMS`.

    `light` is for it with its sources, and without; `common` is the mean of the stripes of all exposures.
    """
    from calflow.science.cleaning.clean_flicker_noise import clean_flicker_noise
    from calflow.science.cleaning.clean_flicker_noise_parameters import FlickerCleaning

    facts, flat = facts_of(case, "rate"), known_response(case)

    def clean(part: str, **inputs):
        image = getattr(case, part)
        done = clean_flicker_noise(image, FlickerCleaning(), facts, flat=flat, **inputs)
        return np.asarray(image.sci if done.sci is None else done.sci)

    bare = clean("empty", user_mask=np.ones_like(mask))
    left = [getattr(case, part).sci - case.unwanted[0] + common for part in PARTS]
    planes = {
        "neither": (clean("full"), clean("empty")),
        "light_from": tuple(clean(part, sources=mask, light=light[part]) for part in PARTS),
        "differences known": tuple(left),
        "all known": (case.full.sci + bare - case.empty.sci, bare),
    }
    found = {}
    for program, (full, empty) in planes.items():
        lines, neighbours = lines_left(case, rests(case, full, empty)[0])
        found[program] = {
            "lines": lines,
            "neighbours": neighbours,
            "depth": depth_lost(case, empty, case.detector.response),
            **{f"lost: {kind}": 100 * lost for kind, lost in lost_light(case, full, empty).items()},
        }
    return found


def measure(name: str, seeds: Sequence[int], cores: int) -> list[dict[str, dict[str, float]]]:
    """Return the mean figures of the exposures of each realisation of a scene, by program."""
    options, exposures, _ = SCENES[name]
    realised = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            cases = list(simulated(folder, options, seed, exposures))
            names = [case.exposure.name for case in cases]
            made = {part: make_light(folder / part, names, cores, part == "full") for part in PARTS}
            common = np.mean([case.unwanted[0] for case in cases], axis=0)
            each = [
                figures_of(case, made["full"][root][0], {part: made[part][root][1] for part in PARTS}, common)
                for case, root in zip(cases, names, strict=True)
            ]
        realised.append({program: mean_of([one[program] for one in each]) for program in PROGRAMS})
        for program, figures in realised[-1].items():
            print(name, seed, program, {kind: round(value, 3) for kind, value in figures.items()}, flush=True)
    return realised


def table(stored: Mapping[str, Any]) -> list[str]:
    """Return the table of what is stored; light of galaxies and nebulae by kind."""
    every = [each for scene in stored.values() for each in scene["realised"]]
    heads = list(dict.fromkeys(kind for each in every for kind in each["neither"]))
    lines = [f"| scene | | {' | '.join(heads)} |", "|---|---|" + "---:|" * len(heads)]
    for name, scene in stored.items():
        for number, program in enumerate(PROGRAMS):
            rows = [each[program] for each in scene["realised"]]
            cells = [_cell(head, [row[head] for row in rows if head in row]) for head in heads]
            lines.append(f"| {'' if number else name} | {program} | {' | '.join(cells)} |")
    return lines


def _cell(head: str, values: list[float]) -> str:
    if not values:
        return "-"
    error = f" +- {np.std(values, ddof=1) / np.sqrt(len(values)):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{error if head.startswith('lost') else ''}"


def page(stored: Mapping[str, Any], date: str | None) -> str:
    """Return the page of what is stored."""
    numbers = sorted({SCENES[name][1] for name in stored})
    text = TEXT.format(number=f"{' or '.join(map(str, numbers))} exposures of full size")
    seeds = {name: scene["seeds"] for name, scene in stored.items()}
    told = "; ".join(f"{name}: seeds {', '.join(map(str, each))}" for name, each in seeds.items())
    told += "".join(f". {name}: {scene['note']}" for name, scene in stored.items() if scene.get("note"))
    made = f"{versions_of_calflow()}; {machine()}{date and f'; {date}'}."
    return "\n".join([text, *table(stored), "", f"{told}.", "", made, ""])


def main() -> None:
    """Read the command line, compare, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scene", action="append", choices=sorted(SCENES), help="only this one; may be repeated")
    parser.add_argument("--tables", action="store_true", help="measure nothing, write the page")
    parser.add_argument("--first", type=int, default=201, help="seed of the first (default %(default)s)")
    parser.add_argument("--cores", type=int, default=2, help="of the workflow (default %(default)s)")
    parser.add_argument("--date", default="", help="to be written below the table")
    parser.add_argument("--results", type=Path, default=HERE / "masks.json", help="default %(default)s")
    parser.add_argument("--output", type=Path, default=HERE / "masks.md", help="the table (default %(default)s)")
    given = parser.parse_args()
    stored = json.loads(given.results.read_text()) if given.results.exists() else {}
    for name in [] if given.tables else given.scene or SCENES:
        seeds = range(given.first, given.first + SCENES[name][2])
        measured = {"seeds": list(seeds), "realised": measure(name, seeds, given.cores)}
        stored[name] = json.loads(json.dumps(measured), parse_float=lambda number: float(f"{float(number):.4g}"))
        stored = {each: stored[each] for each in SCENES if each in stored}
        given.results.write_text(json.dumps(stored, indent=1) + "\n")
    given.output.write_text(page(stored, given.date))


if __name__ == "__main__":
    main()
