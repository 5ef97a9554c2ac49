"""Measure the memory of jobs on exposures and images of several sizes, for what they request and for the forecast.

Run by ``make job-costs`` after ``job_costs.py``; as a plain command ``.venv/bin/python benchmarks/job_memory.py``. Each
job is a Python of its own, as on a cluster, and says itself what it took at most (Linux). Replaces the ``memory_mb`` of
rules in scripts/calflow/jobs/measured_costs.json.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from run import HERE, ROOT, measure
from scipy.optimize import linprog

sys.path.insert(0, str(ROOT / "scripts"))

from calflow.configuration.settings import SHIPPED, read_settings
from calflow.instruments.iris.simulation import IRIS_K, IrisField, simulate_iris
from calflow.jobs.all import JOBS
from calflow.jobs.measured_costs import MEASURED, work_of
from calflow.jobs.sizes import Sizes
from calflow.plan.planner import make_plan
from calflow.simulation import Scene, simulate

# Sides of detectors, pixels.
SIDES = (1024, 2048)
# A local job starts as a copy of a process that holds all libraries.
WITH_LIBRARIES = 150.0

STAGE2 = {
    "save_bsub": True,
    "bkg_subtract": {"save_combined_background": True, "clip": "error"},
    "flat_field": {"save_interpolated_flat": True},
    "dark_current": {"dark_output": True},
}
FAINT = {"kernel_fwhm": 3.9, "searchrad": 0.1, "separation": 0.04, "tolerance": 0.02}
LEVEL_2, LEVEL_3 = "data/rate/*_asn.json", "data/stage3/*_asn.json"
JWST: dict[str, dict[str, Any]] = {
    "all": {"associations": [LEVEL_2, LEVEL_3], "stage2": STAGE2, "stage3": {"outlier_detection": {"error": "median"}}},
    "calibrated": {"associations": [LEVEL_3], "input": "all/stage2"},
    "fine": {
        "associations": [LEVEL_2, LEVEL_3],
        "output": "all",
        "stage2": STAGE2 | {"resample": {"pixel_scale_ratio": 0.5}},
        "stage3": {"outlier_detection": {"error": "median"}, "resample": {"pixel_scale_ratio": 0.35}},
    },
    # What takes most: all planes, and a kernel that is not our own.
    "costly": {
        "associations": [LEVEL_3],
        "input": "all/stage2",
        "output": "calibrated",
        "stage3": {"resample": {"pixel_scale_ratio": 0.35, "kernel": "gaussian", "propagate_dq": True}},
    },
}
IRIS: dict[str, dict[str, Any]] = {
    "all": {
        "associations": [LEVEL_2, "data/merge/*_asn.json", LEVEL_3],
        "stage2": STAGE2,
        "stage3": {"tweakreg": FAINT},
    },
    "sky": {"associations": [LEVEL_2], "stage2": {"bkg_subtract": {"method": "sky_model"}}},
    "references": {
        "reference_makers": {
            name: {"type": name, "exposures": "data/rate/*000?_rate.fits"} for name in ("dark", "flat")
        }
    },
}


@dataclass(frozen=True)
class Point:
    """What a job took, MB, with the sizes of its work, Mpixel."""

    frame: float
    block: float
    image: float
    band: float
    memory: float


def simulated(side: int, telescope: str) -> Path:
    """Return the folder of a case, whose exposures are in ``data/``."""
    folder = HERE / "data" / f"memory_{telescope}_{side}"
    shape = (side, side)
    if not (folder / "data" / "truth.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        if telescope == "jwst":
            scene = Scene("nircam_f200w", detector_shape=shape, exposures=4, backgrounds=2, dither_step=1.0)
            simulate(folder / "data", scene)
        else:
            scene = Scene(IRIS_K, shape, exposures=2, backgrounds=2, dither_step=0.12, ra=150.1, dec=2.2, program="001")
            bright = [(0.3 * side, 0.25 * side, 120.0)]
            iris = IrisField(scene, bright, subarrays=1, subarray_exposures=[2], subarray_size=72)
            simulate_iris(folder / "data", iris)
    return folder


def run(folder: Path, name: str, config: Mapping[str, Any]) -> dict[str, list[Point]]:
    """Return what the jobs of a configuration took, by their rules."""
    file, peaks = folder / f"{name}.yaml", folder / f"{name}.jsonl"
    given = {"output": name, "references": {"directory": "data/references"}, **config}
    file.write_text(yaml.safe_dump(given))
    peaks.unlink(missing_ok=True)
    os.environ |= {"PYTHONPATH": str(HERE / "peaks"), "CALFLOW_PEAKS": str(peaks)}
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "--no-hooks"]
    measure([*command, "--notemp", "--configfile", file.name], folder)
    return points_of(folder, given, peaks)


def points_of(folder: Path, config: Mapping[str, Any], peaks: Path) -> dict[str, list[Point]]:
    """Return the records of jobs, by their rules, with the sizes that the plan tells."""
    found: dict[str, list[Point]] = defaultdict(list)
    with chdir(folder):
        plan = make_plan(read_settings(config), [SHIPPED], Path(".snakemake/calflow/headers"))
        sizes = Sizes(plan)
        for line in peaks.read_text().splitlines():
            record = json.loads(line)
            size = sizes.of(record["wildcards"], whole=work_of(record["rule"]).whole)
            found[_measured_as(record["rule"])].append(
                Point(size.frame, size.block, size.image, size.band, record["memory_mb"])
            )
    return found


def _measured_as(rule: str) -> str:
    """Return the rule whose jobs run the same script, if this one has the costs of another."""
    job = JOBS[rule]
    return job.like if job.like and JOBS[job.like].script == job.script else rule


def fit(points: list[Point], grows_with: tuple[str, ...]) -> dict[str, float]:
    """Return what a job takes without pixels, and for each Mpixel, so that none of the points lies above.

    Parameters
    ----------
    points : list of Point
    grows_with : tuple of str
        Names of attributes of a point.

    Returns
    -------
    dict of str to float
        ``start`` and the others that are above 0, MB.
    """
    memory = np.array([point.memory for point in points])
    sizes = np.array([[1.0, *(getattr(point, name) for name in grows_with)] for point in points])
    # The lowest plane above all points.
    start, *slopes = linprog(sizes.sum(axis=0), A_ub=-sizes, b_ub=-memory).x
    slopes = {name: round(float(mb), 1) for name, mb in zip(grows_with, slopes, strict=True)}
    return {"start": max(WITH_LIBRARIES, float(np.ceil(start)))} | {name: mb for name, mb in slopes.items() if mb}


def main() -> None:
    """Measure and write the figures."""
    found: dict[str, list[Point]] = defaultdict(list)
    for side in SIDES:
        for telescope, configs in (("jwst", JWST), ("iris", IRIS)):
            folder = simulated(side, telescope)
            for name, config in configs.items():
                print(f"{folder.name}: {name}", flush=True)
                for rule, points in run(folder, name, config).items():
                    found[rule] += points
    write(found)


def write(found: Mapping[str, list[Point]]) -> None:
    """Replace the memory of rules in the table."""
    table = json.loads(MEASURED.read_text())
    rules = table["rules"]
    for rule, points in sorted(found.items()):
        work = work_of(rule)
        rules.setdefault(rule, {})["memory_mb"] = fit(points, work.memory) | dict(work.reckoned)
    table["rules"] = dict(sorted(rules.items()))
    MEASURED.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
