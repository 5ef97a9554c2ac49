"""Time stage 2 of calflow on full-size IRIS exposures, beside reading and writing the same bytes.

Run by ``make benchmark-iris``; as a plain command ``.venv/bin/python benchmarks/iris.py``. The simulated exposures are
kept in benchmarks/data; the table is written into benchmarks/iris.md. One hundred exposures take 40 GB for a while.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from run import HERE, ROOT, Cost, largest_job, machine, measure, versions_of_calflow

BACKGROUNDS = 3


def simulated() -> Path:
    """Return the folder with one full frame, its backgrounds and references, made if there is none."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from calflow.instruments.iris.simulation import IRIS_K, IrisField, simulate_iris
    from calflow.simulation import Scene

    folder = HERE / "data" / "iris_k"
    if not (folder / "truth.json").exists():
        print(f"simulate {folder.relative_to(ROOT)}", flush=True)
        scene = Scene(IRIS_K, exposures=1, backgrounds=BACKGROUNDS, stars=400, galaxies=100, program="001")
        simulate_iris(folder, IrisField(scene))
    return folder


def association(data: Path) -> dict:
    """Return the stage-2 association: one product, of a science exposure and its backgrounds."""
    (path,) = (data / "rate").glob("*_asn.json")
    return json.loads(path.read_text())


def copied(data: Path, folder: Path, number: int) -> Path:
    """Return an association of many exposures, each the same file by another name."""
    tree = association(data)
    (product,) = tree["products"]
    exposure, *backgrounds = [data / "rate" / member["expname"] for member in product["members"]]
    backgrounds = [{"expname": str(path), "exptype": "background"} for path in backgrounds]
    tree["products"] = []
    for index in range(number):
        name = f"iris_{index:04d}"
        os.link(exposure, folder / f"{name}_rate.fits")
        science = {"expname": f"{name}_rate.fits", "exptype": "science"}
        tree["products"].append({"name": name, "members": [science, *backgrounds]})
    path = folder / "iris_image2_asn.json"
    path.write_text(json.dumps(tree))
    return path


def run_calflow(data: Path, number: int, cores: int) -> tuple[Cost, str, float]:
    """Measure stage 2 without quick looks; return its cost per exposure, and the largest job with its memory, MB."""
    with tempfile.TemporaryDirectory(dir=HERE / "data") as name:
        folder = Path(name)
        config = {
            "associations": [str(copied(data, folder, number))],
            "references": {"source": "directory", "directory": str(data / "references")},
            "stage2": {"resample": {"skip": True}},
        }
        configfile = folder / "benchmark.yaml"
        configfile.write_text(json.dumps(config))
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--snakefile", str(ROOT / "Snakefile")]
        cost = measure([*command, "--configfile", str(configfile)], folder)
        return (
            replace(cost, wall=cost.wall / number, cpu=cost.cpu / number),
            *largest_job(folder / "results" / "benchmarks"),
        )


def read_and_write(data: Path, repeat: int = 5) -> float:
    """Return the seconds to read SCI, ERR and DQ of an exposure and to write them, the mean of some rounds."""
    from astropy.io import fits

    path = data / "rate" / association(data)["products"][0]["members"][0]["expname"]
    with tempfile.TemporaryDirectory(dir=HERE / "data") as name:
        start = time.perf_counter()
        for number in range(repeat):
            with fits.open(path, memmap=False) as hdus:
                planes = [fits.ImageHDU(hdus[plane].data, name=plane) for plane in ("SCI", "ERR", "DQ")]
                fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(Path(name) / f"{number}.fits")
        return (time.perf_counter() - start) / repeat


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", type=int, default=2, help="(default %(default)s)")
    parser.add_argument("--exposures", type=int, nargs="+", default=[1, 100], help="default: %(default)s")
    given = parser.parse_args()
    data = simulated()
    lines = [
        "# Stage 2 of IRIS: full frames of 4096 x 4096",
        "",
        f"Made by `make benchmark-iris`. From `_rate` to `_cal`: average of {BACKGROUNDS} backgrounds, world "
        f"coordinates, dark, flat, photometry; without quick looks; `snakemake --cores {given.cores}` from an empty "
        "folder, with its start. Beside it, the time in which astropy reads and writes the planes of one exposure.",
        "",
        "| exposures | wall s per exposure | CPU s per exposure | to read and write, s | largest job, MB |",
        "|---:|---:|---:|---:|---|",
    ]
    plain = read_and_write(data)
    for number in given.exposures:
        cost, rule, memory = run_calflow(data, number, given.cores)
        print(f"{number} exposures: {cost}, {rule} {memory:.0f} MB, reading and writing {plain:.2f} s", flush=True)
        lines.append(f"| {number} | {cost.wall:.2f} | {cost.cpu:.2f} | {plain:.2f} | `{rule}` {memory:.0f} |")
    lines += ["", f"{versions_of_calflow()}; {machine()}; one run each.", ""]
    (HERE / "iris.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
