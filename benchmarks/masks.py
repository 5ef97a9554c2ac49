"""Compare what `clean_flicker_noise` takes off faint sources with and without the mask of a first pass.

Run by ``.venv/bin/python benchmarks/masks.py``. The table is written into benchmarks/masks.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from cleaning_scenes import NIRCAM, cleaned, facts_of
from cleaning_truth import Case, depth_lost, known_response, lines_left, lost_light, rests, scene_of, simulate_cases
from run import HERE, ROOT, machine, versions_of_calflow

SCENE = {**NIRCAM, "artefacts": {"flicker": 0.3}}
DITHER = 2.0  # arcsec
# What both exposures are cleaned with, the one with sources and the one without.
PROGRAMS = {
    "none": (False, False),
    "mask_from: association": (True, False),
    "the same, in both": (True, True),
}
TEXT = """# The mask of a first pass against the truth

Made by `benchmarks/masks.py`: {exposures} exposures of full size, dithered by 2 arcsec, {seeds} realisations. The
scene is that of [cleaning.md](cleaning.md), NIRCam F200W with 1/f noise of 0.3 sigma: 60 stars, and galaxies that are
faint (0.5 sigma of a pixel of one exposure within half of their light) and bright (5 sigma). Real runs of the
workflow make the masks; each exposure is then cleaned with its own.

- Light lost: as in cleaning.md, per cent, with the standard error of the realisations; of each the mean of its
  exposures.
  `mask_from: association` has the noise of levels that come from other pixels with the mask than without: the exposure
  without sources goes without it. Where both have it, what is left is the light that the mask lets through: the bias.
- Masked: part of the pixels. Lines, depth: as there.

"""


def simulated(folder: Path, seed: int, exposures: int) -> Iterator[Case]:
    """Write a scene with its galaxies into a folder; yield its exposures, with and without sources."""
    from calflow.simulation import simulate
    from calflow.simulation.exposures import write_exposure

    scene = replace(scene_of(SCENE, seed), exposures=exposures, dither_step=DITHER)
    simulate(folder / "data", scene)
    for case in simulate_cases(scene, "readout"):
        write_exposure(folder / "data" / "rate" / case.exposure.filename, case.exposure, scene, case.full)
        yield case


def make_masks(folder: Path, names: Sequence[str], cores: int, snakefile: Path) -> dict[str, np.ndarray]:
    """Run the workflow as far as the masks, and return them."""
    from astropy.io import fits

    config = {
        "associations": ["data/rate/*_asn.json", "data/stage3/*_asn.json"],
        "references": {"directory": "data/references"},
        "extra_steps": {"rate": [{"name": "clean_flicker_noise", "mask_from": "association"}]},
    }
    (folder / "my.yaml").write_text(yaml.safe_dump(config))
    paths = {name: f"results/stage2/masks/association/{name}_sources.fits" for name in names}
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", str(cores)]
    command += [*paths.values(), "--configfile", "my.yaml"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return {name: fits.getdata(folder / path).astype(np.float32) for name, path in paths.items()}


def figures_of(case: Case, mask: np.ndarray) -> dict[str, dict[str, float]]:
    """Return the figures of an exposure for each of `PROGRAMS`."""
    from calflow.science.cleaning.clean_flicker_noise import clean_flicker_noise
    from calflow.science.cleaning.clean_flicker_noise_parameters import FlickerCleaning

    facts, flat = facts_of(case, "rate"), known_response(case)
    done = {
        masked: cleaned(
            case, clean_flicker_noise, FlickerCleaning(), facts, flat=flat, sources=mask if masked else None
        )
        for masked in (True, False)
    }
    found = {}
    for program, (in_full, in_empty) in PROGRAMS.items():
        full, empty = done[in_full][0], done[in_empty][1]
        lines, neighbours = lines_left(case, rests(case, full, empty)[0])
        found[program] = {
            "masked": float(np.mean(mask != 0)) if in_full else 0.0,
            "lines": lines,
            "neighbours": neighbours,
            "depth": depth_lost(case, empty, case.detector.response),
            **{f"lost: {kind}": 100 * lost for kind, lost in lost_light(case, full, empty).items()},
        }
    return found


def compare(seeds: Sequence[int], exposures: int, cores: int, snakefile: Path) -> dict[str, list[dict[str, float]]]:
    """Return the mean figures of the exposures of each realisation."""
    results: dict[str, list[dict[str, float]]] = {program: [] for program in PROGRAMS}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as scratch:
            cases = list(simulated(Path(scratch), seed, exposures))
            masks = make_masks(Path(scratch), [case.exposure.name for case in cases], cores, snakefile)
            found = [figures_of(case, masks[case.exposure.name]) for case in cases]
        for program, rows in results.items():
            each = [one[program] for one in found]
            rows.append({kind: float(np.mean([one[kind] for one in each])) for kind in each[0]})
            print(exposures, seed, program, {kind: round(value, 3) for kind, value in rows[-1].items()}, flush=True)
    return results


def table(results: dict[str, list[dict[str, float]]], exposures: int) -> list[str]:
    """Return the rows of a number of exposures."""
    lines = []
    for program, rows in results.items():
        cells = []
        for kind in rows[0]:
            values = [row[kind] for row in rows]
            error = f" +- {np.std(values, ddof=1) / np.sqrt(len(values)):.2f}" if kind.startswith("lost") else ""
            cells.append(f"{np.mean(values):.2f}{error}")
        lines.append(f"| {exposures} | {program} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Read the command line, compare, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=6, help="realisations (default %(default)s)")
    parser.add_argument("--first", type=int, default=201, help="seed of the first (default %(default)s)")
    parser.add_argument("--exposures", type=int, nargs="+", default=[4], help="numbers of them (default %(default)s)")
    parser.add_argument("--cores", type=int, default=2, help="of the workflow (default %(default)s)")
    parser.add_argument("--date", default="", help="to be written below the table")
    parser.add_argument("--output", type=Path, default=HERE / "masks.md", help="the table (default %(default)s)")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    lines: list[str] = []
    for exposures in given.exposures:
        results = compare(seeds, exposures, given.cores, ROOT / "Snakefile")
        heads = list(results["none"][0])
        if not lines:
            lines += [f"| exposures | mask | {' | '.join(heads)} |", "|---:|---|" + "---:|" * len(heads)]
        lines += table(results, exposures)
    text = TEXT.format(seeds=len(seeds), exposures=" and ".join(map(str, given.exposures))) + "\n".join(lines)
    made = f"{versions_of_calflow()}; {machine()}; seeds {seeds[0]} to {seeds[-1]}{given.date and f'; {given.date}'}."
    given.output.write_text(f"{text}\n\n{made}\n")
    print(given.output.read_text())


if __name__ == "__main__":
    main()
