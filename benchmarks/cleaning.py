"""Compare the cleaning steps of calflow, and that of jwst, with the truth of simulated exposures.

Run by ``make cleaning``; as a plain command ``.venv/bin/python benchmarks/cleaning.py``. What each scene gave is
kept in benchmarks/cleaning.json, of which the tables in benchmarks/cleaning.md are made: with ``--scene`` some are
measured anew and the others stay, with ``--tables`` all do; ``--merge`` takes scenes from elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cleaning_scenes import DEFAULT, SETTINGS
from run import HERE, ROOT, machine, versions

# What a step may take of the light of any kind of sources, per cent.
MOST_LOST = 0.5
TITLE = """# Cleaning against the truth

Made by `make cleaning`: each step with its defaults, unless the row says otherwise, on simulated exposures whose truth
is known. There are 60 stars, and galaxies (Sersic index 1) with half-light diameters of 1, 3 and 10 arcsec, faint (a
mean of 0.5 sigma of a sky pixel within) and bright (5 sigma). Each scene is realised {seeds} times; figures are means.

- **Light lost**, per cent of what is within 1.5 half-light radii (stars: 2 FWHM; nebulae: pixels by their brightness):
  what the step takes off with the sources in the image less what it takes off without them, noise being the same; with
  the standard error of the realisations. It has the noise of levels that come from other pixels with the sources.
  Below each table stands what is above 0.5 %, with (!) where the step removes less noise than it takes light.
- **Flux error**, before and after, per cent: the rms of what is in the apertures and does not belong there, without
  white noise; what the step removes of it is noise.
- **Background**: rms of the means of squares of 1, 5 and 20 arcsec over the noise of a pixel, the sources taken off.
- **Depth**: magnitudes lost to what white noise alone would leave in squares of 0.3 arcsec, between sources.
- **CPU** of the step alone on the exposure of the scene; of steps that look at a set, what one exposure takes of it.
"""
SECTIONS = {
    "clean_flicker_noise": """
1/f noise of 0.3 sigma in the order of reading. Lines: standard deviation of what is left in the means of lines over
what white noise leaves in them, sigma / sqrt(pixels): all, and from one line to the next. 1 is the least that can be.
jwst's step goes with its defaults.
""",
    "subtract_background_2d": """
jwst has no such step, nor any of those below.
""",
    "subtract_template": """
A wisp that is 1 sigma of a pixel where it is brightest, times a number that scatters by a factor of 1.6; the template
is the true one. The step is on `cal`, or on `rate`. Amplitude: by how much it is wrong (by -100 % where it is not
significant and the wisp is left), and the error that the step tells. Where there is no wisp the step is to take off
nothing.
""",
    "subtract_own_template": """
The same of 12 exposures of 1024 x 1024 pixels, dithered by up to 10 arcsec; the template is made of them.
""",
    "sky_flat": """
The reference flat is wrong by 2 %, half of the variance from pixel to pixel, half in spots of 4 pixels (sigma).
Background and depth of MIRI are those of its glow, which the step leaves. `light_from`: with the light of the mean of
the exposures, laid upon each other to a pixel, in place of the image of a first pass.
""",
    "bad_pixels": """
Warm pixels, 0.2 %, by their strength, and open ones, 0.05 %, that have no flag; of a million good ones those that are
called bad.
""",
    "persistence": """
NIRCam: 1 % of the charge of full pixels is trapped, in proportion to what a pixel has above half of its full well, and
comes out in a time of 1000 s, in exposures of 1031 s, in the last of three that see the stars at other pixels. False:
pixels with less than 0.1 sigma of it.
""",
    "mask_regions": """
Satellite trails of 10 sigma and 6 pixels (FWHM), and regions one and a half times as wide.
""",
    "CPU of all": """
What one exposure of 2048 x 2048 pixels takes; of steps that collect, one exposure of the set.
""",
}
Stored = dict[str, Any]


def measure(names: Sequence[str], seeds: Sequence[int], python: str, stored: Stored) -> None:
    """Measure scenes, and put them into what is stored."""
    for name in names:
        start, realised = time.process_time(), []
        for judged in SETTINGS[name].run(seeds, python):
            realised.append(judged)
            print(name, len(realised), json.dumps(judged), flush=True)
        seconds = time.process_time() - start
        stored[name] = {
            "seeds": list(seeds[: len(realised)]),
            "seconds": round(seconds, 1),
            "versions": versions(python),
            "realised": json.loads(json.dumps(realised), parse_float=lambda number: float(f"{float(number):.5g}")),
        }


def store(path: Path, stored: Stored) -> None:
    """Write what was measured, a line for each realisation."""
    scenes = []
    for name, scene in stored.items():
        lines = ",\n".join(json.dumps(each) for each in scene["realised"])
        rest = json.dumps({key: value for key, value in scene.items() if key != "realised"})
        scenes.append(f'{json.dumps(name)}: {rest[:-1]}, "realised": [\n{lines}\n]}}')
    path.write_text("{\n" + ",\n".join(scenes) + "\n}\n")


def collected(realised: Sequence[Mapping[str, Any]], program: str, part: str) -> dict[str, list[float]]:
    """Return figures of a program by name, those of all realisations in a list each."""
    found: dict[str, list[float]] = {}
    for each in realised:
        for name, value in each.get(program, {}).get(part, {}).items():
            found.setdefault(name, []).append(value)
    return found


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of a mean; infinite of one value."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.inf


def figures_table(scenes: Mapping[str, Stored]) -> list[str]:
    """Return the table of what is left, of the scenes of a section."""
    rows = [
        (name if not i else "", program, collected(scene["realised"], program, "figures"))
        for name, scene in scenes.items()
        for i, program in enumerate(scene["realised"][0])
    ]
    heads = list(dict.fromkeys(head for _, _, figures in rows for head in figures))
    heads.sort(key=lambda head: (head == "CPU (s)", head == "depth"))
    lines = [f"| scene | | {' | '.join(heads)} |", "|---|---|" + "---:|" * len(heads)]
    for name, program, figures in rows:
        cells = [_cell(head, figures.get(head), program) for head in heads]
        lines.append(f"| {name} | {program} | {' | '.join(cells)} |")
    return lines


def _cell(head: str, values: list[float] | None, program: str) -> str:
    if values is None or (head == "CPU (s)" and program == "before"):
        return "-"
    if head == "amplitude wrong by (%)":
        return f"{np.mean(values):.1f} +- {standard_error(values):.1f}"
    if head in ("depth", "CPU (s)"):
        return f"{np.mean(values):.2f}"
    return f"{np.mean(values):.3g}" if head != "pixels above 3 sigma" else f"{np.mean(values):.0f}"


def light_table(scenes: Mapping[str, Stored]) -> list[str]:
    """Return the table of the light of sources, of the scenes of a section; nothing if no light was measured."""
    kinds = _kinds(scenes)
    if not kinds:
        return []
    lines = ["", f"| light lost (%) | | {' | '.join(kinds)} |", "|---|---|" + "---:|" * len(kinds)]
    for name, scene in scenes.items():
        first, *programs = scene["realised"][0]
        rows = [(program, collected(scene["realised"], program, "lost")) for program in programs]
        cells = [(program, [_lost(lost[kind]) if kind in lost else "-" for kind in kinds]) for program, lost in rows]
        for label, program in (("flux error before", first), ("after", DEFAULT)):
            errors = collected(scene["realised"], program, "error")
            cells.append((label, [f"{100 * _rms(errors[kind]):.2g}" if kind in errors else "-" for kind in kinds]))
        lines += [f"| {'' if i else name} | {label} | {' | '.join(row)} |" for i, (label, row) in enumerate(cells)]
    return lines


def _kinds(scenes: Mapping[str, Stored]) -> list[str]:
    kinds = [
        kind
        for scene in scenes.values()
        for program in scene["realised"][0]
        for kind in collected(scene["realised"], program, "lost")
    ]
    return sorted(dict.fromkeys(kinds), key=lambda kind: (kind != "star", kind.startswith("nebula")))


def _lost(values: Sequence[float]) -> str:
    return f"{100 * np.mean(values):.2f} +- {100 * standard_error(values):.2f}"


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def verdict(name: str, scene: Stored) -> list[str]:
    """Return what the step with its defaults does to the light of sources, in words, beside what is allowed."""
    lost = collected(scene["realised"], DEFAULT, "lost")
    before, after = (collected(scene["realised"], program, "error") for program in ("before", DEFAULT))
    above, unknown = [], []
    for kind, values in lost.items():
        mean, error = 100 * float(np.mean(values)), 100 * standard_error(values)
        removed = 100 * np.sqrt(max(0.0, _rms(before[kind]) ** 2 - _rms(after[kind]) ** 2))
        if abs(mean) > MOST_LOST and abs(mean) > 2 * error:
            above.append(f"{kind} {mean:.2g} +- {error:.2g}{'' if removed > abs(mean) else ' (!)'}")
        elif abs(mean) + 2 * error > MOST_LOST:
            unknown.append(kind)
    if not lost:
        return []
    text = f"**above {MOST_LOST} %**: {', '.join(above)}" if above else f"none above {MOST_LOST} %"
    text += f"; not known that well: {', '.join(unknown)}" if unknown else ""
    return [f"- {name}: {text}."]


def page(stored: Stored, date: str | None) -> str:
    """Return the results as Markdown."""
    known = {name: stored[name] for name in SETTINGS if name in stored}
    numbers = sorted({len(scene["seeds"]) for name, scene in known.items() if SETTINGS[name].section != "CPU of all"})
    lines = [TITLE.format(seeds=" or ".join(map(str, numbers)))]
    for section, text in SECTIONS.items():
        scenes = {name: scene for name, scene in known.items() if SETTINGS[name].section == section}
        if not scenes:
            continue
        lines += [f"## {section}", text, *figures_table(scenes), *light_table(scenes)]
        verdicts = [line for name, scene in scenes.items() for line in verdict(name, scene)]
        lines += ["", *(["Light lost with the defaults, per cent:", "", *verdicts, ""] if verdicts else [])]
    missing = [name for name in SETTINGS if name not in stored]
    lines += [f"Not measured: {', '.join(missing)}.", ""] if missing else []
    seeds = sorted({seed for scene in known.values() for seed in scene["seeds"]})
    minutes = sum(scene["seconds"] for scene in known.values()) / 60
    about = sorted({scene["versions"] for scene in known.values()})
    lines.append(
        f"{'; '.join(about)}; {machine()}; seeds {seeds[0]} to {seeds[-1]}; {minutes:.0f} min of CPU without jwst"
        f"{f'; {date}' if date else ''}."
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line, compare, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=4, help="realisations of each scene (default %(default)s)")
    parser.add_argument(
        "--first", type=int, default=201, help="seed of the first, none that was looked at before (default %(default)s)"
    )
    parser.add_argument(
        "--scene", action="append", choices=sorted(SETTINGS), help="only this one, the others stay; may be repeated"
    )
    parser.add_argument("--tables", action="store_true", help="measure nothing, write the page")
    parser.add_argument("--merge", type=Path, nargs="*", default=[], help="results of other runs, whose scenes count")
    parser.add_argument("--date", help="to be written below the table")
    parser.add_argument("--results", type=Path, default=HERE / "cleaning.json", help="default %(default)s")
    parser.add_argument("--output", type=Path, default=HERE / "cleaning.md", help="the page (default %(default)s)")
    given = parser.parse_args()
    python = os.environ.get("CALFLOW_JWST_PYTHON", str(ROOT / ".venv-jwst" / "bin" / "python"))
    if not given.tables and not Path(python).exists():
        sys.exit(f"no Python with jwst at {python}: `make cleaning` makes one, or set CALFLOW_JWST_PYTHON")
    stored = json.loads(given.results.read_text()) if given.results.exists() else {}
    for path in given.merge:
        stored |= json.loads(path.read_text())
    if given.merge:
        store(given.results, stored)
    if not given.tables:
        for name in given.scene or SETTINGS:
            measure([name], range(given.first, given.first + given.seeds), python, stored)
            store(given.results, stored)
    given.output.write_text(page(stored, given.date))


if __name__ == "__main__":
    main()
