"""Measure mosaics of more and more exposures on one large grid: time, memory of the largest job, disk.

As a plain command: ``.venv/bin/python benchmarks/any_size.py``; writes benchmarks/any_size.md. Small simulated NIRCam
exposures are strewn over the grid, two at each place, so that outliers are found. There is little in an exposure, but
the image is as large as that of any survey, and so is what is made of it.
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from run import HERE, ROOT, Cost, largest_job, machine, measure, versions_of_calflow
from survey import PLACES

SIDE = 512  # of an exposure, pixels
SCALE = 0.031  # arcsec
CENTRE = 83.8221, -5.3911
INTERMEDIATE = ("outliers", "sky", "stars", "geometry", "pieces")


@dataclass(frozen=True)
class Mosaic:
    """What a mosaic took: the run, its largest job with MB, GB of products and of what is between."""

    exposures: int
    cost: Cost
    rule: str
    memory: float
    products: float
    intermediates: float

    def line(self) -> str:
        """Return a row of the table."""
        return (
            f"| {self.exposures} | {self.cost.wall:.0f} | {self.cost.cpu:.0f} | `{self.rule}` {self.memory:.0f} "
            f"| {self.products:.1f} | {self.intermediates:.1f} |"
        )


def simulated(exposures: int, side: int) -> Path:
    """Return the folder with exposures that are strewn over a grid; they are made if they are not there."""
    folder = HERE / "data" / f"any_size_{exposures}_{side}"
    if folder.exists():
        return folder
    sys.path.insert(0, str(ROOT / "scripts"))
    from calflow.simulation import Scene, simulate

    # Left free at the edges: exposures are turned.
    half = (side - 2 * SIDE) * SCALE / 2 / 3600
    places = np.random.default_rng(exposures).uniform(-half, half, (exposures // 2, 2))
    (HERE / "data").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HERE / "data") as name:
        whole = Path(name) / "whole"
        for number, (east, north) in enumerate(places.tolist(), 1):
            # The same detector everywhere, so that the references are the same.
            ra, dec = CENTRE[0] + east / np.cos(np.radians(CENTRE[1])), CENTRE[1] + north
            scene = Scene("nircam_f200w", detector_shape=(SIDE, SIDE), exposures=2, galaxies=0, ra=ra, dec=dec)
            part = Path(name) / f"{number}"
            simulate(part, scene)
            _make_visit(part, number)
            _merge(part, whole)
        whole.rename(folder)
    return folder


def _make_visit(folder: Path, number: int) -> None:
    """Give the exposures of a folder, and the names of their files, the number of a visit."""
    before, after = "jw01234001001_", f"jw01234001{number:03d}_"
    for path in folder.rglob("*_rate.fits"):
        fits.setval(path, "VISIT", value=f"{number:03d}")
        path.rename(path.with_name(path.name.replace(before, after)))
    for path in folder.rglob("*_asn.json"):
        path.write_text(path.read_text().replace(before, after))


def _merge(part: Path, whole: Path) -> None:
    """Put exposures into the folder and the associations of others."""
    if not whole.exists():
        part.rename(whole)
        return
    for path in (part / "rate").glob("*_rate.fits"):
        path.rename(whole / "rate" / path.name)
    for kind, place in PLACES.items():
        (path,) = (whole / place).glob("*_asn.json")
        association, more = (json.loads(next((f / place).glob("*_asn.json")).read_text()) for f in (whole, part))
        if kind == "image2":
            association["products"] += more["products"]
        else:
            association["products"][0]["members"] += more["products"][0]["members"]
        path.write_text(json.dumps(association))


def run_mosaic(exposures: int, side: int, cores: int, whole: bool) -> Mosaic:
    """Reduce exposures to an image of a number of pixels on each side, from an empty folder."""
    data = simulated(exposures, side)
    config: dict[str, Any] = {
        "associations": [str(next((data / place).glob("*_asn.json"))) for place in ("rate", "stage3")],
        "references": {"source": "directory", "directory": str(data / "references")},
        "stage2": {"resample": {"skip": True}},
        "stage3": {
            "tweakreg": {"skip": True},  # exposures of one place have no stars in common with those of another
            "resample": {"output_shape": [side, side], "crval": list(CENTRE), "pixel_scale": SCALE, "rotation": 0.0},
        },
    }
    if whole:
        config["stage3"]["resample"]["piece_pixels"] = None
    with tempfile.TemporaryDirectory(dir=HERE / "data") as name:
        folder = Path(name)
        (folder / "any_size.yaml").write_text(json.dumps(config))
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--snakefile", str(ROOT / "Snakefile")]
        cost = measure([*command, "--configfile", "any_size.yaml"], folder)
        results = folder / "results"
        rule, memory = largest_job(results / "benchmarks")
        between = sum(_on_disk(path) for kind in INTERMEDIATE for path in results.glob(f"stage[23]/{kind}"))
        return Mosaic(exposures, cost, rule, memory, _on_disk(results) - between, between)


def _on_disk(folder: Path) -> float:
    """Return what the files of a folder take of the disk, GB; parts of files that were never written take nothing."""
    return sum(path.stat().st_blocks for path in folder.rglob("*") if path.is_file()) * 512 / 1e9


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", type=int, default=2, help="(default %(default)s)")
    parser.add_argument("--exposures", type=int, nargs="+", default=[24, 50, 100, 200], help="default: %(default)s")
    parser.add_argument("--side", type=int, default=20_000, help="of the image, pixels (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the simulated exposures")
    parser.add_argument("--whole", action="store_true", help="make the image in one job")
    given = parser.parse_args()
    lines = [
        "# Mosaics of any size",
        "",
        f"Made by `benchmarks/any_size.py`: exposures of {SIDE} x {SIDE} pixels, two at a place, from `_rate` to the "
        f"catalogue of one image of {given.side} x {given.side} pixels, "
        f"made in {'one job' if given.whole else 'pieces'}; `snakemake --cores {given.cores}`, "
        "wall and CPU time of all processes.",
        "",
        "| exposures | wall s | CPU s | largest job, MB | products GB | intermediate files GB |",
        "|---:|---:|---:|---|---:|---:|",
    ]
    disk = (
        "Of the intermediate files the median of the outlier search has 4 bytes for each pixel of its grid, which "
        "encloses the exposures; it stays. The groups it is made of, of 4 bytes for each of their own pixels, are gone "
        "when it is there. Pieces of the image take as much as it, and stay, too. Stars, sky levels and geometries are "
        "some kB for each exposure."
    )
    end = f"{versions_of_calflow()}; {machine()}; one run each."
    for exposures in given.exposures:
        exposures += exposures % 2
        lines.append(run_mosaic(exposures, given.side, given.cores, given.whole).line())
        print(lines[-1], flush=True)
        (HERE / "any_size.md").write_text("\n".join([*lines, "", disk, "", end, ""]))
        if not given.keep:
            shutil.rmtree(simulated(exposures, given.side))


if __name__ == "__main__":
    main()
