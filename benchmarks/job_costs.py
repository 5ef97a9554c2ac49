"""Measure the time and disk that a job of each rule takes, for what jobs request and for ``snakemake plan``.

Run by ``make job-costs``; as a plain command ``.venv/bin/python benchmarks/job_costs.py``. Writes
scripts/calflow/jobs/measured_costs.json: for each rule a straight line through two cases, of exposures of 1 and 4
Mpixel.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from statistics import median

from run import CASES, HERE, ROOT, associations, machine, measure, simulated, versions_of_calflow

sys.path.insert(0, str(ROOT / "scripts"))

from calflow.jobs.all import JOBS
from calflow.jobs.measured_costs import MEASURED, work_of

# Of rules that run in one of the cases only: the seconds that a job takes without pixels, and at least for each Mpixel.
ONE_CASE = (0.1, 0.02)


def run_case(case: dict, cores: int) -> dict[str, dict[str, float]]:
    """Return what jobs of each rule took: median seconds of a core, bytes per pixel, and their sizes in Mpixel."""
    data = simulated(case)
    with tempfile.TemporaryDirectory(dir=HERE / "data") as name:
        folder = Path(name)
        config = {
            "associations": list(map(str, associations(data, 3))),
            "references": {"directory": str(data / "references")},
            "stage2": {
                "save_bsub": True,
                "bkg_subtract": {"save_combined_background": True},
                "flat_field": {"save_interpolated_flat": True},
            },
        }
        (folder / "costs.yaml").write_text(json.dumps(config))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", str(cores)]
        command += ["--configfile", "costs.yaml"]
        measure([*command, "--notemp"], folder)
        kept, temporary = written(command, folder)
        return {
            path.name: job_costs(path.name, folder / "results", case, kept[path.name], temporary[path.name])
            for path in (folder / "results/benchmarks").iterdir()
        }


def written(command: Sequence[str], folder: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Return the bytes that the jobs of each rule wrote, as Snakemake tells: what stays, and what is temporary."""
    table = subprocess.run([*command, "--summary"], cwd=folder, check=True, capture_output=True, text=True).stdout
    rows = list(csv.DictReader(table.splitlines(), delimiter="\t"))
    sizes = {row["output_file"]: (folder / row["output_file"]).stat().st_size for row in rows}
    subprocess.run([*command, "--delete-temp-output"], cwd=folder, check=True, capture_output=True)
    kept, temporary = defaultdict[str, int](int), defaultdict[str, int](int)
    for row in rows:
        stays = (folder / row["output_file"]).exists()
        (kept if stays else temporary)[row["rule"]] += sizes[row["output_file"]]
    return kept, temporary


def job_costs(rule: str, results: Path, case: dict, kept: int, temporary: int) -> dict[str, float]:
    """Return the costs of the jobs of one rule, which wrote so many bytes in all."""
    from astropy.io import fits

    rows = [
        next(csv.DictReader(path.open(), delimiter="\t")) for path in (results / "benchmarks" / rule).rglob("*.tsv")
    ]
    frame = fits.getheader(next(results.glob("stage2/*_cal.fits")), "SCI")
    image = fits.getheader(next(results.glob("stage3/*_i2d.fits")), "SCI")
    pixels = {
        "frame": frame["NAXIS1"] * frame["NAXIS2"],
        "image": image["NAXIS1"] * image["NAXIS2"],
    }
    work = work_of(rule)
    pixels["largest"] = max(pixels.values())
    pixels["total"] = pixels["frame"] * _exposures(rule, case, whole=work.whole)
    size = pixels[work.time]
    return {
        "seconds": median(_number(row["s"]) for row in rows),
        "size": size / 1e6,
        "bytes_per_pixel": kept / len(rows) / size,
        "temporary_bytes_per_pixel": temporary / len(rows) / size,
    }


def _exposures(rule: str, case: dict, *, whole: bool) -> int:
    """Return how many exposures a job of a rule reads, by what it is named after."""
    named_after = signature(JOBS[rule].inputs).parameters
    if "background" in named_after:
        return case["backgrounds"]
    return case["exposures"] if whole or "association" in named_after else 1


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def line(points: list[tuple[float, float]], alone: tuple[float, float], digits: int) -> list[float]:
    """Return the start and the slope of a line through two points that falls nowhere.

    Of one point alone, the start and the least slope are taken as given.
    """
    (x, y), *others = points
    if not others:
        start, least = alone
        return [start, round(max(least, (y - start) / x), digits + 1)]
    ((x2, y2),) = others
    slope = max(0.0, (y2 - y) / (x2 - x)) if x2 != x else 0.0
    start = y - slope * x
    if start < 0:
        start, slope = 0.0, y2 / x2
    return [round(start, digits), round(slope, digits)]


def figures(rule: str, costs: list[dict[str, float]]) -> dict[str, object]:
    """Return the entry of a rule."""
    entry: dict[str, object] = {"seconds": line([(cost["size"], cost["seconds"]) for cost in costs], ONE_CASE, 2)}
    for key in ("bytes_per_pixel", "temporary_bytes_per_pixel"):
        if value := round(median(cost[key] for cost in costs), 1):
            entry[key] = value
    return entry


def main() -> None:
    """Measure and write the figures; what is said of memory stays (`job_memory.py`)."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", type=int, default=2, help="(default %(default)s)")
    given = parser.parse_args()
    measured: dict[str, list[dict[str, float]]] = {}
    for name, case in CASES.items():
        print(name, flush=True)
        for rule, costs in run_case(case, given.cores).items():
            measured.setdefault(rule, []).append(costs)
    rules = {rule: figures(rule, costs) for rule, costs in measured.items()}
    for rule, entry in json.loads(MEASURED.read_text())["rules"].items():
        rules.setdefault(rule, {})["memory_mb"] = entry["memory_mb"]
    made = f"by benchmarks/job_costs.py: {versions_of_calflow()}, {machine()}"
    tree = {"made": made, "rules": dict(sorted(rules.items()))}
    MEASURED.write_text(json.dumps(tree, indent=2) + "\n")


if __name__ == "__main__":
    main()
